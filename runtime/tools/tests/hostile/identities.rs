//! A number is that user and nobody else: never a name, never cut to fewer bits, never "leave it as it
//! is", which would be root.

use std::fs;

use crate::OWNER;
use crate::support::Lab;

/// No ids: too large, the one that means "unchanged" to the kernel, negative, with a rest, a name.
const NO_IDS: [&str; 10] = [
    "4294967295",
    "4294967296",
    "4294968296",
    "18446744073709551616",
    "-1",
    "-4294966296",
    "1000x",
    "1000:0",
    "0x",
    "root",
];

/// A user of the guest's whose name is a number, and who is root.
const NAMED_LIKE_A_NUMBER: &str = "1000:x:0:0::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n";

#[test]
fn what_is_no_id_is_refused_and_never_root() {
    let Some(lab) = Lab::new(OWNER, "what_is_no_id_is_refused_and_never_root") else {
        return;
    };
    let name = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
    let before = lab.census();
    for id in NO_IDS {
        for key in ["lxc.init.uid", "lxc.init.gid", "lxc.init.groups"] {
            let define = format!("{key}={id}");
            let ran = lab.tool("lxc-start", &["-n", &name, "-s", &define]).run();
            assert!(
                ran.code() == 1 && ran.stderr.contains(key),
                "{define}\n{ran}"
            );
        }
        let ran = lab.tool(
            "lxc-execute",
            &["-n", &name, "-u", id, "--", "/bin/touch", "/came"],
        );
        assert_eq!(ran.run().code(), 1, "{id}");
        lab.is_as(&before);
    }
    lab.start(&name);
    for id in NO_IDS {
        for option in ["-u", "-g"] {
            let ran = lab.tool(
                "lxc-attach",
                &["-n", &name, option, id, "--", "/bin/touch", "/came"],
            );
            let ran = ran.run();
            assert!(
                ran.code() != 0 && !ran.stderr.is_empty(),
                "{option} {id}\n{ran}"
            );
        }
    }
    assert!(
        !lab.rootfs(&name).join("came").exists(),
        "it ran as somebody"
    );
    lab.kill(&name);
}

/// The guest's list of users names nobody for the host.
#[test]
fn a_number_is_no_name_of_the_guests() {
    let Some(lab) = Lab::new(OWNER, "a_number_is_no_name_of_the_guests") else {
        return;
    };
    let lines = "lxc.init.uid = 1000\nlxc.init.gid = 1000\nlxc.init.cmd = /bin/sleep 1000";
    let name = lab.busybox("c1", lines);
    for file in ["passwd", "group"] {
        let path = lab.rootfs(&name).join("etc").join(file);
        fs::write(path, NAMED_LIKE_A_NUMBER).expect("the rootfs is ours");
    }
    lab.start(&name);
    let ids = |whose: &str| {
        let script = format!("grep -E '^(Uid|Gid|Groups)' /proc/{whose}/status");
        let words = [
            "-n", &name, "-u", "1000", "-g", "1000", "--", "sh", "-c", &script,
        ];
        lab.tool("lxc-attach", &words).run().exits(0).stdout
    };
    let all = "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t \n";
    assert_eq!(ids("1"), all);
    assert_eq!(ids("self"), all);
    lab.kill(&name);
}
