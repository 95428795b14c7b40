//! The figures as a table and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::memory::Size;
use crate::rounds::Series;
use crate::statistics::Summary;
use crate::subject::Subject;

/// Everything that was measured. Of `subjects`, the first is ours.
pub struct Report<'a> {
    pub rounds: usize,
    pub subjects: &'a [Subject],
    /// Why others were not measured, a sentence each.
    pub absent: Vec<String>,
    pub times: Vec<Series>,
    /// One a subject; `None` where there is no monitor.
    pub sizes: Vec<Option<Size>>,
}

impl Report<'_> {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut out = format!(
            "{} rounds; milliseconds, median (least–greatest); ratio: ours / theirs, round by round\n",
            self.rounds
        );
        let names = self
            .subjects
            .iter()
            .map(|subject| subject.name.chars().count());
        let width = names.max().unwrap_or(0);
        for series in &self.times {
            let (figure, temperature) = (series.figure.name(), series.temperature.name());
            let _ = writeln!(out, "\n{figure}, {temperature}");
            for (which, subject) in self.subjects.iter().enumerate() {
                let Some(times) = Summary::of(&series.samples[which]) else {
                    continue;
                };
                let times = format!("{:.2} ({:.2}–{:.2})", times.median, times.min, times.max);
                let ratio = ratio(series, which).map_or(String::new(), |ratio| {
                    format!(
                        "  ratio {:.2} ({:.2}–{:.2})",
                        ratio.median, ratio.min, ratio.max
                    )
                });
                let _ = writeln!(out, "  {:<width$}  {times:<22}{ratio}", subject.name);
            }
        }
        out += "\nmonitor, KiB after sync: anonymous + memory files = own; dirty; proportional\n";
        for (subject, size) in self.subjects.iter().zip(&self.sizes) {
            let name = &subject.name;
            let _ = match size {
                None => writeln!(out, "  {name:<width$}  has none"),
                Some(size) => writeln!(
                    out,
                    "  {name:<width$}  {} + {} = {}; {}; {}",
                    size.anonymous,
                    size.memfds,
                    size.own(),
                    size.private_dirty,
                    size.pss
                ),
            };
        }
        for reason in &self.absent {
            let _ = writeln!(out, "\nCOULD NOT RUN: {reason}");
        }
        out
    }

    /// Every sample, for programs.
    pub fn json(&self) -> String {
        let times: Vec<Value> = self
            .times
            .iter()
            .flat_map(|series| self.json_of(series))
            .collect();
        let monitors: Vec<Value> = self
            .subjects
            .iter()
            .zip(&self.sizes)
            .filter_map(|(subject, size)| Some((subject, (*size)?)))
            .map(|(subject, size)| {
                json!({
                    "subject": subject.name,
                    "anonymous_kib": size.anonymous,
                    "memfds_kib": size.memfds,
                    "private_dirty_kib": size.private_dirty,
                    "pss_kib": size.pss,
                })
            })
            .collect();
        let all = json!({
            "rounds": self.rounds,
            "could_not_run": self.absent,
            "times": times,
            "monitors": monitors,
        });
        format!("{all:#}\n")
    }

    fn json_of(&self, series: &Series) -> Vec<Value> {
        let row = |(which, subject): (usize, &Subject)| {
            json!({
                "figure": series.figure.name(),
                "temperature": series.temperature.name(),
                "subject": subject.name,
                "median_ms": Summary::of(&series.samples[which]).map(|summary| summary.median),
                "ratio_of_ours": ratio(series, which).map(|ratio| {
                    json!({ "median": ratio.median, "min": ratio.min, "max": ratio.max })
                }),
                "samples_ms": series.samples[which],
            })
        };
        self.subjects.iter().enumerate().map(row).collect()
    }
}

/// Ours to that subject's; `None` for ours itself.
fn ratio(series: &Series, which: usize) -> Option<Summary> {
    match which {
        0 => None,
        _ => Summary::of_ratios(&series.samples[0], &series.samples[which]),
    }
}
