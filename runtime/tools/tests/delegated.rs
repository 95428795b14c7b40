//! Containers of a user who is not root, in a cgroup that an administrator has delegated.

mod support;

use std::fs;
use std::path::Path;

use support::{Call, Lab, Layout, cgroups_of, could_not_run, eventually};

const OWNER: &str = "cgroups";

/// Nobody on this host.
const USER: u32 = 54_321;

/// A user without any help of the administrator's but a delegated cgroup: the one id that a map may
/// have then is the user's own.
#[test]
fn a_user_runs_a_container_in_a_delegated_cgroup() {
    const TEST: &str = "a_user_runs_a_container_in_a_delegated_cgroup";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let mounts = [
        Path::new("/sys/fs/cgroup"),
        Path::new("/sys/fs/cgroup/unified"),
    ];
    let v2 = mounts
        .iter()
        .find(|m| m.join("cgroup.subtree_control").exists());
    let Some(v2) = v2 else {
        could_not_run(TEST, "there is no v2 hierarchy");
        return;
    };
    let config = format!(
        "lxc.idmap = u 0 {USER} 1\nlxc.idmap = g 0 {USER} 1\nlxc.tty.max = 0\n\
         lxc.init.cmd = /bin/sleep 1000\nlxc.cgroup2.cgroup.max.descendants = 9\n\
         lxc.mount.auto =\nlxc.mount.auto = proc:mixed sys:mixed cgroup:mixed"
    );
    let name = lab.busybox("c1", &config);
    let given = Call::new("chown").args(["-hR", &format!("{USER}:{USER}")]);
    given.arg(lab.lxcpath()).run().exits(0);
    let own = v2.join(format!("{}own", lab.tag()));
    fs::create_dir(&own).expect("we are root");
    for file in [
        "",
        "cgroup.procs",
        "cgroup.threads",
        "cgroup.subtree_control",
    ] {
        let given = std::os::unix::fs::chown(own.join(file), Some(USER), Some(USER));
        given.expect("we are root");
    }
    let enter = format!(
        "echo $$ >{}/cgroup.procs && exec setpriv --reuid {USER} --regid {USER} --clear-groups \
         env HOME=/nonexistent \"$@\"",
        own.display()
    );
    let as_user = |tool: &str, words: &[&str]| {
        let call = Call::new("sh").args(["-c", &enter, "sh"]);
        call.words_of(lab.tool(tool, words)).run().exits(0)
    };
    let before = lab.census();
    as_user("lxc-start", &["-n", &name]);
    let init = lab.init_pid(&name);
    let places = cgroups_of(init, Layout::Unified);
    let place = format!("/{}own/lxc.payload.{name}", lab.tag());
    assert_eq!(places.values().collect::<Vec<_>>(), [&place]);
    let limit = fs::read_to_string(own.join(format!("lxc.payload.{name}/cgroup.max.descendants")));
    assert_eq!(limit.expect("it is there"), "9\n");
    let script = "cat /proc/self/cgroup; mkdir -p /sys/fs/cgroup/of-the-guest/deeper";
    let inside = as_user("lxc-attach", &["-n", &name, "--", "sh", "-c", script]);
    assert!(inside.stdout.contains("0::/.lxc\n"), "{inside}");
    as_user("lxc-freeze", &["-n", &name]);
    assert_eq!(lab.state(&name), "FROZEN");
    as_user("lxc-unfreeze", &["-n", &name]);
    as_user("lxc-stop", &["-n", &name, "-k"]);
    eventually("the monitor is gone", || lab.monitor_pid(&name).is_none());
    // Where controllers were handed down no process may be: the monitor has left for this.
    let _ = fs::remove_dir(own.join("lxc.pivot"));
    lab.is_as(&before);
    fs::remove_dir(&own).expect("nothing is in it");
}
