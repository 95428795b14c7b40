//! The minimal init of lxc-execute: starts one program, reaps, forwards signals.
//!
//! It is born as a copy of the monitor, with the monitor's memory: what was asked for, and the
//! environment of who asked. Once the program runs it executes itself anew, so that whoever reads
//! pid 1 from inside reads nothing of that; and the user whose container it is, who may look into
//! no process that holds memory of the monitor's, can attach to it.

use crate::message::{self, FromGuest};
use crate::step::identity::Prepared;
use lxc_kernel::process::{self, CloneSpec, Cloned, Ended, Reaped};
use lxc_kernel::signals::{self, SignalFd};
use lxc_kernel::{Errno, Result, SysError, events, events::Interest, fd, inherit, pty};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// What it is called once it has executed itself.
const NAME: &str = "lxc-init";

/// Between the polite signal to everyone and the one that cannot be refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the program as a child of this process and lives until nothing is left to reap; returns only if
/// the program cannot be started.
pub fn run(
    prepared: &Prepared,
    own_program: Option<OwnedFd>,
    socket: &OwnedFd,
    last_kept: i32,
) -> SysError {
    match start(&prepared.argv, &prepared.env) {
        Err(error) => error,
        Ok((pid, pidfd)) => match only_ours(pidfd, socket, own_program, last_kept) {
            Err(error) => error,
            Ok(held) => {
                if let Some(program) = &held.program {
                    // Refused by a filter or a profile: it goes on as the copy it is.
                    let _ = anew(program.as_fd(), pid, &held, &prepared.env);
                }
                end(pid, held)
            }
        },
    }
}

/// What a minimal init has open beside what is the program's.
struct Held {
    /// The program it waits for.
    pidfd: OwnedFd,
    /// To the monitor, until that knows that the program runs.
    socket: OwnedFd,
    /// What it executes itself from.
    program: Option<OwnedFd>,
}

/// Closes everything else: the program's descriptors are its own, and ours would keep its sockets and
/// terminals alive.
fn only_ours(
    pidfd: OwnedFd,
    socket: &OwnedFd,
    program: Option<OwnedFd>,
    last_kept: i32,
) -> Result<Held> {
    let socket = socket.try_clone().map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        SysError::new("fcntl", "to the monitor", errno)
    })?;
    let mut below = last_kept;
    let mut raised = |fd: OwnedFd| {
        let fd = fd::raise_above(fd, below + 1)?;
        below = fd.as_raw_fd();
        Ok::<OwnedFd, SysError>(fd)
    };
    let held = Held {
        pidfd: raised(pidfd)?,
        socket: raised(socket)?,
        program: program.map(raised).transpose()?,
    };
    fd::close_from(below + 1)?;
    below = last_kept;
    let program = held.program.as_ref();
    for fd in [&held.pidfd, &held.socket].into_iter().chain(program) {
        inherit::close_between(below + 1, fd.as_raw_fd() - 1);
        below = fd.as_raw_fd();
    }
    Ok(held)
}

/// Executes this program to go on in [`go_on`]; children, blocked signals and those that wait stay.
/// Returns only a failure.
fn anew(program: BorrowedFd, pid: i32, held: &Held, env: &[CString]) -> Result<()> {
    let kept = [held.pidfd.as_fd(), held.socket.as_fd()];
    let numbers = kept.map(|fd| fd.as_raw_fd().to_string());
    let words = [NAME.to_owned(), pid.to_string()]
        .into_iter()
        .chain(numbers);
    let argv: Vec<CString> = words.flat_map(CString::new).collect();
    for fd in kept {
        fd::set_cloexec(fd, false)?;
    }
    Err(process::exec_fd(program, &argv, env))
}

/// If these are the words by which a minimal init executes itself, it is one, to its end.
pub fn go_on(words: impl Iterator<Item = OsString>) {
    let words: Vec<String> = words
        .map(|word| word.into_string().unwrap_or_default())
        .collect();
    let [name, numbers @ ..] = words.as_slice() else {
        return;
    };
    let numbers: Vec<i32> = numbers.iter().flat_map(|word| word.parse()).collect();
    let (NAME, &[pid, pidfd, socket]) = (name.as_str(), numbers.as_slice()) else {
        return;
    };
    // Descriptors that are not there say that nobody has executed it so.
    if let (Ok(pidfd), Ok(socket)) = (inherit::take(pidfd), inherit::take(socket)) {
        let program = None;
        end(
            pid,
            Held {
                pidfd,
                socket,
                program,
            },
        );
    }
}

/// Tells the monitor that the program runs, supervises it, and ends as it did.
fn end(pid: i32, held: Held) -> ! {
    let Held { pidfd, socket, .. } = held;
    if message::send(socket.as_fd(), &FromGuest::Started, &[]).is_err() {
        process::exit_now(255);
    }
    drop(socket);
    process::exit_now(supervise(pid, &pidfd).unwrap_or(255))
}

/// Forks the program; its exec failure comes back through a pipe that exec closes.
fn start(argv: &[CString], env: &[CString]) -> Result<(i32, OwnedFd)> {
    signals::block_all_but_fatal()?;
    let (ours, theirs) = fd::pair()?;
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: None,
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    match process::clone_process(&spec)? {
        Cloned::Child => {
            drop(ours);
            // Its own session; the terminal becomes the controlling one where there is one.
            let _ = process::setsid();
            if pty::is_terminal(rustix::stdio::stdin()) {
                let _ = pty::set_controlling(rustix::stdio::stdin());
            }
            let _ = signals::empty_mask();
            let error = process::exec(argv, env);
            let errno = error.errno.raw_os_error().to_ne_bytes();
            // The parent sees a child that ended; nobody else is left to tell.
            let _ = rustix::io::write(&theirs, &errno);
            process::exit_now(255)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let mut errno = [0u8; 4];
            match rustix::io::read(&ours, &mut errno) {
                Ok(4) => {
                    let errno = Errno::from_raw_os_error(i32::from_ne_bytes(errno));
                    let program = argv.first().map(|a| a.to_string_lossy().into_owned());
                    Err(SysError::new("execve", program.unwrap_or_default(), errno))
                }
                Ok(_) => Ok((pid, pidfd)),
                Err(error) => Err(SysError::new("read", "exec result", error)),
            }
        }
    }
}

/// Reaps and forwards until no child is left; returns the program's code, 128+n for signal n.
fn supervise(program: i32, pidfd: &OwnedFd) -> Result<i32> {
    let signals = SignalFd::all_blocked()?;
    let mut code = 0;
    let mut ending: Option<(Instant, i32)> = None;
    loop {
        loop {
            match process::reap_any()? {
                Reaped::Child(pid, ended) if pid == program => {
                    code = match ended {
                        Ended::Exited(code) => code,
                        Ended::Killed { signal, .. } => 128 + signal,
                    };
                }
                Reaped::Child(..) => {}
                Reaped::NoneYet => break,
                Reaped::Childless => return Ok(code),
            }
        }
        let patience = ending.map(|(when, _)| when.saturating_duration_since(Instant::now()));
        if !events::poll_one(signals.as_fd(), Interest::READ, patience)? {
            inherit::signal_everyone(libc::SIGKILL)?;
            ending = Some((Instant::now() + PATIENCE, libc::SIGKILL));
            continue;
        }
        while let Some(info) = signals.read()? {
            match info.signal {
                libc::SIGCHLD => {}
                libc::SIGPWR | libc::SIGTERM => {
                    if ending.is_none() {
                        inherit::signal_everyone(libc::SIGTERM)?;
                        ending = Some((Instant::now() + PATIENCE, libc::SIGTERM));
                    }
                }
                other => {
                    // A program that has just ended needs no more signals.
                    let _ = process::pidfd_signal(pidfd.as_fd(), other);
                }
            }
        }
    }
}
