//! SIGKILL at a system call of a start, counted: to the monitor and to the guest. Every step of a start
//! is made of system calls, so that no step is left out; an ordinary run takes samples,
//! `LXC_FAULT_EVERY=1` takes all.

use std::time::Duration;

use crate::OWNER;
use crate::probe;
use crate::support::{Call, Census, Lab, Ran, eventually, processes_of};

/// A start that is traced is slow; one that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which births of a start are its own: the tool, the daemon's two stages, the guest.
#[derive(Clone, Copy, Debug)]
enum Victim {
    FirstStage = 1,
    Monitor = 2,
    Guest = 3,
}

/// After how many calls one is killed, from the first to what no start reaches.
fn calls(usual: usize) -> impl Iterator<Item = usize> {
    let every = std::env::var("LXC_FAULT_EVERY").ok();
    let every = every.and_then(|text| text.parse().ok()).unwrap_or(usual);
    (1..5000).step_by(every.max(1))
}

#[track_caller]
fn settle(lab: &Lab, name: &str, before: &Census, told: &str) {
    // Either it runs as a whole, or nothing of it is alive.
    eventually("the start is over", || {
        processes_of(name).is_empty() || lab.state(name) == "RUNNING"
    });
    let stop = lab
        .tool("lxc-stop", &["-n", name, "-k"])
        .within(PATIENCE)
        .run();
    assert!([0, 2].contains(&stop.code()), "{told}\n{stop}");
    lab.is_as(before);
}

/// Kills one victim at each of its calls; the tool must say so, and the next start must work.
fn kills(test: &str, victim: Victim, usual: usize) {
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let Some(program) = probe::compiled(&lab, test) else {
        return;
    };
    let name = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
    let before = lab.census();
    let whom = (victim as usize).to_string();
    let start = |call: usize| -> Ran {
        let words = ["kill-at", &whom, &call.to_string()].map(str::to_owned);
        let tool = lab.prefix().join("bin/lxc-start");
        let traced = Call::new(&program).args(words).arg(tool);
        let words = ["-P", &lab.lxcpath().display().to_string(), "-n", &name].map(str::to_owned);
        traced.args(words).within(PATIENCE).run()
    };
    let mut failed = 0;
    for (round, call) in calls(usual).enumerate() {
        let ran = start(call);
        let told = format!("{victim:?}, call {call}\n{ran}");
        let killed =
            ran.stderr.contains("\nkilled after") || ran.stderr.starts_with("killed after");
        if killed && ran.code() != 0 {
            failed += 1;
            assert!(ran.stderr.starts_with("lxc-start: "), "{told}");
        }
        if !killed {
            // Beyond its last call before it became init, or began to wait.
            assert!(failed > 3, "only {failed} starts were interrupted\n{told}");
            assert_eq!(ran.code(), 0, "{told}");
            settle(&lab, &name, &before, &told);
            return;
        }
        match round % 2 {
            0 => settle(&lab, &name, &before, &told),
            _ => {
                // The next start is who cleans up.
                if lab.state(&name) != "RUNNING" {
                    let again = lab.tool("lxc-start", &["-n", &name]).within(PATIENCE).run();
                    assert!(again.code() == 0, "the next start\n{again}\n{told}");
                }
                settle(&lab, &name, &before, &told);
            }
        }
    }
    panic!("{victim:?}: a start has more calls than were counted");
}

#[test]
fn the_monitor_may_die_at_any_call_of_a_start() {
    const TEST: &str = "the_monitor_may_die_at_any_call_of_a_start";
    kills(TEST, Victim::FirstStage, 17);
    kills(TEST, Victim::Monitor, 29);
}

#[test]
fn the_guest_may_die_at_any_call_of_a_start() {
    kills(
        "the_guest_may_die_at_any_call_of_a_start",
        Victim::Guest,
        23,
    );
}
