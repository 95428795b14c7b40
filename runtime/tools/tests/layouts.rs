//! Containers on the three layouts of cgroups: hybrid, v2 alone, v1 alone. Each is arranged in a mount
//! namespace of its own, as far as this host has it; Debian's LXC is shown the same.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use support::{Call, Lab, Layout, Peer, Side, cgroups_of, could_not_run, eventually, places_in};

const OWNER: &str = "t2";

/// Where `name`d cgroups lie: below those of pid 1.
fn below_pid_1(layout: Layout, name: &str, v2_only: &str) -> BTreeMap<String, String> {
    let host = fs::read_to_string("/proc/1/cgroup").expect("pid 1 is visible");
    let mut all = places_in(&host, layout);
    for (controllers, path) in &mut all {
        let base = path.trim_end_matches("/init.scope").trim_end_matches('/');
        let leaf = if controllers.is_empty() { v2_only } else { "" };
        *path = format!("{base}/{name}{leaf}");
    }
    all
}

#[test]
fn monitor_init_and_attached_are_where_lxc_puts_them() {
    const TEST: &str = "monitor_init_and_attached_are_where_lxc_puts_them";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    for layout in Layout::ALL {
        if !layout.possible(TEST) {
            continue;
        }
        for starter in Side::BOTH {
            layout.start(&lab, starter, &name);
            let monitor = lab.monitor_pid(&name).expect("a monitor");
            let expected = below_pid_1(layout, &format!("lxc.monitor.{name}"), "");
            assert_eq!(
                cgroups_of(monitor, layout),
                expected,
                "{layout:?} {starter:?}"
            );
            let payload = format!("lxc.payload.{name}");
            let init = cgroups_of(lab.init_pid(&name), layout);
            assert_eq!(
                init,
                below_pid_1(layout, &payload, ""),
                "{layout:?} {starter:?}"
            );
            for by in Side::BOTH {
                // Outside of the cgroup namespace the paths are the host's.
                let words = [
                    "-n",
                    &name,
                    "-s",
                    "MOUNT|PID",
                    "--",
                    "cat",
                    "/proc/self/cgroup",
                ];
                let outside = layout.tool(&lab, by, "lxc-attach", &words).run().exits(0);
                // Another cgroup namespace than the one asked for keeps the caller where it is.
                let own = fs::read_to_string("/proc/self/cgroup").expect("our own");
                let own = places_in(&own, layout);
                let seen = places_in(&outside.stdout, layout);
                let attached = below_pid_1(layout, &payload, "/.lxc");
                assert!(
                    seen == attached || seen == own,
                    "{layout:?} {by:?}\n{outside}"
                );
                let words = ["-n", &name, "--", "cat", "/proc/self/cgroup"];
                let inside = layout.tool(&lab, by, "lxc-attach", &words).run().exits(0);
                for (controllers, path) in places_in(&inside.stdout, layout) {
                    let root = if controllers.is_empty() { "/.lxc" } else { "/" };
                    assert_eq!(path, root, "{layout:?} {by:?} {controllers}\n{inside}");
                }
            }
            let inside = layout.inside(&lab, &name, "cat /proc/1/cgroup").exits(0);
            for (controllers, path) in places_in(&inside.stdout, layout) {
                assert_eq!(path, "/", "{layout:?} {starter:?} {controllers}\n{inside}");
            }
            layout.kill(&lab, &name);
            peer.forget_locks();
            lab.is_as(&before);
        }
    }
}

/// The file `file` of the payload of `name`, below `directory`.
#[track_caller]
fn limit(directory: &str, name: &str, file: &str) -> String {
    let host = fs::read_to_string("/proc/1/cgroup").expect("pid 1 is visible");
    let wanted = match directory {
        "unified" => "",
        controllers => controllers,
    };
    let base = host.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        (parts.next()? == wanted).then(|| parts.next())?
    });
    let base = base
        .unwrap_or("/")
        .trim_end_matches("/init.scope")
        .trim_matches('/');
    let place = Path::new("/sys/fs/cgroup").join(directory).join(base);
    let path = place.join(format!("lxc.payload.{name}")).join(file);
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

#[test]
fn limits_of_v1_are_in_force_before_init_runs() {
    const TEST: &str = "limits_of_v1_are_in_force_before_init_runs";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let limits = "lxc.cgroup.pids.max = 40\n\
                  lxc.cgroup.memory.limit_in_bytes = 64M\n\
                  lxc.cgroup.cpuset.cpus = 0\n\
                  lxc.cgroup2.pids.max = 3\n";
    let name = lab.busybox("c1", limits);
    let before = lab.census();
    for layout in [Layout::Hybrid, Layout::Legacy] {
        if !layout.possible(TEST) {
            continue;
        }
        layout.start(&lab, Side::Ours, &name);
        assert_eq!(limit("pids", &name, "pids.max"), "40");
        assert_eq!(limit("memory", &name, "memory.limit_in_bytes"), "67108864");
        assert_eq!(limit("cpuset", &name, "cpuset.cpus"), "0");
        let init = lab.init_pid(&name).as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{init}/status")).expect("it runs");
        assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
        let forks = "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done";
        let ran = layout.inside(&lab, &name, forks);
        assert!(ran.code() != 0, "60 processes where 40 are allowed\n{ran}");
        layout.kill(&lab, &name);
        lab.is_as(&before);
    }
}

#[test]
fn limits_of_v2_are_in_force_before_init_runs() {
    const TEST: &str = "limits_of_v2_are_in_force_before_init_runs";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    if !Layout::Unified.possible(TEST) {
        return;
    }
    let see = "--mount --propagation private sh -c";
    let script = format!(
        "{} && cat /sys/fs/cgroup/cgroup.controllers",
        Layout::Unified.script()
    );
    let controllers = Call::new("unshare")
        .args(see.split(' '))
        .arg(&script)
        .run()
        .exits(0)
        .stdout;
    let has = |name: &str| controllers.split_whitespace().any(|c| c == name);
    // Bound to v1 hierarchies the controllers are not to be had on v2: the plain files of cgroups are.
    let mut limits = vec![("cgroup.max.descendants", "7", "7")];
    for (controller, limit) in [
        ("pids", ("pids.max", "40", "40")),
        ("memory", ("memory.max", "64M", "67108864")),
        ("hugetlb", ("hugetlb.2MB.max", "2M", "2097152")),
    ] {
        match has(controller) {
            true => limits.push(limit),
            false => could_not_run(TEST, &format!("v2 has no controller {controller} here")),
        }
    }
    let name = lab.busybox("c1", "lxc.cgroup.pids.max = 3");
    for (file, value, _) in &limits {
        lab.configure(&name, &format!("lxc.cgroup2.{file} = {value}"));
    }
    let before = lab.census();
    Layout::Unified.start(&lab, Side::Ours, &name);
    // Through the host's own mount of the same hierarchy.
    let root = match Layout::Hybrid.possible(TEST) {
        true => "unified",
        false => "",
    };
    for (file, _, expected) in &limits {
        assert_eq!(limit(root, &name, file), *expected, "{file}");
    }
    Layout::Unified.kill(&lab, &name);
    lab.is_as(&before);
}

/// Everything denied but what every container needs, for both kinds of rules.
fn device_rules() -> String {
    let mut text = String::new();
    for kind in ["cgroup", "cgroup2"] {
        text += &format!("lxc.{kind}.devices.deny = a\n");
        for rule in [
            "c *:* m",
            "c 1:3 rwm",
            "c 1:5 rw",
            "c 5:* rwm",
            "c 136:* rwm",
            "/dev/zero r",
        ] {
            text += &format!("lxc.{kind}.devices.allow = {rule}\n");
        }
    }
    text
}

#[test]
fn devices_are_denied_by_rules_that_the_host_can_change() {
    const TEST: &str = "devices_are_denied_by_rules_that_the_host_can_change";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", &format!("lxc.pty.max = 16\n{}", device_rules()));
    let before = lab.census();
    // One word for what may be done with a node: open it for reading, make it.
    let may = |layout: Layout, node: &str, command: &str| {
        let script = format!("rm -f /tmp/node; mknod /tmp/node {node} && {command}");
        let ran = layout.inside(&lab, &name, &script);
        match (ran.code(), ran.stderr.contains("Operation not permitted")) {
            (0, _) => "may",
            (_, true) => "EPERM",
            _ => panic!("neither allowed nor denied\n{ran}"),
        }
    };
    for layout in Layout::ALL {
        if !layout.possible(TEST) {
            continue;
        }
        for starter in Side::BOTH {
            layout.start(&lab, starter, &name);
            let scene = format!("{layout:?} {starter:?}");
            let read = "head -c 0 /tmp/node";
            assert_eq!(may(layout, "c 1 5", read), "may", "{scene}: zero");
            assert_eq!(may(layout, "c 1 11", read), "EPERM", "{scene}: kmsg");
            assert_eq!(may(layout, "c 1 11", "true"), "may", "{scene}: make kmsg");
            assert_eq!(
                may(layout, "b 7 0", "true"),
                "EPERM",
                "{scene}: make a loop device"
            );
            let change = |file: &str, rule: &str| {
                let words = ["-n", &name, file, rule];
                layout
                    .tool(&lab, Side::Peer, "lxc-cgroup", &words)
                    .run()
                    .exits(0);
            };
            change("devices.allow", "c 1:11 rwm");
            assert_eq!(may(layout, "c 1 11", read), "may", "{scene}: kmsg allowed");
            change("devices.deny", "c 1:11 rwm");
            assert_eq!(
                may(layout, "c 1 11", read),
                "EPERM",
                "{scene}: kmsg denied again"
            );
            layout.kill(&lab, &name);
            peer.forget_locks();
            lab.is_as(&before);
        }
    }
}

/// Values of lxc.mount.auto.
const VIEWS: &[&str] = &[
    "proc sys",
    "proc sys cgroup",
    "proc sys cgroup:mixed",
    "proc sys cgroup:ro:force",
    "proc sys cgroup:rw:force",
    "proc sys cgroup:mixed:force",
    "proc sys cgroup-full:ro:force",
    "proc sys cgroup-full:rw:force",
    "proc sys cgroup2",
    "proc sys cgroup2:force",
    "proc sys cgroup2:ro:force",
    // There is no /sys/fs/cgroup to mount on.
    "proc cgroup:ro:force",
];

/// Whether it started, and what is mounted on and below /sys/fs/cgroup inside; sources, which are
/// words without a meaning, left out.
fn view(lab: &Lab, layout: Layout, side: Side, name: &str) -> Option<Vec<String>> {
    let ran = layout.tool(lab, side, "lxc-start", &["-n", name]).run();
    if ran.code() != 0 {
        // Debian's lxc-start tells of a failure before its monitor has cleaned up.
        eventually("the monitor is gone", || lab.monitor_pid(name).is_none());
        return None;
    }
    let mounts = layout.inside(lab, name, "cat /proc/self/mounts");
    assert!(mounts.code() == 0, "{layout:?} {side:?}\n{ran}\n{mounts}");
    layout.kill(lab, name);
    let lines = mounts.stdout.lines().filter_map(|line| {
        let (_, rest) = line.split_once(' ')?;
        rest.starts_with("/sys/fs/cgroup").then(|| rest.to_owned())
    });
    Some(lines.collect())
}

#[test]
fn what_is_mounted_on_sys_fs_cgroup_is_what_lxc_mounts() {
    const TEST: &str = "what_is_mounted_on_sys_fs_cgroup_is_what_lxc_mounts";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let config = lab.directory(&name).join("config");
    let text = fs::read_to_string(&config).expect("it has a configuration");
    let others = text
        .lines()
        .filter(|line| !line.starts_with("lxc.mount.auto"));
    let base = others.collect::<Vec<_>>().join("\n");
    for layout in Layout::ALL {
        if !layout.possible(TEST) {
            continue;
        }
        for words in VIEWS {
            let text = format!("{base}\nlxc.mount.auto = {words}\n");
            fs::write(&config, text).expect("the configuration is ours");
            let ours = view(&lab, layout, Side::Ours, &name);
            let theirs = view(&lab, layout, Side::Peer, &name);
            assert_eq!(ours, theirs, "{layout:?}: lxc.mount.auto = {words}");
        }
    }
}

#[test]
fn a_host_without_cgroups_still_runs_containers() {
    const TEST: &str = "a_host_without_cgroups_still_runs_containers";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    let program = lab.prefix().join("bin/lxc-start");
    let script = "umount -R /sys/fs/cgroup && exec \"$@\"";
    let call = Call::new("unshare").args(["--mount", "--propagation", "private"]);
    let call = call.args(["sh", "-c", script, "sh"]).arg(program);
    call.arg("-P")
        .arg(lab.lxcpath())
        .args(["-n", &name])
        .run()
        .exits(0);
    let init = fs::read_to_string(format!(
        "/proc/{}/cgroup",
        lab.init_pid(&name).as_raw_nonzero()
    ));
    assert!(!init.expect("it runs").contains("lxc."));
    lab.inside(&name, &["true"]).exits(0);
    lab.kill(&name);
    lab.is_as(&before);
}
