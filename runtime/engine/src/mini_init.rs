//! The minimal init of lxc-execute: starts one program, reaps, forwards signals.
//!
//! It is born as a copy of the monitor, with the monitor's memory: what was asked for, and the
//! environment of who asked. Before the program begins it executes itself anew, so that whoever reads
//! pid 1 from inside reads nothing of that; and the user whose container it is, who may look into
//! no process that holds memory of the monitor's, can attach to it.

use crate::message::{self, FromGuest};
use crate::step::identity::Prepared;
use lxc_kernel::process::{self, CloneSpec, Cloned, Ended, Reaped};
use lxc_kernel::signals::{self, SignalFd};
use lxc_kernel::{Errno, Result, SysError, events, events::Interest, fd, inherit, pty, socket};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// What it is called once it has executed itself.
const NAME: &str = "lxc-init";

/// Between the polite signal to everyone and the one that cannot be refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the program as a child of this process and lives until nothing is left to reap. Returns only
/// a failure: in the child, if that cannot execute the program.
pub fn run(
    prepared: &Prepared,
    own_program: Option<OwnedFd>,
    socket: &OwnedFd,
    last_kept: i32,
) -> SysError {
    let held = bear(prepared).and_then(|born| only_ours(born, socket, own_program, last_kept));
    match held {
        Err(error) => error,
        Ok(held) => {
            if let Some(program) = &held.program {
                // Refused by a filter or a profile: it goes on as the copy it is.
                let _ = anew(program.as_fd(), &held, &prepared.env);
            }
            end(held)
        }
    }
}

/// The process that becomes the program when it is told to.
struct Born {
    pid: i32,
    pidfd: OwnedFd,
    /// To it: closed by its exec, or answered with an error's number.
    line: OwnedFd,
}

/// What a minimal init has open beside what is the program's.
struct Held {
    born: Born,
    /// To the monitor, until that knows that the program runs.
    socket: OwnedFd,
    /// What it executes itself from.
    program: Option<OwnedFd>,
}

/// Forks who becomes the program. That one waits: nothing of the guest's may run while this process
/// still is a copy of the monitor.
fn bear(prepared: &Prepared) -> Result<Born> {
    signals::block_all_but_fatal()?;
    let (line, theirs) = fd::pair()?;
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: None,
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    match process::clone_process(&spec)? {
        Cloned::Child => {
            drop(line);
            Err(become_program(prepared, &theirs))
        }
        Cloned::Parent { pid, pidfd } => Ok(Born { pid, pidfd, line }),
    }
}

/// The child's part. Who asked for the start hears from it why it could not be executed.
fn become_program(prepared: &Prepared, line: &OwnedFd) -> SysError {
    match socket::receive(line.as_fd(), &mut [0], 0) {
        Ok(heard) if heard.bytes == 1 => {}
        // Its init has gone.
        _ => process::exit_now(255),
    }
    // Its own session; the terminal becomes the controlling one where there is one.
    let _ = process::setsid();
    if pty::is_terminal(rustix::stdio::stdin()) {
        // It may be another session's already, and stays that.
        let _ = pty::set_controlling(rustix::stdio::stdin());
    }
    // A mask that cannot be emptied is seen by the program itself.
    let _ = signals::empty_mask();
    let error = process::exec(&prepared.argv, &prepared.env);
    let errno = error.errno.raw_os_error().to_ne_bytes();
    // An init that has gone needs no answer.
    let _ = socket::send(line.as_fd(), &errno, &[], false);
    error
}

/// Closes everything else: the program's descriptors are its own, and ours would keep its sockets and
/// terminals alive.
fn only_ours(
    born: Born,
    socket: &OwnedFd,
    program: Option<OwnedFd>,
    last_kept: i32,
) -> Result<Held> {
    let socket = socket.try_clone().map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        SysError::new("fcntl", "to the monitor", errno)
    })?;
    let mut last = last_kept;
    let mut raised = |fd: OwnedFd| {
        let fd = fd::raise_above(fd, last + 1)?;
        last = fd.as_raw_fd();
        Ok::<OwnedFd, SysError>(fd)
    };
    let held = Held {
        born: Born {
            pid: born.pid,
            pidfd: raised(born.pidfd)?,
            line: raised(born.line)?,
        },
        socket: raised(socket)?,
        program: program.map(raised).transpose()?,
    };
    fd::close_from(last + 1)?;
    let mut last = last_kept;
    let program = held.program.as_ref();
    let ours = [&held.born.pidfd, &held.born.line, &held.socket];
    for fd in ours.into_iter().chain(program) {
        inherit::close_between(last + 1, fd.as_raw_fd() - 1);
        last = fd.as_raw_fd();
    }
    Ok(held)
}

/// Executes this program to go on in [`go_on`]; children, blocked signals and those that wait stay.
/// Returns only a failure.
fn anew(program: BorrowedFd, held: &Held, env: &[CString]) -> Result<()> {
    let kept = [&held.born.pidfd, &held.born.line, &held.socket];
    let numbers = kept.map(|fd| fd.as_raw_fd().to_string());
    let words = [NAME.to_owned(), held.born.pid.to_string()];
    let argv: Vec<CString> = words
        .into_iter()
        .chain(numbers)
        .flat_map(CString::new)
        .collect();
    for fd in kept {
        fd::set_cloexec(fd.as_fd(), false)?;
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
    let (NAME, &[pid, pidfd, line, socket]) = (name.as_str(), numbers.as_slice()) else {
        return;
    };
    let taken = [pidfd, line, socket].map(|number| inherit::take(number).ok());
    // Descriptors that are not there say that nobody has executed it so.
    if let [Some(pidfd), Some(line), Some(socket)] = taken {
        // Root without a map and without the capability has no business in it either; whoever rules its
        // user namespace, from inside or as its owner, is not kept out by this. Cannot fail for 0.
        let _ = process::set_dumpable(false);
        let program = None;
        let born = Born { pid, pidfd, line };
        end(Held {
            born,
            socket,
            program,
        });
    }
}

/// Lets the program begin, tells the monitor that it has, supervises it, and ends as it did.
fn end(held: Held) -> ! {
    let Held { born, socket, .. } = held;
    let mut answer = [0; 4];
    let begun = socket::send(born.line.as_fd(), b"+", &[], false)
        .and_then(|_| socket::receive(born.line.as_fd(), &mut answer, 0))
        .and_then(|heard| match heard.bytes {
            0 => message::send(socket.as_fd(), &FromGuest::Started, &[]),
            // The child has told the monitor itself.
            _ => Ok(()),
        });
    if begun.is_err() {
        process::exit_now(255);
    }
    drop((socket, born.line));
    process::exit_now(supervise(born.pid, &born.pidfd).unwrap_or(255))
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
