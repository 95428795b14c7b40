//! Containers that start by themselves: which, in which order, and back again; as Debian's says it.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use rstest::rstest;
use support::{Lab, Peer, Side};

const OWNER: &str = "t31";

/// Five containers: (short name, what its configuration says).
const SOME: [(&str, &str); 5] = [
    ("a", "lxc.start.auto = 1\nlxc.start.order = 2"),
    (
        "b",
        "lxc.start.auto = 1\nlxc.start.order = 1\nlxc.group = web",
    ),
    (
        "c",
        "lxc.start.auto = 1\nlxc.start.order = 1\nlxc.group = web db\nlxc.start.delay = 7",
    ),
    ("d", "lxc.start.auto = 1\nlxc.group = db"),
    ("e", "lxc.start.auto = 0\nlxc.start.order = 9"),
];

/// A laboratory with those, none of them running.
fn scene(test: &str) -> Option<(Lab, Vec<String>)> {
    let lab = Lab::new(OWNER, test)?;
    let first = lab.busybox(
        "base",
        "lxc.init.cmd = /bin/sleep 1000\nlxc.signal.halt = SIGKILL",
    );
    let names = SOME.map(|(short, more)| {
        let name = lab.sibling(&first, short);
        lab.configure(&name, more);
        name
    });
    Some((lab, names.into()))
}

#[rstest]
#[case::none(&[])]
#[case::all(&["-a"])]
#[case::ignore_auto(&["-A"])]
#[case::all_of_all(&["-a", "-A"])]
#[case::one_group(&["-g", "web"])]
#[case::two_groups(&["-g", "db,web"])]
#[case::repeated(&["-g", "db", "-g", "web,"])]
#[case::a_longer_name(&["-g", "webserver"])]
#[case::no_such_group(&["-g", "nobody"])]
#[case::for_shutdown(&["-a", "-s"])]
#[case::for_kill(&["-a", "-A", "-k"])]
#[case::for_reboot(&["-a", "-r"])]
fn the_list_is_debians(#[case] words: &[&str]) {
    let Some((lab, names)) = scene("the_list_is_debians") else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, "the_list_is_debians") else {
        return;
    };
    // Two run: they are no longer to be started, and the only ones to go down.
    lab.start(&names[1]);
    lab.start(&names[3]);
    let lists = Side::BOTH.map(|side| {
        let ran = side
            .tool(&lab, "lxc-autostart", &["-L"])
            .args(words)
            .run()
            .exits(0);
        ran.stdout
    });
    assert_eq!(lists[0], lists[1]);
    let short = lists[0].replace(lab.tag(), "");
    insta::with_settings!({ snapshot_suffix => words.join("") }, {
        insta::assert_snapshot!("list", short);
    });
}

#[test]
fn those_marked_start_and_go_down_in_order() {
    let Some((lab, names)) = scene("those_marked_start_and_go_down_in_order") else {
        return;
    };
    let stopped = lab.census();
    let diary = lab.files().join("diary");
    for name in &names {
        let write = |word: &str| {
            let line = format!("echo {word} $LXC_NAME >> {}", diary.display());
            lab.file(
                &format!("{word}-{name}"),
                0o755,
                &format!("#!/bin/sh\n{line}\n"),
            )
        };
        let (up, down) = (write("up"), write("down"));
        let hooks = format!(
            "lxc.hook.pre-start = {}\nlxc.hook.post-stop = {}",
            up.display(),
            down.display()
        );
        lab.configure(name, &hooks);
    }
    lab.configure(&names[2], "lxc.start.delay = 1");
    let written = || {
        let text = fs::read_to_string(&diary).unwrap_or_default();
        let _ = fs::remove_file(&diary); // Absent where nothing was written.
        text.replace(lab.tag(), "").replace('\n', ", ")
    };
    let auto = |words: &[&str], code| lab.tool("lxc-autostart", words).run().exits(code);

    let begun = Instant::now();
    auto(&["-a"], 0);
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "the delay of c is kept"
    );
    assert_eq!(written(), "up d, up b, up c, up a, ");
    auto(&["-a"], 0);
    assert_eq!(written(), "", "what runs is not started again");
    assert_eq!(lab.state(&names[4]), "STOPPED");

    auto(&["-g", "web", "-k"], 0);
    assert_eq!(written(), "down c, down b, ");
    auto(&["-s"], 0);
    assert_eq!(written(), "down a, ");
    auto(&["-a", "-A", "-s", "-t", "5"], 0);
    assert_eq!(written(), "down d, ");
    lab.is_as(&stopped);
}

#[test]
fn what_fails_is_told_and_the_others_go_on() {
    let Some((lab, names)) = scene("what_fails_is_told_and_the_others_go_on") else {
        return;
    };
    lab.configure(&names[2], "lxc.start.delay = 0");
    lab.configure(&names[3], "lxc.rootfs.path = dir:/nonexistent");
    lab.configure(&names[0], "lxc.rootfs.path = dir:/nonexistent");
    let ran = lab.tool("lxc-autostart", &["-a"]).run().exits(2);
    for name in [&names[0], &names[3]] {
        assert!(
            ran.stderr.contains(&format!("lxc-autostart: {name}: ")),
            "{ran}"
        );
    }
    for name in [&names[1], &names[2]] {
        assert_eq!(lab.state(name), "RUNNING");
    }
    // All that was tried.
    lab.tool("lxc-autostart", &["-a"]).run().exits(1);
    // A configuration that cannot be read is a failure, not silence.
    lab.configure(&names[4], "lxc.nonsense = 1");
    let ran = lab.tool("lxc-autostart", &["-g", "web"]).run().exits(1);
    assert!(ran.stderr.contains("lxc.nonsense"), "{ran}");
    lab.tool("lxc-autostart", &["-q", "-g", "web"])
        .run()
        .exits(1)
        .complains("");
}

#[test]
fn reboot_asks_each_running_one() {
    let Some((lab, names)) = scene("reboot_asks_each_running_one") else {
        return;
    };
    let init =
        "lxc.init.cmd = /bin/sh -c 'trap \"reboot -f\" INT TERM; while :; do sleep 1 & wait; done'";
    lab.configure(&names[0], init);
    lab.start(&names[0]);
    let before = lab.init_pid(&names[0]);
    lab.tool("lxc-autostart", &["-a", "-r"]).run().exits(0);
    support::eventually("another init", || {
        let ran = lab.tool("lxc-info", &["-n", &names[0], "-pH"]).run();
        let now = ran.stdout.trim().parse::<i32>().unwrap_or_default();
        now > 0 && now != before.as_raw_nonzero().get()
    });
}
