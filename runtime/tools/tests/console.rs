//! The console: in the foreground on a terminal, without one, in a log file, or none.

mod support;

use std::fs;

use support::{Lab, eventually};

const OWNER: &str = "t1";

#[test]
fn a_terminal_in_the_foreground_is_the_console() {
    let test = "a_terminal_in_the_foreground_is_the_console";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    let script = "echo hello; read line; echo \"read <$line>\"; exit 5";
    let words = ["-n", &name, "-F", "--", "/bin/sh", "-c", script];
    let mut process = lab.tool("lxc-start", &words).start_on_terminal();
    process.shows("hello");
    assert_eq!(lab.state(&name), "RUNNING");
    // The foreground monitor is the tool's process itself: what systemd's Type=simple supervises.
    assert_eq!(lab.monitor_pid(&name), Some(process.pid()));
    process.types("good morning\n");
    process.shows("read <good morning>");
    // The init's own status is not passed on.
    process.finish().exits(0);
    lab.is_as(&before);
}

#[test]
fn control_c_reaches_the_program_and_not_the_monitor() {
    let test = "control_c_reaches_the_program_and_not_the_monitor";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    // As in LXC, an init leads a session without a terminal: the console is its to take, by opening it.
    let script = "exec </dev/console; trap 'echo interrupted; exit' INT; echo ready; \
                  while :; do sleep 0.05; done";
    let words = ["-n", &name, "-F", "--", "/bin/sh", "-c", script];
    let mut process = lab.tool("lxc-start", &words).start_on_terminal();
    process.shows("ready");
    process.types("\u{3}");
    process.shows("interrupted");
    process.finish().exits(0);
}

#[test]
fn a_foreground_without_a_terminal_ends_with_its_init() {
    let test = "a_foreground_without_a_terminal_ends_with_its_init";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let words = ["-n", &name, "-F", "--", "/bin/sh", "-c", "exit 5"];
    lab.tool("lxc-start", &words).run().exits(0);
    // Without a console its streams are the caller's.
    let script = "[ ! -e /dev/console ] && echo hello";
    let words = [
        "-n", &name, "-F", "-c", "none", "--", "/bin/sh", "-c", script,
    ];
    lab.tool("lxc-start", &words)
        .run()
        .exits(0)
        .prints("hello\n");
}

#[test]
fn the_console_log_gets_what_the_console_shows() {
    let test = "the_console_log_gets_what_the_console_shows";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let log = lab.files().join("console.log");
    let path = log.to_string_lossy();
    let script = "echo 'words for the log' > /dev/console; sleep 1000";
    let words = ["-n", &name, "-L", &path, "--", "/bin/sh", "-c", script];
    lab.tool("lxc-start", &words).run().exits(0);
    let logged = || fs::read_to_string(&log).is_ok_and(|text| text.contains("words for the log"));
    eventually("the console log has what was written", logged);
}

#[test]
fn an_attached_shell_on_a_terminal_has_one_of_the_containers() {
    let test = "an_attached_shell_on_a_terminal_has_one_of_the_containers";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    lab.start(&name);
    let mut process = lab.tool("lxc-attach", &["-n", &name]).start_on_terminal();
    process.types("tty; echo $((6*7)) of $(hostname)\n");
    process.shows(&format!("42 of {name}"));
    process.shows("/dev/pts/");
    process.types("exit 9\n");
    process.finish().exits(9);
}
