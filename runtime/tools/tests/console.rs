//! The console: in the foreground on a terminal, without one, in a log file, or none.

mod support;

use std::fs;

use support::{Lab, Peer, Side, eventually};

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

/// Writes `lines` numbered lines on the console, and then waits.
fn says(lines: u32) -> String {
    format!(
        "i=1; while [ $i -le {lines} ]; do printf '%05d\\n' $i; i=$((i+1)); done > /dev/console; \
         echo done > /said; sleep 1000"
    )
}

/// Starts `name` with a shell as init, by `side`, and waits until it has said everything.
fn start_saying(lab: &Lab, side: Side, name: &str, lines: u32) {
    let said = lab.rootfs(name).join("said");
    // Not there at the first start.
    let _ = fs::remove_file(&said);
    let words = ["-n", name, "--", "/bin/sh", "-c", &says(lines)];
    side.tool(lab, "lxc-start", &words).run().exits(0);
    eventually("everything is said", || said.is_file());
}

/// All that [`says`] makes of so many lines.
fn said(lines: u32) -> String {
    (1..=lines).map(|line| format!("{line:05}\r\n")).collect()
}

/// The log, the one set aside before it, and the log when the container is stopped.
fn logged(lab: &Lab, side: Side, short: &str, keys: &str) -> (String, Option<String>, String) {
    let log = lab.files().join(format!("{short}-{side:?}"));
    let aside = lab.files().join(format!("{short}-{side:?}.1"));
    let more = format!("{keys}\nlxc.console.logfile = {}", log.display());
    let name = lab.busybox(&format!("{short}-{side:?}"), &more);
    start_saying(lab, side, &name, 900);
    let text = || fs::read_to_string(&log).unwrap_or_default();
    eventually("the last line is logged", || text().ends_with("00900\r\n"));
    let running = text();
    lab.kill(&name);
    (running, fs::read_to_string(&aside).ok(), text())
}

#[test]
fn the_console_log_keeps_its_limit() {
    let test = "the_console_log_keeps_its_limit";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let all = said(900);
    let (first, last) = all.split_at(4096);
    let cut = "lxc.console.size = 4096";
    for (short, keys, aside, stopped) in [
        ("cut", cut.to_owned(), None, last),
        (
            "aside",
            format!("{cut}\nlxc.console.rotate = 1"),
            Some(first),
            last,
        ),
        // At the end the log has what nobody has read.
        (
            "memory",
            format!("{cut}\nlxc.console.buffer.size = 8kB"),
            None,
            first,
        ),
    ] {
        let ours = logged(&lab, Side::Ours, short, &keys);
        let expected = (last, aside, stopped);
        assert_eq!((&*ours.0, ours.1.as_deref(), &*ours.2), expected, "{short}");
    }
    // Without a limit it has all already.
    let keys = "lxc.console.buffer.size = 4kB";
    let ours = logged(&lab, Side::Ours, "all", keys);
    assert_eq!((&ours.0, ours.1, &ours.2), (&all, None, &all));
}

/// LXC in C loses some of what does not fit, by how it arrives: its logs are compared in what they may
/// be, not byte by byte. What it leaves at the end is the buffer's, which loses nothing.
#[test]
fn debians_console_log_keeps_the_same_limit() {
    let test = "debians_console_log_keeps_the_same_limit";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, test) else {
        return;
    };
    let keys = "lxc.console.size = 4096\nlxc.console.rotate = 1";
    let (running, aside, stopped) = logged(&lab, Side::Peer, "aside", keys);
    assert!(running.len() <= 4096, "{running}");
    assert!(aside.is_some_and(|text| text.len() <= 4096));
    assert_eq!(running, stopped);
    let keys = "lxc.console.size = 4096\nlxc.console.buffer.size = 8kB";
    let (_, _, stopped) = logged(&lab, Side::Peer, "memory", keys);
    assert_eq!(stopped, said(900)[..4096]);
}

/// lxc-console of either side, on a container started by either.
#[test]
fn a_terminal_and_the_console_are_shown_by_either_side() {
    let test = "a_terminal_and_the_console_are_shown_by_either_side";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, test) else {
        return;
    };
    let name = lab.busybox("c1", "lxc.tty.max = 2\nlxc.pty.max = 16");
    // Each has somebody who answers: the console, and two terminals.
    let answers = "answer() { while read line; do echo \"$1 heard $line\"; done <>/dev/$1 >&0 2>&0; }; \
                   answer tty1 & answer tty2 & answer console & sleep 1000";
    for starter in Side::BOTH {
        let words = ["-n", &name, "--", "/bin/sh", "-c", answers];
        starter.tool(&lab, "lxc-start", &words).run().exits(0);
        for side in Side::BOTH {
            for (number, who) in [("0", "console"), ("2", "tty2"), ("-1", "tty1")] {
                let words: &[&str] = match number {
                    "-1" => &["-n", &name, "-e", "b"],
                    _ => &["-n", &name, "-e", "b", "-t", number],
                };
                let mut console = side.tool(&lab, "lxc-console", words).start_on_terminal();
                let shown = who.strip_prefix("tty").unwrap_or("0");
                console.shows(&format!("Connected to tty {shown}"));
                console.shows("Type <Ctrl+b q> to exit the console");
                console.types("good morning\r");
                console.shows(&format!("{who} heard good morning"));
                // Once is for the terminal, twice for the guest.
                console.types("\u{2}\u{2}x\r");
                console.shows(&format!("{who} heard \u{2}x"));
                let mut second = side.tool(&lab, "lxc-console", words).start_on_terminal();
                if number == "-1" {
                    // The next one that is free.
                    second.shows("Connected to tty 2");
                    second.types("\u{2}q");
                    second.finish().exits(0);
                } else {
                    second.finish().exits(1);
                }
                console.types("\u{2}q");
                console.finish().exits(0);
            }
        }
        lab.kill(&name);
    }
}

#[test]
fn a_console_that_is_not_there_is_said_so() {
    let test = "a_console_that_is_not_there_is_said_so";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox(
        "c1",
        "lxc.init.cmd = /bin/sleep 1000\nlxc.console.path = none",
    );
    let refused = |words: &[&str]| lab.tool("lxc-console", words).run().exits(1).stderr;
    let stopped = refused(&["-n", &name]);
    assert!(stopped.contains("is not running"), "{stopped}");
    lab.start(&name);
    for number in ["0", "99"] {
        let none = refused(&["-n", &name, "-t", number]);
        assert!(none.contains("has no"), "{none}");
    }
    for words in [["-t", "-2"], ["-t", "one"], ["-e", "5"]] {
        let words = [words[0], words[1], &name];
        let told = refused(&words);
        assert!(told.contains(&format!("'{}' is no", words[1])), "{told}");
    }
}

#[test]
fn the_window_is_as_large_inside_and_follows() {
    let test = "the_window_is_as_large_inside_and_follows";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "lxc.tty.max = 1\nlxc.pty.max = 16");
    let script = "size() { exec <>/dev/$1 >&0 2>&0; \
                  while :; do echo \"$1 is $(stty size)\"; sleep 0.1; done; }; \
                  size tty1 & size console & sleep 1000";
    let words = ["-n", &name, "--", "/bin/sh", "-c", script];
    lab.tool("lxc-start", &words).run().exits(0);
    for (number, who) in [("0", "console"), ("1", "tty1")] {
        let words = ["-n", &name, "-t", number];
        let mut console = lab.tool("lxc-console", &words).start_on_terminal();
        console.shows("Connected");
        for (rows, columns) in [(31, 101), (42, 77)] {
            console.resizes(rows, columns);
            console.shows(&format!("{who} is {rows} {columns}"));
        }
        console.types("\u{1}q");
        console.finish().exits(0);
    }
}

/// A guest that writes without end, and a client that takes nothing: neither keeps the monitor from
/// answering, nor makes it grow.
#[test]
fn a_flood_costs_no_more_memory_than_is_configured() {
    let test = "a_flood_costs_no_more_memory_than_is_configured";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "lxc.pty.max = 16\nlxc.console.buffer.size = 64kB");
    let words = [
        "-n",
        &name,
        "--",
        "/bin/sh",
        "-c",
        "exec yes 0123456789 > /dev/console",
    ];
    lab.tool("lxc-start", &words).run().exits(0);
    let monitor = lab.monitor_pid(&name).expect("it runs").as_raw_nonzero();
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{monitor}/status")).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            number
                .expect("a number of kB")
                .parse::<u64>()
                .expect("a number")
        };
        (field("RssAnon:"), field("RssShmem:"))
    };
    let taken = || {
        let io = fs::read_to_string(format!("/proc/{monitor}/io")).expect("it runs");
        let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
        line.expect("bytes it has read")
            .parse::<u64>()
            .expect("a number")
    };
    let megabyte = |from: u64| move || taken() > from + (1 << 20);
    eventually("a megabyte has gone through", megabyte(taken()));
    let before = memory();
    // Stopped, it takes nothing of what it is shown.
    let viewer = lab
        .tool("lxc-console", &["-n", &name, "-t", "0"])
        .start_on_terminal();
    viewer.shows("0123456789");
    viewer.signal(rustix::process::Signal::STOP);
    eventually(
        "the guest goes on when the viewer has had its time",
        megabyte(taken()),
    );
    let after = memory();
    assert_eq!(lab.state(&name), "RUNNING");
    viewer.signal(rustix::process::Signal::CONT);
    viewer.signal(rustix::process::Signal::TERM);
    viewer.finish().exits(0);
    // The buffer has two images of each page; a page is counted once for each.
    assert!(after.1 <= 2 * 64, "{before:?} {after:?}");
    assert!(after.0 <= before.0 + 256, "{before:?} {after:?}");
}
