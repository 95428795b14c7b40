//! `cargo xtask bench`: figures side by side with peers, in one run.

use crate::build::{self, Profile};
use crate::install;
use crate::project::{Outcome, Project, need_root};

/// Builds and installs what is measured, then runs the benches with `arguments`.
pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    need_root("bench")?;
    let prefix = project.target.join("bench/prefix");
    let programs = build::programs(project, Profile::Release)?;
    install::afresh(project, &programs, &prefix)?;
    project
        .cargo()
        .args(["run", "--release", "--package", "lxc-benches", "--"])
        .args(arguments)
        .env("CARGO_TARGET_DIR", &project.target)
        .env("LXC_TEST_PREFIX", prefix)
        .quiet()
        .run()?;
    Ok(())
}
