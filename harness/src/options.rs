//! The command line of `vm-test`.

use std::path::PathBuf;

use lxc_guest::protocol::Layout;

/// What `--help` prints.
pub const HELP: &str = "\
Usage: cargo xtask vm-test [OPTION…]

Boots kernels under QEMU, runs the scenarios in them, prints one table with three verdicts.
Without options: every kernel with the layouts and subjects that vm-images/kernels.toml says.

  --kernel K       only this kernel (6.1, newest, oldest); may be repeated; `all`: every one
  --cgroup LAYOUT  only this layout of cgroups: v2, hybrid or v1; may be repeated
                   (without it: v2 and hybrid of a kernel that is named, else those of the file)
  --scenario GLOB  only scenarios whose area/name matches; may be repeated
  --subject S      only this subject: ours or debian-lxc; may be repeated
  --ci             the subset that `cargo xtask test` runs: two kernels, scenarios marked for it
  --jobs N         machines at once, 1 to 64 (without it: one a core)
  --report FILE    write every verdict as JSON
  --list           print what would run and end
  --check          check arguments and scenarios and end
  --relock         write vm-images/images.lock anew from what the mirrors have now, and end
  --help           print this and end

Exit status: 0 nothing failed, 1 something failed, 2 bad arguments or scenarios,
69 nothing at all could run.
";

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Names of kernels; none = the default set.
    pub kernels: Vec<String>,
    /// Layouts; none = v2 and hybrid of named kernels, each one's own of others.
    pub layouts: Vec<Layout>,
    /// Globs on scenarios; none = all.
    pub scenarios: Vec<String>,
    /// Names of subjects; none = all.
    pub subjects: Vec<String>,
    /// Only what `cargo xtask test` runs.
    pub ci: bool,
    /// Machines at once; `None` = one a core.
    pub jobs: Option<usize>,
    /// Where the JSON goes.
    pub report: Option<PathBuf>,
    /// Instead of a run.
    pub instead: Option<Instead>,
    /// Where downloads, images and snapshots are kept.
    pub cache: Option<PathBuf>,
    /// The static agent.
    pub agent: Option<PathBuf>,
    /// The product's installation for the machine.
    pub prefix: Option<PathBuf>,
}

/// What is done instead of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// Print the help.
    Help,
    /// Print what would run.
    List,
    /// Check only.
    Check,
    /// Write the lock file anew.
    Relock,
}

impl Options {
    /// Reads the words after the program's name; the error is a sentence with a remedy.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (name, given) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => {
                    (name.to_owned(), Some(value.to_owned()))
                }
                _ => (word, None),
            };
            if options.flag(&name) {
                match given {
                    None => continue,
                    Some(value) => return Err(format!("{name} takes no value, got {value:?}")),
                }
            }
            let value = || {
                given
                    .or_else(|| words.next())
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| format!("{name} needs a value; see --help"))
            };
            options.value(&name, value)?;
        }
        Ok(options)
    }

    /// Takes an option without a value; false for any other.
    fn flag(&mut self, name: &str) -> bool {
        match name {
            "--ci" => self.ci = true,
            "--help" | "-h" => self.instead = Some(Instead::Help),
            "--list" => self.instead = Some(Instead::List),
            "--relock" => self.instead = Some(Instead::Relock),
            // Weaker than the others, so that any of them can be checked beforehand.
            "--check" => self.instead = self.instead.or(Some(Instead::Check)),
            _ => return false,
        }
        true
    }

    fn value(
        &mut self,
        name: &str,
        value: impl FnOnce() -> Result<String, String>,
    ) -> Result<(), String> {
        match name {
            "--kernel" => self.kernels.push(value()?),
            "--scenario" => self.scenarios.push(value()?),
            "--subject" => self.subjects.push(value()?),
            "--cgroup" => self.layouts.push(layout(&value()?)?),
            "--jobs" => self.jobs = Some(jobs(&value()?)?),
            "--report" => self.report = Some(value()?.into()),
            "--cache" => self.cache = Some(value()?.into()),
            "--agent" => self.agent = Some(value()?.into()),
            "--prefix" => self.prefix = Some(value()?.into()),
            other => return Err(format!("there is no option {other:?}; see --help")),
        }
        Ok(())
    }
}

fn layout(text: &str) -> Result<Layout, String> {
    match text {
        "v1" => Ok(Layout::V1),
        "hybrid" => Ok(Layout::Hybrid),
        "v2" => Ok(Layout::V2),
        other => Err(format!(
            "--cgroup {other:?} is no layout; it is one of v1, hybrid, v2"
        )),
    }
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=64) => Ok(jobs),
        _ => Err(format!("--jobs {text:?} is no number from 1 to 64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn options_may_be_repeated_and_joined() {
        let options =
            parse("--kernel 5.10 --kernel=7.3 --cgroup v2 --jobs 3 --ci --scenario start/*");
        let expected = Options {
            kernels: vec!["5.10".into(), "7.3".into()],
            layouts: vec![Layout::V2],
            scenarios: vec!["start/*".into()],
            jobs: Some(3),
            ci: true,
            ..Options::default()
        };
        assert_eq!(options, Ok(expected));
    }

    #[test]
    fn bad_words_are_named() {
        for (line, expected) in [
            ("--cgroup v3", "\"v3\" is no layout"),
            ("--jobs 0", "from 1 to 64"),
            ("--jobs many", "from 1 to 64"),
            ("--kernel", "--kernel needs a value"),
            ("--kernel=", "--kernel needs a value"),
            ("--ci=yes", "--ci takes no value"),
            ("--kernle 6.1", "no option \"--kernle\""),
            ("start/*", "no option \"start/*\""),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn a_check_gives_way_to_what_is_to_be_checked() {
        for line in ["--check --list", "--list --check"] {
            assert_eq!(parse(line).unwrap().instead, Some(Instead::List));
        }
    }
}
