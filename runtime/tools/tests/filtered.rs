//! Starts where a filter hides calls, as container managers of old do: the same mounts come about with
//! the classic calls. And starts where the host's /proc hides the processes of others.

mod support;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libseccomp::{ScmpAction, ScmpFilterContext, ScmpSyscall};
use rustix::io::Errno;
use support::{Call, Lab};

const OWNER: &str = "t5";

/// The answer of hidden calls, for the program that hides them from itself.
const ANSWER: &str = "LXC_TEST_HIDDEN_CALLS_ANSWER";
/// The program and its words, separated by line breaks.
const PROGRAM: &str = "LXC_TEST_PROGRAM";

/// The mount API of Linux 5.2 and 5.12, and what else is newer than many filters.
const HIDDEN: [&str; 8] = [
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "mount_setattr",
    "openat2",
    "close_range",
];

/// No test: what this program becomes when it is told to, by [`hidden`].
#[test]
fn become_a_program_with_hidden_calls() {
    let Some((answer, program)) = std::env::var(ANSWER).ok().zip(std::env::var(PROGRAM).ok())
    else {
        return;
    };
    let errno = answer.parse().expect("an errno");
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow).expect("a filter");
    for name in HIDDEN {
        let call = ScmpSyscall::from_name(name).expect("libseccomp knows the call");
        filter
            .add_rule(ScmpAction::Errno(errno), call)
            .expect("a rule");
    }
    filter.load().expect("the filter is loaded");
    let mut words = program.lines().map(OsString::from);
    let error = Command::new(words.next().expect("a program"))
        .args(words)
        .exec();
    panic!("{program}: {error}");
}

/// A call of our `tool` to which [`HIDDEN`] calls answer `errno`.
fn hidden(lab: &Lab, errno: Errno, tool: &str, words: &[&str]) -> Call {
    let program = lab.prefix().join("bin").join(tool);
    let lxcpath = lab.lxcpath().to_string_lossy().into_owned();
    let mut line = vec![program.to_string_lossy().into_owned(), "-P".into(), lxcpath];
    line.extend(words.iter().map(ToString::to_string));
    let own = std::env::current_exe().expect("this program has a name");
    Call::new(own)
        .args([
            "--exact",
            "become_a_program_with_hidden_calls",
            "--nocapture",
        ])
        .env(ANSWER, &errno.raw_os_error().to_string())
        .env(PROGRAM, &line.join("\n"))
}

/// /proc/self/mountinfo without what differs from one start to the next: ids, and numbers of peer
/// groups.
fn mounts(lab: &Lab, name: &str) -> Vec<String> {
    let ran = lab.inside(name, &["cat", "/proc/self/mountinfo"]).exits(0);
    let mut lines: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| {
            let words = line
                .split(' ')
                .skip(3)
                .map(|word| match word.split_once(':') {
                    Some((tag @ ("shared" | "master"), _)) => tag,
                    _ => word,
                });
            words.collect::<Vec<_>>().join(" ").replace(name, "NAME")
        })
        .collect();
    lines.sort();
    lines
}

const CONFIGURATION: &str = "\
lxc.rootfs.options = nodev,noatime
lxc.mount.auto = proc:mixed sys:mixed cgroup:rw:force
lxc.mount.entry = /usr mnt/usr none rbind,ro,create=dir 0 0
lxc.mount.entry = /etc/hostname mnt/hostname none bind,ro,nosuid,create=file 0 0
lxc.mount.entry = small mnt/small tmpfs size=64k,ro,strictatime,create=dir,private 0 0
lxc.mount.entry = /nonexistent mnt/none none bind,optional,create=dir 0 0
lxc.mount.entry = mnt/small mnt/again none bind,relative,create=dir,rslave 0 0
lxc.mount.auto = shmounts:/tmp
lxc.pty.max = 10
lxc.tty.max = 2
lxc.tty.dir = lxc
";

#[test]
fn mounts_are_the_same_without_the_mount_api() {
    let test = "mounts_are_the_same_without_the_mount_api";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", CONFIGURATION);
    lab.start(&name);
    let plain = mounts(&lab, &name);
    lab.kill(&name);
    assert!(
        plain.iter().any(|line| line.contains("/mnt/usr ro")),
        "{plain:#?}"
    );
    for errno in [Errno::NOSYS, Errno::PERM] {
        hidden(&lab, errno, "lxc-start", &["-n", &name])
            .run()
            .exits(0);
        let classic = mounts(&lab, &name);
        assert_eq!(classic, plain, "with {errno:?}");
        let words = ["-n", &name, "--", "cat", "/mnt/hostname"];
        hidden(&lab, errno, "lxc-attach", &words).run().exits(0);
        lab.kill(&name);
    }
}

/// Nothing stays mounted where mounts are prepared, also in a container that keeps the host's root.
#[test]
fn without_a_rootfs_nothing_is_left_of_the_preparations() {
    let test = "without_a_rootfs_nothing_is_left_of_the_preparations";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let target = lab.files().join("target");
    std::fs::create_dir(&target).expect("a directory for the test can be made");
    let target = target.to_string_lossy().into_owned();
    let text = format!(
        "lxc.net.0.type = none\nlxc.mount.entry = small {target} tmpfs size=64k 0 0\n\
         lxc.mount.entry = small {target}/none tmpfs optional 0 0\n"
    );
    let name = lab.defined("c1", &text);
    let words = [
        "-n",
        &name,
        "--",
        "grep",
        "-c",
        "parking",
        "/proc/self/mountinfo",
    ];
    let ran = hidden(&lab, Errno::NOSYS, "lxc-execute", &words).run();
    assert!(ran.stdout.ends_with("0\n"), "{ran}");
}

/// What the host's root may do does not depend on whom /proc shows.
#[test]
fn a_hidden_proc_is_no_hindrance() {
    let test = "a_hidden_proc_is_no_hindrance";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let bin = lab.prefix().join("bin");
    let script = "mount -o remount,hidepid=2 /proc && cd $0 && ./lxc-start -P $1 -n $2 && \
                  ./lxc-attach -P $1 -n $2 -- cat /proc/1/comm && ./lxc-info -P $1 -n $2 -sH && \
                  ./lxc-stop -P $1 -n $2 -k";
    let words = [
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--propagation",
        "private",
    ];
    let call = Call::new("unshare").args(words).args(["sh", "-c", script]);
    let ran = call.arg(&bin).arg(lab.lxcpath()).arg(&name).run().exits(0);
    assert_eq!(ran.stdout, "init\nRUNNING\n", "{ran}");
}
