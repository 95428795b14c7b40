//! `cargo xtask fuzz`: random input for the configuration, guided by what it reaches.
//!
//! Not part of `cargo xtask test`: that replays what was found here, kept in the corpus.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::build;
use crate::output::{bounded, shown};
use crate::project::{Outcome, Project};

/// What tells the compiler to note which branches were taken; stable Rust has the pass, but no name
/// for it.
const COVERAGE: &str = "--cfg fuzzing -C passes=sancov-module -C codegen-units=1 \
    -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
    -C llvm-args=-sanitizer-coverage-pc-table \
    -C llvm-args=-sanitizer-coverage-trace-compares";

/// Mistakes show in short inputs, and short ones are tried more often.
const LONGEST: &str = "-max_len=600";

/// How long a target runs when nothing is said.
const MINUTES: u64 = 3;

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    let place = project.root.join("runtime/config/fuzz");
    let targets = targets(&place)?;
    let (chosen, minutes) = request(arguments, &targets)?;
    let programs = built(project, &place)?;
    for target in chosen {
        let corpus = place.join("corpus").join(&target);
        fs::create_dir_all(&corpus)?;
        let before = names(&corpus)?;
        println!("\n=== {target}, {minutes} minutes");
        run(project, &programs.join(&target), &corpus, minutes)?;
        let new = names(&corpus)?.difference(&before).count();
        let corpus = project.shown(&corpus);
        match new {
            0 => println!("{target}: no mistake, and nothing that was not reached before"),
            new => println!("{target}: no mistake; {new} new inputs in {corpus}"),
        }
    }
    Ok(())
}

/// The targets: programs of the fuzz package.
fn targets(place: &Path) -> Outcome<Vec<String>> {
    let files = names(&place.join("fuzz_targets"))?;
    let target = |file: &String| file.strip_suffix(".rs").map(str::to_owned);
    let targets: Vec<String> = files.iter().filter_map(target).collect();
    match targets.is_empty() {
        true => Err(format!("{}: no targets", place.display()).into()),
        false => Ok(targets),
    }
}

/// Which targets, and for how many minutes each.
fn request(arguments: &[String], targets: &[String]) -> Outcome<(Vec<String>, u64)> {
    let mut chosen = None;
    let mut minutes = MINUTES;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--minutes" {
            let number = words.next().and_then(|number| number.parse().ok());
            minutes = number
                .filter(|n| (1..=24 * 60).contains(n))
                .ok_or("--minutes takes a number from 1 to 1440")?;
        } else if chosen.is_none() && targets.contains(word) {
            chosen = Some(vec![word.clone()]);
        } else {
            let targets = targets.join(", ");
            return Err(format!("`{word}` is not understood; the targets are {targets}").into());
        }
    }
    Ok((chosen.unwrap_or_else(|| targets.to_vec()), minutes))
}

/// Builds all targets; gives the directory in which they are.
fn built(project: &Project, place: &Path) -> Outcome<PathBuf> {
    let host = build::host_triple(project)?;
    let target = project.target.join("fuzz");
    // Naming the host as target keeps the flags from build scripts, which the engine is no part of.
    project
        .cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            &host,
            "--manifest-path",
        ])
        .arg(place.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", COVERAGE)
        .quiet()
        .run()?;
    Ok(target.join(host).join("release"))
}

/// Runs a target, then adds to `corpus` those of the inputs it found that reach a new branch. The
/// others stay below `target`, where the next run begins with them.
fn run(project: &Project, program: &Path, corpus: &Path, minutes: u64) -> Outcome {
    let name = program.file_name().ok_or("a program has a name")?;
    let inputs = project.target.join("fuzz/inputs").join(name);
    let mistakes = project.target.join("fuzz/mistakes/");
    fs::create_dir_all(&inputs)?;
    fs::create_dir_all(&mistakes)?;
    // The engine ends by itself; what takes longer than that hangs.
    let engine = |seconds: u64| bounded(Duration::from_secs(seconds + 120), program);
    let seconds = minutes * 60;
    let mut search = engine(seconds);
    search.args([&inputs, corpus]);
    search
        .arg(format!("-max_total_time={seconds}"))
        .arg(LONGEST);
    search.arg(format!("-artifact_prefix={}", mistakes.display()));
    let ran = shown(search)?;
    if !ran.text.contains(" inline 8-bit counters") {
        return Err("it was not guided: the program has no counters of what it reaches".into());
    }
    if let Some(failure) = ran.failure() {
        let mistakes = project.shown(&mistakes);
        return Err(format!("{failure}; the input that did it is in {mistakes}").into());
    }
    // Without counters an input must reach a branch that none before it did: how often it does would
    // add hundreds of files a minute.
    let mut merge = engine(seconds);
    merge.args(["-merge=1", "-use_counters=0", LONGEST]);
    merge.args([corpus, &inputs]);
    let merged = merge.output()?;
    match merged.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&merged.stderr).into()),
    }
}

fn names(directory: &Path) -> Outcome<BTreeSet<String>> {
    let entries =
        fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let name = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_minutes_are_chosen() {
        let targets = ["file".to_owned(), "value".to_owned()];
        let asked = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            request(&words, &targets).map(|(chosen, minutes)| (chosen.join("+"), minutes))
        };
        for (line, chosen, minutes) in [
            ("", "file+value", MINUTES),
            ("value", "value", MINUTES),
            ("--minutes 10 file", "file", 10),
        ] {
            assert_eq!(asked(line).unwrap(), (chosen.to_owned(), minutes), "{line}");
        }
        for line in [
            "moon",
            "file value",
            "--minutes",
            "--minutes 0",
            "--minutes x",
            "-h",
        ] {
            assert!(asked(line).is_err(), "{line}");
        }
    }
}
