//! We are LXC to others: Debian's C tools on our containers and our tools on theirs say the same.

mod support;

use std::time::Duration;

use support::{Call, Lab, Peer, Ran, Side, eventually};

const OWNER: &str = "t2";

/// An init that can be frozen at any moment. busybox' init starts its programs by vfork(2): one that
/// is frozen between that and the execution keeps its parent from freezing, and the v1 freezer says
/// FREEZING for ever.
const FREEZABLE: &str = "lxc.init.cmd = /bin/sleep 1000";

/// What a command said, without what differs from one moment to the next.
fn said(ran: &Ran) -> (i32, String) {
    let changing = ["CPU use", "BlkIO use", "Memory use", "KMem use"];
    let lines = ran.stdout.lines().map(|line| {
        let key = changing.iter().find(|key| line.starts_with(**key));
        key.map_or_else(|| line.to_owned(), |key| format!("{key}: …"))
    });
    (ran.code(), lines.collect::<Vec<_>>().join("\n"))
}

/// Runs the same words with both sides' tool and holds what they said against each other.
#[track_caller]
fn agree(lab: &Lab, tool: &str, words: &[&str]) -> Ran {
    let ours = Side::Ours.tool(lab, tool, words).input("typed\n").run();
    let theirs = Side::Peer.tool(lab, tool, words).input("typed\n").run();
    assert!(
        said(&ours) == said(&theirs),
        "the two sides differ\n{ours}\n--- and\n{theirs}"
    );
    ours
}

/// Tool, words after `-n NAME`, exit status of both.
const ON_A_RUNNING_CONTAINER: &[(&str, &[&str], i32)] = &[
    ("lxc-info", &[], 0),
    ("lxc-info", &["-sH"], 0),
    ("lxc-info", &["-pH"], 0),
    ("lxc-info", &["-i"], 0),
    ("lxc-info", &["-c", "lxc.uts.name"], 0),
    (
        "lxc-info",
        &["-c", "lxc.rootfs.path", "-c", "lxc.tty.max"],
        0,
    ),
    ("lxc-wait", &["-s", "RUNNING", "-t", "5"], 0),
    ("lxc-wait", &["-s", "STOPPED|RUNNING", "-t", "5"], 0),
    ("lxc-wait", &["-s", "STOPPED", "-t", "1"], 1),
    ("lxc-wait", &["-s", "NONSENSE", "-t", "1"], 1),
    ("lxc-attach", &["--", "/bin/hostname"], 0),
    ("lxc-attach", &["--", "sh", "-c", "exit 7"], 7),
    ("lxc-attach", &["--", "sh", "-c", "kill -9 $$"], 137),
    ("lxc-attach", &["--", "sh", "-c", "kill -15 $$"], 143),
    ("lxc-attach", &["--", "/nonexistent"], 127),
    ("lxc-attach", &["--", "/etc/passwd"], 126),
    ("lxc-attach", &["--", "cat"], 0),
    ("lxc-attach", &["--", "id"], 0),
    ("lxc-attach", &["-u", "1000", "-g", "1001", "--", "id"], 0),
    ("lxc-attach", &["--", "tty"], 1),
    ("lxc-attach", &["--", "pwd"], 0),
    (
        "lxc-attach",
        &["--clear-env", "-v", "A=b c", "--", "env"],
        0,
    ),
    ("lxc-attach", &["--", "cat", "/proc/self/cgroup"], 0),
    ("lxc-attach", &["--", "cat", "/proc/self/mounts"], 0),
    (
        "lxc-attach",
        &[
            "--",
            "grep",
            "-E",
            "^(Cap|NoNew|Seccomp)",
            "/proc/self/status",
        ],
        0,
    ),
    (
        "lxc-attach",
        &["-e", "--", "grep", "^Cap", "/proc/self/status"],
        0,
    ),
    (
        "lxc-attach",
        &[
            "--",
            "sh",
            "-c",
            "for n in /proc/self/ns/*; do readlink $n; done",
        ],
        0,
    ),
    (
        "lxc-attach",
        &["-s", "NETWORK|UTSNAME", "--", "hostname"],
        0,
    ),
    ("lxc-attach", &["-a", "x86_64", "--", "uname", "-m"], 0),
];

/// Words for lxc-ls, which looks at the whole lxcpath.
const LISTINGS: &[&[&str]] = &[
    &["-1"],
    &["-f"],
    &[
        "-f",
        "-F",
        "NAME,STATE,PID,AUTOSTART,GROUPS,INTERFACE,IPV4,IPV6,UNPRIVILEGED",
    ],
    &["-1", "--running"],
    &["-1", "--stopped"],
    &["-1", "--frozen"],
    &["-1", "--active"],
    &["-1", "--defined"],
    &["-1", "^t2"],
    &["-1", "nothing"],
];

#[test]
fn both_say_the_same_of_a_container_of_either() {
    const TEST: &str = "both_say_the_same_of_a_container_of_either";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let stopped = lab.busybox("c2", "");
    for side in Side::BOTH {
        side.start(&lab, &name);
        for (tool, words, code) in ON_A_RUNNING_CONTAINER {
            let named = [&["-n", &name], *words].concat();
            agree(&lab, tool, &named).exits(*code);
        }
        for words in LISTINGS {
            agree(&lab, "lxc-ls", words).exits(0);
        }
        for by in Side::BOTH {
            let listing = by.inside(&lab, &name, &["ps"]).exits(0);
            let init = listing
                .stdout
                .lines()
                .any(|line| line.trim_start().starts_with("1 "));
            assert!(init, "pid 1 is not listed\n{listing}");
        }
        lab.kill(&name);
    }
    for words in [&["-n", &stopped][..], &["-n", &stopped, "-sH"]] {
        agree(&lab, "lxc-info", words).exits(0);
    }
    agree(&lab, "lxc-stop", &["-n", &stopped]).exits(2);
    agree(
        &lab,
        "lxc-wait",
        &["-n", &stopped, "-s", "STOPPED", "-t", "5"],
    )
    .exits(0);
    agree(&lab, "lxc-attach", &["-n", &stopped, "--", "true"]).exits(1);
}

#[test]
fn either_stops_a_container_of_either_and_the_other_sees_it() {
    const TEST: &str = "either_stops_a_container_of_either_and_the_other_sees_it";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let created = lab.census();
    for starter in Side::BOTH {
        for stopper in Side::BOTH {
            for how in [&["-k"][..], &["-t", "10"]] {
                starter.start(&lab, &name);
                let waits = ["-n", &name, "-s", "STOPPED", "-t", "15"];
                let waiters = Side::BOTH.map(|side| side.tool(&lab, "lxc-wait", &waits).start());
                let words = [&["-n", &name], how].concat();
                stopper.tool(&lab, "lxc-stop", &words).run().exits(0);
                for waiter in waiters {
                    waiter.finish().exits(0);
                }
                assert_eq!(
                    lab.state(&name),
                    "STOPPED",
                    "{starter:?} {stopper:?} {how:?}"
                );
                peer.forget_locks();
                lab.is_as(&created);
            }
        }
    }
}

#[test]
fn who_stopped_it_can_start_it_again_at_once() {
    const TEST: &str = "who_stopped_it_can_start_it_again_at_once";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
    // Not Debian's stop of Debian's own: there the race is in both halves.
    for (starter, stopper) in [
        (Side::Ours, Side::Ours),
        (Side::Ours, Side::Peer),
        (Side::Peer, Side::Ours),
    ] {
        for round in 0..20 {
            let started = starter
                .tool(&lab, "lxc-start", &["-n", &name])
                .run()
                .exits(0);
            let scene = format!("{starter:?} {stopper:?} round {round}\n{started}");
            assert_eq!(lab.state(&name), "RUNNING", "{scene}");
            stopper
                .tool(&lab, "lxc-stop", &["-n", &name, "-k"])
                .run()
                .exits(0);
        }
    }
}

#[test]
fn the_freezer_and_limits_of_either_work_on_a_container_of_either() {
    const TEST: &str = "the_freezer_and_limits_of_either_work_on_a_container_of_either";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", FREEZABLE);
    for starter in Side::BOTH {
        for by in Side::BOTH {
            starter.start(&lab, &name);
            frozen_and_thawed(&lab, &name, by);
            limited(&lab, &name, by);
            // A frozen one is killed all the same, and nothing of it is frozen the next time.
            by.tool(&lab, "lxc-freeze", &["-n", &name]).run().exits(0);
            lab.kill(&name);
        }
    }
    for (tool, code) in [("lxc-freeze", 1), ("lxc-unfreeze", 0)] {
        agree(&lab, tool, &["-n", &name]).exits(code);
        agree(&lab, tool, &["-n", &lab.name("new")]).exits(1);
    }
    for value in [&["pids.max"][..], &["pids.max", "5"]] {
        agree(&lab, "lxc-cgroup", &[&["-n", &name], value].concat()).exits(1);
    }
}

/// Those of either side who wait hear of it, and either side tells the state.
#[track_caller]
fn frozen_and_thawed(lab: &Lab, name: &str, by: Side) {
    let waits = ["-n", name, "-s", "FROZEN", "-t", "15"];
    let waiters = Side::BOTH.map(|side| side.tool(lab, "lxc-wait", &waits).start());
    by.tool(lab, "lxc-freeze", &["-n", name]).run().exits(0);
    for waiter in waiters {
        waiter.finish().exits(0);
    }
    agree(lab, "lxc-info", &["-n", name, "-sH"]).prints("FROZEN\n");
    agree(lab, "lxc-ls", &["-1", "--frozen"]).prints(&format!("{name}\n"));
    agree(lab, "lxc-freeze", &["-n", name]).exits(0);
    by.tool(lab, "lxc-unfreeze", &["-n", name]).run().exits(0);
    agree(lab, "lxc-info", &["-n", name, "-sH"]).prints("RUNNING\n");
    agree(lab, "lxc-unfreeze", &["-n", name]).exits(0);
    lab.inside(name, &["true"]).exits(0);
}

#[track_caller]
fn limited(lab: &Lab, name: &str, by: Side) {
    let set = ["-n", name, "pids.max", "40"];
    by.tool(lab, "lxc-cgroup", &set).run().exits(0).prints("");
    let get = ["-n", name, "pids.max"];
    agree(lab, "lxc-cgroup", &get).prints("40\n\n");
    let forks = "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done";
    let ran = lab.inside(name, &["sh", "-c", forks]);
    assert!(ran.code() != 0, "60 processes where 40 are allowed\n{ran}");
    for words in [
        &["pids.nonsense"][..],
        &["pids.max", "nonsense"],
        &["pids.max", ""],
        &["nonsense.max", "5"],
        &["../pids.max"],
        &["cgroup.procs"],
    ] {
        agree(lab, "lxc-cgroup", &[&["-n", name], words].concat()).exits(1);
    }
    agree(lab, "lxc-cgroup", &get).prints("40\n\n");
}

#[test]
fn their_console_serves_our_ttys() {
    const TEST: &str = "their_console_serves_our_ttys";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    // A program of our own on the tty: a login prompt would want a password.
    let echo = "exec </dev/tty1 >/dev/tty1 2>&1; while read line; do echo \"heard $line\"; done";
    let name = lab.busybox("c1", "lxc.tty.max = 1");
    let init = lab.file("init", 0o755, &format!("#!/bin/sh\n{echo}\n"));
    std::fs::copy(&init, lab.rootfs(&name).join("init")).expect("the rootfs is ours");
    lab.configure(&name, "lxc.init.cmd = /init");
    for side in Side::BOTH {
        side.start(&lab, &name);
        let console = || lab.peer("lxc-console", &["-n", &name, "-t", "1"]);
        let mut first = console().start_on_terminal();
        first.shows("Ctrl+a");
        first.types("me\r");
        first.shows("heard me");
        // The only tty is lent: a second one is refused, until the first is given back.
        console().within(Duration::from_secs(5)).run().exits(1);
        first.types("\u{1}q");
        first.finish().exits(0);
        let mut second = console().start_on_terminal();
        second.shows("Ctrl+a");
        second.types("you\r");
        second.shows("heard you");
        second.types("\u{1}q");
        second.finish().exits(0);
        lab.kill(&name);
    }
}

#[test]
fn their_reboot_and_destroy_work_on_ours() {
    const TEST: &str = "their_reboot_and_destroy_work_on_ours";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    lab.start(&name);
    let (monitor, init) = (lab.monitor_pid(&name), lab.init_pid(&name));
    assert!(monitor.is_some());
    lab.peer("lxc-stop", &["-n", &name, "-r", "-t", "10"])
        .run()
        .exits(0);
    eventually("another init under the same monitor", || {
        lab.state(&name) == "RUNNING" && lab.init_pid(&name) != init
    });
    assert_eq!(lab.monitor_pid(&name), monitor);
    // A running container is not destroyed by either, a stopped one is.
    let destroy = ["-n", &name];
    lab.peer("lxc-destroy", &destroy).run().exits(1);
    assert_eq!(lab.state(&name), "RUNNING");
    lab.kill(&name);
    lab.peer("lxc-destroy", &destroy).run().exits(0);
    assert!(!lab.directory(&name).exists());
}

#[test]
fn a_name_of_theirs_elsewhere_does_not_get_in_the_way() {
    const TEST: &str = "a_name_of_theirs_elsewhere_does_not_get_in_the_way";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    // The cgroups of a name are the same in every lxcpath; the second comer takes another suffix.
    let name = lab.busybox("c1", "");
    let elsewhere = lab.files().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("the directory is ours");
    let copied = Call::new("cp")
        .arg("-a")
        .arg(lab.directory(&name))
        .arg(&elsewhere)
        .run();
    copied.exits(0);
    let config = elsewhere.join(&name).join("config");
    let text = std::fs::read_to_string(&config).expect("the copy has one");
    let (old, new) = (
        lab.lxcpath().display().to_string(),
        elsewhere.display().to_string(),
    );
    std::fs::write(&config, text.replace(&old, &new)).expect("the copy is ours");
    let theirs = |tool: &str| {
        let program = std::path::Path::new("/usr/bin").join(tool);
        Call::new(program)
            .arg("-P")
            .arg(&elsewhere)
            .args(["-n", &name])
    };
    for first in Side::BOTH {
        if first == Side::Peer {
            theirs("lxc-start").run().exits(0);
        }
        lab.start(&name);
        if first == Side::Ours {
            theirs("lxc-start").run().exits(0);
        }
        let pid = lab.init_pid(&name).as_raw_nonzero();
        let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("init runs");
        let suffixed = cgroups.contains(&format!("/lxc.payload.{name}-1"));
        assert_eq!(suffixed, first == Side::Peer, "{first:?} first\n{cgroups}");
        theirs("lxc-info")
            .arg("-sH")
            .run()
            .exits(0)
            .prints("RUNNING\n");
        theirs("lxc-stop").arg("-k").run().exits(0);
        assert_eq!(lab.state(&name), "RUNNING", "stopped with the other one");
        lab.kill(&name);
    }
}

/// Takes Debian's lxc-monitord of a laboratory away, and the directory it leaves.
struct Broadcast<'a>(&'a Lab);

impl Drop for Broadcast<'_> {
    fn drop(&mut self) {
        self.0.peer("lxc-monitor", &["-Q"]).run();
        let path = self.0.lxcpath().strip_prefix("/").expect("absolute");
        let left = std::path::Path::new("/run/lxc").join(path);
        let _ = std::fs::remove_dir_all(&left);
        // Up to /run/lxc itself; what others use is not empty and stays.
        for above in left
            .ancestors()
            .skip(1)
            .take_while(|a| !a.ends_with("run/lxc"))
        {
            let _ = std::fs::remove_dir(above);
        }
    }
}

#[test]
fn debians_monitor_hears_of_our_containers() {
    const TEST: &str = "debians_monitor_hears_of_our_containers";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let _broadcast = Broadcast(&lab);
    let listener = lab.peer("lxc-monitor", &[]).start();
    // Its daemon listens once the pipe is there.
    let path = lab.lxcpath().strip_prefix("/").expect("absolute");
    let pipe = std::path::Path::new("/run/lxc")
        .join(path)
        .join("monitor-fifo");
    eventually("lxc-monitord serves the lxcpath", || pipe.exists());
    // The listener connects a little later and tells nobody: it is tried until it has heard.
    eventually("it hears of a start", || {
        lab.start(&name);
        lab.kill(&name);
        listener.output().contains("changed state to [RUNNING]")
    });
    for said in ["exited with status [", "changed state to [STOPPED]"] {
        listener.shows(&format!("'{name}' {said}"));
    }
    listener.signal(rustix::process::Signal::KILL);
}

/// Nothing begins in a frozen container, so nobody waits for it, and nothing begins later.
#[test]
fn attaching_to_a_frozen_container_is_refused() {
    const TEST: &str = "attaching_to_a_frozen_container_is_refused";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", FREEZABLE);
    lab.start(&name);
    lab.peer("lxc-freeze", &["-n", &name]).run().exits(0);
    lab.tool("lxc-attach", &["-n", &name, "--", "touch", "/begun"])
        .run()
        .exits(1)
        .complains("is frozen");
    lab.peer("lxc-unfreeze", &["-n", &name]).run().exits(0);
    lab.inside(&name, &["/bin/true"]).exits(0);
    lab.inside(&name, &["test", "-e", "/begun"]).exits(1);
    lab.kill(&name);
}

/// A frozen guest whose monitor was killed cannot die; whoever uses the name next lets it.
#[test]
fn a_frozen_leftover_is_thawed_to_die() {
    const TEST: &str = "a_frozen_leftover_is_thawed_to_die";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", FREEZABLE);
    let before = lab.census();
    for next in ["lxc-stop", "lxc-start"] {
        lab.start(&name);
        lab.peer("lxc-freeze", &["-n", &name]).run().exits(0);
        let monitor = lab.monitor_pid(&name).expect("it runs");
        rustix::process::kill_process(monitor, rustix::process::Signal::KILL).expect("ours");
        eventually("the monitor is gone", || lab.state(&name) == "STOPPED");
        let code = lab.tool(next, &["-n", &name]).run().code();
        assert_eq!(code, if next == "lxc-stop" { 2 } else { 0 }, "{next}");
        if next == "lxc-start" {
            lab.inside(&name, &["/bin/true"]).exits(0);
            lab.kill(&name);
        }
        peer.forget_locks();
        lab.is_as(&before);
    }
}
