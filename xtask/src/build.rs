//! `cargo xtask build`: the two builds of the product.
//!
//! Static: the monitor and the tools, which are executed on every start. Dynamic: the C library,
//! because a static C runtime refuses a shared object. Each has its own directory, so that flags of
//! the one do not rebuild the other.

use std::path::{Path, PathBuf};
use std::time::Instant;

use xshell::cmd;

use crate::project::{Outcome, Project};

/// With or without optimisation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Debug,
    Release,
}

/// Where the static programs are.
pub struct Programs {
    /// All lxc-* tools in one.
    pub lxc: PathBuf,
    /// The monitor.
    pub monitor: PathBuf,
}

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    let profile = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Profile::Debug,
        ["--release"] => Profile::Release,
        _ => return Err("takes --release or nothing".into()),
    };
    let programs = programs(project, profile)?;
    let library = library(project, profile)?;
    for path in [&programs.lxc, &programs.monitor, &library] {
        println!("built {}", project.shown(path));
    }
    Ok(())
}

/// Builds the monitor and the tools, linked statically.
pub fn programs(project: &Project, profile: Profile) -> Outcome<Programs> {
    let built = statically(project, profile, &[MONITOR, TOOLS])?;
    Ok(product(&built))
}

/// Builds the product, and the floor that it is measured against.
pub fn bench_programs(project: &Project) -> Outcome<(Programs, PathBuf)> {
    let built = statically(project, Profile::Release, &[MONITOR, TOOLS, BARE])?;
    Ok((product(&built), built.join(BARE.1)))
}

/// What a machine is given beside the product.
pub struct MachinePrograms {
    /// The product.
    pub product: Programs,
    /// PID 1.
    pub agent: PathBuf,
    /// The library's verbs.
    pub door: PathBuf,
}

/// Builds, linked statically, the product and what else a machine needs.
pub fn machine_programs(project: &Project) -> Outcome<MachinePrograms> {
    let built = statically(project, Profile::Release, &[MONITOR, TOOLS, AGENT, DOOR])?;
    Ok(MachinePrograms {
        product: product(&built),
        agent: built.join(AGENT.1),
        door: built.join(DOOR.1),
    })
}

/// The product among the programs in a directory.
fn product(built: &Path) -> Programs {
    Programs {
        lxc: built.join(TOOLS.1),
        monitor: built.join(MONITOR.1),
    }
}

/// A package and its program.
type Static = (&'static str, &'static str);
const MONITOR: Static = ("lxc-engine", "lxc-monitor");
const TOOLS: Static = ("lxc-tools", "lxc");
const AGENT: Static = ("lxc-guest", "guest-agent");
const DOOR: Static = ("lxc-door", "lxc-door");
const BARE: Static = ("lxc-benches", "bare");

/// Builds programs that need no shared library; gives the directory in which they are.
fn statically(project: &Project, profile: Profile, programs: &[Static]) -> Outcome<PathBuf> {
    let begun = Instant::now();
    let target = project.target.join("static");
    let host = host_triple(project)?;
    let libdir = cmd!(project.sh, "pkg-config --variable=libdir libseccomp")
        .quiet()
        .read()
        .map_err(|error| {
            format!("libseccomp's headers are not found ({error}); try: cargo xtask setup")
        })?;
    let selection = programs
        .iter()
        .flat_map(|(package, program)| ["--package", package, "--bin", program]);
    // Naming the host as target keeps the flags from build scripts and procedural macros, which
    // cannot be static.
    project
        .cargo()
        .args(["build", "--target", &host])
        .args(selection)
        .args(release_flag(profile))
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("LIBSECCOMP_LINK_TYPE", "static")
        .env("LIBSECCOMP_LIB_PATH", libdir)
        .quiet()
        .run()?;
    // Not on standard output: what follows may be for a program to read.
    eprintln!("static programs: {} s", begun.elapsed().as_secs());
    Ok(target.join(host).join(directory(profile)))
}

/// Builds the C library, linked dynamically.
pub fn library(project: &Project, profile: Profile) -> Outcome<PathBuf> {
    let begun = Instant::now();
    project
        .cargo()
        .args(["build", "--package", "lxc-capi"])
        .args(release_flag(profile))
        .env("CARGO_TARGET_DIR", &project.target)
        .quiet()
        .run()?;
    eprintln!("C library: {} s", begun.elapsed().as_secs());
    Ok(project
        .target
        .join(directory(profile))
        .join("liblxc_capi.so"))
}

fn release_flag(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Debug => &[],
        Profile::Release => &["--release"],
    }
}

fn directory(profile: Profile) -> &'static str {
    match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    }
}

/// What rustc calls this kind of machine.
pub fn host_triple(project: &Project) -> Outcome<String> {
    let text = cmd!(project.sh, "rustc -vV").quiet().read()?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc -vV names no host")?.to_string())
}
