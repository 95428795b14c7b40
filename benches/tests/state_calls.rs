//! What one state() through the C library costs, counted in system calls on both sides.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lxc_benches::scratch::Scratch;
use lxc_benches::state::{Library, Program};
use lxc_benches::subject::{self, Act, Subject};
use lxc_benches::{Failure, command, memory, operations};
use rustix::process::{Pid, Signal, kill_process};

const TEST: &str = "a_state_costs_no_more_system_calls_than_its_budget";

/// A system call, how often one state() may make it, and what for.
type Budget = &'static [(&'static str, usize, &'static str)];

const CLIENT: Budget = &[
    (
        "socket",
        1,
        "a connection of its own, as the protocol wants it",
    ),
    ("connect", 1, "and its other end"),
    (
        "getsockopt",
        1,
        "who listens there: an impostor is not believed",
    ),
    (
        "getpid",
        1,
        "the credentials that a monitor of C LXC insists on",
    ),
    ("getuid", 1, "the same"),
    ("getgid", 1, "the same"),
    ("sendmsg", 1, "the question"),
    ("recvmsg", 1, "the answer"),
    ("close", 1, "the connection"),
];

const MONITOR: Budget = &[
    ("accept4", 1, "the connection"),
    ("getsockopt", 1, "who asks"),
    (
        "readlinkat",
        1,
        "its user namespace: nobody from inside may ask",
    ),
    ("recvmsg", 1, "the question"),
    ("sendmsg", 1, "the answer"),
    ("close", 1, "the connection"),
];

/// Calls between a small and a large count: whatever is not made by each of them is divided away.
const CALLS: usize = 50;

/// The scheduler decides whether a question is there when it is looked for, and the allocator when it
/// wants memory. What is made on every call is in every count.
const ATTEMPTS: usize = 3;

type Counts = BTreeMap<String, usize>;

#[test]
fn a_state_costs_no_more_system_calls_than_its_budget() {
    let could_not_run = |reason: &str| println!("COULD NOT RUN: {TEST}: {reason}");
    if let Some(reason) = subject::missing() {
        return could_not_run(&reason);
    }
    let scratch = Scratch::create().unwrap();
    if let Err(reason) = operations::can_count(scratch.path()) {
        return could_not_run(&reason);
    }
    let ours = Subject::ours(&scratch).unwrap();
    scratch.create_container(&ours).unwrap();
    ours.act(Act::Start).unwrap();
    let scene = Scene {
        program: Program::compile(&scratch).unwrap(),
        library: Library::ours().unwrap(),
        monitor: memory::monitor(&scratch.lxcpath(), &scratch.name).unwrap(),
        directory: scratch.path(),
    };
    // One side after the other: a client that is traced as well is too slow to have asked in time.
    let client = least(|calls| scene.client(calls));
    let monitor = least(|calls| scene.monitor(calls));
    for (counts, budget) in [(client, CLIENT), (monitor, MONITOR)] {
        let over = over(&counts, budget);
        assert!(
            over.is_empty(),
            "(call, counted, budget): {over:?}
{counts:#?}"
        );
    }
    ours.act(Act::Stop).unwrap();
    scratch.remove(&ours).unwrap();
}

struct Scene<'a> {
    program: Program,
    library: Library,
    monitor: u32,
    directory: &'a Path,
}

impl Scene<'_> {
    /// All calls of the program that asks.
    fn client(&self, calls: usize) -> Result<Counts, Failure> {
        let file = self.directory.join("client.strace");
        let mut words = ["strace", "-qq", "-o"].map(str::to_owned).to_vec();
        words.push(file.to_string_lossy().into_owned());
        words.extend(self.program.command(&self.library, calls));
        command::timed(&words, self.directory)?;
        read(&file)
    }

    /// All calls of the monitor while it is asked.
    fn monitor(&self, calls: usize) -> Result<Counts, Failure> {
        let file = self.directory.join("monitor.strace");
        let tracer = Tracer::attach(self.monitor, &file)?;
        command::timed(&self.program.command(&self.library, calls), self.directory)?;
        drop(tracer);
        read(&file)
    }
}

/// A strace of a running process; dropped, it has let go and written everything.
struct Tracer(Child);

impl Tracer {
    /// Blocks until it sees every call.
    fn attach(pid: u32, file: &Path) -> Result<Tracer, Failure> {
        // Nothing here takes as long; and strace can be told to end through it.
        let mut child = Command::new("timeout")
            .args(["60", "strace", "-o"])
            .arg(file)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run timeout: {error}"))?;
        let said = child.stderr.take();
        let tracer = Tracer(child);
        let mut line = String::new();
        let stderr = said.ok_or("strace has no standard error")?;
        BufReader::new(stderr)
            .read_line(&mut line)
            .map_err(|error| format!("cannot read what strace says: {error}"))?;
        match line.trim_end().ends_with("attached") {
            true => Ok(tracer),
            false => Err(format!("strace does not attach: {line}")),
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        // It may have ended by itself; either way it is reaped.
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let _ = self.0.wait();
    }
}

fn read(file: &Path) -> Result<Counts, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(counted(&text))
}

/// How often each call was made. Sleeping, and finding that nobody else has come, is no work.
fn counted(text: &str) -> Counts {
    let mut counts = Counts::new();
    for line in text.lines() {
        let Some((call, arguments)) = line.split_once('(') else {
            continue;
        };
        let is_call = call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let nobody_came = call == "accept4" && arguments.contains("EAGAIN");
        if is_call && call != "epoll_pwait" && !nobody_came {
            *counts.entry(call.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// What one state() makes, the least of some attempts.
fn least(count: impl Fn(usize) -> Result<Counts, Failure>) -> Counts {
    let attempts = (0..ATTEMPTS).map(|_| each(&count(1).unwrap(), &count(1 + CALLS).unwrap()));
    let both = |one: Counts, other: Counts| {
        let least = |(call, count): (String, usize)| Some((count.min(*other.get(&call)?), call));
        one.into_iter()
            .filter_map(least)
            .map(|(count, call)| (call, count))
            .collect()
    };
    attempts.reduce(both).unwrap_or_default()
}

/// What each of the calls by which they differ makes, rounded.
fn each(few: &Counts, many: &Counts) -> Counts {
    let share = |(call, many): (&String, &usize)| {
        let more = many.saturating_sub(*few.get(call).unwrap_or(&0));
        (call.clone(), (more + CALLS / 2) / CALLS)
    };
    many.iter()
        .map(share)
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Calls that are made more often than the budget says.
fn over(counts: &Counts, budget: Budget) -> Vec<(&str, usize, usize)> {
    let granted = |call: &str| {
        let row = budget.iter().find(|row| row.0 == call);
        row.map_or(0, |row| row.1)
    };
    counts
        .iter()
        .map(|(call, count)| (&**call, *count, granted(call)))
        .filter(|(_, count, granted)| count > granted)
        .collect()
}

#[test]
fn one_more_call_a_state_is_seen() {
    let state = "socket(AF_UNIX) = 3\nclose(3) = 0\n";
    let of = |extra: &str| {
        let few = counted(&format!("brk(0) = 7\n{state}"));
        let many = counted(&format!(
            "{}+++ exited with 0 +++\n",
            format!("{state}{extra}").repeat(CALLS + 1)
        ));
        let each = each(&few, &many);
        over(&each, CLIENT)
            .iter()
            .map(|row| format!("{row:?}"))
            .collect::<String>()
    };
    assert_eq!(of(""), "");
    assert_eq!(
        of("accept4(3) = -1 EAGAIN (nobody)\nepoll_pwait(4) = 1\n"),
        ""
    );
    assert_eq!(of("close(4) = 0\n"), "(\"close\", 2, 1)");
    assert_eq!(of("getppid() = 1\n"), "(\"getppid\", 1, 0)");
}
