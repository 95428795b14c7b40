//! What a person reads at the end: one table with three verdicts, then every reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::scenario::{Door, Subject, Way};
use crate::verdict::{Booted, Difference, How, Place, Times, Told, Verdict, layout_name};

/// All that a run found out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Who was judged, with versions: `ours`, `debian-lxc`.
    pub subjects: Vec<(String, String)>,
    /// The machines, in the order of columns.
    pub machines: Vec<Booted>,
    /// Every cell, sorted.
    pub cells: Vec<Told>,
    /// Scenarios that no cell was asked for: a matrix that leaves one out has a hole.
    pub never: Vec<String>,
    /// Whether the matrix was whole: then a scenario that could not run anywhere, or a known
    /// difference that appeared nowhere, is a failure of the matrix.
    pub whole: bool,
    /// Wall clock.
    #[serde(skip)]
    pub took: Duration,
}

/// How many cells ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All was as expected.
    pub passed: usize,
    /// Something was not.
    pub failed: usize,
    /// Something was missing.
    pub could_not_run: usize,
}

impl Report {
    /// The whole text.
    pub fn text(&self) -> String {
        let mut text = self.table();
        text.push_str(&self.failures());
        text.push_str(&self.reasons());
        text.push_str(&self.differences());
        text.push_str(&self.holes());
        text.push_str(&self.times());
        text.push_str(&self.closing());
        text
    }

    /// How it went for the cells that `chosen` picks.
    pub fn counts(&self, chosen: impl Fn(&Told) -> bool) -> Counts {
        let mut counts = Counts::default();
        for cell in self.cells.iter().filter(|cell| chosen(cell)) {
            match cell.verdict {
                Verdict::Passed => counts.passed += 1,
                Verdict::Failed(_) => counts.failed += 1,
                Verdict::CouldNotRun(_) => counts.could_not_run += 1,
            }
        }
        counts
    }

    /// 0 nothing failed, 1 something did, 69 nothing at all could run.
    pub fn exit_status(&self) -> u8 {
        let counts = self.counts(|_| true);
        match counts {
            _ if counts.failed > 0 || !self.matrix_failures().is_empty() => 1,
            Counts {
                passed: 0,
                failed: 0,
                ..
            } => 69,
            _ => 0,
        }
    }

    /// A row a scenario, a column a machine, a letter a way.
    fn table(&self) -> String {
        let mut cells: BTreeMap<(&str, &Place), BTreeMap<Way, char>> = BTreeMap::new();
        for cell in &self.cells {
            cells
                .entry((&cell.scenario, &cell.place))
                .or_default()
                .insert(cell.way, letter(cell));
        }
        let ways: BTreeSet<Way> = self.cells.iter().map(|cell| cell.way).collect();
        let rows: BTreeSet<&str> = self
            .cells
            .iter()
            .map(|cell| cell.scenario.as_str())
            .collect();
        let width = rows.iter().map(|row| row.len()).max().unwrap_or(0).max(8);
        let column = ways.len().max(7);

        let mut text = String::from("\n");
        for head in [
            |place: &Place| place.kernel.clone(),
            |place: &Place| layout_name(place.layout).to_owned(),
        ] {
            let _ = write!(text, "{:width$}", "");
            for machine in &self.machines {
                let _ = write!(text, "  {:column$}", head(&machine.place));
            }
            end_line(&mut text);
        }
        for row in rows {
            let _ = write!(text, "{row:width$}");
            for machine in &self.machines {
                let found = cells.get(&(row, &machine.place));
                let letters: String = ways
                    .iter()
                    .map(|way| found.and_then(|ways| ways.get(way)).unwrap_or(&' '))
                    .collect();
                let _ = write!(text, "  {letters:column$}");
            }
            end_line(&mut text);
        }
        let names: Vec<String> = ways.iter().map(Way::to_string).collect();
        let _ = writeln!(
            text,
            "\nA letter each for {}: p passed, d passed with a known difference, F failed,\n\
             - could not run, blank: not asked.",
            names.join("; ")
        );
        for (name, version) in &self.subjects {
            let _ = writeln!(text, "{name}: {version}");
        }
        text
    }

    /// The scene of each failure; the same scene on several machines once.
    fn failures(&self) -> String {
        let mut scenes: BTreeMap<(&str, Way), Vec<(&Place, &str)>> = BTreeMap::new();
        for cell in &self.cells {
            if let Verdict::Failed(why) = &cell.verdict {
                scenes
                    .entry((&cell.scenario, cell.way))
                    .or_default()
                    .push((&cell.place, why));
            }
        }
        let mut text = String::new();
        for ((scenario, way), scenes) in scenes {
            let places: Vec<String> = scenes.iter().map(|(place, _)| place.to_string()).collect();
            let _ = writeln!(text, "\nFAILED {scenario} ({way}) on {}", places.join(", "));
            let _ = writeln!(text, "{}", scenes[0].1);
        }
        text
    }

    /// Why what could not run could not; a reason once, with what it hit.
    fn reasons(&self) -> String {
        let mut reasons: BTreeMap<&str, BTreeMap<&Place, BTreeSet<&str>>> = BTreeMap::new();
        for cell in &self.cells {
            if let Verdict::CouldNotRun(why) = &cell.verdict {
                reasons
                    .entry(why)
                    .or_default()
                    .entry(&cell.place)
                    .or_default()
                    .insert(&cell.scenario);
            }
        }
        let mut text = String::new();
        if !reasons.is_empty() {
            text.push_str("\nCould not run:\n");
        }
        for (why, hit) in reasons {
            let (first, rest) = why.split_once('\n').unwrap_or((why, ""));
            let _ = writeln!(text, "  {first}");
            for line in rest.lines() {
                let _ = writeln!(text, "    {line}");
            }
            for (place, scenarios) in hit {
                let scenarios: Vec<&str> = scenarios.into_iter().collect();
                let shown = match scenarios.len() {
                    0..=3 => scenarios.join(", "),
                    more => format!("{more} scenarios"),
                };
                let _ = writeln!(text, "    {place}: {shown}");
            }
        }
        text
    }

    /// Known differences, and where each appeared.
    fn differences(&self) -> String {
        let mut text = String::new();
        for (difference, appeared, looked) in self.known_differences() {
            if text.is_empty() {
                text.push_str("\nKnown differences (seen on how many of the machines asked):\n");
            }
            let _ = writeln!(
                text,
                "  {appeared:>3} of {looked:<3} {}: {}",
                difference.0, difference.1
            );
        }
        text
    }

    /// Each known difference, how often it appeared and how often it was looked for.
    fn known_differences(&self) -> Vec<((&str, &str), usize, usize)> {
        let mut known: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
        for Difference { at, why, appeared } in self.cells.iter().flat_map(|cell| &cell.differences)
        {
            let entry = known.entry((at, why)).or_default();
            entry.0 += usize::from(*appeared);
            entry.1 += 1;
        }
        known
            .into_iter()
            .map(|(what, (appeared, looked))| (what, appeared, looked))
            .collect()
    }

    fn holes(&self) -> String {
        let failures = self.matrix_failures();
        match failures.is_empty() {
            true => String::new(),
            false => format!("\nThe matrix failed:\n  {}\n", failures.join("\n  ")),
        }
    }

    /// What only the whole matrix can tell.
    fn matrix_failures(&self) -> Vec<String> {
        if !self.whole
            || self
                .machines
                .iter()
                .any(|machine| matches!(machine.how, How::Not(_)))
        {
            return Vec::new();
        }
        let mut failures: Vec<String> = self
            .never
            .iter()
            .map(|scenario| format!("{scenario}: no machine of the matrix was asked"))
            .collect();
        let rows: BTreeSet<&str> = self
            .cells
            .iter()
            .map(|cell| cell.scenario.as_str())
            .collect();
        for row in rows {
            let counts =
                self.counts(|cell| cell.scenario == row && cell.way.subject == Subject::Ours);
            if counts.passed + counts.failed == 0 && counts.could_not_run > 0 {
                failures.push(format!("{row}: could not run on any machine"));
            }
        }
        for ((at, why), appeared, _) in self.known_differences() {
            if appeared == 0 {
                failures.push(format!("{at}: this difference is none any more: {why}"));
            }
        }
        failures
    }

    /// Where the time went.
    fn times(&self) -> String {
        let mut text = String::new();
        for machine in &self.machines {
            let how = match &machine.how {
                How::Kept => "snapshot kept from before".to_owned(),
                // Why stands above, with all that could not run.
                How::Not(_) => "did not come up".to_owned(),
                How::Fresh {
                    init_ms,
                    ready_ms,
                    answer_ms,
                    save_ms,
                } => format!(
                    "booted: init after {}, ready after {} of its clock; answered after {}; saved in {}",
                    ms(*init_ms),
                    ms(*ready_ms),
                    ms(*answer_ms),
                    ms(*save_ms)
                ),
            };
            if text.is_empty() {
                text.push_str("\nMachines:\n");
            }
            let place = machine.place.to_string();
            let _ = writeln!(text, "  {place:<12} {:<22} {how}", machine.release);
        }
        let ran: Vec<_> = self
            .cells
            .iter()
            .map(|cell| cell.times)
            .filter(|times| times.steps > Duration::ZERO)
            .collect();
        if ran.is_empty() {
            return text;
        }
        let all = |part: fn(&Times) -> Duration| ran.iter().map(part).collect();
        let _ = writeln!(
            text,
            "\nA scenario's time (median, most): restore {}; until the first step {}; steps {}; \
             census {}",
            spread(all(|times| times.restore)),
            spread(all(|times| times.begin)),
            spread(all(|times| times.steps)),
            spread(all(|times| times.settle))
        );
        text
    }

    /// The last lines: a sum a way, and all of it.
    fn closing(&self) -> String {
        let mut text = String::from("\n");
        let ways: BTreeSet<Way> = self.cells.iter().map(|cell| cell.way).collect();
        for way in ways {
            let counts = self.counts(|cell| cell.way == way);
            let _ = writeln!(text, "{:<15} {}", way.to_string(), counts.words());
        }
        let counts = self.counts(|_| true);
        let matrix = match self.matrix_failures().len() {
            0 => String::new(),
            failures => format!(" and {failures} of the matrix"),
        };
        let _ = writeln!(
            text,
            "{} passed, {} failed{matrix}, {} could not run, in {} s",
            counts.passed,
            counts.failed,
            counts.could_not_run,
            self.took.as_secs()
        );
        text
    }
}

impl Counts {
    fn words(self) -> String {
        format!(
            "{:>4} passed {:>4} failed {:>4} could not run",
            self.passed, self.failed, self.could_not_run
        )
    }
}

fn letter(cell: &Told) -> char {
    let differs = cell
        .differences
        .iter()
        .any(|difference| difference.appeared);
    match (&cell.verdict, differs) {
        (Verdict::Passed, false) => 'p',
        (Verdict::Passed, true) => 'd',
        (Verdict::Failed(_), _) => 'F',
        (Verdict::CouldNotRun(_), _) => '-',
    }
}

/// One cell in one line, for whoever watches.
pub fn line(cell: &Told) -> String {
    let (word, why) = match &cell.verdict {
        Verdict::Passed => ("passed", ""),
        Verdict::Failed(why) => ("FAILED", first_line(why)),
        Verdict::CouldNotRun(why) => ("could not run", first_line(why)),
    };
    let seconds = cell.times.sum().as_secs_f64();
    let colon = if why.is_empty() { "" } else { ": " };
    let way = match (cell.way.subject, cell.way.door) {
        (Subject::Ours, Door::Tools) => String::new(),
        _ => format!(" ({})", cell.way),
    };
    format!(
        "{:<11} {}{way} {word} {seconds:.1} s{colon}{why}",
        cell.place.to_string(),
        cell.scenario
    )
}

/// The median and the most of at least one time.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let most = times.last().copied().unwrap_or_default();
    let median = times[times.len() / 2].as_secs_f64();
    format!("{median:.2} s, {:.2} s", most.as_secs_f64())
}

fn end_line(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn ms(milliseconds: u64) -> String {
    format!("{:.2} s", Duration::from_millis(milliseconds).as_secs_f64())
}

#[cfg(test)]
mod tests;
