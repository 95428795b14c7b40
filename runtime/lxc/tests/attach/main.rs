//! Attaching functions and programs, as a program that uses the library sees it.

#[path = "../../../tools/tests/support/mod.rs"]
mod support;

mod callers;
mod descriptors;
mod options;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write, pipe};

use lxc_runtime::{AttachOptions, Command, Container, StartOptions};
use rustix::process::{Signal, kill_process};
use support::{Call, Lab, Peer};

const OWNER: &str = "attach";
/// An init that does not fork, so that it can be frozen at any moment.
const FREEZABLE: &str = "lxc.init.cmd = /bin/sleep 1000";

/// A laboratory, where this program's library finds the monitor program.
fn lab(test: &str) -> Option<Lab> {
    Lab::of_the_library(OWNER, test)
}

/// The value, or the error's own words.
#[track_caller]
fn must<T>(result: lxc_runtime::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{:?}: {error}", error.kind()),
    }
}

fn open(lab: &Lab, name: &str) -> Container {
    must(Container::open(name, Some(lab.lxcpath())))
}

/// A running container with `more` in its configuration.
fn running(lab: &Lab, more: &str) -> Container {
    let name = lab.busybox("c1", &format!("{FREEZABLE}\n{more}"));
    let container = open(lab, &name);
    must(container.start(&StartOptions::default()));
    once(&container);
    container
}

/// The first attach makes the cgroup that all later ones share.
#[track_caller]
fn once(container: &Container) {
    let attached = must(container.attach(&AttachOptions {
        command: Command::Program(vec!["/bin/true".into()]),
        ..AttachOptions::default()
    }));
    assert_eq!(must(attached.wait()), 0);
}

/// What a function inside finds, written by it as lines to a pipe of the test's.
///
/// It takes no lock that another thread of the test program may hold: a pipe has none.
fn told(
    container: &Container,
    options: &AttachOptions,
    tell: impl FnOnce() -> String,
) -> (String, i32) {
    let (mut ours, mut theirs) = pipe().expect("a pipe can be made");
    let attached =
        must(container.attach_function(
            options,
            move || match theirs.write_all(tell().as_bytes()) {
                Ok(()) => 0,
                Err(_) => 1,
            },
        ));
    let mut text = String::new();
    ours.read_to_string(&mut text).expect("it writes text");
    (text, must(attached.wait()))
}

/// A file of the function's own view.
fn read(path: &str) -> String {
    fs::read(path).map_or_else(
        |error| format!("{path}: {error}\n"),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

/// The fields of a /proc/PID/status.
fn fields(status: &str) -> BTreeMap<String, String> {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    status.lines().filter_map(field).collect()
}

#[test]
fn a_function_is_one_of_the_containers_processes() {
    let Some(lab) = lab("a_function_is_one_of_the_containers_processes") else {
        return;
    };
    let policy = lab.file(
        "policy",
        0o644,
        "2\ndenylist\nmkdir errno 99\nmkdirat errno 99\n",
    );
    let container = running(
        &lab,
        &format!(
            "lxc.cap.drop = sys_time sys_module\nlxc.uts.name = inside\n\
             lxc.seccomp.profile = {}",
            policy.display()
        ),
    );
    let init = must(container.init_pid()).expect("it runs");
    let before = lab.census();
    let (text, status) = told(&container, &AttachOptions::default(), || {
        let made = fs::create_dir("/tmp/forbidden").map_err(|e| e.raw_os_error());
        format!(
            "{}\nhostname: {}mkdir: {made:?}\nsession: {:?}\nme: {}",
            read("/proc/self/status"),
            read("/proc/sys/kernel/hostname"),
            rustix::process::getsid(None),
            std::process::id(),
        )
    });
    assert_eq!(status, 0, "{text}");
    let found = fields(&text);
    let init_status = fields(&read(&format!("/proc/{init}/status")));
    assert_eq!(found["hostname"], "inside");
    assert_eq!(found["mkdir"], "Err(Some(99))", "the filter applies");
    assert_eq!(found["Seccomp"], "2");
    assert_eq!(found["CapBnd"], init_status["CapBnd"]);
    assert_ne!(
        found["CapBnd"],
        fields(&read("/proc/self/status"))["CapBnd"]
    );
    assert_eq!(found["Uid"], "0\t0\t0\t0");
    assert_eq!(found["Groups"], "");
    assert_eq!(found["CapInh"].trim_start_matches('0'), "");
    assert_eq!(found["CapAmb"].trim_start_matches('0'), "");
    // By the container's own count, and leader of a session.
    assert_eq!(found["Pid"], found["me"]);
    assert!(found["session"].contains(&found["me"]), "{text}");
    assert_ne!(found["me"], std::process::id().to_string());

    lab.is_as(&before);
}

#[test]
fn seen_from_outside_it_is_the_callers_child_in_the_containers_cgroups_and_namespaces() {
    let Some(lab) =
        lab("seen_from_outside_it_is_the_callers_child_in_the_containers_cgroups_and_namespaces")
    else {
        return;
    };
    let container = running(&lab, "");
    let init = must(container.init_pid()).expect("it runs");
    let (mut waits, mut go) = pipe().expect("a pipe can be made");
    let attached = must(
        container.attach_function(&AttachOptions::default(), move || {
            i32::from(waits.read_exact(&mut [0]).is_err())
        }),
    );
    let pid = attached.pid();
    for namespace in ["cgroup", "ipc", "mnt", "net", "pid", "uts"] {
        let link = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).ok();
        assert_eq!(link(pid), link(init), "{namespace}");
    }
    let cgroups = read(&format!("/proc/{pid}/cgroup"));
    let of_init = read(&format!("/proc/{init}/cgroup"));
    assert_eq!(cgroups.lines().count(), of_init.lines().count());
    for (line, of_init) in cgroups.lines().zip(of_init.lines()) {
        assert!(line.starts_with(of_init), "{line} is {of_init} or below");
        assert!(line.contains(container.name()), "{line}");
    }
    let status = fields(&read(&format!("/proc/{pid}/status")));
    assert_eq!(status["PPid"], std::process::id().to_string());
    go.write_all(b"x").expect("it reads");
    assert_eq!(must(attached.wait()), 0);
}

#[test]
fn what_a_function_returns_is_its_exit_status() {
    let Some(lab) = lab("what_a_function_returns_is_its_exit_status") else {
        return;
    };
    let container = running(&lab, "");
    let before = lab.census();
    let rows: [(fn() -> i32, i32); 6] = [
        (|| 0, 0),
        (|| 7, 7 << 8),
        (|| 300, 44 << 8),
        (|| -1, 255 << 8),
        (|| panic!("on purpose"), 255 << 8),
        (
            || {
                let me = rustix::process::getpid();
                let _ = kill_process(me, Signal::KILL);
                0
            },
            9,
        ),
    ];
    for (number, (function, status)) in rows.into_iter().enumerate() {
        let attached = must(container.attach_function(&AttachOptions::default(), function));
        assert!(attached.exec_failure().is_none());
        assert_eq!(must(attached.wait()), status, "row {number}");
    }
    for (program, status) in [("/no/such", 127 << 8), ("/etc/passwd", 126 << 8)] {
        let attached = must(container.attach(&AttachOptions {
            command: Command::Program(vec![program.to_owned()]),
            ..AttachOptions::default()
        }));
        assert!(attached.exec_failure().is_some(), "{program}");
        assert_eq!(must(attached.wait()), status, "{program}");
    }
    lab.is_as(&before);
}

/// Nobody inside may look into a copy of the caller's memory.
#[test]
fn a_function_cannot_be_traced_whatever_its_user() {
    let Some(lab) = lab("a_function_cannot_be_traced_whatever_its_user") else {
        return;
    };
    let container = running(&lab, "");
    for uid in [None, Some(1000)] {
        let options = AttachOptions {
            uid,
            ..AttachOptions::default()
        };
        let (found, _) = told(&container, &options, || {
            format!("{:?}", rustix::process::dumpable_behavior())
        });
        assert_eq!(found, "Ok(NotDumpable)", "{uid:?}");
    }
}

/// Whether this is a process for `test` of `module` alone; if not, it has been run in one.
#[track_caller]
fn alone(module: &str, test: &str) -> bool {
    const ALONE: &str = "LXC_TEST_ATTACH_ALONE";
    if std::env::var(ALONE).is_ok() {
        return true;
    }
    let program = std::env::current_exe().expect("it runs");
    let ran = Call::new(program)
        .args(["--exact", &format!("{module}::{test}"), "--nocapture"])
        .env(ALONE, "1")
        .run();
    // What could not run there is said here.
    print!("{}", ran.stdout);
    let ran = ran.exits(0);
    assert!(ran.stdout.contains("1 passed"), "no such test: {ran}");
    false
}

#[test]
fn functions_run_in_containers_of_the_peer() {
    const TEST: &str = "functions_run_in_containers_of_the_peer";
    let Some(lab) = lab(TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", &format!("{FREEZABLE}\nlxc.uts.name = theirs"));
    lab.peer("lxc-start", &["-n", &name]).run().exits(0);
    let container = open(&lab, &name);
    once(&container);
    let before = lab.census();
    let (text, status) = told(&container, &AttachOptions::default(), || {
        format!(
            "{}hostname: {}",
            read("/proc/self/status"),
            read("/proc/sys/kernel/hostname")
        )
    });
    assert_eq!(status, 0, "{text}");
    assert_eq!(fields(&text)["hostname"], "theirs");
    lab.is_as(&before);
    lab.peer("lxc-stop", &["-n", &name, "-k"]).run().exits(0);
}
