//! The figures as one table and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::Failure;
use crate::memory::Size;
use crate::operations::{Comparison, ROWS};
use crate::rounds::{Field, Series};
use crate::state::{self, Pair};
use crate::statistics::{Summary, ratios};

/// Everything that was measured.
#[derive(Debug)]
pub struct Report<'a> {
    /// Samples of each figure.
    pub rounds: usize,
    /// Load averages before and after: this run alone makes next to none.
    pub load: [f64; 2],
    /// Where and who.
    pub fields: &'a [Field],
    /// Why others were not measured, a sentence each.
    pub absent: Vec<Failure>,
    /// The times.
    pub times: &'a [Series],
    /// One a subject of the first field; `None` where there is no monitor.
    pub sizes: Vec<Option<Size>>,
    /// state() through the C library, in the first field.
    pub states: &'a [Pair],
    /// Kernel operations of ours and of its floor.
    pub operations: Vec<Comparison>,
}

const HEAD: &str = "\
Milliseconds: median (middle half). Ratio: ours / theirs, taken round by round; its median (middle half).
";

const FOOT: &str = "
cold: nobody has moved a process between cgroups for 0.4 s; hot: somebody has a moment ago.
bare: the same kernel operations with nothing around them; ours / bare is our overhead.
v2: a private mount of cgroup2 alone; controllers that the host keeps in v1 are missing there.
";

/// The load average that this run does not reach by itself.
const BUSY: f64 = 1.0;

/// The machine's load average of the last minute.
pub fn load_average() -> Result<f64, Failure> {
    let path = "/proc/loadavg";
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.ok_or_else(|| format!("{path} begins with no number: {text}"))
}

impl Report<'_> {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut out = format!("{} rounds. {HEAD}", self.rounds);
        let names = self.fields.iter().flat_map(|field| &field.subjects);
        let width = names.map(|subject| subject.name.chars().count()).max();
        for series in self.times {
            self.rows(series, width.unwrap_or(0), &mut out);
        }
        out += FOOT;
        let [before, after] = self.load;
        let _ = writeln!(out, "load average: {before:.1} before, {after:.1} after");
        if before.max(after) > BUSY {
            out +=
                "Somebody else worked on this machine: take the figures again when it is quiet.\n";
        }
        self.monitors(width.unwrap_or(0), &mut out);
        self.asked(&mut out);
        for comparison in &self.operations {
            operations(comparison, &mut out);
        }
        for reason in &self.absent {
            let _ = writeln!(out, "\nCOULD NOT RUN: {reason}");
        }
        out
    }

    /// A figure: its title, a line a subject.
    fn rows(&self, series: &Series, width: usize, out: &mut String) {
        let field = &self.fields[series.field];
        let (layout, temperature) = (field.layout.kind.name(), series.temperature.name());
        let _ = writeln!(out, "\n{}, {layout}, {temperature}", series.figure.name());
        for (which, subject) in field.subjects.iter().enumerate() {
            let Some(times) = Summary::of(&series.samples[which]) else {
                continue;
            };
            let ratio = ratio(which, &series.samples[0], &series.samples[which]);
            let ratio = ratio.map_or(String::new(), |ratio| format!("  ratio {}", shown(ratio)));
            let _ = writeln!(
                out,
                "  {:<width$}  {:<21}{ratio}",
                subject.name,
                shown(times)
            );
        }
    }

    fn monitors(&self, width: usize, out: &mut String) {
        *out += "\nmonitor, KiB after sync: anonymous + memory files = own; dirty; proportional\n";
        let subjects = self.fields.iter().take(1).flat_map(|field| &field.subjects);
        for (subject, size) in subjects.zip(&self.sizes) {
            let Some(size) = size else {
                continue;
            };
            let _ = writeln!(
                out,
                "  {:<width$}  {} + {} = {}; {}; {}",
                subject.name,
                size.anonymous,
                size.memfds,
                size.own(),
                size.private_dirty,
                size.pss
            );
        }
    }

    /// A line for each library and monitor.
    fn asked(&self, out: &mut String) {
        let calls = state::CALLS;
        let _ = writeln!(
            out,
            "\nstate() of liblxc.so.1: library, monitor; microseconds, a sample the median of {calls} calls"
        );
        let width = |name: fn(&Pair) -> &str| {
            let lengths = self.states.iter().map(|pair| name(pair).chars().count());
            lengths.max().unwrap_or(0)
        };
        let (libraries, monitors) = (
            width(|pair| &pair.library.name),
            width(|pair| &pair.monitor),
        );
        for (which, pair) in self.states.iter().enumerate() {
            let Some(times) = Summary::of(&pair.samples) else {
                continue;
            };
            let ratio = ratio(which, &self.states[0].samples, &pair.samples);
            let ratio = ratio.map_or(String::new(), |ratio| format!("  ratio {}", shown(ratio)));
            let _ = writeln!(
                out,
                "  {:<libraries$}  {:<monitors$}  {:<21}{ratio}",
                pair.library.name,
                pair.monitor,
                shown(times)
            );
        }
    }

    /// Every sample, for programs.
    pub fn json(&self) -> String {
        let times: Vec<Value> = self
            .times
            .iter()
            .flat_map(|series| self.json_of(series))
            .collect();
        let subjects = self.fields.iter().take(1).flat_map(|field| &field.subjects);
        let monitors: Vec<Value> = subjects
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
            "load_average": self.load,
            "could_not_run": self.absent,
            "times": times,
            "monitors": monitors,
            "states": (0..self.states.len()).map(|which| self.json_of_state(which)).collect::<Vec<_>>(),
            "operations": self.operations.iter().map(json_of_operations).collect::<Vec<_>>(),
        });
        format!("{all:#}\n")
    }

    fn json_of_state(&self, which: usize) -> Value {
        let pair = &self.states[which];
        json!({
            "library": pair.library.name,
            "monitor": pair.monitor,
            "calls_a_sample": state::CALLS,
            "median_us": Summary::of(&pair.samples).map(|summary| summary.median),
            "ratio_of_ours": ratio(which, &self.states[0].samples, &pair.samples).map(json_of_ratio),
            "samples_us": pair.samples,
        })
    }

    fn json_of(&self, series: &Series) -> Vec<Value> {
        let field = &self.fields[series.field];
        let row = |(which, samples): (usize, &Vec<f64>)| {
            json!({
                "figure": series.figure.name(),
                "layout": field.layout.kind.name(),
                "temperature": series.temperature.name(),
                "subject": field.subjects[which].name,
                "median_ms": Summary::of(samples).map(|summary| summary.median),
                "ratio_of_ours": ratio(which, &series.samples[0], samples).map(json_of_ratio),
                "samples_ms": samples,
            })
        };
        let measured = series.samples.iter().enumerate();
        measured
            .filter(|(_, samples)| !samples.is_empty())
            .map(row)
            .collect()
    }
}

fn json_of_ratio(ratio: Summary) -> Value {
    json!({ "median": ratio.median, "lower": ratio.lower, "upper": ratio.upper })
}

/// Counts of ours and of its floor, side by side, and whether the floor still is one.
fn operations(comparison: &Comparison, out: &mut String) {
    let (ours, bare) = (&comparison.ours, &comparison.bare);
    let _ = writeln!(
        out,
        "\nkernel operations of {}: ours, bare",
        comparison.title
    );
    for (row, (ours, bare)) in ROWS.iter().zip(ours.rows.iter().zip(&bare.rows)) {
        let _ = writeln!(out, "  {:<30} {ours:>5} {bare:>5}", row.name);
    }
    let _ = writeln!(
        out,
        "  {:<30} {:>5} {:>5}",
        "system calls in all", ours.all, bare.all
    );
    let diverging = comparison.diverging();
    if !diverging.is_empty() {
        let rows = diverging.join(", ");
        let _ = writeln!(out, "  bare is no floor of this any more: {rows}");
    }
}

fn json_of_operations(comparison: &Comparison) -> Value {
    let (ours, bare) = (&comparison.ours, &comparison.bare);
    let rows: serde_json::Map<String, Value> = ROWS
        .iter()
        .zip(ours.rows.iter().zip(&bare.rows))
        .map(|(row, (ours, bare))| (row.name.to_owned(), json!({ "ours": ours, "bare": bare })))
        .collect();
    json!({
        "act": comparison.title,
        "rows": rows,
        "all": { "ours": ours.all, "bare": bare.all },
        "diverging": comparison.diverging(),
    })
}

fn shown(summary: Summary) -> String {
    let Summary {
        median,
        lower,
        upper,
    } = summary;
    format!("{median:.2} ({lower:.2}–{upper:.2})")
}

/// Ours, the first of all, to the one in that place; `None` for ours itself and for who does not do it.
fn ratio(which: usize, ours: &[f64], samples: &[f64]) -> Option<Summary> {
    match which {
        0 => None,
        _ => Summary::of(&ratios(ours, samples)),
    }
}
