//! Namespaces that a container keeps, shares, or has clocks of its own in.

mod support;

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use support::{Lab, Peer, Ran, Side, eventually, processes_of};

const OWNER: &str = "tf";

/// What `pid`'s namespace `kind` is called.
#[track_caller]
fn namespace(pid: Pid, kind: &str) -> String {
    let path = format!("/proc/{}/ns/{kind}", pid.as_raw_nonzero());
    let link = fs::read_link(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    link.to_string_lossy().into_owned()
}

fn own_namespace(kind: &str) -> String {
    namespace(rustix::process::getpid(), kind)
}

/// A container that runs sleep: it needs no pid namespace of its own.
fn sleeper(lab: &Lab, other: &str, short: &str, lines: &str) -> String {
    let name = lab.sibling(other, short);
    lab.configure(&name, &format!("lxc.init.cmd = /bin/sleep 1000\n{lines}"));
    name
}

#[test]
fn namespaces_are_shared_whoever_names_them() {
    const TEST: &str = "namespaces_are_shared_whoever_names_them";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let other = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
    lab.start(&other);
    let init = lab.init_pid(&other);
    let number = init.as_raw_nonzero();
    let path = lab.lxcpath().display();
    let lines = format!(
        "lxc.namespace.share.net = {other}\nlxc.namespace.share.pid = {number}\n\
         lxc.namespace.share.ipc = {path}/{other}/\nlxc.namespace.share.uts = /proc/{number}/ns/uts\n\
         lxc.namespace.share.cgroup = {other}"
    );
    let name = sleeper(&lab, &other, "c2", &lines);
    // What the first attach makes in the other's cgroup stays there.
    lab.inside(&other, &["true"]).exits(0);
    let before = lab.census();
    for _ in 0..2 {
        lab.start(&name);
        let own = lab.init_pid(&name);
        for kind in ["net", "pid", "ipc", "uts", "cgroup"] {
            assert_eq!(namespace(own, kind), namespace(init, kind), "{kind}");
        }
        assert_ne!(namespace(own, "mnt"), namespace(init, "mnt"));
        // What is attached joins what differs from the caller's, whoever's it is.
        let script = "hostname; for n in net pid mnt; do readlink /proc/self/ns/$n; done; ps | grep -c 'sleep 1000'";
        let ran = lab.inside(&name, &["sh", "-c", script]).exits(0);
        let expected = format!(
            "{other}\n{}\n{}\n{}\n",
            namespace(init, "net"),
            namespace(init, "pid"),
            namespace(own, "mnt")
        );
        assert!(ran.stdout.starts_with(&expected), "{expected}{ran}");
        // Its end is the end of what it started, and of nobody else.
        let words = ["-n", &name, "--", "sleep", "3333"];
        let attached = lab.tool("lxc-attach", &words).start();
        eventually("the attached program runs", || {
            lab.inside(&other, &["ps"]).stdout.contains("sleep 3333")
        });
        lab.kill(&name);
        attached.finish();
        let left = lab.inside(&other, &["ps"]).exits(0);
        assert!(!left.stdout.contains("sleep 3333"), "{left}");
        assert_eq!(lab.state(&other), "RUNNING");
        lab.is_as(&before);
    }
    lab.kill(&other);
}

/// `--share-KIND` stands over what the configuration says.
#[test]
fn options_share_namespaces_too() {
    const TEST: &str = "options_share_namespaces_too";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let other = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
    lab.start(&other);
    let init = lab.init_pid(&other);
    let number = init.as_raw_nonzero().to_string();
    let name = sleeper(&lab, &other, "c2", "lxc.namespace.share.net = nobody");
    let words = [
        "-n",
        &name,
        "--share-net",
        &other,
        "--share-ipc",
        &number,
        "--share-uts",
        &other,
        "--share-pid",
        &other,
    ];
    lab.tool("lxc-start", &words).run().exits(0);
    let own = lab.init_pid(&name);
    for kind in ["net", "ipc", "uts", "pid"] {
        assert_eq!(namespace(own, kind), namespace(init, kind), "{kind}");
    }
    lab.kill(&name);
    let said = [
        "-n",
        &name,
        "--share-uts",
        &other,
        "--share-net",
        &number,
        "--",
        "hostname",
    ];
    lab.tool("lxc-execute", &said)
        .run()
        .exits(0)
        .prints(&format!("{other}\n"));
    lab.tool("lxc-start", &["-n", &name, "--share-net="])
        .run()
        .exits(1)
        .complains("--share-net: a container's name or a process id is expected");
    lab.kill(&other);
}

/// A program on another container's files, which has none of its own.
#[test]
fn a_program_runs_on_the_files_of_another() {
    const TEST: &str = "a_program_runs_on_the_files_of_another";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let other = lab.busybox("c1", "");
    lab.start(&other);
    lab.inside(&other, &["sh", "-c", "echo inside > /tmp/mark"])
        .exits(0);
    let text = format!(
        "lxc.namespace.share.mnt = {other}\nlxc.namespace.share.pid = {other}\nlxc.net.0.type = empty"
    );
    let name = lab.defined("c2", &text);
    let words = ["-n", &name, "--", "/bin/sleep", "1000"];
    lab.tool("lxc-start", &words).run().exits(0);
    assert_eq!(
        namespace(lab.init_pid(&name), "mnt"),
        namespace(lab.init_pid(&other), "mnt")
    );
    lab.inside(&name, &["cat", "/tmp/mark"])
        .exits(0)
        .prints("inside\n");
    lab.kill(&name);
    lab.inside(&other, &["cat", "/tmp/mark"])
        .exits(0)
        .prints("inside\n");
    // Without a program the host's init would be looked for in there.
    let none = lab.tool("lxc-start", &["-n", &name]).run();
    none.exits(1).complains("no rootfs");
    lab.kill(&other);
}

#[test]
fn what_cannot_be_shared_is_said_before_anything_is_made() {
    const TEST: &str = "what_cannot_be_shared_is_said_before_anything_is_made";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let stopped = lab.sibling(&name, "c2");
    let own = format!("{}/{name}/", lab.lxcpath().display());
    let file = lab.file("plain", 0o644, "");
    let fifo = lab.files().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a fifo");
    let (file, fifo) = (file.to_string_lossy(), fifo.to_string_lossy());
    let before = lab.census();
    let rows: [(&str, &str, &str); 12] = [
        ("share.net", &stopped, "is not running"),
        ("share.net", "999999999", "there is no process 999999999"),
        ("share.net", "99999999999", "is no pid"),
        ("share.net", &name, "with itself"),
        ("share.net", &own, "with itself"),
        ("share.net", "a/b", "no absolute path"),
        ("share.net", "/no/such", "does not exist"),
        ("share.net", &file, "neither a namespace file nor"),
        // Opened, it would wait for a writer.
        ("share.net", &fifo, "neither a namespace file nor"),
        ("share.net", "/proc/self/ns/uts", "is a uts namespace"),
        (
            "share.mnt",
            "/proc/self/ns/mnt",
            "without mounts of its own",
        ),
        ("keep", "mnt", "without mounts of its own"),
    ];
    for (key, value, complaint) in rows {
        let line = format!("lxc.namespace.{key}={value}");
        let ran = lab.tool("lxc-start", &["-n", &name, "-s", &line]).run();
        ran.exits(1).complains(complaint);
        lab.is_as(&before);
    }
}

#[test]
fn what_is_kept_is_the_starters() {
    const TEST: &str = "what_is_kept_is_the_starters";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let base = lab.busybox("c1", "");
    let name = sleeper(&lab, &base, "c2", "lxc.namespace.keep = pid net uts");
    let before = lab.census();
    lab.start(&name);
    let init = lab.init_pid(&name);
    for kind in ["pid", "net", "uts"] {
        assert_eq!(namespace(init, kind), own_namespace(kind), "{kind}");
    }
    for kind in ["mnt", "ipc", "cgroup"] {
        assert_ne!(namespace(init, kind), own_namespace(kind), "{kind}");
    }
    // Nobody inside is a child of init, and all of them end with it.
    let words = ["-n", &name, "--", "sh", "-c", "sleep 4444 & sleep 4444"];
    let attached = lab.tool("lxc-attach", &words).start();
    let sleeping = || {
        let processes = fs::read_dir("/proc").expect("there is a /proc").flatten();
        let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| line == b"sleep\x004444\0").count()
    };
    eventually("both sleep", || sleeping() == 2);
    lab.kill(&name);
    eventually("nobody sleeps", || sleeping() == 0);
    attached.finish();
    lab.is_as(&before);

    let only = sleeper(&lab, &base, "c3", "lxc.namespace.clone = mnt pid");
    lab.start(&only);
    let init = lab.init_pid(&only);
    for kind in ["net", "uts", "ipc", "cgroup"] {
        assert_eq!(namespace(init, kind), own_namespace(kind), "{kind}");
    }
    assert_ne!(namespace(init, "pid"), own_namespace("pid"));
    lab.kill(&only);
}

/// Seconds since the machine was started, as seen inside.
fn uptime(ran: &Ran) -> u64 {
    let seconds = ran
        .stdout
        .split('.')
        .next()
        .and_then(|text| text.parse().ok());
    seconds.unwrap_or_else(|| panic!("no uptime\n{ran}"))
}

#[test]
fn clocks_are_set_apart() {
    const TEST: &str = "clocks_are_set_apart";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    if !fs::exists("/proc/self/ns/time").unwrap_or(false) {
        support::could_not_run(TEST, "this kernel has no time namespaces");
        return;
    }
    let lines = "lxc.time.offset.boot = 10h\nlxc.time.offset.boot = 500ms\n\
                 lxc.time.offset.monotonic = -3s\nlxc.time.offset.monotonic = 500ms";
    let name = lab.busybox("c1", lines);
    lab.start(&name);
    let init = lab.init_pid(&name);
    let path = format!("/proc/{}/timens_offsets", init.as_raw_nonzero());
    let offsets = fs::read_to_string(path).expect("init runs");
    let words: Vec<&str> = offsets.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "monotonic",
            "-3",
            "500000000",
            "boottime",
            "36000",
            "500000000"
        ]
    );
    assert_ne!(namespace(init, "time"), own_namespace("time"));
    let host = fs::read_to_string("/proc/uptime").expect("there is a /proc");
    let host: u64 = host
        .split('.')
        .next()
        .and_then(|t| t.parse().ok())
        .expect("a number");
    let inside = [
        Some(lab.inside(&name, &["cat", "/proc/uptime"]).exits(0)),
        Peer::of(&lab, TEST).map(|_peer| Side::Peer.inside(&lab, &name, &["cat", "/proc/uptime"])),
    ];
    for ran in inside.iter().flatten() {
        let seconds = uptime(ran);
        assert!(
            (host + 36_000..host + 36_030).contains(&seconds),
            "{host} outside\n{ran}"
        );
    }
    lab.kill(&name);
    // Before its zero no clock can be.
    let line = "lxc.time.offset.boot=-900000h";
    let ran = lab.tool("lxc-start", &["-n", &name, "-s", line]).run();
    ran.exits(1).complains("no clock can stand before");
    eventually("no process is left", || processes_of(&name).is_empty());
}

/// `lxc.monitor.signal.pdeath`: what becomes of init when its monitor is killed.
#[test]
fn an_init_outlives_its_monitor_where_that_is_asked_for() {
    const TEST: &str = "an_init_outlives_its_monitor_where_that_is_asked_for";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox(
        "c1",
        "lxc.monitor.signal.pdeath = 0\nlxc.init.uid = 1\nlxc.init.cmd = /bin/sleep 1000",
    );
    lab.start(&name);
    let init = lab.init_pid(&name);
    let monitor = lab.monitor_pid(&name).expect("it runs");
    kill_process(monitor, Signal::KILL).expect("the monitor is ours");
    eventually("the monitor has ended", || lab.monitor_pid(&name).is_none());
    let status = format!("/proc/{}/status", init.as_raw_nonzero());
    let alive = fs::read_to_string(&status).unwrap_or_default();
    assert!(alive.contains("sleep"), "{alive}");
    kill_process(init, Signal::KILL).expect("init is ours");
    // The next start finds nothing in its way.
    eventually("it starts again", || {
        lab.tool("lxc-start", &["-n", &name]).run().code() == 0
    });
    lab.kill(&name);
}
