//! A start that is struck at a system call, counted: the monitor or the guest is killed there, or the call
//! of anybody who takes part in it fails. Every step of a start is made of system calls, so that no step is
//! left out; an ordinary run takes samples, always the same; `LXC_FAULT_EVERY=1` takes all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

use crate::OWNER;
use crate::probe;
use crate::support::{
    Call, Census, Lab, Ran, SETTLING, could_not_run, eventually, processes_of, within,
};

/// A start that is traced is slow; one that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which births of a start are its own: the tool, the daemon's two stages, the guest.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Tool = 0,
    FirstStage = 1,
    Monitor = 2,
    Guest = 3,
}

/// What a call may answer that has failed: it is forbidden, hidden, disturbed, without means, or in the
/// way of another.
const ANSWERS: [Errno; 5] = [
    Errno::PERM,
    Errno::NOSYS,
    Errno::INTR,
    Errno::NOMEM,
    Errno::BUSY,
];

/// How far apart the calls are that are struck.
fn every(usual: usize) -> usize {
    let asked = std::env::var("LXC_FAULT_EVERY").ok();
    let asked = asked.and_then(|text| text.parse().ok());
    asked.unwrap_or(usual).max(1)
}

/// A container whose starts are struck.
struct Range {
    lab: Lab,
    name: String,
    striker: PathBuf,
    before: Census,
}

impl Range {
    #[track_caller]
    fn new(test: &str) -> Option<Range> {
        let lab = Lab::new(OWNER, test)?;
        let striker = probe::striker(&lab, test)?;
        let name = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
        Some(Range {
            name,
            striker,
            before: lab.census(),
            lab,
        })
    }

    /// Starts it; `victim` is struck at its `call`, by `answer` or dead.
    #[track_caller]
    fn start(&self, victim: Victim, call: usize, answer: Option<Errno>) -> Ran {
        let errno = answer.map_or(0, Errno::raw_os_error);
        let words = [
            (victim as usize).to_string(),
            call.to_string(),
            errno.to_string(),
        ];
        let struck = Call::new(&self.striker).args(words);
        let struck = struck.arg(self.lab.prefix().join("bin/lxc-start"));
        let struck = struck.arg("-P").arg(self.lab.lxcpath());
        struck.args(["-n", &self.name]).within(PATIENCE).run()
    }

    /// Stops whatever has come of a start; nothing of it is left.
    #[track_caller]
    fn settle(&self, told: &str) {
        // Either it runs as a whole, or nothing of it is alive.
        eventually("the start is over", || {
            processes_of(&self.name).is_empty() || self.lab.state(&self.name) == "RUNNING"
        });
        // Who is dying keeps its cgroup from being removed; that is done by whoever comes next.
        within(SETTLING, || {
            let stop = self.lab.tool("lxc-stop", &["-n", &self.name, "-k"]);
            let stop = stop.within(PATIENCE).run();
            assert!([0, 2].contains(&stop.code()), "{told}\n{stop}");
            self.lab.census().since(&self.before).is_empty()
        });
        self.lab.is_as(&self.before);
    }
}

/// What the striker says last: was anybody struck?
fn struck(ran: &Ran) -> bool {
    let last = ran.stderr.lines().last().unwrap_or_default();
    last.starts_with("killed after") || last.starts_with("failed after")
}

/// Kills one victim at each of its calls; the tool must say so, and the next start must work.
fn kills(test: &str, victim: Victim, usual: usize) {
    let Some(range) = Range::new(test) else {
        return;
    };
    let mut failed = 0;
    for (round, call) in (1..5000).step_by(every(usual)).enumerate() {
        let ran = range.start(victim, call, None);
        let told = format!("{victim:?}, call {call}\n{ran}");
        if struck(&ran) && ran.code() != 0 {
            failed += 1;
            assert!(ran.stderr.starts_with("lxc-start: "), "{told}");
        }
        if !struck(&ran) {
            // Beyond its last call before it became init, or began to wait.
            assert!(failed > 3, "only {failed} starts were interrupted\n{told}");
            assert_eq!(ran.code(), 0, "{told}");
            range.settle(&told);
            return;
        }
        // Every other time the next start is who cleans up.
        if round % 2 == 1 && range.lab.state(&range.name) != "RUNNING" {
            let again = range.lab.tool("lxc-start", &["-n", &range.name]);
            let again = again.within(PATIENCE).run();
            assert!(again.code() == 0, "the next start\n{again}\n{told}");
        }
        range.settle(&told);
    }
    panic!("{victim:?}: a start has more calls than were counted");
}

/// Has one call of a victim fail; the start works all the same, or says in one sentence why not.
fn fails(test: &str, victim: Victim, usual: usize) {
    let Some(range) = Range::new(test) else {
        return;
    };
    let every = every(usual);
    // All of them, or one in turn.
    let answers = if every == 1 { ANSWERS.len() } else { 1 };
    let mut ends = BTreeMap::new();
    for (round, call) in (1..5000).step_by(every).enumerate() {
        for turn in 0..answers {
            let answer = ANSWERS[(round + turn) % ANSWERS.len()];
            let ran = range.start(victim, call, Some(answer));
            let told = format!("{victim:?}, call {call}, {answer:?}\n{ran}");
            if ran.stderr.contains("on this architecture") {
                could_not_run(test, "calls are made to fail on x86_64 only");
                return;
            }
            let begun = !matches!(victim, Victim::Tool) || !before_its_first_act(&ran);
            if ran.code() != 0 && begun {
                assert_eq!(sentences(&ran), 1, "{told}");
            }
            assert!(!ran.stderr.contains("panicked"), "{told}");
            range.settle(&told);
            if !struck(&ran) {
                assert_eq!(ran.code(), 0, "{told}");
                let failed = ends.get(&1).copied().unwrap_or(0);
                assert!(
                    failed > 0,
                    "calls failed, and it was not seen: {ends:?}\n{told}"
                );
                return;
            }
            *ends.entry(ran.code()).or_insert(0) += 1;
        }
    }
    panic!("{victim:?}: a start has more calls than were counted");
}

/// Whether it ended in what comes before any line of ours: the loader, or the beginning of every program in
/// Rust.
fn before_its_first_act(ran: &Ran) -> bool {
    let said = |text: &str| ran.stderr.contains(text);
    said("error while loading shared libraries") || said("fatal runtime error: ")
}

/// How often the tool says what is wrong: the lines below one begin with blanks.
fn sentences(ran: &Ran) -> usize {
    let lines = ran.stderr.lines();
    lines.filter(|line| line.starts_with("lxc-start: ")).count()
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

#[test]
fn any_call_of_the_tool_may_fail() {
    fails("any_call_of_the_tool_may_fail", Victim::Tool, 19);
}

#[test]
fn any_call_of_the_monitor_may_fail() {
    const TEST: &str = "any_call_of_the_monitor_may_fail";
    fails(TEST, Victim::FirstStage, 13);
    fails(TEST, Victim::Monitor, 11);
}

#[test]
fn any_call_of_the_guest_may_fail() {
    fails("any_call_of_the_guest_may_fail", Victim::Guest, 31);
}
