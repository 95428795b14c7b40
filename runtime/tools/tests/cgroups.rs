//! Where the configuration puts a container's cgroups, what is limited there, and that all of it goes.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use support::{Call, Lab, Layout, Peer, Side, cgroups_of, could_not_run, eventually};

const OWNER: &str = "cgroups";

/// The layouts this host can show.
fn layouts(test: &str) -> impl Iterator<Item = Layout> {
    let shown = move |layout: &Layout| layout.possible(test);
    Layout::ALL.into_iter().filter(shown)
}

/// Where root's containers lie in the hierarchy with these controllers: beside pid 1. Empty at its root.
fn base(controllers: &str) -> String {
    let all = cgroups_of(Pid::INIT, Layout::Hybrid);
    let path = all.get(controllers).map_or("", String::as_str);
    let path = path.strip_suffix("/init.scope").unwrap_or(path);
    path.trim_end_matches('/').to_owned()
}

/// The directories below which root's containers lie, one of each of the host's hierarchies.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = |directory: &Path, controllers: &str| {
        directory.join(base(controllers).trim_start_matches('/'))
    };
    if root.join("cgroup.procs").exists() {
        return vec![below(root, "")];
    }
    let all = cgroups_of(Pid::INIT, Layout::Hybrid);
    let sorted = |list: &str| {
        let mut words: Vec<_> = list.split(',').map(str::to_owned).collect();
        words.sort();
        words
    };
    let controllers = |name: &str| {
        let same =
            |key: &&String| key.strip_prefix("name=") == Some(name) || sorted(key) == sorted(name);
        all.keys().find(same).cloned().unwrap_or_default()
    };
    let entries = fs::read_dir(root).expect("cgroups are mounted");
    let real = entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    real.filter(|e| e.path().join("cgroup.procs").exists())
        .map(|e| below(&e.path(), &controllers(&e.file_name().to_string_lossy())))
        .collect()
}

/// Removes the cgroup `path`, which the configuration named and LXC keeps, from every hierarchy. The
/// monitor's last process, which may have moved there, ends a moment after its socket.
///
/// # Panics
/// There is something in it that does not end.
#[track_caller]
fn remove_parent(path: &str) {
    for hierarchy in hierarchies() {
        let directory = hierarchy.join(path);
        support::eventually(&format!("{} is empty", directory.display()), || {
            !directory.exists() || fs::remove_dir(&directory).is_ok()
        });
    }
}

/// Asserts that monitor and init of `name` are in these cgroups of every hierarchy of `layout`.
#[track_caller]
fn are_in(lab: &Lab, layout: Layout, name: &str, monitor: &str, init: &str) {
    let monitor_pid = lab.monitor_pid(name).expect("a monitor");
    for (pid, want) in [(monitor_pid, monitor), (lab.init_pid(name), init)] {
        for (controllers, path) in cgroups_of(pid, layout) {
            let want = format!("{}/{want}", base(&controllers));
            assert_eq!(path, want, "{layout:?} {controllers}");
        }
    }
}

/// Whether the process runs: one that nobody reaps has ended as well.
fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    })
}

/// Runs `lxc-cgroup` of `side`; what it prints, without the newline.
#[track_caller]
fn item(lab: &Lab, layout: Layout, side: Side, words: &[&str]) -> String {
    let ran = layout.tool(lab, side, "lxc-cgroup", words).run().exits(0);
    ran.stdout.trim_end().to_owned()
}

#[test]
fn a_directory_holds_monitor_and_container_as_with_lxc() {
    const TEST: &str = "a_directory_holds_monitor_and_container_as_with_lxc";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let top = format!("{}top", lab.tag());
    let name = lab.busybox("c1", &format!("lxc.cgroup.dir = {top}/dir"));
    let before = lab.census();
    for layout in layouts(TEST) {
        for starter in Side::BOTH {
            layout.start(&lab, starter, &name);
            let monitor = format!("{top}/dir/lxc.monitor.{name}");
            let payload = format!("{top}/dir/lxc.payload.{name}");
            are_in(&lab, layout, &name, &monitor, &payload);
            layout.kill(&lab, &name);
            eventually("the monitor is gone", || lab.monitor_pid(&name).is_none());
            if starter == Side::Peer {
                remove_parent(&format!("{top}/dir/lxc.pivot"));
            }
            remove_parent(&format!("{top}/dir"));
            remove_parent(&top);
            peer.forget_locks();
            lab.is_as(&before);
        }
    }
}

/// `lxc.cgroup.dir.*`: exactly these names, the limits outside, the processes and the root of the
/// cgroup namespace inside.
#[test]
fn limits_are_above_what_the_guest_sees() {
    const TEST: &str = "limits_are_above_what_the_guest_sees";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let top = format!("{}top", lab.tag());
    let name = lab.busybox(
        "c1",
        &format!(
            "lxc.cgroup.dir.monitor = {top}/m\n\
             lxc.cgroup.dir.container = {top}/a/c\n\
             lxc.cgroup.dir.container.inner = in\n\
             lxc.cgroup.pids.max = 40\n\
             lxc.cgroup.cpuset.cpus = 0\n\
             lxc.cgroup.devices.deny = a\n\
             lxc.cgroup.devices.allow = c 1:3 rwm\n\
             lxc.cgroup.devices.allow = c *:* m\n\
             lxc.cgroup.devices.allow = c 5:* rwm\n\
             lxc.cgroup.devices.allow = c 136:* rwm\n\
             lxc.cgroup2.cgroup.max.descendants = 7\n\
             lxc.cgroup2.devices.deny = a\n\
             lxc.cgroup2.devices.allow = c 1:3 rwm\n\
             lxc.cgroup2.devices.allow = c *:* m"
        ),
    );
    let before = lab.census();
    for layout in layouts(TEST) {
        layout.start(&lab, Side::Ours, &name);
        are_in(
            &lab,
            layout,
            &name,
            &format!("{top}/m"),
            &format!("{top}/a/c/in"),
        );
        let inside = layout.inside(&lab, &name, "cat /proc/1/cgroup").exits(0);
        for (controllers, path) in support::places_in(&inside.stdout, layout) {
            assert_eq!(path, "/", "{layout:?} {controllers}");
        }
        let denied = "rm -f /tmp/zero; mknod /tmp/zero c 1 5 && ! head -c 1 /tmp/zero 2>/dev/null && head -c 0 /dev/null";
        layout.inside(&lab, &name, denied).exits(0);
        if layout != Layout::Unified {
            for by in Side::BOTH {
                assert_eq!(
                    item(&lab, layout, by, &["-n", &name, "pids.max"]),
                    "40",
                    "{by:?}"
                );
                assert_eq!(
                    item(&lab, layout, by, &["-n", &name, "cpuset.cpus"]),
                    "0",
                    "{by:?}"
                );
            }
            item(&lab, layout, Side::Ours, &["-n", &name, "pids.max", "41"]);
            let place = format!("/sys/fs/cgroup/pids{}/{top}/a/c", base("pids"));
            let limit = format!("{place}/pids.max");
            assert_eq!(fs::read_to_string(limit).expect("it is there"), "41\n");
            let inner = format!("{place}/in/pids.max");
            assert_eq!(fs::read_to_string(inner).expect("it is there"), "max\n");
        }
        for side in Side::BOTH {
            layout
                .tool(&lab, side, "lxc-freeze", &["-n", &name])
                .run()
                .exits(0);
            assert_eq!(lab.state(&name), "FROZEN");
            layout
                .tool(&lab, side, "lxc-unfreeze", &["-n", &name])
                .run()
                .exits(0);
            // What the guest makes goes with it.
            let nested = "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir -p $d/of-the-guest/deeper; done; true";
            layout.inside(&lab, &name, nested).exits(0);
        }
        layout.kill(&lab, &name);
        remove_parent(&format!("{top}/a"));
        remove_parent(&top);
        peer.forget_locks();
        lab.is_as(&before);
    }
}

#[test]
fn a_cgroup_of_an_administrator_stays() {
    const TEST: &str = "a_cgroup_of_an_administrator_stays";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let top = format!("{}top", lab.tag());
    let names = format!("lxc.cgroup.dir.monitor = {top}/m\nlxc.cgroup.dir.container = {top}/c");
    let name = lab.busybox("c1", &names);
    let other = lab.sibling(&name, "c2");
    let made: Vec<PathBuf> = hierarchies()
        .iter()
        .map(|h| h.join(&top).join("c"))
        .collect();
    for directory in &made {
        fs::create_dir_all(directory).expect("we are root");
        let above = directory.parent().expect("it has one");
        for cpuset in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(value) = fs::read(above.with_file_name(cpuset)) {
                fs::write(above.join(cpuset), &value).expect("the parent's value");
                fs::write(directory.join(cpuset), &value).expect("the parent's value");
            }
        }
    }
    let before = lab.census();
    lab.start(&name);
    // Exact names get no number: the monitor's is taken, and the error says whose fault that is.
    let refused = lab.tool("lxc-start", &["-n", &other]).run().exits(1);
    assert!(refused.stderr.contains("gets no number"), "{refused}");
    assert_eq!(lab.state(&name), "RUNNING");
    lab.inside(&name, &["true"]).exits(0);
    lab.kill(&name);
    lab.is_as(&before);
    assert!(made.iter().all(|directory| directory.is_dir()));
    remove_parent(&format!("{top}/c"));
    remove_parent(&top);
}

#[test]
fn the_monitor_leaves_for_the_pivot_that_is_named() {
    const TEST: &str = "the_monitor_leaves_for_the_pivot_that_is_named";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let pivot = format!("{}pivot", lab.tag());
    let name = lab.busybox("c1", &format!("lxc.cgroup.dir.monitor.pivot = {pivot}"));
    let before = lab.census();
    for layout in layouts(TEST) {
        for starter in Side::BOTH {
            layout.start(&lab, starter, &name);
            layout.kill(&lab, &name);
            eventually("the monitor is gone", || lab.monitor_pid(&name).is_none());
            let used = hierarchies()
                .iter()
                .filter(|h| h.join(&pivot).join("lxc.pivot").is_dir())
                .count();
            assert!(used > 0, "{layout:?} {starter:?}");
            remove_parent(&format!("{pivot}/lxc.pivot"));
            remove_parent(&pivot);
            peer.forget_locks();
            lab.is_as(&before);
        }
    }
}

#[test]
fn names_that_contradict_each_other_change_nothing() {
    const TEST: &str = "names_that_contradict_each_other_change_nothing";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let config = lab.directory(&name).join("config");
    let base = fs::read_to_string(&config).expect("it has a configuration");
    let before = lab.census();
    for (lines, says) in [
        (
            "lxc.cgroup.dir.monitor = m",
            "lxc.cgroup.dir.container is not",
        ),
        (
            "lxc.cgroup.dir.container.inner = i",
            "lxc.cgroup.dir.monitor is not",
        ),
        (
            "lxc.cgroup.dir = d\nlxc.cgroup.dir.monitor = m\nlxc.cgroup.dir.container = c",
            "exclude each other",
        ),
        ("lxc.cgroup.dir.monitor = ../m", "leads out"),
        ("lxc.cgroup.devices.allow = c 1:3 rwx", "'rwx' is no access"),
        (
            "lxc.cgroup.nosuch.file = 1",
            "no cgroup controller 'nosuch'",
        ),
    ] {
        fs::write(&config, format!("{base}\n{lines}\n")).expect("the configuration is ours");
        let refused = lab.tool("lxc-start", &["-n", &name]).run().exits(1);
        assert!(refused.stderr.contains(says), "{refused}");
        assert!(refused.stderr.contains("/config:"), "no place\n{refused}");
        lab.is_as(&before);
    }
}

/// A starter in /TOP/own of every hierarchy.
fn from_within(lab: &Lab, top: &str, side: Side, name: &str) -> support::Ran {
    let mut script = String::new();
    for hierarchy in hierarchies() {
        let own = hierarchy.join(top).join("own");
        let own = own.display();
        script += &format!(
            "mkdir -p {own}; [ ! -e {own}/cpuset.cpus ] || for d in {own}/.. {own}; do \
             cat $d/../cpuset.cpus >$d/cpuset.cpus; cat $d/../cpuset.mems >$d/cpuset.mems; done; \
             echo $$ >{own}/cgroup.procs; "
        );
    }
    let tool = side.tool(lab, "lxc-start", &["-n", name]);
    let words = format!("{script} exec \"$@\"");
    Call::new("sh")
        .args(["-c", &words, "sh"])
        .words_of(tool)
        .run()
}

#[test]
fn a_relative_container_stays_below_its_starter() {
    const TEST: &str = "a_relative_container_stays_below_its_starter";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let top = format!("{}top", lab.tag());
    let name = lab.busybox("c1", "");
    let before = lab.census();
    for relative in [true, false] {
        lab.configure(
            &name,
            &format!("lxc.cgroup.relative = {}", u8::from(relative)),
        );
        for side in Side::BOTH {
            from_within(&lab, &top, side, &name).exits(0);
            let base = match relative {
                true => format!("{top}/own/"),
                false => String::new(),
            };
            let (monitor, payload) = (
                format!("{base}lxc.monitor.{name}"),
                format!("{base}lxc.payload.{name}"),
            );
            are_in(&lab, Layout::Hybrid, &name, &monitor, &payload);
            lab.kill(&name);
            eventually("the monitor is gone", || lab.monitor_pid(&name).is_none());
            if relative && side == Side::Peer {
                remove_parent(&format!("{top}/own/lxc.pivot"));
            }
            remove_parent(&format!("{top}/own"));
            remove_parent(&top);
            peer.forget_locks();
            lab.is_as(&before);
        }
    }
}

/// What a killed monitor leaves under names of the configuration goes with the next start and with a
/// stop.
#[test]
fn leftovers_under_other_names_are_swept() {
    const TEST: &str = "leftovers_under_other_names_are_swept";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let top = format!("{}top", lab.tag());
    let name = lab.busybox("c1", "");
    let before = lab.census();
    for lines in [
        format!("lxc.cgroup.dir = {top}"),
        format!(
            "lxc.cgroup.dir =\nlxc.cgroup.dir.monitor = {top}/m\nlxc.cgroup.dir.container = {top}/c"
        ),
        "lxc.cgroup.dir.container.inner = in".to_string(),
    ] {
        lab.configure(&name, &lines);
        for next in ["lxc-start", "lxc-stop"] {
            lab.start(&name);
            let monitor = lab.monitor_pid(&name).expect("a monitor");
            let init = lab.init_pid(&name);
            rustix::process::kill_process(monitor, rustix::process::Signal::KILL)
                .expect("it lives");
            eventually("the guest dies", || !lives(init));
            // A stopped container cannot be stopped: only what is left of it goes.
            lab.tool(next, &["-n", &name]).run();
            if next == "lxc-start" {
                assert_eq!(lab.state(&name), "RUNNING");
                for (_, path) in cgroups_of(lab.init_pid(&name), Layout::Hybrid) {
                    assert!(!path.ends_with("-1"), "{path}");
                }
                lab.kill(&name);
            }
            remove_parent(&top);
            lab.is_as(&before);
        }
    }
}

#[test]
fn twenty_containers_at_once_leave_nothing() {
    const TEST: &str = "twenty_containers_at_once_leave_nothing";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let top = format!("{}top", lab.tag());
    let first = lab.busybox(
        "c0",
        &format!("lxc.cgroup.dir = {top}\nlxc.init.cmd = /bin/sleep 1000"),
    );
    let mut names = vec![first.clone()];
    names.extend((1..20).map(|number| lab.sibling(&first, &format!("c{number}"))));
    let before = lab.census();
    for tool in ["lxc-start", "lxc-stop"] {
        let calls: Vec<_> = names
            .iter()
            .map(|name| {
                let words = ["-n", name.as_str(), "-k"];
                let count = if tool == "lxc-stop" { 3 } else { 2 };
                lab.tool(tool, &words[..count]).start()
            })
            .collect();
        for call in calls {
            call.finish().exits(0);
        }
    }
    remove_parent(&top);
    lab.is_as(&before);
}

#[test]
fn the_installation_names_cgroups_and_controllers() {
    const TEST: &str = "the_installation_names_cgroups_and_controllers";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let file = lab.prefix().join("etc/lxc");
    if !file.is_dir() {
        could_not_run(TEST, "the installation has no directory for lxc.conf");
        return;
    }
    let top = format!("{}top", lab.tag());
    let name = lab.busybox("c1", "");
    let before = lab.census();
    // Seen by this call alone: the file is mounted over the installation's.
    let own = lab.files().join("etc");
    fs::create_dir(&own).expect("the directory is ours");
    let start = |settings: &str| {
        fs::write(own.join("lxc.conf"), settings).expect("the file is ours");
        let script = format!(
            "mount --bind {} {} && exec \"$@\"",
            own.display(),
            file.display()
        );
        let call = Call::new("unshare").args(["-m", "sh", "-c", &script, "sh"]);
        call.words_of(lab.tool("lxc-start", &["-n", &name])).run()
    };
    start(&format!("lxc.cgroup.pattern = {top}/%n\n")).exits(0);
    let below = format!("{top}/{name}");
    are_in(
        &lab,
        Layout::Hybrid,
        &name,
        &format!("{below}/monitor"),
        &format!("{below}/payload"),
    );
    lab.kill(&name);
    remove_parent(&below);
    remove_parent(&top);
    lab.is_as(&before);

    start("lxc.cgroup.use = pids,memory\n").exits(0);
    for (controllers, path) in cgroups_of(lab.init_pid(&name), Layout::Hybrid) {
        let used = ["pids", "memory", ""].contains(&controllers.as_str());
        assert_eq!(path.contains(&name), used, "{controllers}: {path}");
    }
    lab.kill(&name);
    lab.is_as(&before);

    let refused = start("lxc.cgroup.use = nosuch\n").exits(1);
    assert!(refused.stderr.contains("'nosuch'"), "{refused}");
    let refused = start("lxc.cgroup.pattern = ../x\n").exits(1);
    assert!(refused.stderr.contains("lxc.cgroup.pattern"), "{refused}");
    lab.is_as(&before);
}
