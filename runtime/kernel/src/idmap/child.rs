//! A child of ours in a user namespace of its own.

use super::{Range, Result, Writer, write};
use crate::error::{Errno, SysError};
use crate::events::{Interest, poll_some};
use crate::fd::{describe, pair};
use crate::process::{self, Cloned, Ended, ForkTurn, exit_now, pidfd_signal, wait_pidfd};
use crate::{signals, socket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A child that runs under a map of its own; it is the caller's to reap.
#[derive(Debug)]
pub struct Child {
    /// Its process id.
    pub pid: i32,
    /// The child itself.
    pub pidfd: OwnedFd,
}

/// Runs `body` in a child that lives in a new user namespace with these maps, and waits for its end.
///
/// The child has become `ids` (user, group; `None` leaves what it was, which may be unmapped) with no
/// supplementary groups (where the namespace does not forbid setgroups(2)), it has all capabilities
/// there unless its ids take them, and the caller's signal mask. It is a fork of the caller, which may
/// have threads: what another thread had locked stays locked, but for the allocator. `body`'s value is
/// its exit code; a panic in it is the exit code 101. `body` may execute a program.
///
/// An error means that `body` did not run.
pub fn in_user_namespace(
    ranges: &[Range],
    how: &Writer,
    ids: Option<(u32, u32)>,
    body: impl FnOnce() -> i32,
) -> Result<Ended> {
    let child = start_in_user_namespace(ranges, how, ids, body)?;
    let ended = wait_pidfd(child.pidfd.as_fd(), true)?;
    let lost = || SysError::new("waitid", describe(child.pidfd.as_fd()), Errno::CHILD);
    Ok(ended.ok_or_else(lost)?)
}

/// As [`in_user_namespace`], without waiting: on return the child is about to run `body`.
pub fn start_in_user_namespace(
    ranges: &[Range],
    how: &Writer,
    ids: Option<(u32, u32)>,
    body: impl FnOnce() -> i32,
) -> Result<Child> {
    let (ours, theirs) = pair()?;
    let mask = signals::block(&[])?;
    let turn = ForkTurn::take();
    match turn.fork()? {
        Cloned::Child => {
            drop((turn, ours));
            live(theirs, ids, &mask, body)
        }
        Cloned::Parent { pid, pidfd } => {
            drop((turn, theirs));
            let child = Child { pid, pidfd };
            match settle(&child, ours.as_fd(), ranges, how) {
                Ok(()) => Ok(child),
                Err(error) => {
                    // It may have ended by itself; either way there is nothing left but to reap it.
                    let _ = pidfd_signal(child.pidfd.as_fd(), libc::SIGKILL);
                    // What counts is why it was of no use.
                    let _ = wait_pidfd(child.pidfd.as_fd(), true);
                    Err(error)
                }
            }
        }
    }
}

/// The parent's part: the child has its namespace, gets the maps, and says that it is who it should be.
fn settle(child: &Child, line: BorrowedFd, ranges: &[Range], how: &Writer) -> Result<()> {
    hear_child(child, line)?;
    write(child.pid, ranges, how)?;
    say(line, GO)?;
    hear_child(child, line)?;
    Ok(())
}

/// Waits for the child's word. Not for the line's end, which other forks of this process may delay.
fn hear_child(child: &Child, line: BorrowedFd) -> crate::Result<()> {
    let both = [
        (line, Interest::READ),
        (child.pidfd.as_fd(), Interest::READ),
    ];
    match poll_some(&both, None)?[..] {
        [true, _] => hear(line),
        _ => Err(SysError::new("recvmsg", describe(line), Errno::CHILD)),
    }
}

/// The one word of the parent, and the child's when all is well.
const GO: &[u8] = b"+";

/// What can fail in the child, by the number that crosses the line.
const CALLS: [&str; 6] = [
    "unshare",
    "recvmsg",
    "setgroups",
    "setresgid",
    "setresuid",
    "rt_sigprocmask",
];

/// The child's part up to `body`.
fn live(
    line: OwnedFd,
    ids: Option<(u32, u32)>,
    mask: &signals::SigSet,
    body: impl FnOnce() -> i32,
) -> ! {
    let ready = process::unshare(libc::CLONE_NEWUSER as u64)
        .and_then(|()| say(line.as_fd(), GO))
        .and_then(|()| hear(line.as_fd()))
        .and_then(|()| ids.map_or(Ok(()), |(uid, gid)| become_ids(uid, gid)))
        .and_then(|()| signals::restore(mask))
        .and_then(|()| say(line.as_fd(), GO));
    if let Err(error) = ready {
        let number = CALLS.iter().position(|call| *call == error.call);
        let mut words = vec![number.unwrap_or(CALLS.len()) as u8];
        words.extend(error.errno.raw_os_error().to_ne_bytes());
        words.extend(error.args.bytes());
        // A parent that cannot be told has gone.
        let _ = say(line.as_fd(), &words);
        exit_now(1);
    }
    drop(line);
    let body = std::panic::AssertUnwindSafe(body);
    exit_now(std::panic::catch_unwind(body).unwrap_or(101))
}

/// Drops the groups, then becomes this user and group.
fn become_ids(uid: u32, gid: u32) -> crate::Result<()> {
    match process::set_groups(&[]) {
        // Where setgroups is denied the groups give nothing either that the caller did not have.
        Err(error) if error.is(Errno::PERM) => {}
        other => other?,
    }
    process::set_ids(uid, gid)
}

fn say(line: BorrowedFd, words: &[u8]) -> crate::Result<()> {
    socket::send(line, words, &[], false).map(drop)
}

/// Waits for the other's word: its failure is an error here, and so is its end (ECHILD).
fn hear(line: BorrowedFd) -> crate::Result<()> {
    let mut buffer = [0; 512];
    let length = socket::receive(line, &mut buffer, 0)?.bytes;
    match buffer.get(..length).unwrap_or_default() {
        GO => Ok(()),
        [] => Err(SysError::new("recvmsg", describe(line), Errno::CHILD)),
        [call, rest @ ..] => {
            let (errno, args) = rest.split_at(rest.len().min(size_of::<i32>()));
            let errno = errno.try_into().map(i32::from_ne_bytes);
            let call = CALLS.get(usize::from(*call)).copied().unwrap_or("recvmsg");
            let args = String::from_utf8_lossy(args);
            let errno = Errno::from_raw_os_error(errno.unwrap_or(libc::EPROTO));
            Err(SysError::new(call, args, errno))
        }
    }
}
