//! A container's life as its user sees it: created, started, looked at, stopped, removed.

mod support;

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use support::{Call, Lab, eventually};

const OWNER: &str = "t1";

#[test]
fn from_create_to_destroy() {
    let Some(lab) = Lab::new(OWNER, "from_create_to_destroy") else {
        return;
    };
    let nothing = lab.census();
    let name = lab.busybox("c1", "");
    let created = lab.census();
    assert_eq!(lab.state(&name), "STOPPED");
    lab.start(&name);
    assert_eq!(lab.state(&name), "RUNNING");
    assert!(lab.monitor_pid(&name).is_some(), "{}", lab.census());
    lab.tool("lxc-ls", &["--running", "-1"])
        .run()
        .exits(0)
        .prints(&format!("{name}\n"));
    lab.tool("lxc-destroy", &["-n", &name]).run().exits(1);
    lab.tool("lxc-stop", &["-n", &name]).run().exits(0);
    assert_eq!(lab.state(&name), "STOPPED");
    lab.is_as(&created);
    lab.tool("lxc-ls", &["--running", "-1"])
        .run()
        .exits(0)
        .prints("");
    lab.tool("lxc-stop", &["-n", &name])
        .run()
        .exits(2)
        .complains("is not running");
    lab.tool("lxc-destroy", &["-n", &name]).run().exits(0);
    lab.is_as(&nothing);
}

/// `x=$(lxc-start c1)`: nobody in the container holds the caller's pipe open. [`Call::run`] waits for
/// the end of both streams; here a shell says so too.
#[test]
fn a_shell_gets_its_prompt_back() {
    let Some(lab) = Lab::new(OWNER, "a_shell_gets_its_prompt_back") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let start = lab.prefix().join("bin/lxc-start");
    let script = format!(
        "x=$({} -P {} {name} 2>&1); echo \"status $? and <$x>\"",
        start.display(),
        lab.lxcpath().display()
    );
    Call::new("sh")
        .args(["-c", &script])
        .run()
        .exits(0)
        .prints("status 0 and <>\n");
    assert_eq!(lab.state(&name), "RUNNING");
}

#[test]
fn attach_ends_like_its_program() {
    let Some(lab) = Lab::new(OWNER, "attach_ends_like_its_program") else {
        return;
    };
    let name = lab.busybox("c1", "");
    lab.start(&name);
    let rows: &[(&[&str], i32, &str)] = &[
        (&["/bin/true"], 0, ""),
        (&["/bin/sh", "-c", "exit 3"], 3, ""),
        (&["/bin/sh", "-c", "kill -TERM $$"], 128 + 15, ""),
        (&["/bin/sh", "-c", "kill -KILL $$"], 128 + 9, ""),
        (&["no-such-program"], 127, "cannot execute no-such-program"),
        (&["/etc/passwd"], 126, "cannot execute /etc/passwd"),
        (&["/tmp"], 126, "cannot execute /tmp"),
    ];
    for (words, code, complaint) in rows {
        lab.inside(&name, words).exits(*code).complains(complaint);
    }
    lab.tool("lxc-attach", &["-n", &name, "--", "/bin/cat"])
        .input("from outside\n")
        .run()
        .exits(0)
        .prints("from outside\n");
    lab.kill(&name);
    lab.inside(&name, &["/bin/true"])
        .exits(1)
        .complains("is not running");
}

#[test]
fn waiting_has_a_limit() {
    let Some(lab) = Lab::new(OWNER, "waiting_has_a_limit") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let wait = |states: &str, seconds: &str, code: i32| {
        let words = ["-n", &name, "-s", states, "-t", seconds];
        lab.tool("lxc-wait", &words).run().exits(code).took
    };
    wait("STOPPED", "0", 0);
    wait("RUNNING", "0", 1);
    let took = wait("RUNNING|FROZEN", "1", 1);
    assert!(took >= Duration::from_secs(1), "{took:?}");

    // Somebody who waits hears of the start, and of the stop.
    let waiting = lab
        .tool("lxc-wait", &["-n", &name, "-s", "RUNNING", "-t", "10"])
        .start();
    lab.start(&name);
    waiting.finish().exits(0);
    wait("RUNNING", "0", 0);
    wait("STOPPED", "0", 1);
    let waiting = lab
        .tool("lxc-wait", &["-n", &name, "-s", "STOPPED"])
        .start();
    lab.kill(&name);
    waiting.finish().exits(0);
    lab.tool("lxc-wait", &["-n", &name, "-s", "ASLEEP"])
        .run()
        .exits(1)
        .complains("ASLEEP");
}

#[test]
fn reboot_keeps_the_monitor_and_changes_the_init() {
    let test = "reboot_keeps_the_monitor_and_changes_the_init";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    lab.start(&name);
    let monitor = lab.monitor_pid(&name);
    let first = lab.init_pid(&name);

    lab.tool("lxc-stop", &["-n", &name, "-r", "-t", "10"])
        .run()
        .exits(0);
    assert_eq!(lab.state(&name), "RUNNING");
    let second = lab.init_pid(&name);
    assert_ne!(first, second);
    assert_eq!(lab.monitor_pid(&name), monitor);

    // The guest may ask as well; attach ends with it, by whichever signal comes first.
    lab.inside(&name, &["/bin/reboot", "-f"]);
    let again = || {
        let ran = lab.tool("lxc-info", &["-n", &name, "-pH"]).run();
        let pid = ran.stdout.trim_end().parse::<i32>().ok();
        pid.is_some_and(|pid| pid != second.as_raw_nonzero().get())
    };
    eventually("the guest's reboot gives it another init", again);
    eventually("it runs again", || lab.state(&name) == "RUNNING");
    assert_eq!(lab.monitor_pid(&name), monitor);
    lab.inside(&name, &["/bin/true"]).exits(0);
}

#[test]
fn halt_from_inside_stops_it() {
    let Some(lab) = Lab::new(OWNER, "halt_from_inside_stops_it") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let created = lab.census();
    lab.start(&name);
    lab.inside(&name, &["/bin/halt", "-f"]);
    lab.tool("lxc-wait", &["-n", &name, "-s", "STOPPED", "-t", "5"])
        .run()
        .exits(0);
    lab.is_as(&created);
    lab.tool("lxc-stop", &["-n", &name]).run().exits(2);
}

#[test]
fn a_shutdown_that_is_not_heeded() {
    let Some(lab) = Lab::new(OWNER, "a_shutdown_that_is_not_heeded") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let init = [
        "-n",
        &name,
        "--",
        "/bin/sh",
        "-c",
        "while :; do sleep 60; done",
    ];
    lab.tool("lxc-start", &init).run().exits(0);
    lab.tool("lxc-stop", &["-n", &name, "--nokill", "-t", "1"])
        .run()
        .exits(1);
    assert_eq!(lab.state(&name), "RUNNING");
    lab.tool("lxc-stop", &["-n", &name, "-W"]).run().exits(0);
    assert_eq!(lab.state(&name), "RUNNING");
    lab.tool("lxc-stop", &["-n", &name, "-t", "1"])
        .run()
        .exits(0);
    assert_eq!(lab.state(&name), "STOPPED");
}

#[test]
fn the_pidfile_lives_as_long_as_the_monitor() {
    let test = "the_pidfile_lives_as_long_as_the_monitor";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let file = lab.files().join("monitor.pid");
    let path = file.to_string_lossy();
    lab.tool("lxc-start", &["-n", &name, "-p", &path])
        .run()
        .exits(0);
    let monitor = lab.monitor_pid(&name).map(|pid| pid.to_string());
    assert_eq!(fs::read_to_string(&file).ok(), monitor);
    lab.kill(&name);
    eventually("the pid file goes with the monitor", || !file.exists());
}

#[test]
fn definitions_apply_to_one_start() {
    let Some(lab) = Lab::new(OWNER, "definitions_apply_to_one_start") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let define = [
        "-n",
        &name,
        "-s",
        "lxc.uts.name=elsewhere",
        "-s",
        "lxc.environment=COLOUR=green",
    ];
    lab.tool("lxc-start", &define).run().exits(0);
    lab.inside(&name, &["/bin/hostname"])
        .exits(0)
        .prints("elsewhere\n");
    let environment = lab.inside(&name, &["/bin/cat", "/proc/1/environ"]).exits(0);
    let words: Vec<&str> = environment.stdout.split_terminator('\0').collect();
    assert!(words.contains(&"COLOUR=green"), "{words:?}");
    lab.kill(&name);
    lab.start(&name);
    lab.inside(&name, &["/bin/hostname"])
        .exits(0)
        .prints(&format!("{name}\n"));
}

#[test]
fn a_prestart_hook_may_make_the_rootfs() {
    let Some(lab) = Lab::new(OWNER, "a_prestart_hook_may_make_the_rootfs") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let (rootfs, store) = (lab.rootfs(&name), lab.files().join("store"));
    fs::rename(&rootfs, &store).expect("the rootfs is ours to move");
    let script = format!(
        "#!/bin/sh\necho \"$LXC_NAME $*\" > {}/told\ncp -a {} {}\n",
        lab.files().display(),
        store.display(),
        rootfs.display()
    );
    let hook = lab.file("make-rootfs", 0o755, &script);
    lab.configure(&name, &format!("lxc.hook.pre-start = {}", hook.display()));
    lab.start(&name);
    lab.inside(&name, &["/bin/true"]).exits(0);
    let told = fs::read_to_string(lab.files().join("told")).unwrap_or_default();
    assert_eq!(told, format!("{name} {name} lxc pre-start\n"));
}

#[test]
fn a_failing_hook_is_named_with_its_last_word() {
    let test = "a_failing_hook_is_named_with_its_last_word";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let script = "#!/bin/sh\necho first\necho 'the bridge is out' >&2\nexit 4\n";
    for kind in [
        "pre-start",
        "pre-mount",
        "mount",
        "autodev",
        "start-host",
        "start",
    ] {
        let name = lab.busybox(kind, "");
        // The start hook is run inside.
        let (place, hook) = match kind {
            "start" => (lab.rootfs(&name).join("hook"), "/hook".to_owned()),
            _ => (
                lab.files().join("hook"),
                format!("{}/hook", lab.files().display()),
            ),
        };
        fs::write(&place, script).expect("the hook can be written");
        Call::new("chmod").arg("755").arg(&place).run().exits(0);
        lab.configure(&name, &format!("lxc.hook.{kind} = {hook}"));
        let before = lab.census();
        lab.tool("lxc-start", &["-n", &name])
            .run()
            .exits(1)
            .complains(&format!("the {kind} hook '{hook}' exited with 4"))
            .complains("the bridge is out");
        lab.is_as(&before);
    }
}

#[test]
fn execute_ends_like_its_program() {
    let Some(lab) = Lab::new(OWNER, "execute_ends_like_its_program") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    let rows: &[(&[&str], i32, &str)] = &[
        (&["/bin/sh", "-c", "echo out; exit 0"], 0, "out\n"),
        (&["/bin/sh", "-c", "exit 7"], 7, ""),
        (&["/bin/sh", "-c", "kill -KILL $$"], 128 + 9, ""),
        (&["no-such-program"], 255, ""),
        // Pid 1 is the small init; it reaps whatever the program leaves behind.
        (&["/bin/sh", "-c", "sleep 0.1 & echo $$"], 0, "2\n"),
    ];
    for (words, code, output) in rows {
        let call = lab.tool("lxc-execute", &["-n", &name, "--"]);
        call.args(*words).run().exits(*code).prints(output);
        lab.is_as(&before);
    }
    let daemon = ["-n", &name, "-d", "--", "/bin/sleep", "1000"];
    lab.tool("lxc-execute", &daemon).run().exits(0).prints("");
    assert_eq!(lab.state(&name), "RUNNING");
    lab.tool("lxc-stop", &["-n", &name, "-t", "5"])
        .run()
        .exits(0);
    lab.is_as(&before);
}

/// It was born as a copy of the monitor, whose memory and environment are the caller's.
#[test]
fn the_small_init_holds_nothing_of_the_callers() {
    let test = "the_small_init_holds_nothing_of_the_callers";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let script = "tr '\\0' '\\n' < /proc/1/environ; tr '\\0' '\\n' < /proc/1/cmdline | head -n 1";
    let words = ["-n", &name, "--", "/bin/sh", "-c", script];
    let call = lab.tool("lxc-execute", &words).env("SECRET", "hers");
    call.run().exits(0).prints("container=lxc\nlxc-init\n");
}

#[test]
fn signals_to_a_foreground_monitor_reach_the_program() {
    let test = "signals_to_a_foreground_monitor_reach_the_program";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let script = "trap 'exit 42' USR1; echo ready; while :; do sleep 0.05; done";
    let call = lab.tool("lxc-execute", &["-n", &name, "--", "/bin/sh", "-c", script]);
    let process = call.start();
    process.shows("ready");
    process.signal(Signal::USR1);
    process.finish().exits(42);
}
