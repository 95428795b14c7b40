//! Running a program to its end, or to the end of its time.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use lxc_guest::protocol::{self, Ran, Run};
use lxc_kernel::process::{CloneSpec, Cloned, Ended, clone_process, exec, exit_now, setsid};
use lxc_kernel::{Errno, fd, signals};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process, setpriority_process};

use crate::processes;
use crate::trouble::{Calling, Outcome, Told};
use crate::users::Session;
use crate::watch::Watch;

/// A shell's answers for a command that is not there, or is and cannot be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// How long a killed process may take to be gone.
const DYING: Duration = Duration::from_secs(5);

/// A session may make new processes while it is being killed; after so many rounds it has won.
const ROUNDS: usize = 100;

/// Runs a program in a session of its own.
pub fn run(watch: &mut Watch, run: &Run) -> Outcome<Ran> {
    let argv = words(run.argv.iter().cloned())?;
    let variables = run.environment.iter();
    let environment = words(variables.map(|(name, value)| format!("{name}={value}")))?;
    if argv.is_empty() {
        return Err("there is no program to run: argv is empty".to_owned());
    }
    let session = Session::of(run.user)?;
    let stdin = input(&run.stdin)?;
    let (stdout, stdout_writer) = output()?;
    let (stderr, stderr_writer) = output()?;
    let begun = Instant::now();
    let child = CloneSpec {
        namespaces: 0,
        into_cgroup: None,
        exit_signal: Signal::CHILD.as_raw(),
        extra: 0,
    };
    let pid = match clone_process(&child).told()? {
        Cloned::Parent { pid, .. } => pid,
        Cloned::Child => {
            let ends = [stdin.as_fd(), stdout_writer.as_fd(), stderr_writer.as_fd()];
            become_program(ends, &session, &argv, &environment)
        }
    };
    drop((stdin, stdout_writer, stderr_writer));
    let stdout = watch.add_output(stdout)?;
    let stderr = watch.add_output(stderr)?;
    let ended = finish(watch, pid, begun + Duration::from_millis(run.limit_ms))?;
    let took = begun.elapsed();
    Ok(Ran {
        ended,
        stdout: text(watch.take_output(stdout)?),
        stderr: text(watch.take_output(stderr)?),
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    })
}

/// Waits for the end of the child `pid`, and brings it about when its time is up.
fn finish(watch: &mut Watch, pid: i32, deadline: Instant) -> Outcome<protocol::Ended> {
    if let Some(ended) = ended_before(watch, pid, deadline)? {
        return Ok(match ended {
            Ended::Exited(status) => protocol::Ended::Exit(status),
            Ended::Killed { signal, .. } => protocol::Ended::Signal(signal),
        });
    }
    // Before everything that the session may have started, however much that is.
    hurry(-20)?;
    kill_session(pid)?;
    hurry(0)?;
    // One that does not die even now is stuck in the kernel; that shows in the census.
    ended_before(watch, pid, Instant::now() + DYING)?;
    Ok(protocol::Ended::TimedOut)
}

/// How the child `pid` ended, if it did before `deadline`.
pub fn ended_before(watch: &mut Watch, pid: i32, deadline: Instant) -> Outcome<Option<Ended>> {
    loop {
        let woken = watch.wait(Some(deadline))?;
        if let Some((_, how)) = woken.ended.iter().find(|(ended, _)| *ended == pid) {
            return Ok(Some(*how));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
    }
}

/// Sets our own priority, from -20 to 19.
fn hurry(nice: i32) -> Outcome {
    setpriority_process(None, nice).calling("setpriority", nice)
}

/// Kills every process of a session, whatever process groups a shell has made in it.
///
/// We are PID 1 and reap nobody meanwhile, so no number is used anew.
fn kill_session(session: i32) -> Outcome {
    for _ in 0..ROUNDS {
        let alive: Vec<i32> = processes::all()?
            .into_iter()
            .filter(|process| process.session == session && process.alive())
            .map(|process| process.pid)
            .collect();
        if alive.is_empty() {
            break;
        }
        for pid in alive {
            if let Some(pid) = Pid::from_raw(pid) {
                // Already gone is as good.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
    Ok(())
}

/// The child's way to its program; reasons why not go to its stderr.
fn become_program(
    ends: [BorrowedFd; 3],
    session: &Session,
    argv: &[CString],
    environment: &[CString],
) -> ! {
    let prepared = || {
        setsid()?;
        for (number, end) in ends.into_iter().enumerate() {
            fd::place_at(end, number as i32)?;
        }
        signals::reset_handlers();
        signals::empty_mask()?;
        session.begin()
    };
    let error = match prepared() {
        Ok(()) => exec(argv, environment),
        Err(error) => error,
    };
    eprintln!("guest-agent: cannot run {:?}: {error}", argv[0]);
    exit_now(match error.errno {
        Errno::NOENT => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    })
}

fn words(words: impl Iterator<Item = String>) -> Outcome<Vec<CString>> {
    let word = |word: String| {
        CString::new(word.as_str())
            .map_err(|_| format!("{word:?} holds a NUL, which no program can be given"))
    };
    words.map(word).collect()
}

/// What the program reads, whole from the start: no writer is needed while it runs.
fn input(text: &str) -> Outcome<OwnedFd> {
    if !text.is_empty() {
        return fd::memfd_sealed("stdin", text.as_bytes()).told();
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open("/dev/null", flags, Mode::empty()).calling("open", "/dev/null")
}

/// A pipe as a shell would make it; only our end does not block.
fn output() -> Outcome<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).calling("pipe2", "")?;
    rustix::io::ioctl_fionbio(&reader, true).calling("ioctl", "a pipe, FIONBIO")?;
    Ok((reader, writer))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into())
}
