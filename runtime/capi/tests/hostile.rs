//! Any bytes through the C interface: refused, with nothing changed, or taken; never the program's end.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use c_client::{Door, Headers};
use support::Call;

const OWNER: &str = "m5";
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the program with one seed in a directory of its own, where it may make files.
fn run(door: &Door, program: &Path, seed: u32, wrapper: &[&str], cases: u32) -> support::Ran {
    let lxcpath = door.lxcpath(&format!("seed-{seed}"));
    std::fs::create_dir(lxcpath.join("hostile")).expect("the laboratory is ours");
    // A name, not a path: what a case may make of it stays in the directory.
    Call::new("env")
        .arg("-C")
        .arg(&lxcpath)
        .arg(format!(
            "LD_LIBRARY_PATH={}",
            door.prefix().join("lib").display()
        ))
        .args(wrapper)
        .arg(program)
        .arg(&lxcpath)
        .args([seed.to_string(), cases.to_string()])
        .within(LIMIT)
        .run()
}

#[test]
fn any_bytes_are_taken_or_refused_whole() {
    let Some(door) = Door::new(OWNER, "any_bytes_are_taken_or_refused_whole") else {
        return;
    };
    let program = door.compiled("hostile", Headers::Ours);
    for seed in 1..=3 {
        let ran = run(&door, &program, seed, &[], 1000).exits(0);
        assert_eq!(
            ran.stdout, "some were taken=1\nsome were refused=1\nfailures=0\n",
            "seed {seed}\n{ran}"
        );
    }
}

#[test]
fn nothing_leaks_and_nothing_is_read_unwritten() {
    const TEST: &str = "nothing_leaks_and_nothing_is_read_unwritten";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if Call::new("sh")
        .args(["-c", "command -v valgrind"])
        .run()
        .code()
        != 0
    {
        support::could_not_run(TEST, "valgrind is not installed");
        return;
    }
    let program = door.compiled("hostile", Headers::Ours);
    let wrapper = [
        "valgrind",
        "--quiet",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect",
        "--errors-for-leak-kinds=definite,indirect",
        "--error-exitcode=99",
    ];
    run(&door, &program, 9, &wrapper, 60).exits(0);
}
