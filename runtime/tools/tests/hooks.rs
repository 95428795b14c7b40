//! Hooks: what each finds in its arguments and environment, word by word as with Debian's LXC.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use support::{Lab, Peer, Side, eventually, within};

const OWNER: &str = "tf";

/// Writes each argument and LXC's variables on lines of their own, below `out/KIND`.
const RECORD: &str = "#!/bin/sh
kind=$1; shift
{ for word in \"$@\"; do echo \"word <$word>\"; done; env | grep '^LXC_' | sort; pwd; } >> DIRECTORY/$kind
";

const OUTSIDE: [&str; 8] = [
    "pre-start",
    "pre-mount",
    "mount",
    "autodev",
    "start-host",
    "stop",
    "post-stop",
    "destroy",
];

/// Numbers of processes and descriptors differ from run to run.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = match line.split_once("LXC_PID=") {
            Some((before, _)) => format!("{before}LXC_PID=N"),
            None => line.to_owned(),
        };
        match line.find("/proc/").filter(|_| line.contains("/fd/")) {
            Some(at) => {
                let end = if line.ends_with('>') { ">" } else { "" };
                out.push_str(&format!("{}/proc/N/fd/N{end}\n", &line[..at]));
            }
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// What all hooks of a life found: kind → text.
fn life(lab: &Lab, side: Side, version: u8) -> BTreeMap<String, String> {
    let out = lab.files().join("out");
    fs::create_dir(&out).expect("ours");
    let record = RECORD.replace("DIRECTORY", &out.to_string_lossy());
    let record = lab.file("record", 0o755, &record);
    let mount = lab.files().join("root");
    fs::create_dir_all(&mount).expect("ours");
    let mut lines = format!(
        "lxc.hook.version = {version}\nlxc.rootfs.mount = {}\nlxc.console.logfile = {}\n\
         lxc.environment = A=1\nlxc.hook.start = /record\n",
        mount.display(),
        lab.files().join("console.log").display(),
    );
    for kind in OUTSIDE {
        lines += &format!(
            "lxc.hook.{kind} = {} {kind} 'two words' \"a'b\" $((1+1))\n",
            record.display()
        );
    }
    let name = lab.busybox("c1", &lines);
    // Debian's looks for a file of the whole line's name: this hook has no words of its own there.
    let inside = RECORD
        .replace("kind=$1; shift", "")
        .replace("DIRECTORY/$kind", "/recorded");
    let path = lab.rootfs(&name).join("record");
    fs::write(&path, inside).expect("ours");
    rustix::fs::chmod(&path, rustix::fs::Mode::from_raw_mode(0o755)).expect("ours");
    side.start(lab, &name);
    side.tool(lab, "lxc-stop", &["-n", &name, "-k"])
        .run()
        .exits(0);
    let mut found = BTreeMap::new();
    // Debian's lxc-stop comes back before its monitor has run the last hook.
    eventually("the last hook has run", || out.join("post-stop").exists());
    let recorded =
        fs::read_to_string(lab.rootfs(&name).join("recorded")).expect("the start hook ran");
    found.insert("start".to_owned(), without_numbers(&recorded));
    eventually("it can be destroyed", || {
        side.tool(lab, "lxc-destroy", &["-n", &name]).run().code() == 0
    });
    for kind in OUTSIDE {
        let text =
            fs::read_to_string(out.join(kind)).unwrap_or_else(|error| panic!("{kind}: {error}"));
        found.insert(kind.to_owned(), without_numbers(&text));
    }
    fs::remove_dir_all(&out).expect("ours");
    found
}

#[test]
fn all_hooks_find_what_they_find_with_debians() {
    const TEST: &str = "all_hooks_find_what_they_find_with_debians";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let mut differences = String::new();
    for version in [0, 1] {
        let [ours, theirs] = Side::BOTH.map(|side| life(&lab, side, version));
        for (kind, text) in &ours {
            if theirs[kind] != *text {
                differences += &format!(
                    "{kind}, version {version}\nours:\n{text}theirs:\n{}\n",
                    theirs[kind]
                );
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

fn waiting_hook(lab: &Lab, kind: &str) -> (String, PathBuf) {
    let script = "#!/bin/sh\nsleep 5555 &\necho $! > \"$0.child\"\nwait\n";
    let hook = lab.file("hook", 0o755, script);
    (
        format!("lxc.hook.{kind} = {}", hook.display()),
        lab.files().join("hook.child"),
    )
}

/// A hook that does not end is ended with all it started by whoever ends the start.
#[test]
fn a_hook_that_hangs_ends_with_its_start() {
    let Some(lab) = Lab::new(OWNER, "a_hook_that_hangs_ends_with_its_start") else {
        return;
    };
    for (number, kind) in ["pre-start", "start-host"].into_iter().enumerate() {
        let (line, child) = waiting_hook(&lab, kind);
        let name = lab.busybox(&format!("c{number}"), &line);
        let before = lab.census();
        let start = lab.tool("lxc-start", &["-n", &name, "-F"]).start();
        let started = || {
            fs::read_to_string(&child)
                .ok()
                .filter(|text| text.ends_with('\n'))
        };
        eventually("the hook runs", || started().is_some());
        let pid = started().unwrap_or_default();
        start.signal(Signal::TERM);
        start.finish().exits(1).complains("killed by signal 15");
        let gone = || {
            let path = format!("/proc/{}/stat", pid.trim());
            fs::read_to_string(path).map_or(true, |stat| stat.contains(") Z "))
        };
        assert!(
            within(support::SETTLING, gone),
            "what the {kind} hook started goes on"
        );
        fs::remove_file(&child).expect("ours");
        lab.is_as(&before);
    }
}
