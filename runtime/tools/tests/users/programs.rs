//! lxc-usernsexec and lxc-unshare: run beside Debian's, both say the same.

use crate::support::Side;
use crate::town::{ALICES, Town, Who};

/// Who, words, exit status. Where both fail they say it in their own words.
const IN_USER_NAMESPACES: &[(Who, &[&str], i32)] = &[
    (Who::Alice, &["--", "sh", "-c", LOOK], 0),
    (Who::Alice, &["-s", "--", "sh", "-c", LOOK], 0),
    (
        Who::Alice,
        &["-m", "b:0:200000:1000", "-s", "--", "sh", "-c", LOOK],
        0,
    ),
    (
        Who::Alice,
        &[
            "-m",
            "b:0:200000:10",
            "-m",
            "u:100:200100:5",
            "-m",
            "g:10:200010:5",
            "-s",
            "--",
            "sh",
            "-c",
            LOOK,
        ],
        0,
    ),
    (
        Who::Alice,
        &["-m", "b:0:64001:1", "--", "sh", "-c", LOOK],
        0,
    ),
    (Who::Bob, &["-m", "b:0:64002:1", "--", "sh", "-c", LOOK], 0),
    (
        Who::Root,
        &["-m", "b:0:500000:100", "--", "sh", "-c", LOOK],
        0,
    ),
    (Who::Root, &["-m", "b:0:0:100", "--", "sh", "-c", LOOK], 0),
    (
        Who::Root,
        &["-m", "b:0:500000:100", "-s", "--", "sh", "-c", LOOK],
        0,
    ),
    (Who::Alice, &["--", "sh", "-c", MOUNT], 0),
    (Who::Alice, &["--", "sh", "-c", "exit 7"], 7),
    (Who::Alice, &["--", "/nonexistent"], 1),
    (Who::Alice, &["--", "/etc/passwd"], 1),
    (Who::Alice, &["-m", "u:0:200000:10", "--", "id"], 1),
    (Who::Alice, &["-m", "b:5:200000:10", "--", "id"], 1),
    (Who::Alice, &["-m", "b:0:300000:10", "--", "id"], 1),
    (Who::Alice, &["-m", "b:0:200000:0", "--", "id"], 1),
    (Who::Alice, &["-m", "x:0:200000:1", "--", "id"], 1),
    (Who::Alice, &["-x"], 1),
    (Who::Bob, &["--", "id"], 1),
    (Who::Root, &["-m", "b:0:300000:100", "--", "id"], 1),
];

/// Ids, maps and powers as seen from inside.
const LOOK: &str =
    "id; cat /proc/self/uid_map /proc/self/gid_map; grep ^Cap /proc/self/status; pwd";

/// Only who has mounts of its own may mount, and nobody else sees it.
const MOUNT: &str = "mount -t tmpfs none /mnt && touch /mnt/users-test && echo mounted";

#[test]
fn usernsexec_does_what_the_peers_does() {
    const TEST: &str = "usernsexec_does_what_the_peers_does";
    let Some(town) = Town::with_tools(TEST) else {
        return;
    };
    let Some(_peer) = town.peer(TEST) else {
        return;
    };
    for (who, words, code) in IN_USER_NAMESPACES {
        let [ours, theirs] = Side::BOTH.map(|side| {
            town.tool(*who, side, "lxc-usernsexec", words)
                .run()
                .exits(*code)
        });
        assert_eq!(ours.stdout, theirs.stdout, "{who:?} {words:?}");
        assert_eq!(ours.stderr.is_empty(), *code != 1, "{ours}");
    }
    assert!(!std::path::Path::new("/mnt/users-test").exists());
    // A shell reads what is to be done, and a signal is a failure: the peer says 0 there.
    let shell = town.tool(Who::Alice, Side::Ours, "lxc-usernsexec", &[]);
    shell
        .input("id -u; kill -9 $$\n")
        .run()
        .exits(137)
        .prints("0\n");
    let as_user = ["-u", "5", "-g", "6", "--", "sh", "-c", "id -u; id -g"];
    let call = town.tool(Who::Alice, Side::Ours, "lxc-usernsexec", &as_user);
    call.run().exits(0).prints("5\n6\n");
}

/// What keeps a user from a namespace is said before one is made, with what mends it.
#[test]
fn what_is_missing_is_named_with_its_remedy() {
    const TEST: &str = "what_is_missing_is_named_with_its_remedy";
    let Some(town) = Town::with_tools(TEST) else {
        return;
    };
    let usernsexec = town.program(Side::Ours, "lxc-usernsexec");
    let not_granted = format!("/etc/subuid grants alice only {ALICES}-265535");
    for (who, words, said) in [
        (
            Who::Bob,
            vec![usernsexec.as_str()],
            "/etc/subuid grants bob no ids",
        ),
        (
            Who::Alice,
            vec![&usernsexec, "-m", "b:0:300000:10"],
            not_granted.as_str(),
        ),
        (
            Who::Alice,
            vec![&usernsexec, "-m", "b:0:300000:10"],
            "usermod --add-subuids 300000-300009 alice",
        ),
        (
            Who::Alice,
            vec!["setpriv", "--no-new-privs", &usernsexec],
            "no_new_privs",
        ),
        (
            Who::Alice,
            vec!["env", "PATH=/nowhere", &usernsexec],
            "no newuidmap in PATH",
        ),
        (
            Who::Alice,
            vec![&usernsexec, "-m", "b:0:0:1"],
            "only root can map the host's user 0",
        ),
        (
            Who::Alice,
            vec![&usernsexec, "-u", "70000"],
            "there is no user 70000",
        ),
    ] {
        town.call(who, &words)
            .run()
            .exits(1)
            .prints("")
            .complains(said);
    }
}

/// Who, words, exit status.
const IN_NAMESPACES: &[(Who, &[&str], i32)] = &[
    (
        Who::Root,
        &["-s", "UTSNAME", "-H", "other", "--", "hostname"],
        0,
    ),
    (
        Who::Root,
        &["-s", "USER", "-u", "5", "--", "sh", "-c", LOOK],
        0,
    ),
    (Who::Root, &["-s", "USER", "-u", "alice", "--", "id"], 0),
    (Who::Root, &["-s", "USER", "--", "sh", "-c", LOOK], 0),
    (
        Who::Alice,
        &["-s", "USER", "-u", "root", "--", "sh", "-c", LOOK],
        0,
    ),
    (
        Who::Alice,
        &[
            "-s",
            "USER|UTSNAME|MOUNT|PID|IPC",
            "-H",
            "x",
            "-M",
            "-u",
            "0",
            "--",
            "sh",
            "-c",
            "hostname; echo $$; ls /proc | grep -c '^[0-9]'",
        ],
        0,
    ),
    (
        Who::Root,
        &[
            "-s",
            "NETWORK",
            "--",
            "ls",
            "/sys/class/net/../../../proc/self/net/dev",
        ],
        0,
    ),
    (Who::Root, &["-s", "UTSNAME", "--", "sh", "-c", "exit 7"], 1),
    (
        Who::Root,
        &["-s", "UTSNAME", "--", "sh", "-c", "kill -9 $$"],
        1,
    ),
    (Who::Root, &["-s", "UTSNAME", "--", "/nonexistent"], 1),
    (Who::Alice, &["-s", "UTSNAME", "--", "true"], 1),
    (Who::Root, &["-s", "BOGUS", "--", "true"], 1),
    (Who::Root, &["-s", "UTSNAME"], 1),
    (Who::Root, &["--", "true"], 1),
    (Who::Root, &["-s", "UTSNAME", "-M", "--", "true"], 1),
    (Who::Root, &["-s", "UTSNAME", "-i", "lo", "--", "true"], 1),
    (Who::Root, &["-s", "MOUNT", "-H", "x", "--", "true"], 1),
    (Who::Root, &["-s", "USER", "-u", "nosuch", "--", "true"], 1),
];

#[test]
fn unshare_does_what_the_peers_does() {
    const TEST: &str = "unshare_does_what_the_peers_does";
    let Some(town) = Town::new(TEST) else {
        return;
    };
    let Some(_peer) = town.peer(TEST) else {
        return;
    };
    for (who, words, code) in IN_NAMESPACES {
        let [ours, theirs] = Side::BOTH.map(|side| {
            town.tool(*who, side, "lxc-unshare", words)
                .run()
                .exits(*code)
        });
        assert_eq!(ours.stdout, theirs.stdout, "{who:?} {words:?}");
    }
    // The peer leaves a child behind that waits for ever.
    let words = ["-s", "UTSNAME", "-u", "5", "--", "true"];
    let call = town.tool(Who::Root, Side::Ours, "lxc-unshare", &words);
    call.run().exits(1).complains("add USER to them");
    // A device that cannot be had: nothing runs; the peer goes on without it.
    let words = ["-s", "NETWORK", "-i", "nosuch0", "--", "echo", "ran"];
    let call = town.tool(Who::Root, Side::Ours, "lxc-unshare", &words);
    call.run().exits(1).prints("").complains("nosuch0");
    // Nobody waits for a daemon; its output stays open until it ends.
    let words = [
        "-d",
        "-s",
        "UTSNAME",
        "--",
        "sh",
        "-c",
        "sleep 0.3; echo late",
    ];
    let call = town.tool(Who::Root, Side::Ours, "lxc-unshare", &words);
    call.run().exits(0).prints("late\n");
}

/// A group may be what keeps its members out; who gives it up in a user namespace of his own making would
/// get in. There it cannot be given up.
#[test]
fn a_group_that_shuts_out_is_not_given_up() {
    const TEST: &str = "a_group_that_shuts_out_is_not_given_up";
    let Some(town) = Town::with_tools(TEST) else {
        return;
    };
    let shut = town.lab.file("shut", 0o604, "open\n");
    std::os::unix::fs::chown(&shut, None, Some(MEMBERS)).expect("root may");
    let usernsexec = town.program(Side::Ours, "lxc-usernsexec");
    let groups = MEMBERS.to_string();
    let look = format!(
        "cat /proc/self/setgroups; cat {} 2>/dev/null; grep -c '^Groups:.*[0-9]' /proc/self/status; true",
        shut.display()
    );
    for who in [Who::Alice, Who::Bob] {
        let id = who.id().to_string();
        let member = [
            "setpriv", "--reuid", &id, "--regid", &id, "--groups", &groups,
        ];
        let call = |words: &[&str]| {
            let words = [&member[..], words, &["sh", "-c", &look]].concat();
            town.call(Who::Root, &words).run().exits(0)
        };
        call(&[]).prints("allow\n1\n");
        // A map of the own ids alone, which nobody has to grant.
        let own = format!("b:0:{id}:1");
        for more in [&[][..], &["-u", "0", "-g", "0"]] {
            let words = [&[usernsexec.as_str(), "-m", &own], more, &["--"]].concat();
            call(&words).prints("deny\n1\n");
        }
    }
}

/// A group that nobody has.
const MEMBERS: u32 = 64_242;
