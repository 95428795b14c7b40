//! Forking a process that may have threads, for code that must run on a copy of its memory.

use super::{Cloned, pidfd_open, wait_pid};
use crate::error::{Called, Errno, Result, SysError};
use crate::sys::{calls, fork as raw, handles, signal};
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::new(());

/// While it is held, no [`ForkTurn`] of this process forks.
///
/// For a descriptor whose other end waits until the last copy of it is closed: a forked child keeps
/// copies of everything for as long as it lives.
pub struct NoFork(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'static, ()>);

/// Keeps forks away; waits for one that is being made. Not to be taken twice by one thread.
pub fn no_fork() -> NoFork {
    NoFork(TURN.read().unwrap_or_else(PoisonError::into_inner))
}

/// The right to fork; nobody else in this process holds it or a [`NoFork`].
pub struct ForkTurn(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'static, ()>);

impl ForkTurn {
    /// Waits for the right to fork.
    pub fn take() -> ForkTurn {
        ForkTurn(TURN.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forks as the C library does: its handlers run, so that the child can allocate whatever the
    /// caller's other threads were doing. No other lock that one of them held is ever released in
    /// the child.
    ///
    /// In the child every signal is blocked, lest a handler of the caller's runs there before its
    /// time; the caller's mask is as before.
    pub fn fork(&self) -> Result<Cloned> {
        let before = signal::set_mask(!0).called("rt_sigprocmask", String::new)?;
        let forked = raw::fork();
        if matches!(forked, Ok(0)) {
            return Ok(Cloned::Child);
        }
        let restored = signal::set_mask(before).called("rt_sigprocmask", String::new);
        let pid = forked.called("fork", String::new)?;
        let opened = restored.and_then(|_| pidfd_open(pid));
        if opened.is_err() {
            // Not yet waited for, so the number is still the child's.
            let _ = raw::kill(pid);
            let _ = wait_pid(pid);
        }
        opened.map(|pidfd| Cloned::Parent { pid, pidfd })
    }
}

/// Replaces the environment of this process, which must be single-threaded, as a forked child is.
///
/// It stays allocated for ever: nobody can know who keeps a pointer into it. EDEADLK in debug builds
/// for a process with several threads.
pub fn replace_environment(env: Vec<CString>) -> Result<()> {
    if cfg!(debug_assertions) && super::thread_count() > 1 {
        let args = "the caller has several threads";
        return Err(SysError::new("environ", args, Errno::DEADLK));
    }
    raw::replace_environment(env);
    Ok(())
}

/// Closes every descriptor above 2 that is close-on-exec and a handle on this host which no process
/// of a guest may hold: pidfds, namespaces, cgroups, files of a procfs, pseudo-terminals, and sockets
/// whose peer's abstract name `guarded` knows. Those of `keep` stay.
///
/// For a forked child that will not execute anything. Whose they are cannot be told; as with
/// [`crate::fd::close_from`], their owners must be forgotten, never dropped.
pub fn close_host_handles(keep: &[BorrowedFd<'_>], guarded: impl Fn(&[u8]) -> bool) {
    // Without /proc there is no list; then what the caller closes itself has to do.
    let listed = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let numbers: Vec<RawFd> = listed
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2 && keep.iter().all(|kept| kept.as_raw_fd() != *number))
        .collect();
    let is_handle = |number| {
        handles::is_of_the_kernel(number)
            || handles::is_pseudo_terminal(number)
            || handles::abstract_peer(number).is_some_and(|name| guarded(&name))
    };
    for number in numbers {
        if handles::is_close_on_exec(number) && is_handle(number) {
            calls::close(number);
        }
    }
}
