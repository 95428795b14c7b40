//! Processes of the host that become a guest's: seen in its /proc before their exec, while somebody
//! inside reaches for whatever appears. He gets nothing of the host: no descriptor, no directory, no
//! program, no memory, no environment, and traces nobody.
//!
//! What he tries stands in `harness/probe/guest-probe.c`, verb `loot`. `LXC_RACE_ROUNDS` sets the number
//! of newcomers. The forty of an ordinary run are enough: when newcomers were made dumpable for a trial, he
//! traced 45 times and opened 57 memories and 1188 descriptors of forty of them.

use std::fs;
use std::time::Duration;

use crate::OWNER;
use crate::probe::{self, PROBE};
use crate::scene::{MAPS, give_to_its_root};
use crate::support::{Call, Lab, Process, Ran, rounds};

const IDLE: &str = "lxc.init.cmd = /bin/sleep 1000";
/// In the environment of whoever starts or attaches.
const SECRET: &str = "of-the-host-only";
/// Newcomers of an ordinary run.
const ATTACHES: u32 = 40;
const STARTS: u32 = 8;

/// Without a map only a capability keeps guest root from tracing everybody.
const NO_TRACING: &str = "lxc.cap.drop = sys_ptrace\n";
/// Others let him read what a process was executed with: a monitor has its starter's environment.
const TAME: &str = "lxc.cap.drop = sys_ptrace perfmon sys_admin\n";

/// What the probe says when it got nothing.
const NOTHING: &str =
    "begun\ntried\ntraced: 0\nroot: 0\ncwd: 0\nexe: 0\nfd: 0\nmem: 0\nsecret: 0\n";

/// A container with these `lines` and the probe, whose files belong to its root.
#[track_caller]
fn container(lab: &Lab, short: &str, lines: &str, test: &str) -> Option<String> {
    let name = lab.busybox(short, lines);
    probe::inside(lab, &name, test)?;
    if lines.contains("lxc.idmap") {
        give_to_its_root(lab, &name);
    }
    Some(name)
}

/// Somebody inside `name` who reaches for whatever appears.
struct Thief<'a> {
    lab: &'a Lab,
    name: &'a str,
    process: Process,
}

impl<'a> Thief<'a> {
    /// Begins, brought in by `tool` with these options.
    #[track_caller]
    fn new(lab: &'a Lab, name: &'a str, tool: &str, options: &[&str]) -> Thief<'a> {
        let words = ["--", PROBE, "loot", "/over", SECRET];
        let words = [&["-n", name], options, &words].concat();
        let call = lab.tool(tool, &words).within(Duration::from_secs(110));
        let process = call.start();
        process.shows("begun\n");
        Thief { lab, name, process }
    }

    /// Ends; what he got.
    #[track_caller]
    fn ends(self) -> Ran {
        let over = self.lab.rootfs(self.name).join("over");
        fs::write(&over, "").expect("the rootfs is ours");
        let told = self.process.finish().exits(0);
        fs::remove_file(&over).expect("the rootfs is ours");
        told
    }
}

/// Attaches to `name` with these options, by somebody who has a secret and directories open.
#[track_caller]
fn attach(lab: &Lab, name: &str, options: &[&str]) {
    let tool = lab.prefix().join("bin/lxc-attach").display().to_string();
    let path = lab.lxcpath().display().to_string();
    let words = [
        &[&tool, "-P", &path, "-n", name, "--clear-env"],
        options,
        &["--", "/bin/true"],
    ];
    // From a directory that the container does not have.
    let open = format!(
        "cd {} && exec 5</root 6</ 7<. \"$@\"",
        lab.files().display()
    );
    let shell = Call::new("sh").args(["-c", &open, "sh"]);
    let call = shell.args(words.concat()).env("SECRET", SECRET);
    call.run().exits(0);
}

/// Attaches while somebody inside, brought in as `thief` says, reaches for whoever comes as `options`
/// say; nothing is got.
#[track_caller]
fn nothing_is_got_of_who_attaches(test: &str, lines: &str, thief: &[&str], options: &[&str]) {
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let Some(name) = container(&lab, "c1", &format!("{IDLE}\n{lines}"), test) else {
        return;
    };
    lab.start(&name);
    let thief = Thief::new(&lab, &name, "lxc-attach", thief);
    for _ in 0..rounds(ATTACHES) {
        attach(&lab, &name, options);
    }
    let told = thief.ends();
    assert_eq!(told.stdout, NOTHING, "{told}");
    lab.kill(&name);
}

/// The harness can be beaten: a guest that may trace everybody gets something of who attaches, so that
/// getting nothing says something.
#[test]
fn who_may_trace_everybody_is_seen_to_get_something() {
    const TEST: &str = "who_may_trace_everybody_is_seen_to_get_something";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(name) = container(&lab, "c1", IDLE, TEST) else {
        return;
    };
    lab.start(&name);
    let thief = Thief::new(&lab, &name, "lxc-attach", &[]);
    for _ in 0..ATTACHES {
        attach(&lab, &name, &[]);
    }
    let told = thief.ends();
    for nothing in ["traced: 0\n", "exe: 0\n", "mem: 0\n"] {
        assert!(!told.stdout.contains(nothing), "{told}");
    }
    lab.kill(&name);
}

#[test]
fn nobody_inside_traces_who_joins() {
    nothing_is_got_of_who_attaches("nobody_inside_traces_who_joins", NO_TRACING, &[], &[]);
}

/// Its root has every capability over the user namespace that the newcomer enters.
#[test]
fn nobody_in_a_user_namespace_gets_anything_of_who_attaches() {
    const TEST: &str = "nobody_in_a_user_namespace_gets_anything_of_who_attaches";
    nothing_is_got_of_who_attaches(TEST, MAPS, &[], &[]);
}

/// The newcomer becomes root's inferior before its exec.
#[test]
fn nobody_in_a_user_namespace_gets_anything_of_a_user_who_attaches() {
    const TEST: &str = "nobody_in_a_user_namespace_gets_anything_of_a_user_who_attaches";
    nothing_is_got_of_who_attaches(TEST, MAPS, &[], &["-u", "5", "-g", "6"]);
}

/// Without a capability: the newcomer has the same ids.
#[test]
fn a_user_inside_gets_nothing_of_his_equal_who_attaches() {
    const TEST: &str = "a_user_inside_gets_nothing_of_his_equal_who_attaches";
    let same = ["-u", "5", "-g", "6"];
    nothing_is_got_of_who_attaches(TEST, MAPS, &same, &same);
}

/// The program inside an application container, whose init is a program of ours that was executed for this:
/// who rules the user namespace may trace it, and finds nothing of the host.
#[test]
fn a_program_gets_nothing_of_the_init_that_is_ours() {
    const TEST: &str = "a_program_gets_nothing_of_the_init_that_is_ours";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    for (short, lines) in [("c1", MAPS), ("c2", TAME)] {
        let Some(name) = container(&lab, short, lines, TEST) else {
            return;
        };
        let thief = Thief::new(&lab, &name, "lxc-execute", &[]);
        for _ in 0..rounds(ATTACHES / 4) {
            attach(&lab, &name, &[]);
        }
        let told = thief.ends();
        if lines == TAME {
            assert_eq!(told.stdout, NOTHING, "{lines}\n{told}");
        }
        for nothing in ["root: 0\n", "cwd: 0\n", "secret: 0\n"] {
            assert!(told.stdout.contains(nothing), "{lines}\n{told}");
        }
    }
}

/// A container that starts in the pid namespace of another is seen there from its birth. It has the same
/// files, so that what it is after its exec is known to who looks.
#[test]
fn a_neighbour_gets_nothing_of_a_container_that_starts() {
    const TEST: &str = "a_neighbour_gets_nothing_of_a_container_that_starts";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    // Root beside root, root beside a user namespace that is his to rule, and the other way round.
    let pairs = [(TAME, TAME), (TAME, MAPS), (MAPS, TAME)];
    for (number, (of_the_host, newcomer)) in pairs.iter().enumerate() {
        let Some(host) = container(&lab, &format!("host{number}"), IDLE, TEST) else {
            return;
        };
        let guest = lab.sibling(&host, &format!("guest{number}"));
        lab.configure(&host, of_the_host);
        let lines = format!("lxc.namespace.share.pid = {host}\nlxc.mount.auto =\n{newcomer}");
        lab.configure(&guest, &lines);
        give_to_its_root(&lab, &host);
        lab.start(&host);
        let thief = Thief::new(&lab, &host, "lxc-attach", &[]);
        for _ in 0..rounds(STARTS) {
            let start = lab.tool("lxc-start", &["-n", &guest]);
            start.env("SECRET", SECRET).run().exits(0);
            lab.kill(&guest);
        }
        let told = thief.ends();
        assert_eq!(told.stdout, NOTHING, "{host} ← {guest}: {lines}\n{told}");
        lab.kill(&host);
    }
}
