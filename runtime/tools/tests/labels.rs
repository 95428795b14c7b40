//! Security labels on a host without a security module that gives any: what a configuration asks for
//! is said to have no effect, once, and the container starts as it does with Debian's LXC.

mod support;

use std::fs;
use std::path::Path;

use support::{Lab, Peer, Side, could_not_run};

const OWNER: &str = "lb";

/// Whether there is a security module that gives labels.
fn labels_are_given() -> bool {
    Path::new("/sys/module/apparmor/parameters/enabled").exists()
        || Path::new("/sys/fs/selinux").exists()
}

#[test]
fn a_label_that_nobody_gives_is_said_to_have_no_effect() {
    const TEST: &str = "a_label_that_nobody_gives_is_said_to_have_no_effect";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(peer) = Peer::of(&lab, TEST) else {
        return;
    };
    if labels_are_given() {
        return could_not_run(TEST, "a security module gives labels here");
    }
    let lines = "lxc.apparmor.profile = mine\nlxc.selinux.context = a_t\n\
                 lxc.selinux.context.keyring = b_t\nlxc.apparmor.raw = deny /x r,\n";
    let name = lab.busybox("nobody", lines);
    let before = lab.census();
    let log = lab.files().join("log");
    for side in Side::BOTH {
        let path = log.to_string_lossy().into_owned();
        let words = ["-n", &name, "-l", "WARN", "-o", &path];
        side.tool(&lab, "lxc-start", &words).run().exits(0);
        lab.inside(&name, &["true"]).exits(0);
        lab.kill(&name);
        let text = fs::read_to_string(&log).unwrap_or_default();
        let said = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        let times = usize::from(side == Side::Ours);
        for line in [
            "lxc.apparmor.profile = mine (",
            "lxc.selinux.context = a_t has no effect",
            "lxc.selinux.context.keyring = b_t has no effect",
        ] {
            assert_eq!(said(line), times, "{line}\n{text}");
        }
        fs::remove_file(&log).expect("the log is ours");
    }
    // A label that is asked for by name is not silently left out.
    lab.start(&name);
    let words = ["-n", &name, "-c", "mine", "--", "true"];
    let ran = lab.tool("lxc-attach", &words).run();
    ran.exits(1)
        .complains("no security module of this kernel gives labels");
    let words = ["-n", &name, "-c", "unconfined", "--", "true"];
    lab.tool("lxc-attach", &words).run().exits(0);
    lab.kill(&name);
    peer.forget_locks();
    lab.is_as(&before);
}
