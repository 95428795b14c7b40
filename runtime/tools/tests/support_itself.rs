//! The support of these tests: it must fail when a program hangs or something is left behind.

mod support;

use std::fs;
use std::time::Duration;

use support::{Call, Lab};

const OWNER: &str = "t1";

#[test]
#[should_panic(expected = "does not end")]
fn a_program_that_hangs() {
    let call = Call::new("sleep").arg("1000");
    call.within(Duration::from_millis(100)).run();
}

#[test]
#[should_panic(expected = "its output is still held open")]
fn a_daemon_that_keeps_the_callers_pipe() {
    let call = Call::new("sh").args(["-c", "sleep 1000 &"]);
    call.within(Duration::from_millis(300)).run();
}

#[test]
fn streams_status_and_input_are_told_apart() {
    let script = "read line; echo \"out $line\"; echo err >&2; exit 7";
    let call = Call::new("sh").args(["-c", script]).input("in\n");
    call.run().exits(7).prints("out in\n").complains("err\n");
    let killed = Call::new("sh").args(["-c", "kill -TERM $$"]).run();
    assert_eq!(killed.code(), 128 + 15);
}

#[test]
fn the_census_sees_processes_cgroups_and_files() {
    let Some(lab) = Lab::new(OWNER, "the_census_sees_processes_cgroups_and_files") else {
        return;
    };
    let before = lab.census();
    let differences = |wanted: &str| {
        let found = lab.census().since(&before);
        assert!(
            found.iter().any(|line| line.contains(wanted)),
            "{wanted}: {found:?}"
        );
    };
    let named = Call::new("sh").args(["-c", "read line", &lab.name("process")]);
    let process = named.start_on_terminal();
    support::eventually("the process has its name", || lab.census() != before);
    differences("left behind: process ");
    drop(process);
    lab.is_as(&before);

    fs::write(lab.lxcpath().join("file"), "").expect("it is ours");
    differences("left behind: file ");
    fs::remove_file(lab.lxcpath().join("file")).expect("it is ours");

    let freezer = "/sys/fs/cgroup/freezer";
    let root = if fs::exists(freezer).unwrap_or(false) {
        freezer
    } else {
        "/sys/fs/cgroup"
    };
    let cgroup = std::path::Path::new(root).join(lab.name("cgroup"));
    if fs::create_dir(&cgroup).is_ok() {
        differences("left behind: cgroup ");
        fs::remove_dir(&cgroup).expect("it is ours");
    }
    lab.is_as(&before);
}

#[test]
#[should_panic(expected = "the host is not as before")]
fn a_file_left_behind() {
    let Some(lab) = Lab::new(OWNER, "a_file_left_behind") else {
        panic!("the host is not as before: not seen, for it could not run");
    };
    let before = lab.census();
    fs::write(lab.lxcpath().join("file"), "").expect("it is ours");
    lab.is_as(&before);
}
