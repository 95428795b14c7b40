//! One table of steps through three doors: the Rust library, our C library, and Debian's.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use c_client::{Door, Headers, Library};
use support::{Call, could_not_run};

const OWNER: &str = "m8";
const LIMIT: Duration = Duration::from_secs(40);

/// Waits inside until init serves: one that has only just begun loses signals.
const READY: &str = "until pidof syslogd >/dev/null; do sleep 0.05; done";

/// The words behind the program's name (`@` = the container, `@new` = one that is not there yet), the
/// exit status, and what is printed.
const STEPS: &[(&[&str], i32, &str)] = &[
    (&["state", "@"], 0, "STOPPED\n"),
    (&["get", "@", "lxc.uts.name"], 0, "@\n"),
    (&["get", "@", "lxc.tty.max"], 0, "5\n"),
    (&["get", "@", "lxc.console.path"], 1, ""),
    (&["get", "@", "lxc.nonsense"], 1, ""),
    (&["get", "@"], 2, ""),
    (&["attach", "@", "--", "true"], 1, ""),
    (&["attach", "@", "true"], 2, ""),
    (&["wait", "@", "STOPPED", "0"], 0, ""),
    (&["wait", "@", "RUNNING|STOPPED", "0"], 0, ""),
    (&["wait", "@", "RUNNING", "0"], 1, ""),
    (&["wait", "@", "RUNNING", "1"], 1, ""),
    (&["wait", "@", "NONSENSE", "1"], 2, ""),
    (&["wait", "@", "RUNNING", "soon"], 2, ""),
    (&["ips", "@"], 0, ""),
    (&["kill", "@"], 0, ""),
    (&["stop", "@", "1"], 0, ""),
    (&["reboot", "@", "1"], 0, ""),
    (&["freeze", "@"], 1, ""),
    (&["unfreeze", "@"], 0, ""),
    (&["cgroup", "@"], 2, ""),
    (&["cgroup", "@", "pids.max"], 1, ""),
    (&["cgroup", "@", "pids.max", "7"], 1, ""),
    (&["start", "@", "what"], 2, ""),
    (&["start", "@", "--", "/nonexistent"], 1, ""),
    (&["state", "@"], 0, "STOPPED\n"),
    (&["start", "@", "--", "/bin/sleep", "1000"], 0, ""),
    (&["state", "@"], 0, "RUNNING\n"),
    (&["start", "@", "--", "/bin/sleep", "1000"], 1, ""),
    (&["wait", "@", "RUNNING", "0"], 0, ""),
    (&["wait", "@", "STOPPED", "1"], 1, ""),
    (&["attach", "@", "--", "/bin/hostname"], 0, "@\n"),
    (&["attach", "@", "--", "sh", "-c", "exit 7"], 7, ""),
    (&["attach", "@", "--", "sh", "-c", "kill -9 $$"], 137, ""),
    (&["attach", "@", "--", "/nonexistent"], 127, ""),
    (&["attach", "@", "--", "/etc/passwd"], 126, ""),
    (&["ips", "@"], 0, ""),
    (&["cgroup", "@", "pids.max"], 0, "max\n\n"),
    (&["cgroup", "@", "pids.max", "7"], 0, ""),
    (&["cgroup", "@", "pids.max"], 0, "7\n\n"),
    (&["cgroup", "@", "pids.max", "nonsense"], 1, ""),
    (&["cgroup", "@", "pids.max", ""], 1, ""),
    (&["cgroup", "@", "pids.max"], 0, "7\n\n"),
    (&["cgroup", "@", "pids.nonsense"], 1, ""),
    (&["cgroup", "@", "nonsense.max", "7"], 1, ""),
    (&["cgroup", "@", "devices.deny", "c 1:5 rwm"], 0, ""),
    (&["attach", "@", "--", "head", "-c0", "/dev/zero"], 1, ""),
    (&["cgroup", "@", "devices.allow", "c 1:5 rwm"], 0, ""),
    (&["attach", "@", "--", "head", "-c0", "/dev/zero"], 0, ""),
    (&["cgroup", "@", "devices.allow", "c 1:5"], 1, ""),
    (&["destroy", "@"], 1, ""),
    (&["unfreeze", "@"], 0, ""),
    (&["freeze", "@"], 0, ""),
    (&["state", "@"], 0, "FROZEN\n"),
    (&["freeze", "@"], 0, ""),
    (&["wait", "@", "FROZEN", "0"], 0, ""),
    (&["unfreeze", "@"], 0, ""),
    (&["state", "@"], 0, "RUNNING\n"),
    (&["attach", "@", "--", "/bin/hostname"], 0, "@\n"),
    (&["freeze", "@"], 0, ""),
    (&["kill", "@"], 0, ""),
    (&["state", "@"], 0, "STOPPED\n"),
    (&["start", "@"], 0, ""),
    (&["attach", "@", "--", "sh", "-c", READY], 0, ""),
    (&["reboot", "@", "15"], 0, ""),
    (&["attach", "@", "--", "sh", "-c", READY], 0, ""),
    (&["stop", "@", "15"], 0, ""),
    (&["state", "@"], 0, "STOPPED\n"),
    (&["destroy", "@"], 0, ""),
    (&["destroy", "@"], 1, ""),
    (&["freeze", "@"], 1, ""),
    (&["unfreeze", "@"], 1, ""),
    (&["start", "@"], 1, ""),
    (&["create", "@new"], 0, ""),
    // Without a template there is nothing that could be made twice.
    (&["create", "@new"], 0, ""),
    (&["get", "@new", "lxc.rootfs.path"], 1, ""),
    (&["destroy", "@new"], 0, ""),
    (&["nonsense", "@"], 2, ""),
    (&["state"], 2, ""),
];

/// Takes all steps with `call`, which is given the words.
#[track_caller]
fn all_steps(door: &Door, library: Library, call: impl Fn() -> Call) {
    let what = format!("{library:?}").to_lowercase();
    let name = door.lab().busybox(&what, "");
    let new = door.lab().name(&format!("{what}-new"));
    let named = |text: &str| text.replace("@new", &new).replace('@', &name);
    for (words, code, printed) in STEPS {
        let words = words.iter().map(|word| match *word {
            "@" | "@new" => named(word),
            word => word.to_owned(),
        });
        let ran = call().args(words).within(LIMIT).run();
        println!("{what}: {ran}");
        ran.exits(*code).prints(&named(printed));
    }
}

/// The program in C, compiled with what a stranger has.
fn c_door(door: &Door) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../harness/door/c-door.c");
    let headers = *door.headers().last().expect("ours are always there");
    if headers == Headers::Debians {
        // It must do with either.
        door.compiled_source(&source, Headers::Ours);
    }
    door.compiled_source(&source, headers)
}

#[test]
fn the_rust_door() {
    const TEST: &str = "the_rust_door";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    let test_program = std::env::current_exe().expect("a test has a program");
    let deps = test_program.parent().expect("it lies in a directory");
    let built = deps.with_file_name("lxc-door");
    if !built.is_file() {
        let remedy = format!(
            "{} is missing; build it with 'cargo build -p lxc-door'",
            built.display()
        );
        could_not_run(TEST, &remedy);
        return;
    }
    // An installation of its own, whose lxc.conf names the laboratory.
    let prefix = door.lab().files().join("rust-door");
    for directory in ["bin", "etc/lxc"] {
        std::fs::create_dir_all(prefix.join(directory)).expect("the laboratory is ours");
    }
    let link = |from: &Path, to: &str| {
        std::os::unix::fs::symlink(from, prefix.join(to)).expect("the laboratory is ours");
    };
    std::fs::copy(&built, prefix.join("bin/lxc-door")).expect("the laboratory is ours");
    link(&door.prefix().join("libexec"), "libexec");
    link(&door.prefix().join("share"), "share");
    link(
        &door.prefix().join("etc/lxc/default.conf"),
        "etc/lxc/default.conf",
    );
    let lxcpath = format!("lxc.lxcpath = {}\n", door.lab().lxcpath().display());
    std::fs::write(prefix.join("etc/lxc/lxc.conf"), lxcpath).expect("the laboratory is ours");
    all_steps(&door, Library::Ours, || {
        Call::new(prefix.join("bin/lxc-door"))
    });
}

#[test]
fn our_c_door() {
    let Some(door) = Door::new(OWNER, "our_c_door") else {
        return;
    };
    through_c(&door, Library::Ours);
}

#[test]
fn debians_c_door() {
    const TEST: &str = "debians_c_door";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if door.has_debians(TEST) {
        through_c(&door, Library::Debians);
    }
}

#[track_caller]
fn through_c(door: &Door, library: Library) {
    let program = c_door(door);
    let lxcpath = door.lab().lxcpath().to_string_lossy().into_owned();
    all_steps(door, library, || {
        door.call(library, &program)
            .env("LXC_C_DOOR_LXCPATH", &lxcpath)
    });
}
