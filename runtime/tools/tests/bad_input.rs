//! What users do wrong: each gets one sentence with its remedy and LXC's exit status, and the host
//! stays as it was. The sentences of all cases stand in one golden file.

mod support;

use std::fmt::Write;
use std::fs;

use support::{Call, Lab};

const OWNER: &str = "t1";

/// A mistake: what was done before, the call, and its exit status.
struct Case {
    mistake: &'static str,
    before: fn(&Lab, &str),
    call: fn(&Lab, &str) -> Call,
    code: i32,
}

fn nothing(_: &Lab, _: &str) {}

fn running(lab: &Lab, name: &str) {
    // An init that starts nothing more: the census is the same a moment later.
    let init = ["-n", name, "--", "/bin/sleep", "1000"];
    lab.tool("lxc-start", &init).run().exits(0);
}

fn start(lab: &Lab, name: &str) -> Call {
    lab.tool("lxc-start", &["-n", name])
}

/// A user who owns nothing here calls `tool`.
fn as_somebody(lab: &Lab, tool: &str, words: &[&str]) -> Call {
    Call::new("setpriv")
        .args(["--reuid", "54321", "--regid", "54321", "--clear-groups"])
        .arg(lab.files().join("prefix/bin").join(tool))
        .arg("-P")
        .arg(lab.lxcpath())
        .args(words)
}

/// A case of `lxc-start` with one more line in the configuration.
macro_rules! line {
    ($mistake:literal, $line:expr) => {
        Case {
            mistake: $mistake,
            before: |lab, name| lab.configure(name, $line),
            call: start,
            code: 1,
        }
    };
}

/// A case of `tool` with `words` on a container in the state that `before` leaves it in.
macro_rules! call {
    ($mistake:literal, $before:expr, $tool:literal, [$($word:expr),*], $code:literal) => {
        Case {
            mistake: $mistake,
            before: $before,
            call: |lab, name| lab.tool($tool, &["-n", name, $($word),*]),
            code: $code,
        }
    };
}

/// A case of `tool` called by somebody else.
macro_rules! stranger {
    ($mistake:literal, $before:expr, $tool:literal, [$($word:expr),*]) => {
        Case {
            mistake: $mistake,
            before: $before,
            call: |lab, name| as_somebody(lab, $tool, &["-n", name, $($word),*]),
            code: 1,
        }
    };
}

const CASES: &[Case] = &[
    Case {
        mistake: "the rootfs is gone",
        before: |lab, name| fs::remove_dir_all(lab.rootfs(name)).expect("it is ours"),
        call: start,
        code: 1,
    },
    call!(
        "the rootfs is a file",
        |lab, name| {
            // Never a file of the host's: lxc-destroy removes what this key names.
            let file = lab.directory(name).join("rootfs.img");
            fs::write(&file, "").expect("it is ours");
            lab.configure(name, &format!("lxc.rootfs.path = {}", file.display()));
        },
        "lxc-start",
        [],
        1
    ),
    call!(
        "the configuration is a directory",
        nothing,
        "lxc-start",
        ["-f", "/tmp"],
        1
    ),
    call!(
        "the configuration does not exist",
        nothing,
        "lxc-start",
        ["-f", "/nonexistent"],
        1
    ),
    Case {
        mistake: "the configuration is no text",
        before: |lab, name| {
            let file = lab.directory(name).join("config");
            let mut bytes = fs::read(&file).expect("it is ours");
            bytes.extend_from_slice(b"lxc.uts.name = \xff\xfe\n");
            fs::write(file, bytes).expect("it is ours");
        },
        call: start,
        code: 1,
    },
    call!(
        "start of what is not defined",
        |lab, name| {
            fs::remove_file(lab.directory(name).join("config")).expect("it is ours");
        },
        "lxc-start",
        [],
        1
    ),
    Case {
        mistake: "a name with a slash",
        before: nothing,
        call: |lab, _| lab.tool("lxc-start", &["-n", "a/b"]),
        code: 1,
    },
    Case {
        mistake: "the name of the parent directory",
        before: nothing,
        call: |lab, _| lab.tool("lxc-destroy", &["-n", ".."]),
        code: 1,
    },
    Case {
        mistake: "an empty name",
        before: nothing,
        call: |lab, _| lab.tool("lxc-start", &["-n", ""]),
        code: 1,
    },
    Case {
        mistake: "no name",
        before: nothing,
        call: |lab, _| lab.tool("lxc-start", &[]),
        code: 1,
    },
    call!("start of what runs already", running, "lxc-start", [], 0),
    stranger!("start by somebody else", nothing, "lxc-start", []),
    stranger!("info by somebody else", running, "lxc-info", []),
    stranger!(
        "attach by somebody else",
        running,
        "lxc-attach",
        ["--", "/bin/id"]
    ),
    stranger!("stop by somebody else", running, "lxc-stop", ["-k"]),
    stranger!("destroy by somebody else", nothing, "lxc-destroy", []),
    stranger!(
        "create by somebody else",
        |lab, name| {
            fs::remove_dir_all(lab.directory(name)).expect("it is ours");
        },
        "lxc-create",
        ["-t", "busybox"]
    ),
    Case {
        mistake: "no cgroup is writable",
        before: nothing,
        call: |lab, name| {
            let script = "for m in $(grep -- '- cgroup' /proc/self/mountinfo | cut -d' ' -f5); do \
                          mount -o remount,bind,ro $m || exit 99; done; exec \"$0\" -P \"$1\" \"$2\"";
            Call::new("unshare")
                .args(["-m", "sh", "-c", script])
                .arg(lab.prefix().join("bin/lxc-start"))
                .arg(lab.lxcpath())
                .arg(name)
        },
        code: 1,
    },
    call!(
        "the init does not exist",
        nothing,
        "lxc-start",
        ["--", "/no/init"],
        1
    ),
    call!(
        "the init is not executable",
        nothing,
        "lxc-start",
        ["--", "/etc/passwd"],
        1
    ),
    Case {
        mistake: "the configured init is gone",
        before: |lab, name| {
            fs::remove_file(lab.rootfs(name).join("sbin/init")).expect("it is there")
        },
        call: start,
        code: 1,
    },
    call!(
        "the program does not exist",
        nothing,
        "lxc-execute",
        ["--", "/no/program"],
        255
    ),
    line!("an unknown key", "lxc.colour = green"),
    line!(
        "a key that is not implemented yet",
        "lxc.log.syslog = local0"
    ),
    line!("a number that is none", "lxc.tty.max = many"),
    line!("a signal that is none", "lxc.signal.halt = SIGNOTHING"),
    line!("a capability that is none", "lxc.cap.drop = sys_everything"),
    line!("a network type that is none", "lxc.net.1.type = string"),
    line!(
        "a bridge that is none",
        "lxc.net.1.type = veth\nlxc.net.1.link = t1nobridge"
    ),
    line!(
        "an include that is not there",
        "lxc.include = /nonexistent/file"
    ),
    line!("a mount entry without a target", "lxc.mount.entry = /tmp"),
    line!(
        "a mount source that is not there",
        "lxc.mount.entry = /nonexistent mnt none bind 0 0"
    ),
    line!(
        "a mount target that is not there",
        "lxc.mount.entry = /tmp no/target none bind 0 0"
    ),
    line!(
        "a filesystem that is none",
        "lxc.mount.entry = x mnt nofs defaults 0 0"
    ),
    line!(
        "an fstab that is not there",
        "lxc.mount.fstab = /nonexistent/fstab"
    ),
    line!(
        "a hook that is not there",
        "lxc.hook.pre-start = /nonexistent/hook"
    ),
    line!(
        "a seccomp policy that is not there",
        "lxc.seccomp.profile = /nonexistent/policy"
    ),
    call!(
        "a definition without a value",
        nothing,
        "lxc-start",
        ["-s", "lxc.uts.name"],
        1
    ),
    call!(
        "a pid file nowhere",
        nothing,
        "lxc-start",
        ["-p", "/nonexistent/pid"],
        1
    ),
    call!(
        "a console log nowhere",
        nothing,
        "lxc-start",
        ["-L", "/nonexistent/log"],
        1
    ),
    call!(
        "a console that is none",
        nothing,
        "lxc-start",
        ["-c", "/nonexistent/tty"],
        1
    ),
    call!(
        "a container exists already",
        nothing,
        "lxc-create",
        ["-t", "busybox"],
        1
    ),
    call!(
        "a container exists already, and nothing would fill it",
        nothing,
        "lxc-create",
        ["-t", "none"],
        1
    ),
    Case {
        mistake: "no template is named",
        before: nothing,
        call: |lab, _| lab.tool("lxc-create", &["-n", &lab.name("new")]),
        code: 1,
    },
    Case {
        mistake: "a template that is not there",
        before: nothing,
        call: |lab, _| lab.tool("lxc-create", &["-n", &lab.name("new"), "-t", "nonexistent"]),
        code: 1,
    },
    Case {
        mistake: "a template that fails",
        before: nothing,
        call: |lab, _| lab.tool("lxc-create", &["-n", &lab.name("new"), "-t", "/bin/false"]),
        code: 1,
    },
    Case {
        mistake: "a configuration to begin with that is not there",
        before: nothing,
        call: |lab, _| {
            let name = lab.name("new");
            lab.tool(
                "lxc-create",
                &["-n", &name, "-t", "busybox", "-f", "/nonexistent"],
            )
        },
        code: 1,
    },
    Case {
        mistake: "a template's option that is none",
        before: nothing,
        call: |lab, _| {
            let name = lab.name("new");
            lab.tool(
                "lxc-create",
                &["-n", &name, "-t", "busybox", "--", "--colour"],
            )
        },
        code: 1,
    },
    call!(
        "attach to what does not run",
        nothing,
        "lxc-attach",
        ["--", "/bin/id"],
        1
    ),
    call!("stop of what does not run", nothing, "lxc-stop", [], 2),
    call!(
        "contradicting options",
        nothing,
        "lxc-stop",
        ["-k", "-r"],
        1
    ),
    call!(
        "a timeout that is none",
        nothing,
        "lxc-stop",
        ["-t", "soon"],
        1
    ),
    call!(
        "a state that is none",
        nothing,
        "lxc-wait",
        ["-s", "ASLEEP"],
        1
    ),
    call!("no state to wait for", nothing, "lxc-wait", [], 1),
    call!("freeze of what does not run", nothing, "lxc-freeze", [], 1),
    stranger!("freeze by somebody else", running, "lxc-freeze", []),
    Case {
        mistake: "unfreeze of what is not defined",
        before: nothing,
        call: |lab, _| lab.tool("lxc-unfreeze", &["-n", &lab.name("new")]),
        code: 1,
    },
    call!("no file of the cgroup", running, "lxc-cgroup", [], 1),
    call!(
        "a file that no cgroup has",
        running,
        "lxc-cgroup",
        ["pids.nonsense"],
        1
    ),
    call!(
        "a file outside the cgroup",
        running,
        "lxc-cgroup",
        ["../pids.max"],
        1
    ),
    call!(
        "a value for a file that no cgroup has",
        running,
        "lxc-cgroup",
        ["nonsense.max", "5"],
        1
    ),
    call!(
        "a value that the kernel does not take",
        running,
        "lxc-cgroup",
        ["pids.max", "nonsense"],
        1
    ),
    call!(
        "no value for a file of the cgroup",
        running,
        "lxc-cgroup",
        ["pids.max", ""],
        1
    ),
    call!(
        "a file of the cgroup of what does not run",
        nothing,
        "lxc-cgroup",
        ["pids.max"],
        1
    ),
    call!(
        "a value for the cgroup of what does not run",
        nothing,
        "lxc-cgroup",
        ["pids.max", "5"],
        1
    ),
    call!("destroy of what runs", running, "lxc-destroy", [], 1),
    Case {
        mistake: "destroy of what is not defined",
        before: nothing,
        call: |lab, _| lab.tool("lxc-destroy", &["-n", &lab.name("new")]),
        code: 1,
    },
    call!(
        "destroy with a file for a rootfs",
        |lab, name| {
            let file = lab.directory(name).join("rootfs.img");
            fs::write(&file, "").expect("it is ours");
            lab.configure(name, &format!("lxc.rootfs.path = {}", file.display()));
        },
        "lxc-destroy",
        [],
        1
    ),
    Case {
        mistake: "info of what is not defined",
        before: nothing,
        call: |lab, _| lab.tool("lxc-info", &["-n", &lab.name("new")]),
        code: 1,
    },
];

#[test]
fn every_mistake_gets_a_sentence_and_leaves_nothing() {
    let Some(lab) = Lab::new(OWNER, "every_mistake_gets_a_sentence_and_leaves_nothing") else {
        return;
    };
    // Somebody else may not be able to reach the installation under test.
    Call::new("cp")
        .arg("-a")
        .arg(lab.prefix())
        .arg(lab.files().join("prefix"))
        .run()
        .exits(0);
    let mut golden = String::new();
    for (number, case) in CASES.iter().enumerate() {
        let name = lab.busybox(&format!("c{number}"), "");
        (case.before)(&lab, &name);
        let before = lab.census();
        let ran = (case.call)(&lab, &name).run();
        assert!(
            ran.code() == case.code,
            "{}: not {}\n{ran}",
            case.mistake,
            case.code
        );
        assert!(ran.stdout.is_empty(), "{}: {ran}", case.mistake);
        let sentence = ran.stderr.starts_with("lxc-") && ran.stderr.contains(": ");
        assert!(sentence, "{}: no sentence first\n{ran}", case.mistake);
        lab.is_as(&before);
        lab.tool("lxc-stop", &["-n", &name, "-k"]).run();
        let text = ran.stderr.replace(&name, "NAME");
        let _ = writeln!(golden, "# {} ({})\n{text}", case.mistake, case.code);
    }
    let mut settings = insta::Settings::clone_current();
    let prefix = lab.prefix().to_string_lossy();
    for (pattern, replacement) in [
        (&*format!("{}[a-z0-9]*", lab.tag()), "NAME"),
        (&*prefix, "PREFIX"),
        (r"/\S+/NAME/lxc", "LXCPATH"),
        (r"/sys/fs/cgroup[^ ,)]*", "CGROUP"),
        (r"Step \d+ of \d+", "Step N of M"),
        (r"fd \d+ <", "fd N <"),
        (r"(/bin/)?sh: .*: not found", "sh: …: not found"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(|| insta::assert_snapshot!("sentences", golden));
}
