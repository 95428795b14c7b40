//! The program that tries what a hostile guest would: `harness/probe/guest-probe.c`, compiled here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Call, Lab, could_not_run};

/// Where a container has it.
pub const PROBE: &str = "/probe";

/// Compiles it for `test`; `None`, and a line about it, where there is no compiler that links
/// statically.
#[track_caller]
pub fn compiled(lab: &Lab, test: &str) -> Option<PathBuf> {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../harness/probe/guest-probe.c"
    );
    let program = lab.files().join("probe");
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

/// Compiles it and puts it into a container's rootfs.
#[track_caller]
pub fn inside(lab: &Lab, name: &str, test: &str) -> Option<PathBuf> {
    let program = compiled(lab, test)?;
    let target = lab.rootfs(name).join(PROBE.trim_start_matches('/'));
    std::fs::copy(&program, target).expect("the rootfs is ours");
    Some(program)
}
