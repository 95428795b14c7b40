//! A container's life as its user sees it: created, started, looked at, stopped, removed.

mod support;

use support::Lab;

const OWNER: &str = "t1";

#[test]
fn from_create_to_destroy() {
    let Some(lab) = Lab::new(OWNER, "from_create_to_destroy") else {
        return;
    };
    let nothing = lab.census();
    let name = lab.busybox("c1", "");
    let created = lab.census();
    lab.start(&name);
    assert_eq!(lab.state(&name), "RUNNING");
    assert!(lab.monitor_pid(&name).is_some());
    lab.inside(&name, &["/bin/hostname"])
        .exits(0)
        .prints(&format!("{name}\n"));
    lab.kill(&name);
    assert_eq!(lab.state(&name), "STOPPED");
    lab.is_as(&created);
    lab.tool("lxc-destroy", &["-n", &name]).run().exits(0);
    lab.is_as(&nothing);
}
