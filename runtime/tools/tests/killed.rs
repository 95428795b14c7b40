//! SIGKILL at any moment: to the monitor, to the tool, to the guest. Whoever dies, the guest does not
//! outlive its monitor, no tool hangs, and the next start, stop or destroy removes what remained.

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::{Lab, Ran, eventually, processes_of};

const OWNER: &str = "t1";

/// A tool that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(5);

fn kill(pid: Pid) {
    // One that has ended meanwhile is as dead as can be.
    let _ = kill_process(pid, Signal::KILL);
}

fn tool(lab: &Lab, tool: &str, words: &[&str]) -> Ran {
    lab.tool(tool, words).within(PATIENCE).run()
}

/// Processes of the container that are not tools of ours.
fn members(lab: &Lab, name: &str) -> Vec<Pid> {
    let tools = format!("{}/bin/", lab.prefix().display());
    let found = processes_of(name).into_iter();
    found
        .filter(|(_, command)| !command.starts_with(&tools))
        .filter_map(|(pid, _)| Pid::from_raw(pid))
        .collect()
}

#[track_caller]
fn guest_dies(lab: &Lab, name: &str) {
    eventually("nothing of the container is alive", || {
        members(lab, name).is_empty()
    });
}

/// The next start works, in cgroups with the plain names, and a stop leaves nothing.
#[track_caller]
fn lives_again(lab: &Lab, name: &str, before: &support::Census) {
    tool(lab, "lxc-start", &["-n", name]).exits(0);
    assert_eq!(lab.state(name), "RUNNING");
    let init = lab.init_pid(name);
    let cgroups = fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap_or_default();
    let payload = format!("lxc.payload.{name}");
    let plain = |line: &str| {
        let last = Path::new(line.rsplit(':').next().unwrap_or_default()).file_name();
        let last = last.unwrap_or_default().to_string_lossy();
        !last.starts_with("lxc.payload") || last == payload
    };
    assert!(cgroups.contains(&payload), "{cgroups}");
    assert!(cgroups.lines().all(plain), "{cgroups}");
    tool(lab, "lxc-stop", &["-n", name, "-k"]).exits(0);
    lab.is_as(before);
}

/// As [`lives_again`], for a start that may have come too far to be interrupted.
#[track_caller]
fn lives_on_or_again(lab: &Lab, name: &str, before: &support::Census) {
    if lab.state(name) == "RUNNING" {
        tool(lab, "lxc-stop", &["-n", name, "-k"]).exits(0);
    }
    lives_again(lab, name, before);
}

/// Delays from nothing to 12 ms, which is longer than a start takes.
fn delays() -> impl Iterator<Item = Duration> {
    (0..=60).map(|step| Duration::from_micros(200 * step))
}

/// Spins, because a sleep is coarser than the steps of a start.
fn after(begun: Instant, delay: Duration) {
    while begun.elapsed() < delay {
        std::hint::spin_loop();
    }
}

/// Processes of a start that `tool` began, oldest first: the daemon's two stages, then the guest, which
/// has their title until its exec. They are looked for where the kernel puts them, right behind the
/// tool: reading all of /proc takes longer than a start.
fn title_holders(lab: &Lab, name: &str, tool: Pid) -> Vec<Pid> {
    let title = format!("[lxc monitor] {} {name}\0", lab.lxcpath().display());
    let first = tool.as_raw_nonzero().get();
    let holds =
        |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == title.as_bytes());
    (first + 1..first + 64)
        .filter(holds)
        .filter_map(Pid::from_raw)
        .collect()
}

#[test]
fn monitor_and_guest_killed_during_a_start() {
    let Some(lab) = Lab::new(OWNER, "monitor_and_guest_killed_during_a_start") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    let mut failed = 0;
    for (round, delay) in delays().chain(delays()).enumerate() {
        let start = lab
            .tool("lxc-start", &["-n", &name])
            .within(PATIENCE)
            .start();
        let begun = Instant::now();
        after(begun, delay);
        // The oldest, the youngest, or the one between, from the moment there is one.
        let mut holders = Vec::new();
        while holders.is_empty() && begun.elapsed() < Duration::from_millis(50) {
            holders = title_holders(&lab, &name, start.pid());
        }
        if let Some(victim) = holders.get(round % 3).or(holders.last()) {
            kill(*victim);
        }
        let ran = start.finish();
        if ran.code() != 0 {
            failed += 1;
            assert!(ran.stderr.starts_with("lxc-start: "), "{ran}");
        }
        // It runs as a whole, or nothing of it is alive.
        eventually("the start is over", || match lab.monitor_pid(&name) {
            Some(_) => lab.state(&name) == "RUNNING",
            None => members(&lab, &name).is_empty(),
        });
        match round % 2 {
            0 => lives_on_or_again(&lab, &name, &before),
            _ => {
                tool(&lab, "lxc-stop", &["-n", &name, "-k"]);
                lab.is_as(&before);
            }
        }
    }
    assert!(failed > 10, "only {failed} starts were interrupted");
}

#[test]
fn tool_killed_during_a_start() {
    let Some(lab) = Lab::new(OWNER, "tool_killed_during_a_start") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    for delay in delays().step_by(3) {
        let start = lab
            .tool("lxc-start", &["-n", &name])
            .within(PATIENCE)
            .start();
        after(Instant::now(), delay);
        start.signal(Signal::KILL);
        start.finish();
        // The monitor goes on without its caller, or never came to be.
        eventually("the start is over", || {
            processes_of(&name).is_empty() || lab.state(&name) == "RUNNING"
        });
        tool(&lab, "lxc-stop", &["-n", &name, "-k"]);
        lab.is_as(&before);
    }
    lives_again(&lab, &name, &before);
}

#[test]
fn monitor_killed_while_it_runs() {
    let Some(lab) = Lab::new(OWNER, "monitor_killed_while_it_runs") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    let strike = || {
        lab.start(&name);
        kill(lab.monitor_pid(&name).expect("it runs"));
        guest_dies(&lab, &name);
        assert_eq!(lab.state(&name), "STOPPED");
    };
    strike();
    lives_again(&lab, &name, &before);
    strike();
    tool(&lab, "lxc-stop", &["-n", &name, "-k"]).exits(2);
    lab.is_as(&before);
    strike();
    tool(&lab, "lxc-stop", &["-n", &name]).exits(2);
    lab.is_as(&before);
    strike();
    let words = ["-n", &name, "-s", "STOPPED", "-t", "1"];
    tool(&lab, "lxc-wait", &words).exits(0);
    tool(&lab, "lxc-attach", &["-n", &name, "--", "/bin/true"]).exits(1);
    tool(&lab, "lxc-info", &["-n", &name]).exits(0);
    tool(&lab, "lxc-destroy", &["-n", &name]).exits(0);
    assert!(lab.census().is_empty(), "{}", lab.census());
}

/// Whether a tool has a socket or a pidfd open.
fn holds_connection(tool: Pid) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{tool}/fd")) else {
        return false;
    };
    let targets = entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .map(|target| target.to_string_lossy().into_owned())
        .any(|target| target.starts_with("socket:") || target.contains("pidfd"))
}

/// Tools that wait for the monitor when it dies.
#[test]
fn waiters_hear_of_a_killed_monitor() {
    let Some(lab) = Lab::new(OWNER, "waiters_hear_of_a_killed_monitor") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let rows: &[(&str, &[&str])] = &[
        ("lxc-wait", &["-s", "STOPPED"]),
        ("lxc-attach", &["--", "/bin/sleep", "1000"]),
        ("lxc-stop", &["-t", "60"]),
        ("lxc-stop", &["-r", "-t", "60"]),
    ];
    // An init that heeds no signal, so that what waits is still waiting.
    let init = [
        "-n",
        &name,
        "--",
        "/bin/sh",
        "-c",
        "while :; do sleep 60; done",
    ];
    for (waiter, words) in rows {
        tool(&lab, "lxc-start", &init).exits(0);
        let monitor = lab.monitor_pid(&name).expect("it runs");
        let waiting = lab.tool(waiter, &["-n", &name]).args(*words);
        let waiting = waiting.within(PATIENCE).start();
        eventually("it has something of the monitor to wait for", || {
            holds_connection(waiting.pid())
        });
        kill(monitor);
        waiting.finish();
        guest_dies(&lab, &name);
    }
}

/// Moments chosen by hooks of the host's side: the monitor runs them, and the guest waits meanwhile.
#[test]
fn killed_by_a_hook() {
    let Some(lab) = Lab::new(OWNER, "killed_by_a_hook") else {
        return;
    };
    let rows = [
        ("pre-start", "PPID", "the monitor died"),
        ("start-host", "PPID", "the monitor died"),
        ("start-host", "LXC_PID", "guest"),
    ];
    for (number, (kind, victim, complaint)) in rows.into_iter().enumerate() {
        let name = lab.busybox(&format!("c{number}"), "");
        let before = lab.census();
        let script = format!("#!/bin/sh\nkill -KILL \"${victim}\"\nsleep 0.1\n");
        let hook = lab.file("hook", 0o755, &script);
        let hook = format!("lxc.hook.{kind}={}", hook.display());
        tool(&lab, "lxc-start", &["-n", &name, "-s", &hook])
            .exits(1)
            .complains("lxc-start: ")
            .complains(complaint);
        guest_dies(&lab, &name);
        if victim == "PPID" {
            // With the monitor dead, cleaning up is left to the next tool.
            tool(&lab, "lxc-stop", &["-n", &name, "-k"]).exits(2);
        }
        lab.is_as(&before);
        lives_again(&lab, &name, &before);
    }
}

#[test]
fn monitor_killed_while_it_stops() {
    let Some(lab) = Lab::new(OWNER, "monitor_killed_while_it_stops") else {
        return;
    };
    let hook = lab.file("hook", 0o755, "#!/bin/sh\nkill -KILL $PPID\nsleep 0.1\n");
    for kind in ["stop", "post-stop"] {
        let name = lab.busybox(kind, "");
        let before = lab.census();
        let define = format!("lxc.hook.{kind}={}", hook.display());
        tool(&lab, "lxc-start", &["-n", &name, "-s", &define]).exits(0);
        // Whether the tool saw the end or the death of the monitor, it comes back.
        tool(&lab, "lxc-stop", &["-n", &name, "-k"]);
        guest_dies(&lab, &name);
        lives_again(&lab, &name, &before);
    }
}
