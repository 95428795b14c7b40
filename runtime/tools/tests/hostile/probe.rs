//! Programs in C that try what a hostile guest would, or strike at who starts one: `harness/probe/`,
//! compiled here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Call, Lab, could_not_run};

/// Where a container has the probe.
pub const PROBE: &str = "/probe";

/// Compiles the program that has a call of a start fail, or kills who makes it, for `test`; `None`, and
/// a line about it, where there is no compiler that links statically.
#[track_caller]
pub fn striker(lab: &Lab, test: &str) -> Option<PathBuf> {
    compiled(lab, "strike", test)
}

#[track_caller]
fn compiled(lab: &Lab, name: &str, test: &str) -> Option<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../harness/probe");
    let source = Path::new(folder).join(name).with_extension("c");
    let program = lab.files().join(name);
    let compiler = Path::new("/usr/bin/cc");
    if !compiler.exists() {
        could_not_run(test, "there is no C compiler");
        return None;
    }
    let cc = Call::new(compiler).args(["-std=c11", "-O1", "-static", "-o"]);
    let ran = cc
        .arg(&program)
        .arg(source)
        .within(Duration::from_secs(60))
        .run();
    if ran.code() != 0 {
        could_not_run(test, "the C compiler cannot link statically");
        eprintln!("{ran}");
        return None;
    }
    Some(program)
}

/// Compiles the probe and puts it into a container's rootfs.
#[track_caller]
pub fn inside(lab: &Lab, name: &str, test: &str) -> Option<PathBuf> {
    let program = compiled(lab, "guest-probe", test)?;
    let target = lab.rootfs(name).join(PROBE.trim_start_matches('/'));
    std::fs::copy(&program, target).expect("the rootfs is ours");
    Some(program)
}
