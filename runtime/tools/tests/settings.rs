//! What init and whoever is attached are given: kernel parameters, limits, files of /proc/PID, groups,
//! and a container that is for once only.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;

use support::{Lab, Peer, Side, eventually};

const OWNER: &str = "tf";

const LINES: &str = "lxc.sysctl.net.ipv4.ip_forward = 1\nlxc.sysctl.net.ipv4.ip_local_port_range = 40000 50000\n\
lxc.proc.oom_score_adj = 17\nlxc.prlimit.nofile = 512:1024\nlxc.prlimit.core = 0\n\
lxc.init.groups = 5,7\n";

#[test]
fn both_give_init_and_attached_programs_the_same() {
    const TEST: &str = "both_give_init_and_attached_programs_the_same";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", LINES);
    let script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_local_port_range
        grep Groups /proc/1/status
        for p in 1 self; do cat /proc/$p/oom_score_adj
            grep -E 'open files|core file|nice' /proc/$p/limits; done";
    let mut answers = Vec::new();
    for starter in Side::BOTH {
        starter.start(&lab, &name);
        for by in Side::BOTH {
            answers.push(
                by.inside(&lab, &name, &["sh", "-c", script])
                    .exits(0)
                    .stdout,
            );
        }
        lab.kill(&name);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    assert!(
        answers[0].starts_with("1\n40000\t50000\nGroups:\t5 7 \n17\n"),
        "{}",
        answers[0]
    );
}

/// LXC writes through the container's own /proc, which lxc.mount.auto has made read-only by then.
#[test]
fn a_parameter_beside_the_network_is_set_whatever_is_mounted() {
    let test = "a_parameter_beside_the_network_is_set_whatever_is_mounted";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let host = fs::read_to_string("/proc/sys/kernel/msgmax").expect("the kernel has SysV queues");
    for mount in ["", "proc:mixed", "proc:rw"] {
        let lines =
            format!("lxc.mount.auto =\nlxc.mount.auto = {mount}\nlxc.sysctl.kernel.msgmax = 9000");
        let name = lab.busybox(&format!("c{}", mount.len()), &lines);
        lab.start(&name);
        if !mount.is_empty() {
            let ran = lab
                .inside(&name, &["cat", "/proc/sys/kernel/msgmax"])
                .exits(0);
            ran.prints("9000\n");
        }
        lab.kill(&name);
    }
    let after = fs::read_to_string("/proc/sys/kernel/msgmax").expect("as before");
    assert_eq!(host, after, "the host's own is as it was");
}

#[test]
fn a_setting_that_cannot_be_is_refused_by_its_line() {
    let Some(lab) = Lab::new(OWNER, "a_setting_that_cannot_be_is_refused_by_its_line") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    let rows = [
        (
            "lxc.sysctl.kernel.nosuch=1",
            "this kernel has no parameter kernel.nosuch",
        ),
        ("lxc.sysctl.../../etc/x=1", "is not the name of a file"),
        (
            "lxc.sysctl.net.ipv4.nosuch=1",
            "cannot write 1 to /proc/sys/net/ipv4/nosuch",
        ),
        (
            "lxc.sysctl.net.ipv4.ip_forward=many",
            "cannot write many to /proc/sys/net/ipv4/ip_forward",
        ),
        ("lxc.proc.nosuch=1", "this kernel has no file nosuch"),
        (
            "lxc.proc.oom_score_adj=9999",
            "cannot write 9999 to the guest's",
        ),
        ("lxc.prlimit.nosuch=1", "not a resource limit"),
        (
            "lxc.prlimit.nofile=9999999999",
            "cannot limit nofile to 9999999999",
        ),
        ("lxc.init.groups=4294967295", "is no id"),
    ];
    for (line, complaint) in rows {
        let ran = lab.tool("lxc-start", &["-n", &name, "-s", line]).run();
        ran.exits(1).complains(complaint);
        lab.is_as(&before);
    }
}

/// A limit too small for setting a container up is still one under which it runs.
#[test]
fn a_small_limit_does_not_hinder_the_start() {
    let Some(lab) = Lab::new(OWNER, "a_small_limit_does_not_hinder_the_start") else {
        return;
    };
    let name = lab.busybox("c1", "lxc.prlimit.fsize = 0\nlxc.prlimit.nproc = 64");
    lab.start(&name);
    let path = format!("/proc/{}/limits", lab.init_pid(&name).as_raw_nonzero());
    let limits = fs::read_to_string(path).expect("init runs");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max file size"));
    assert!(line.is_some_and(|line| line.contains(" 0 ")), "{limits}");
    lab.kill(&name);
}

#[test]
fn an_ephemeral_container_is_gone_when_it_has_stopped() {
    let Some(lab) = Lab::new(OWNER, "an_ephemeral_container_is_gone_when_it_has_stopped") else {
        return;
    };
    let post = lab.file(
        "post",
        0o755,
        "#!/bin/sh\ntest -d \"$LXC_ROOTFS_PATH\" && echo there > \"$0.out\"\n",
    );
    let lines = format!(
        "lxc.ephemeral = 1\nlxc.signal.reboot = SIGTERM\nlxc.hook.post-stop = {}",
        post.display()
    );
    let name = lab.busybox("c1", &lines);
    // A start that fails leaves it to be looked at.
    let bad = lab
        .tool("lxc-start", &["-n", &name, "--", "/no/program"])
        .run();
    bad.exits(1);
    assert!(lab.rootfs(&name).is_dir());
    fs::remove_file(lab.files().join("post.out")).ok();

    lab.start(&name);
    let init = lab.init_pid(&name);
    lab.tool("lxc-stop", &["-n", &name, "-r", "-t", "15"])
        .run()
        .exits(0);
    assert_ne!(lab.init_pid(&name), init, "it has rebooted");
    assert!(lab.rootfs(&name).is_dir(), "a reboot is no end");
    lab.kill(&name);
    eventually("it is gone", || !lab.directory(&name).exists());
    let seen = fs::read_to_string(lab.files().join("post.out"));
    assert!(seen.is_ok(), "its last hook found it still there");

    // In the foreground it is gone before the prompt is back.
    let short = lab.busybox("c2", "lxc.ephemeral = 1");
    lab.tool("lxc-start", &["-n", &short, "-F", "--", "/bin/true"])
        .run()
        .exits(0);
    assert!(!lab.directory(&short).exists());
}

#[test]
fn an_ephemeral_container_takes_nothing_along_that_is_not_its_own() {
    let test = "an_ephemeral_container_takes_nothing_along_that_is_not_its_own";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    // Its rootfs is not managed.
    let base = lab.busybox("c1", "");
    let name = lab.sibling(&base, "c2");
    lab.configure(&name, "lxc.ephemeral = 1");
    lab.start(&name);
    lab.kill(&name);
    // Others need it.
    let needed = lab.busybox("c3", "lxc.ephemeral = 1");
    fs::create_dir_all(lab.directory(&needed).join("snaps/snap0")).expect("ours");
    lab.start(&needed);
    lab.kill(&needed);
    // Its rootfs is a link to what is not its own: the link goes, what it names stays.
    let linked = lab.busybox("c4", "lxc.ephemeral = 1");
    let outside = lab.files().join("outside");
    fs::create_dir(&outside).expect("ours");
    fs::write(outside.join("kept"), "").expect("ours");
    std::os::unix::fs::symlink(&outside, lab.rootfs(&linked).join("link")).expect("ours");
    lab.start(&linked);
    lab.kill(&linked);
    eventually("it is gone", || !lab.directory(&linked).exists());
    for kept in [
        lab.rootfs(&base),
        lab.directory(&name),
        lab.rootfs(&needed),
        outside.join("kept"),
    ] {
        assert!(kept.exists(), "{} is gone", kept.display());
    }
}

/// `lxc.monitor.unshare`: what a hook mounts is the monitor's and the container's, not the host's.
#[test]
fn a_monitor_has_mounts_of_its_own_where_asked() {
    let Some(lab) = Lab::new(OWNER, "a_monitor_has_mounts_of_its_own_where_asked") else {
        return;
    };
    let place = lab.files().join("place");
    fs::create_dir(&place).expect("ours");
    let script = format!(
        "#!/bin/sh\nmount -t tmpfs none {0} && echo hidden > {0}/file\n",
        place.display()
    );
    let hook = lab.file("hook", 0o755, &script);
    let lines = format!(
        "lxc.monitor.unshare = 1\nlxc.hook.pre-start = {}\nlxc.mount.entry = {} mnt none bind,create=dir 0 0",
        hook.display(),
        place.display()
    );
    let name = lab.busybox("c1", &lines);
    lab.start(&name);
    lab.inside(&name, &["cat", "/mnt/file"])
        .exits(0)
        .prints("hidden\n");
    assert!(!place.join("file").exists(), "the host sees it");
    let monitor = lab.monitor_pid(&name).expect("it runs").as_raw_nonzero();
    let mnt = |who: &str| {
        fs::metadata(format!("/proc/{who}/ns/mnt"))
            .map(|m| m.ino())
            .expect("it runs")
    };
    assert_ne!(mnt(&monitor.to_string()), mnt("self"));
    lab.kill(&name);
}

#[test]
fn each_environment_reaches_whom_it_is_for() {
    let Some(lab) = Lab::new(OWNER, "each_environment_reaches_whom_it_is_for") else {
        return;
    };
    let hook = lab.file(
        "hook",
        0o755,
        "#!/bin/sh\nenv | grep -E '^(A|R|H|LD_PRELOAD|PERL5LIB)=' | sort > \"$0.out\"\n",
    );
    let lines = format!(
        "lxc.environment = A=1\nlxc.environment.runtime = R=2\nlxc.environment.hooks = H=3\n\
         lxc.environment = LD_PRELOAD=/no.so\nlxc.environment = PERL5LIB=/x\nlxc.hook.mount = {}",
        hook.display()
    );
    let name = lab.busybox("c1", &lines);
    lab.start(&name);
    let found = fs::read_to_string(lab.files().join("hook.out")).expect("the hook ran");
    assert_eq!(found, "A=1\nH=3\n");
    let script = "tr '\\0' '\\n' < /proc/1/environ | grep -E '^[ARH]='; env | grep -E '^[ARH]='";
    let ran = lab.inside(&name, &["sh", "-c", script]).exits(0);
    ran.prints("A=1\nR=2\nA=1\nR=2\n");
    lab.kill(&name);
}
