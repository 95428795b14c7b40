//! `cargo xtask vm-test`: the product and the agent built for machines, then the harness.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::build::{self, Profile};
use crate::command_line::Told;
use crate::install::{self, Extent};
use crate::output::bounded;
use crate::project::{Outcome, Project};
use crate::setup::{self, Need};

/// Where the machine has the product.
const PREFIX: &str = "/opt/lxc-runtime";

/// The whole matrix takes less; what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// A compiler that takes longer hangs.
const COMPILING: Duration = Duration::from_secs(60);

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    // Bad arguments and bad scenarios are refused before anything is installed or built.
    ended(harness(project, &["--check"])?.args(arguments))?;
    if arguments
        .iter()
        .any(|word| NO_MACHINE.contains(&word.as_str()))
    {
        return Ok(());
    }
    setup::packages(project, Need::Machines, "vm-test")?;
    ended(prepared(project)?.args(arguments))
}

/// Arguments after which there is nothing left to be done once they have been checked.
const NO_MACHINE: &[&str] = &["--check", "--help", "-h", "--list", "--relock"];

/// The harness with everything built that its machines are given.
pub fn prepared(project: &Project) -> Outcome<Command> {
    let programs = build::machine_programs(project)?;
    let library = build::library(project, Profile::Release)?;
    let place = project.target.join("vm/prefix");
    // Nobody compiles or reads manuals there: the image stays small.
    let extent = Extent::Library(&library);
    install::staged(project, &programs.product, extent, &place, PREFIX.as_ref())?;
    std::fs::copy(&programs.door, place.join("bin/lxc-door"))
        .map_err(|error| format!("{}: {error}", programs.door.display()))?;
    c_door(project, &place)?;
    guest_probe(project, &place)?;
    let mut harness = harness(project, &[])?;
    harness.arg("--agent").arg(&programs.agent);
    harness.arg("--prefix").arg(&place);
    Ok(harness)
}

/// Compiles the C library's verbs against our headers. Which `liblxc.so.1` it runs on, ours or Debian's,
/// is decided in the machine.
fn c_door(project: &Project, place: &Path) -> Outcome {
    let directory = place.join("c-door");
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let library = place.join("lib/liblxc.so.1");
    let include = project.root.join("runtime/capi/include");
    let source = project.root.join("harness/door/c-door.c");
    compiled(
        bounded(COMPILING, "cc")
            .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-I"])
            .args([&include, &source, &library])
            .arg("-o")
            .arg(directory.join("lxc-c-door")),
        &source,
    )
}

/// Compiles what tries in a guest what a hostile one would; it runs in any rootfs.
fn guest_probe(project: &Project, place: &Path) -> Outcome {
    let directory = place.join("probe");
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let source = project.root.join("harness/probe/guest-probe.c");
    compiled(
        bounded(COMPILING, "cc")
            .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-static"])
            .arg(&source)
            .arg("-o")
            .arg(directory.join("guest-probe")),
        &source,
    )
}

/// Runs a compiler to its end.
fn compiled(compiler: &mut Command, source: &Path) -> Outcome {
    let compiled = compiler
        .status()
        .map_err(|error| format!("cc cannot be started: {error}; try: cargo xtask setup"))?;
    match compiled.success() {
        true => Ok(()),
        false => Err(format!("cc refused {}", source.display()).into()),
    }
}

/// The harness, built, about to be run in this checkout.
fn harness(project: &Project, words: &[&str]) -> Outcome<Command> {
    let program = built(project)?;
    let mut command = bounded(LIMIT, program);
    command.args(words).current_dir(&project.root);
    command.arg("--cache").arg(project.target.join("vm"));
    Ok(command)
}

fn built(project: &Project) -> Outcome<PathBuf> {
    project
        .cargo()
        .args(["build", "--package", "lxc-harness", "--bin", "vm-test"])
        .env("CARGO_TARGET_DIR", &project.target)
        .quiet()
        .run()?;
    Ok(project.target.join("debug/vm-test"))
}

/// Runs it with our terminal; its own words say what was wrong.
fn ended(command: &mut Command) -> Outcome {
    match command.status()?.code() {
        Some(0) => Ok(()),
        Some(status) => Err(Told(u8::try_from(status).unwrap_or(1)).into()),
        None => Err("the harness was killed by a signal".into()),
    }
}
