//! What a container may do: filters, capabilities, identity, and the configurations that are shipped
//! for it, Debian's and ours.

mod support;

use std::fs;
use std::path::Path;

use support::{Call, Lab, Peer, Ran, Side};

const OWNER: &str = "t2";

/// A container that the given lines and nothing else of the template's choices restrict.
#[track_caller]
fn container(lab: &Lab, short: &str, lines: &str) -> String {
    let name = lab.busybox(short, "");
    configure(lab, &name, lines);
    name
}

/// Gives `name` the template's configuration without its own terminals, capabilities and mount.auto.
#[track_caller]
fn configure(lab: &Lab, name: &str, lines: &str) {
    let config = lab.directory(name).join("config");
    let pristine = lab.files().join(format!("{name}.config"));
    if !pristine.exists() {
        fs::copy(&config, &pristine).expect("the configuration is ours");
    }
    let text = fs::read_to_string(&pristine).expect("the configuration is ours");
    let dropped = [
        "lxc.tty.max",
        "lxc.pty.max",
        "lxc.cap.drop",
        "lxc.mount.auto",
    ];
    let kept = text
        .lines()
        .filter(|line| !dropped.iter().any(|key| line.starts_with(key)));
    let kept = kept.collect::<Vec<_>>().join("\n");
    fs::write(&config, format!("{kept}\n{lines}\n")).expect("the configuration is ours");
}

/// The lines of a /proc/PID/status that say what the process may do.
const MAY: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Uid|Gid|Groups)'";

/// What init and an attached process of `name` may do, as both sides' lxc-attach show it, which must
/// be the same.
#[track_caller]
fn may(lab: &Lab, name: &str) -> String {
    let script = format!("{MAY} /proc/1/status; {MAY} /proc/self/status; id; uname -m");
    let ran = Side::BOTH.map(|side| side.inside(lab, name, &["sh", "-c", &script]).exits(0));
    assert!(
        ran[0].stdout == ran[1].stdout,
        "attach differs\n{}\n{}",
        ran[0],
        ran[1]
    );
    ran[0].stdout.clone()
}

/// Fails unless each of `expected` is in the text.
#[track_caller]
fn shows(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "expected {part:?} in\n{text}");
    }
}

#[test]
fn debians_common_conf_is_in_force_as_debian_means_it() {
    const TEST: &str = "debians_common_conf_is_in_force_as_debian_means_it";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = container(
        &lab,
        "c1",
        "lxc.include = /usr/share/lxc/config/common.conf",
    );
    let scripts = [
        format!("{MAY} /proc/1/status"),
        // reject_force_umount of the profile: the call is refused, the plain one is not.
        "umount -f /dev/shm 2>&1 || umount /dev/shm && echo unmounted".to_owned(),
        "ls /dev/lxc; readlink /dev/tty1; test -c /dev/lxc/console && echo console".to_owned(),
        "echo 1 >/proc/sysrq-trigger".to_owned(),
        "echo 1 >/proc/sys/kernel/panic".to_owned(),
        "mkdir /sys/x".to_owned(),
        "cat /proc/sys/net/ipv4/ip_forward && echo 1 >/proc/sys/net/ipv4/ip_forward".to_owned(),
        "mknod /tmp/kmsg c 1 11 && head -c 0 /tmp/kmsg; rm -f /tmp/kmsg".to_owned(),
        "cut -d' ' -f2 /proc/self/mounts | sort".to_owned(),
    ];
    let mut answers = Vec::new();
    for starter in Side::BOTH {
        starter.start(&lab, &name);
        let may = may(&lab, &name);
        shows(
            &may,
            &[
                "Seccomp:\t2",
                "CapInh:\t0000000000000000",
                "CapAmb:\t0000000000000000",
            ],
        );
        let said = scripts.iter().map(|script| {
            let ran = lab.inside(&name, &["sh", "-c", script]);
            format!("{script}: {}\n{}{}", ran.code(), ran.stdout, ran.stderr)
        });
        answers.push(format!("{may}{}", said.collect::<String>()));
        lab.kill(&name);
    }
    assert!(
        answers[0] == answers[1],
        "ours:\n{}\ntheirs:\n{}",
        answers[0],
        answers[1]
    );
    shows(
        &answers[0],
        &[
            "can't unmount /dev/shm: Permission denied\nunmounted",
            "lxc/tty1\nconsole",
            "Read-only file system",
            "Operation not permitted",
        ],
    );
}

#[test]
fn our_own_configurations_work_like_debians() {
    const TEST: &str = "our_own_configurations_work_like_debians";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let ours = lab.prefix().join("share/lxc/config");
    let theirs = Path::new("/usr/share/lxc/config");
    let name = container(&lab, "c1", "");
    let script = "cut -d' ' -f2-3 /proc/self/mounts | sort; ls -R /dev; \
                  cat /proc/self/status | grep -E '^(Cap|Seccomp:)'";
    for files in [
        &["common.conf"][..],
        &["common.conf", "nesting.conf"],
        &["common.conf", "userns.conf"],
    ] {
        let [ours, theirs] = [ours.as_path(), theirs].map(|directory| {
            let lines = files
                .iter()
                .map(|file| format!("lxc.include = {}\n", directory.join(file).display()));
            // No init that fills /dev while it is listed.
            let quiet = "lxc.init.cmd = /bin/sleep 1000\n".to_owned();
            configure(&lab, &name, &(quiet + &lines.collect::<String>()));
            lab.start(&name);
            let ran = lab.inside(&name, &["sh", "-c", script]).exits(0);
            lab.kill(&name);
            ran
        });
        assert!(
            ours.stdout == theirs.stdout,
            "{files:?}\nours {ours}\ntheirs {theirs}"
        );
    }
}

#[test]
fn a_filter_of_ones_own_holds_for_init_and_attached() {
    const TEST: &str = "a_filter_of_ones_own_holds_for_init_and_attached";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let rules = "2\ndenylist\n[all]\nmkdir errno 13\nmkdirat errno 13\nsync kill\n";
    let profile = lab.file("policy", 0o644, rules);
    let init = "#!/bin/sh\nmkdir /tmp/from-init 2>/tmp/said\nexec sleep 1000\n";
    let name = container(&lab, "c1", "");
    let file = lab.file("init", 0o755, init);
    fs::copy(file, lab.rootfs(&name).join("init")).expect("the rootfs is ours");
    let lines = format!(
        "lxc.init.cmd = /init\nlxc.seccomp.profile = {}",
        profile.display()
    );
    configure(&lab, &name, &format!("{lines}\nlxc.mount.auto = proc"));
    let before = lab.census();
    lab.start(&name);
    let denied = |ran: Ran| {
        shows(&format!("{ran}"), &["Permission denied"]);
        assert!(ran.code() != 0, "{ran}");
    };
    support::eventually("init has tried", || {
        let said = lab.rootfs(&name).join("tmp/said");
        fs::read_to_string(said).is_ok_and(|text| text.contains("Permission denied"))
    });
    for side in Side::BOTH {
        denied(side.inside(&lab, &name, &["mkdir", "/tmp/attached"]));
        // SIGSYS: the thread is killed for the call.
        side.inside(&lab, &name, &["sync"]).exits(128 + 31);
        // Spared of it on request.
        let words = [
            "-n",
            &name,
            "-eLSM",
            "--",
            "sh",
            "-c",
            "mkdir /tmp/e && rmdir /tmp/e",
        ];
        side.tool(&lab, "lxc-attach", &words).run().exits(0);
    }
    lab.kill(&name);

    // Without the profile the same works: it is the filter that denied it.
    configure(&lab, &name, "lxc.init.cmd = /init\nlxc.mount.auto = proc");
    lab.start(&name);
    lab.inside(&name, &["sh", "-c", "mkdir /tmp/free && sync"])
        .exits(0);
    lab.kill(&name);

    for (rules, told) in [
        ("3\ndenylist\n", "policy:1"),
        ("2\nnolist\n", "policy:2"),
        ("2\ndenylist\n[vax]\nmkdir\n", "policy:3"),
        ("2\ndenylist\nmkdir nonsense\n", "policy:3"),
        ("2\ndenylist\nmkdir errno 1 [9,0,==]\n", "policy:3"),
        ("1\nallowlist\nread\n", "policy:3"),
    ] {
        lab.file("policy", 0o644, rules);
        configure(&lab, &name, &lines);
        lab.tool("lxc-start", &["-n", &name])
            .run()
            .exits(1)
            .complains(told);
    }
    configure(&lab, &name, "lxc.seccomp.profile = /nonexistent");
    let ran = lab.tool("lxc-start", &["-n", &name]).run().exits(1);
    ran.complains("/nonexistent")
        .complains("remove lxc.seccomp.profile");
    peer.forget_locks();
    lab.is_as(&before);
}

/// Lines of configuration, what must be said of init and attached (the whole text also must be what
/// it is in a container that Debian's lxc-start started).
const POWERS: &[(&str, &[&str])] = &[
    ("", &["NoNewPrivs:\t0", "Seccomp:\t0"]),
    (
        "lxc.cap.drop = sys_module mac_admin mac_override sys_time",
        &["CapBnd:\t000001fcfcfeffff"],
    ),
    ("lxc.cap.drop = 16 39", &["CapBnd:"]),
    (
        "lxc.cap.keep = net_admin sys_admin setuid setgid",
        &["CapBnd:\t00000000002010c0"],
    ),
    (
        "lxc.cap.keep = none",
        &["CapBnd:\t0000000000000000", "CapEff:\t0000000000000000"],
    ),
    ("lxc.no_new_privs = 1", &["NoNewPrivs:\t1"]),
    ("lxc.arch = i686", &["i686"]),
    ("lxc.arch = x86_64", &["x86_64"]),
    (
        "lxc.init.uid = 1000\nlxc.init.gid = 1001",
        &["Uid:\t1000\t1000", "Gid:\t1001\t1001", "uid=0"],
    ),
];

#[test]
fn powers_and_identity_are_what_was_configured() {
    const TEST: &str = "powers_and_identity_are_what_was_configured";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = container(&lab, "c1", "");
    for (lines, expected) in POWERS {
        let base = "lxc.mount.auto = proc\nlxc.init.cmd = /bin/sleep 1000";
        configure(&lab, &name, &format!("{base}\n{lines}"));
        let [ours, theirs] = Side::BOTH.map(|starter| {
            starter.start(&lab, &name);
            let text = may(&lab, &name);
            lab.kill(&name);
            text
        });
        assert!(ours == theirs, "{lines}\nours:\n{ours}\ntheirs:\n{theirs}");
        shows(&ours, expected);
    }
}

#[test]
fn nothing_is_inherited_from_who_starts_or_attaches() {
    const TEST: &str = "nothing_is_inherited_from_who_starts_or_attaches";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let lines = "lxc.mount.auto = proc\nlxc.init.cmd = /bin/sleep 1000\nlxc.cap.drop = sys_time";
    let name = container(&lab, "c1", lines);
    // A caller with inheritable capabilities and a group of its own.
    let caller = [
        "--inh-caps",
        "+chown,+net_admin,+sys_time",
        "--groups",
        "4242",
    ];
    let tool = |tool: &str, words: &[&str]| {
        let call = Call::new("setpriv")
            .args(caller)
            .arg(lab.prefix().join("bin").join(tool));
        call.arg("-P")
            .arg(lab.lxcpath())
            .args(["-n", &name])
            .args(words)
            .run()
            .exits(0)
    };
    tool("lxc-start", &[]);
    let script = format!("{MAY} /proc/1/status; {MAY} /proc/self/status");
    let text = tool("lxc-attach", &["--", "sh", "-c", &script]).stdout;
    let lines = |key: &str| {
        text.lines()
            .filter(|line| line.starts_with(key))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines("CapInh"), ["CapInh:\t0000000000000000"; 2], "{text}");
    assert_eq!(lines("CapAmb"), ["CapAmb:\t0000000000000000"; 2], "{text}");
    assert!(
        lines("Groups").iter().all(|line| !line.contains("4242")),
        "{text}"
    );
    // CAP_SYS_TIME is number 25.
    for line in lines("CapBnd") {
        let set = line
            .rsplit('\t')
            .next()
            .and_then(|hex| u64::from_str_radix(hex, 16).ok());
        assert_eq!(set.map(|set| set >> 25 & 1), Some(0), "{text}");
    }
    let fds = tool("lxc-attach", &["--", "ls", "/proc/1/fd"]).stdout;
    assert_eq!(fds, "0\n1\n2\n");
    lab.kill(&name);
}

#[test]
fn environment_and_directory_of_init_are_what_was_configured() {
    const TEST: &str = "environment_and_directory_of_init_are_what_was_configured";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let lines = "lxc.mount.auto = proc\nlxc.init.cmd = /bin/sleep 1000\n\
                 lxc.init.cwd = /var/new/deep\nlxc.environment = A=1\n\
                 lxc.environment = B=two words\nlxc.environment = A=3\nlxc.environment = container=not\n\
                 lxc.tty.max = 2\nlxc.pty.max = 8";
    let name = container(&lab, "c1", lines);
    let words = ["-n", &name, "-s", "lxc.environment=FROM_CALLER"];
    let start = lab.tool("lxc-start", &words).env("FROM_CALLER", "yes");
    start.env("NOT_ASKED_FOR", "no").run().exits(0);
    let environ = lab.inside(
        &name,
        &["sh", "-c", "tr '\\0' '\\n' </proc/1/environ | sort"],
    );
    let environ = environ.exits(0).stdout;
    assert_eq!(
        environ,
        "A=3\nB=two words\nFROM_CALLER=yes\ncontainer=lxc\ncontainer_ttys=pts/1 pts/2\n"
    );
    let directory = lab.inside(&name, &["readlink", "/proc/1/cwd"]).exits(0);
    directory.prints("/var/new/deep\n");
    let inside = lab
        .tool("lxc-attach", &["-n", &name, "--clear-env", "--", "env"])
        .run()
        .exits(0);
    shows(&inside.stdout, &["A=3\n", "B=two words\n", "PATH="]);
    lab.kill(&name);
}
