//! `cargo xtask test`: everything that is tested, in sections, with a table at the end.

mod census;
mod installed;
mod licences;
mod verdicts;

use std::cell::OnceCell;
use std::process::Command;
use std::time::{Duration, Instant};

use self::census::Census;
use self::verdicts::{Runner, Verdicts};
use crate::abi;
use crate::build::{self, Profile};
use crate::command_line::Told;
use crate::install::{self, Extent};
use crate::output::{bounded, shown};
use crate::project::{Outcome, Project, is_root, need_root};
use crate::setup::{self, Need};
use crate::tidy;
use crate::vm_test;

/// A section that takes longer than this hangs; all of them together take less.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// The crates whose `tests/` folders drive real containers with the installed tools.
const HOST_CRATES: [&str; 4] = ["lxc-runtime", "lxc-capi", "lxc-tools", "lxc-benches"];

/// The crate whose `tests/` folder drives machines.
const MACHINE_CRATE: &str = "lxc-harness";

struct Section {
    name: &'static str,
    run: fn(&Context) -> Outcome<Verdicts>,
}

/// In the order in which a person wants to learn of a mistake: quick ones first.
const SECTIONS: &[Section] = &[
    Section {
        name: "setup",
        run: set_up,
    },
    Section {
        name: "fmt",
        run: |context| context.lint(&["fmt", "--all", "--check"], &[]),
    },
    Section {
        name: "tidy",
        run: tidied,
    },
    Section {
        name: "licences",
        run: licensed,
    },
    Section {
        name: "clippy",
        run: clippy,
    },
    Section {
        name: "doc",
        run: documented,
    },
    Section {
        name: "unit",
        run: unit,
    },
    Section {
        name: "doctest",
        run: doctests,
    },
    Section {
        name: "build",
        run: built,
    },
    Section {
        name: "installed",
        run: |context| installed::check(context.project),
    },
    Section {
        name: "abi",
        run: compared,
    },
    Section {
        name: "host",
        run: host,
    },
    Section {
        name: "vm",
        run: machines,
    },
    Section {
        name: "census",
        run: counted,
    },
];

/// What sections need of each other.
struct Context<'a> {
    project: &'a Project,
    runner: Runner,
    /// The host before the first test of ours ran.
    before: OnceCell<Census>,
}

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    let chosen = choose(arguments)?;
    let version = project
        .cargo()
        .args(["nextest", "--version"])
        .quiet()
        .ignore_stderr()
        .read();
    let context = Context {
        project,
        runner: if version.is_ok() {
            Runner::Nextest
        } else {
            Runner::Libtest
        },
        before: OnceCell::new(),
    };
    let mut results = Vec::new();
    for section in chosen {
        println!("\n=== {}", section.name);
        let begun = Instant::now();
        let verdicts = (section.run)(&context).unwrap_or_else(|error| {
            println!("{error}");
            Verdicts::failed()
        });
        results.push((section.name, verdicts, begun.elapsed()));
    }
    print!("\n{}", closing(&results));
    if results.iter().any(|(_, verdicts, _)| verdicts.failed > 0) {
        return Err(Told(1).into());
    }
    Ok(())
}

fn choose(arguments: &[String]) -> Outcome<Vec<&'static Section>> {
    if arguments.is_empty() {
        return Ok(SECTIONS.iter().collect());
    }
    let find = |name: &String| {
        SECTIONS
            .iter()
            .find(|section| section.name == name)
            .ok_or_else(|| {
                let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
                format!("there is no section `{name}`, only {}", names.join(", ")).into()
            })
    };
    let mut chosen = arguments
        .iter()
        .map(find)
        .collect::<Outcome<Vec<&Section>>>()?;
    // Never against the programs of an earlier run.
    let at = |name| chosen.iter().position(|section| section.name == name);
    if let (Some(host), None) = (at("host"), at("build")) {
        chosen.insert(host, find(&"build".to_string())?);
    }
    Ok(chosen)
}

fn set_up(context: &Context) -> Outcome<Verdicts> {
    setup::packages(context.project, Need::Test, "test")?;
    Ok(Verdicts::passed())
}

fn tidied(context: &Context) -> Outcome<Verdicts> {
    tidy::command(context.project, &[])?;
    Ok(Verdicts::passed())
}

fn licensed(context: &Context) -> Outcome<Verdicts> {
    licences::check(context.project)?;
    Ok(Verdicts::passed())
}

fn clippy(context: &Context) -> Outcome<Verdicts> {
    context.lint(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
        &[],
    )
}

fn documented(context: &Context) -> Outcome<Verdicts> {
    let flags = [("RUSTDOCFLAGS", "--deny warnings")];
    context.lint(&["doc", "--workspace", "--no-deps"], &flags)
}

/// All tests but those that drive installed tools.
fn unit(context: &Context) -> Outcome<Verdicts> {
    context.remember_host();
    let mut others = vec!["--workspace", "--tests"];
    let mut theirs = vec!["--lib", "--bins"];
    for name in HOST_CRATES.into_iter().chain([MACHINE_CRATE]) {
        others.extend(["--exclude", name]);
        theirs.extend(["--package", name]);
    }
    Ok(context.tests(&others)?.and(context.tests(&theirs)?))
}

fn doctests(context: &Context) -> Outcome<Verdicts> {
    let mut command = context.cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]);
    command.args(["--", "--show-output"]);
    let ran = shown(command)?;
    Ok(verdicts::of(Runner::Libtest, &ran, &ran.text))
}

/// The static programs, installed where the host tests look for them.
fn built(context: &Context) -> Outcome<Verdicts> {
    // If the build fails, the next section must not find the last one.
    context.project.sh.remove_path(context.prefix())?;
    let programs = build::programs(context.project, Profile::Release)?;
    let library = build::library(context.project, Profile::Release)?;
    let everything = Extent::Everything(&library);
    install::afresh(context.project, &programs, everything, &context.prefix())?;
    println!("installed in {}", context.project.shown(&context.prefix()));
    Ok(Verdicts::passed())
}

/// The C library and its headers against Debian's.
fn compared(context: &Context) -> Outcome<Verdicts> {
    match abi::compared(context.project)? {
        abi::Answer::Alike(text) => {
            print!("{text}");
            Ok(Verdicts::passed())
        }
        abi::Answer::CouldNotRun(reason) => Ok(Verdicts::could_not_run("abi", &reason)),
    }
}

/// Tests of real containers on this kernel, and against peers.
fn host(context: &Context) -> Outcome<Verdicts> {
    if let Err(error) = need_root("test") {
        return Ok(Verdicts::could_not_run("host", &error.to_string()));
    }
    if !context.prefix().join("bin/lxc").exists() {
        return Ok(Verdicts::could_not_run(
            "host",
            "the static programs were not built",
        ));
    }
    context.remember_host();
    // The libraries' tests execute the monitor beside them, and load the C library; those of an older
    // build would refuse them.
    let build = [
        "build",
        "--package",
        "lxc-engine",
        "--package",
        "lxc-capi",
        "--package",
        "lxc-door",
    ];
    if shown(context.cargo(&build))?.failure().is_some() {
        return Err("the monitor, the C library or the door program does not build".into());
    }
    let mut selection = vec!["--test", "*"];
    for name in HOST_CRATES {
        selection.extend(["--package", name]);
    }
    context.tests(&selection)
}

/// The scenarios marked for it, in machines with two kernels.
fn machines(context: &Context) -> Outcome<Verdicts> {
    context.remember_host();
    let mut harness = vm_test::prepared(context.project)?;
    harness.arg("--ci");
    let ran = shown(harness)?;
    // The harness itself, on the images that it has just made.
    let itself = context.tests(&["--package", MACHINE_CRATE, "--test", "*"])?;
    Ok(verdicts::of_machines(&ran).and(itself))
}

/// The host after the tests must be the host before them.
fn counted(context: &Context) -> Outcome<Verdicts> {
    let Some(before) = context.before.get() else {
        return Ok(Verdicts::could_not_run(
            "census",
            "no section with tests ran before it",
        ));
    };
    let differences = census::settled_differences(before);
    if differences.is_empty() {
        println!("the host is as it was");
        return Ok(Verdicts::passed());
    }
    Err(differences.join("\n").into())
}

impl Context<'_> {
    fn prefix(&self) -> std::path::PathBuf {
        self.project.target.join("test/prefix")
    }

    fn remember_host(&self) {
        self.before.get_or_init(Census::take);
    }

    /// A cargo that has as long as a section has.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = bounded(LIMIT, self.project.cargo_program());
        command
            .args(arguments)
            .current_dir(&self.project.root)
            .env("CARGO_TARGET_DIR", &self.project.target)
            .env("CARGO_TERM_COLOR", "never")
            // Accepted texts are judged here, never rewritten.
            .env("INSTA_UPDATE", "no")
            .env("LXC_TEST_PREFIX", self.prefix());
        command
    }

    /// Runs a check that has one verdict.
    fn lint(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome<Verdicts> {
        let mut command = self.cargo(arguments);
        command.envs(environment.iter().copied());
        match shown(command)?.failure() {
            None => Ok(Verdicts::passed()),
            Some(failure) => Err(format!("cargo {}: {failure}", arguments.join(" ")).into()),
        }
    }

    /// Runs the tests of a selection of targets, with nextest where it is installed.
    fn tests(&self, selection: &[&str]) -> Outcome<Verdicts> {
        if self.runner == Runner::Libtest {
            let mut command = self.cargo(&["test", "--no-fail-fast"]);
            command.args(selection).args(["--", "--show-output"]);
            let ran = shown(command)?;
            return Ok(verdicts::of(Runner::Libtest, &ran, &ran.text));
        }
        // Its report holds what passed tests printed, with which its terminal would overflow.
        let report = self.project.target.join("nextest/xtask/junit.xml");
        self.project.sh.remove_path(&report)?;
        let mut command = self.cargo(&["nextest", "run", "--profile", "xtask", "--no-tests=pass"]);
        command.args(selection);
        let ran = shown(command)?;
        let words = if report.exists() {
            self.project.sh.read_file(&report)?
        } else {
            String::new() // nothing was run
        };
        Ok(verdicts::of(Runner::Nextest, &ran, &unescaped(&words)))
    }
}

/// The text of an XML document as it was before it was put there.
fn unescaped(xml: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    pairs
        .iter()
        .fold(xml.to_string(), |text, (from, to)| text.replace(from, to))
}

/// What a person reads first: a line a section, what could not run, and the sum.
fn closing(results: &[(&str, Verdicts, Duration)]) -> String {
    let mut text = String::from("section     passed  failed  skipped     time\n");
    let mut sum = Verdicts::default();
    for (name, verdicts, time) in results {
        let Verdicts {
            passed,
            failed,
            skipped,
            ..
        } = verdicts;
        let seconds = time.as_secs();
        text.push_str(&format!(
            "{name:<10}{passed:>8}{failed:>8}{skipped:>9}{seconds:>7} s\n"
        ));
        sum = sum.and(verdicts.clone());
    }
    if !is_root() {
        text.push_str("not as root: tests of real containers need it\n");
    }
    if !sum.could_not_run.is_empty() {
        text.push_str(&format!(
            "of the skipped, {} could not run:\n",
            sum.could_not_run.len()
        ));
        for line in &sum.could_not_run {
            text.push_str(&format!("  {line}\n"));
        }
    }
    let failed: Vec<_> = results
        .iter()
        .filter(|(_, verdicts, _)| verdicts.failed > 0)
        .map(|row| row.0)
        .collect();
    if !failed.is_empty() {
        text.push_str(&format!(
            "once more: cargo xtask test {}\n",
            failed.join(" ")
        ));
    }
    let Verdicts {
        passed,
        failed,
        skipped,
        ..
    } = sum;
    text.push_str(&format!(
        "{passed} passed, {failed} failed, {skipped} skipped\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_sum() {
        let results = [
            ("fmt", Verdicts::passed(), Duration::from_secs(2)),
            (
                "unit",
                Verdicts {
                    passed: 7,
                    failed: 1,
                    ..Verdicts::default()
                },
                Duration::ZERO,
            ),
            (
                "host",
                Verdicts::could_not_run("host", "no root"),
                Duration::ZERO,
            ),
        ];
        let text = closing(&results);
        assert_eq!(
            text.lines().last(),
            Some("8 passed, 1 failed, 1 skipped"),
            "{text}"
        );
        for part in [
            "fmt              1       0        0      2 s\n",
            "1 could not run:\n",
            "no root",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            text.contains("once more: cargo xtask test unit\n"),
            "{text}"
        );
    }

    #[test]
    fn sections_are_chosen_by_name() {
        let names = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            choose(&arguments).map(|chosen| chosen.iter().map(|row| row.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), SECTIONS.len());
        assert_eq!(names(&["tidy", "fmt"]).unwrap(), ["tidy", "fmt"]);
        assert_eq!(names(&["fmt", "host"]).unwrap(), ["fmt", "build", "host"]);
        assert!(
            names(&["moon"])
                .unwrap_err()
                .to_string()
                .contains("no section `moon`, only setup")
        );
    }
}
