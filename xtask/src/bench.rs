//! `cargo xtask bench`: figures side by side with peers, in one run.

use crate::build::{self, Profile};
use crate::install::{self, Extent};
use crate::project::{Outcome, Project, need_root};

/// Builds and installs what is measured, then runs the benches: words before `--` are theirs, those
/// behind it criterion's.
pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    need_root("bench")?;
    let prefix = project.target.join("bench/prefix");
    let (programs, bare) = build::bench_programs(project)?;
    let library = build::library(project, Profile::Release)?;
    install::afresh(project, &programs, Extent::Library(&library), &prefix)?;
    let (ours, criterions) = split(arguments);
    // Who has no words for criterion wants the table, not a page for each series.
    let quiet = criterions.is_empty().then_some("--quiet");
    project
        .cargo()
        .args(["bench", "--package", "lxc-benches", "--bench", "life", "--"])
        .args(criterions)
        .args(quiet)
        .env("CARGO_TARGET_DIR", &project.target)
        .env("LXC_TEST_PREFIX", prefix)
        .env("LXC_BENCH_BARE", bare)
        // The command line belongs to criterion.
        .env("LXC_BENCH_OPTIONS", ours.join("\n"))
        .quiet()
        .run()?;
    Ok(())
}

/// What stands before and behind the first `--`.
fn split(arguments: &[String]) -> (&[String], &[String]) {
    match arguments.iter().position(|word| word == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_dashes_part_the_words() {
        for (line, ours, criterions) in [
            ("", "", ""),
            ("--quick", "--quick", ""),
            ("--rounds 3 -- start", "--rounds 3", "start"),
            ("-- --verbose -- x", "", "--verbose -- x"),
        ] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let (left, right) = split(&words);
            assert_eq!((&*left.join(" "), &*right.join(" ")), (ours, criterions));
        }
    }
}
