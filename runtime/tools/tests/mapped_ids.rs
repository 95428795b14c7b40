//! Containers with id maps, started by root: who is who inside and on the host, and what stays behind.

mod support;

use support::{Call, Lab, Peer, Ran, Side};

const OWNER: &str = "t12";

/// Host id 0 is mapped, far up: so root writes the maps itself, whatever /etc/subuid says.
const MAPS: &str = "\
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536
lxc.idmap = u 70000 0 1
lxc.idmap = g 70000 0 1
";

/// A container whose files belong to its root.
fn mapped(lab: &Lab, more: &str) -> String {
    let name = lab.busybox("c1", &format!("{MAPS}{more}"));
    let rootfs = lab.rootfs(&name);
    Call::new("chown")
        .args(["-R", "-h", "100000:100000"])
        .arg(&rootfs)
        .run()
        .exits(0);
    name
}

fn inside(lab: &Lab, side: Side, name: &str, options: &[&str], script: &str) -> Ran {
    let words: Vec<&str> = [&["-n", name], options, &["--", "/bin/sh", "-c", script]].concat();
    side.tool(lab, "lxc-attach", &words).run()
}

#[test]
fn either_side_attaches_to_what_the_other_has_started() {
    let test = "either_side_attaches_to_what_the_other_has_started";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, test) else {
        return;
    };
    let name = mapped(&lab, "lxc.init.cmd = /bin/sleep 1000\n");
    let before = lab.census();
    for starts in [Side::Ours, Side::Peer] {
        starts
            .tool(&lab, "lxc-start", &["-n", &name])
            .run()
            .exits(0);
        for attaches in [Side::Ours, Side::Peer] {
            inside(&lab, attaches, &name, &[], "id -u; id -g")
                .exits(0)
                .prints("0\n0\n");
            let options = ["-u", "5", "-g", "6"];
            inside(&lab, attaches, &name, &options, "id -u; id -g")
                .exits(0)
                .prints("5\n6\n");
            // One setns: every namespace is init's.
            let script =
                "for ns in user mnt pid uts ipc net cgroup; do readlink /proc/self/ns/$ns; done";
            let own = inside(&lab, attaches, &name, &[], script).exits(0);
            let init = lab.init_pid(&name).as_raw_nonzero();
            for line in own.stdout.lines() {
                let kind = line.split(':').next().expect("a kind");
                let found = std::fs::read_link(format!("/proc/{init}/ns/{kind}")).expect("it runs");
                assert_eq!(found.to_str(), Some(line));
            }
        }
        lab.kill(&name);
    }
    peer.forget_locks();
    lab.is_as(&before);
}

#[test]
fn who_attaches_is_somebody_of_the_container_from_the_first_moment() {
    let test = "who_attaches_is_somebody_of_the_container_from_the_first_moment";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = mapped(&lab, "");
    lab.start(&name);
    let script =
        "grep -E '^(Uid|Gid|Groups|CapInh|CapAmb)' /proc/self/status; cat /proc/keys | wc -l";
    let ran = inside(&lab, Side::Ours, &name, &[], script).exits(0);
    let lines: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines[..5],
        [
            "Uid: 0 0 0 0",
            "Gid: 0 0 0 0",
            "Groups:",
            "CapInh: 0000000000000000",
            "CapAmb: 0000000000000000",
        ]
    );
    let refused = inside(&lab, Side::Ours, &name, &["-u", "65536"], "id").exits(1);
    assert!(
        refused.stderr.contains("does not map the user 65536"),
        "{refused}"
    );
    lab.kill(&name);
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    let test = "a_start_that_fails_leaves_nothing";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = mapped(
        &lab,
        "lxc.init.cmd = /bin/nothing\nlxc.hook.stop = /bin/true\n",
    );
    let before = lab.census();
    lab.tool("lxc-start", &["-n", &name]).run().exits(1);
    lab.is_as(&before);
}

#[test]
fn what_a_guest_mounts_on_a_rootfs_with_shifted_ids_stays_inside() {
    let test = "what_a_guest_mounts_on_a_rootfs_with_shifted_ids_stays_inside";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let more = format!("{MAPS}lxc.rootfs.options = idmap=container\n");
    let name = lab.busybox("c1", &more);
    let started = lab.tool("lxc-start", &["-n", &name]).run();
    if started.stderr.contains("does not take shifted ids")
        || started.stderr.contains("no id-mapped mounts")
    {
        support::could_not_run(test, "nothing here takes shifted ids");
        return;
    }
    started.exits(0);
    let script = "stat -c %u:%g / /bin; echo > /made; mount -t tmpfs hidden /mnt && grep -c hidden /proc/mounts";
    inside(&lab, Side::Ours, &name, &[], script)
        .exits(0)
        .prints("0:0\n0:0\n1\n");
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("there is /proc");
    assert!(!mounts.contains("hidden"), "{mounts}");
    let made = std::fs::metadata(lab.rootfs(&name).join("made")).expect("it was made");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0);
    lab.kill(&name);
}
