//! Our own part of the command line; the rest is criterion's.

use std::path::PathBuf;

use crate::Failure;

/// Enough rounds for a steady median, in minutes that one is ready to wait.
const ROUNDS: usize = 20;
/// Enough to see that everything still can be measured.
const QUICK_ROUNDS: usize = 3;

/// Where the words come from, one a line: the command line belongs to criterion.
pub const VARIABLE: &str = "LXC_BENCH_OPTIONS";

/// What `--help` prints.
pub const HELP: &str = "\
Usage: cargo xtask bench [OPTION...] [-- CRITERION-OPTION...]

Measures start, start and stop, attach, lxc-info -s and the monitor's memory: ours beside peers and
beside `bare`, on this host's cgroups and on v2 alone, cold and hot; and state() through the C library,
ours beside C LXC's, each on both monitors.

  --rounds N       Samples of each figure (default 20); from 10 on criterion keeps the series
  --quick          3 rounds: shows that everything can be measured, not how fast it is
  --against BINDIR Also measure the lxc-* tools of this directory; may be repeated
  --json           One JSON object with every sample
  --help           Print this help

After -- for criterion: a filter, --save-baseline NAME, --baseline NAME, --verbose, --help, …
";

/// What our words ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// How to call it.
    Help,
    /// Figures.
    Bench(Options),
}

/// How to measure.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Samples of each figure.
    pub rounds: usize,
    /// JSON instead of a table.
    pub json: bool,
    /// Directories with further lxc-* tools.
    pub against: Vec<PathBuf>,
}

impl Options {
    /// From the words in the environment.
    pub fn from_environment() -> Result<Asked, Failure> {
        let words = std::env::var(VARIABLE).unwrap_or_default();
        Options::parse(words.lines().map(str::to_owned))
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Asked, Failure> {
        let mut options = Options {
            rounds: ROUNDS,
            json: false,
            against: Vec::new(),
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(Asked::Help),
                "--quick" => options.rounds = QUICK_ROUNDS,
                "--json" => options.json = true,
                "--rounds" => {
                    let number = words.next().ok_or("--rounds needs a number")?;
                    options.rounds = match number.parse() {
                        Ok(rounds) if rounds > 0 => rounds,
                        _ => return Err(format!("--rounds: {number:?} is no positive number")),
                    };
                }
                "--against" => {
                    let directory = words.next().ok_or("--against needs a directory")?;
                    options.against.push(directory.into());
                }
                other => return Err(format!("unknown option {other:?}\n{HELP}")),
            }
        }
        Ok(Asked::Bench(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Asked, Failure> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[track_caller]
    fn accepted(line: &str, rounds: usize, json: bool, against: &[&str]) {
        let against = against.iter().map(PathBuf::from).collect();
        let expected = Options {
            rounds,
            json,
            against,
        };
        assert_eq!(parse(line), Ok(Asked::Bench(expected)), "{line}");
    }

    #[track_caller]
    fn refused(line: &str, because: &str) {
        let failure = parse(line).expect_err(line);
        assert!(failure.contains(because), "{line}: {failure}");
    }

    #[test]
    fn options() {
        accepted("", 20, false, &[]);
        accepted("--quick --json", 3, true, &[]);
        accepted("--rounds 7", 7, false, &[]);
        accepted("--against a --against b", 20, false, &["a", "b"]);
        assert_eq!(parse("--quick --help"), Ok(Asked::Help));
        refused("--rounds 0", "no positive number");
        refused("--rounds many", "no positive number");
        refused("--rounds", "needs a number");
        refused("--against", "needs a directory");
        refused("--fast", "unknown option");
    }
}
