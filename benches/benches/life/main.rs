//! `cargo xtask bench`: a container's life, ours beside peers and beside the floor, in one run.
//!
//! Everyone is measured first, in interleaved rounds: the machine differs by half between one minute
//! and the next, so that only what stands in one round can be compared. Then the samples are given to
//! criterion, which keeps them, estimates and compares them with a baseline of another commit. The
//! table at the end is made of the rounds. Standard output has the table alone, or JSON.
#![forbid(unsafe_code)]

mod series;

use std::process::ExitCode;

use lxc_benches::Failure;
use lxc_benches::layout::Layout;
use lxc_benches::operations::{self, Comparison};
use lxc_benches::options::{self, Asked, Options};
use lxc_benches::report::{Report, load_average};
use lxc_benches::rounds::{self, Field};
use lxc_benches::scratch::Scratch;
use lxc_benches::state;
use lxc_benches::subject::{self, Subject};

fn main() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<(), Failure> {
    // Criterion answers questions and refuses what it does not understand before minutes are spent.
    series::check_arguments();
    if !std::env::args().any(|word| word == "--bench") {
        // As a test (`cargo test --benches`) there is nothing to prove; and nothing to be listed.
        return Ok(());
    }
    let options = match Options::from_environment()? {
        Asked::Help => {
            print!("{}", options::HELP);
            return Ok(());
        }
        Asked::Bench(options) => options,
    };
    match subject::missing() {
        Some(reason) => println!("COULD NOT RUN: {reason}"),
        None => bench(&options)?,
    }
    Ok(())
}

fn bench(options: &Options) -> Result<(), Failure> {
    let before = load_average()?;
    let mut absent = Vec::new();
    let mut layouts = Vec::new();
    for layout in Layout::all()? {
        match layout {
            Ok(layout) => layouts.push(layout),
            Err(reason) => absent.push(reason),
        }
    }
    let scratch = Scratch::create()?;
    let creator = Subject::ours(&scratch)?;
    scratch.create_container(&creator)?;
    let mut fields = Vec::new();
    for layout in layouts {
        let (field, missing) = Field::gather(layout, &options.against, &scratch)?;
        fields.push(field);
        absent.extend(missing);
    }
    let times = rounds::measure(&fields, options.rounds)?;
    let host = fields.first().ok_or("there is no layout to measure in")?;
    let sizes = rounds::monitor_sizes(host, &scratch)?;
    let (states, missing) = state::measure(host, &scratch, options.rounds)?;
    absent.extend(missing);
    let load = [before, load_average()?];
    let operations = count(&fields, &scratch, &mut absent)?;
    host.layout.enter()?;
    scratch.remove(&creator)?;

    let mut groups = series::of_lives(&times, &fields);
    groups.push(series::of_states(&states, host));
    if let Some(reason) = series::keep(&groups)? {
        absent.push(reason);
    }
    let report = Report {
        rounds: options.rounds,
        load,
        fields: &fields,
        absent,
        times: &times,
        sizes,
        states: &states,
        operations,
    };
    match options.json {
        true => print!("{}", report.json()),
        false => print!("{}", report.text()),
    }
    Ok(())
}

/// Kernel operations of ours and of the floor, where there is one and strace.
fn count(
    fields: &[Field],
    scratch: &Scratch,
    absent: &mut Vec<Failure>,
) -> Result<Vec<Comparison>, Failure> {
    let mut all = Vec::new();
    if let Err(reason) = operations::can_count(scratch.path()) {
        absent.push(reason);
        return Ok(all);
    }
    for field in fields {
        let (Some(ours), Some(bare)) = (field.subjects.first(), field.floor()) else {
            continue;
        };
        field.layout.enter()?;
        all.extend(Comparison::both(field.layout.kind.name(), ours, bare)?);
    }
    Ok(all)
}
