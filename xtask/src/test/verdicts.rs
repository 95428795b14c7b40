//! Passed, failed, could not run: read from what the test runners print.

use std::collections::BTreeSet;

use crate::output::Ran;

/// What a test prints when this machine lacks what it needs: `COULD NOT RUN: TEST: REASON`.
const COULD_NOT_RUN: &str = "COULD NOT RUN: ";

/// How many tests ended how. Those that could not run are among the skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    /// `TEST: REASON`, one for each test that could not run.
    pub could_not_run: Vec<String>,
}

impl Verdicts {
    pub fn passed() -> Verdicts {
        Verdicts {
            passed: 1,
            ..Verdicts::default()
        }
    }

    pub fn failed() -> Verdicts {
        Verdicts {
            failed: 1,
            ..Verdicts::default()
        }
    }

    pub fn could_not_run(what: &str, reason: &str) -> Verdicts {
        let could_not_run = vec![format!("{what}: {reason}")];
        Verdicts {
            skipped: 1,
            could_not_run,
            ..Verdicts::default()
        }
    }

    pub fn and(mut self, other: Verdicts) -> Verdicts {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.could_not_run.extend(other.could_not_run);
        self
    }

    /// Moves the tests that said they could not run, once each, from the passed to the skipped: to
    /// its runner, such a test has passed.
    fn unable(&mut self, words: &str) {
        let mut seen = BTreeSet::new();
        for (_, said) in words
            .lines()
            .filter_map(|line| line.split_once(COULD_NOT_RUN))
        {
            let (test, _) = said.split_once(": ").unwrap_or((said, ""));
            if seen.insert(test) && self.passed > 0 {
                self.passed -= 1;
                self.skipped += 1;
                self.could_not_run.push(said.trim().to_string());
            }
        }
    }
}

/// Who ran the tests and counted them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// `cargo test`: one summary for each program of tests.
    Libtest,
    /// `cargo nextest run`: one summary at the end; the tests' own output stands above it.
    Nextest,
}

/// The verdicts of a run of `runner`, with what it was told to keep of the tests' own words.
///
/// A run that failed without naming a failed test (it did not compile, it hung) counts as one.
pub fn of(runner: Runner, ran: &Ran, words: &str) -> Verdicts {
    let mut verdicts = counts(runner, &ran.text);
    verdicts.unable(words);
    if let Some(failure) = ran.failure()
        && verdicts.failed == 0
    {
        println!("the test run itself failed: {failure}");
        verdicts.failed = 1;
    }
    verdicts
}

/// Reads the harness's last line, and its lines about what could not run.
pub fn of_machines(ran: &Ran) -> Verdicts {
    let mut lines = ran.text.lines();
    let last = lines.next_back().unwrap_or_default();
    let mut verdicts = Verdicts::default();
    for part in last.split([',', ';']).flat_map(|part| part.split(" and ")) {
        let Some((count, word)) = part.trim().split_once(' ') else {
            continue;
        };
        let count = count.parse::<usize>().unwrap_or(0);
        match word {
            "passed" => verdicts.passed += count,
            "failed" | "of the matrix" => verdicts.failed += count,
            "could not run" => verdicts.skipped += count,
            _ => {}
        }
    }
    verdicts.could_not_run = lines
        .filter(|line| {
            let cell = line.contains(" could not run ") && line.contains(": ");
            cell || line.contains(": did not come up: ")
        })
        .map(|line| line.trim().to_owned())
        .take(verdicts.skipped)
        .collect();
    // Nothing could run (69) is told by the counts; any other failure must be seen.
    if ran.failure().is_some() && ran.status.code() != Some(69) && verdicts.failed == 0 {
        verdicts.failed = 1;
    }
    verdicts
}

fn counts(runner: Runner, text: &str) -> Verdicts {
    match runner {
        Runner::Libtest => text
            .lines()
            .filter_map(|line| line.strip_prefix("test result: "))
            .map(of_libtest)
            .fold(Verdicts::default(), Verdicts::and),
        Runner::Nextest => {
            let mut summaries = text
                .lines()
                .filter(|line| line.trim_start().starts_with("Summary ["));
            let last = summaries
                .next_back()
                .and_then(|line| line.split_once(" run: "));
            last.map(|(_, counts)| of_nextest(counts))
                .unwrap_or_default()
        }
    }
}

/// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn of_libtest(summary: &str) -> Verdicts {
    let (_, counts) = summary.split_once(". ").unwrap_or_default();
    collect(counts.split(';'))
}

/// `3 passed (1 slow), 1 failed, 1 timed out, 1 skipped`
fn of_nextest(summary: &str) -> Verdicts {
    let mut depth = 0;
    let bare: String = summary
        .chars()
        .filter(|character| {
            depth += i32::from(*character == '(');
            let keep = depth == 0;
            depth -= i32::from(*character == ')');
            keep
        })
        .collect();
    collect(bare.split(','))
}

fn collect<'a>(parts: impl Iterator<Item = &'a str>) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for part in parts {
        let Some((count, word)) = part.trim().split_once(' ') else {
            continue;
        };
        let Ok(count) = count.parse::<usize>() else {
            continue;
        };
        match word.trim() {
            "passed" => verdicts.passed += count,
            "failed" | "timed out" | "exec failed" => verdicts.failed += count,
            "ignored" | "skipped" => verdicts.skipped += count,
            _ => {}
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runner: Runner, text: &str, expected: (usize, usize, usize)) {
        let verdicts = counts(runner, text);
        let found = (verdicts.passed, verdicts.failed, verdicts.skipped);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn libtest_summaries_are_added() {
        let text = "running 4 tests\n\
            test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 9 filtered out\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; finished in 0.00s\n";
        check(Runner::Libtest, text, (5, 1, 2));
        check(Runner::Libtest, "error: could not compile\n", (0, 0, 0));
    }

    #[test]
    fn the_last_summary_of_nextest_counts() {
        let text = "    test result: ok. 1 passed; 0 failed; 0 ignored\n\
            Summary [   0.001s] 1 test run: 1 passed, 0 skipped\n     \
            Summary [   0.020s] 6 tests run: 3 passed (1 slow, 1 leaky), 1 failed, 1 timed out, \
            1 exec failed, 2 skipped\n        FAIL [   0.084s] (2/6) xtask\n";
        check(Runner::Nextest, text, (3, 3, 2));
        let stopped = "     Summary [   1.048s] 24/37 tests run: 23 passed, 1 failed, 0 skipped\n";
        check(Runner::Nextest, stopped, (23, 1, 0));
        check(Runner::Nextest, "error: no such command\n", (0, 0, 0));
    }

    #[test]
    fn a_test_that_could_not_run_has_not_passed() {
        let mut verdicts = Verdicts {
            passed: 3,
            ..Verdicts::default()
        };
        verdicts.unable(
            "    COULD NOT RUN: peers::crun: no crun here\nCOULD NOT RUN: peers: no lxc\n\
            <out>COULD NOT RUN: peers: no lxc\nCOULD RUN\n",
        );
        assert_eq!(
            (verdicts.passed, verdicts.failed, verdicts.skipped),
            (1, 0, 2)
        );
        assert_eq!(
            verdicts.could_not_run,
            ["peers::crun: no crun here", "peers: no lxc"]
        );
    }

    #[test]
    fn the_harness_is_read_by_its_last_line() {
        let said = |text: &str, status: i32| {
            let script = format!("printf '%s' \"$0\"; exit {status}");
            let mut command = crate::output::bounded(std::time::Duration::from_secs(5), "sh");
            command.args(["-c", &script, text]);
            of_machines(&crate::output::shown(command).unwrap())
        };
        let one = "5.10 v2 a/b could not run 0.4 s: no such feature";
        let text =
            format!("{one}\n\n7 passed, 2 failed and 1 of the matrix, 1 could not run, in 9 s\n");
        let verdicts = said(&text, 1);
        assert_eq!(
            (verdicts.passed, verdicts.failed, verdicts.skipped),
            (7, 3, 1)
        );
        assert_eq!(verdicts.could_not_run, [one]);
        assert_eq!(said("broken\n", 101).failed, 1);
        let nothing = said("0 passed, 0 failed, 4 could not run, in 1 s\n", 69);
        assert_eq!((nothing.failed, nothing.skipped), (0, 4));
    }

    #[test]
    fn a_run_that_fails_without_a_failed_test_has_failed() {
        let mut command = crate::output::bounded(std::time::Duration::from_secs(5), "sh");
        command.args(["-c", "echo 'error: could not compile'; exit 101"]);
        let ran = crate::output::shown(command).unwrap();
        assert_eq!(of(Runner::Nextest, &ran, "").failed, 1);
    }
}
