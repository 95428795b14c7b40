//! Figures of start, attach, query and stop, and of what a monitor occupies: ours beside peers.
//!
//! **Is** a program that `cargo xtask bench` runs: every round measures every subject once, in turn,
//! so that a noisy machine is noisy for all of them.
//! **Knows** the command lines of the lxc-* tools and of crun, and where the kernel accounts memory.
//! **Never** judges: it prints medians and ratios and fails only when it cannot measure.
#![forbid(unsafe_code)]

mod bundle;
mod cgroup_move;
mod command;
mod memory;
mod options;
mod report;
mod rounds;
mod scratch;
mod statistics;
mod subject;

use std::process::ExitCode;

use options::{Asked, Options};
use scratch::Scratch;
use subject::Subject;

/// Why there are no figures: a sentence.
type Failure = String;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), Failure> {
    let options = match Options::parse(std::env::args().skip(1))? {
        Asked::Help => {
            print!("{}", options::HELP);
            return Ok(());
        }
        Asked::Bench(options) => options,
    };
    let scratch = Scratch::create()?;
    let ours = Subject::ours(&scratch)?;
    scratch.create_container(&ours)?;
    let candidates = subject::peers(&options.against, &scratch)?;

    let mut subjects = vec![ours];
    let mut absent = Vec::new();
    // One unmeasured life of each: warms caches, and shows who cannot be measured here.
    rounds::rehearse(&subjects[0])?;
    for candidate in candidates {
        match candidate.and_then(|peer| rounds::rehearse(&peer).map(|()| peer)) {
            Ok(peer) => subjects.push(peer),
            Err(reason) => absent.push(reason),
        }
    }
    let times = rounds::measure(&subjects, &options)?;
    let sizes = rounds::monitor_sizes(&subjects, &scratch)?;
    let report = report::Report {
        rounds: options.rounds,
        subjects: &subjects,
        absent,
        times,
        sizes,
    };
    let text = if options.json {
        report.json()
    } else {
        report.text()
    };
    print!("{text}");
    scratch.remove(&subjects[0])
}
