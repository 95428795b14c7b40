//! Signals: masks, default actions, and signals as something to read.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::sys::signal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A set of blocked signals, as [`block_all_but_fatal`] found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigSet(u64);

impl SigSet {
    /// Tells whether a signal (1 to 64) is in the set.
    pub fn contains(&self, signal: i32) -> bool {
        self.0 & bit(signal) != 0
    }
}

fn bit(signal: i32) -> u64 {
    match signal {
        1..=signal::LAST => 1 << (signal - 1),
        _ => 0,
    }
}

/// Those that report a fault of the program itself (blocked, they would kill without a trace of
/// where), and WINCH, which nobody waits for.
const NEVER_BLOCKED: &[i32] = &[
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGTRAP,
    libc::SIGWINCH,
];

/// Blocks all signals of the calling thread but those that report its own faults, and WINCH;
/// gives the mask before.
pub fn block_all_but_fatal() -> Result<SigSet> {
    let spared = NEVER_BLOCKED.iter().fold(0, |set, it| set | bit(*it));
    set_mask(!spared)
}

/// Blocks these signals of the calling thread in addition; gives the mask before.
pub fn block(more: &[i32]) -> Result<SigSet> {
    let mask = signal::mask().called("rt_sigprocmask", String::new)?;
    set_mask(more.iter().fold(mask, |set, it| set | bit(*it)))
}

/// Sets the calling thread's mask to an earlier one.
pub fn restore(mask: &SigSet) -> Result<()> {
    set_mask(mask.0).map(drop)
}

/// Unblocks every signal of the calling thread.
pub fn empty_mask() -> Result<()> {
    set_mask(0).map(drop)
}

fn set_mask(mask: u64) -> Result<SigSet> {
    signal::set_mask(mask)
        .map(SigSet)
        .called("rt_sigprocmask", || format!("SIG_SETMASK, {mask:#x}"))
}

/// Gives every signal of this process its default action.
pub fn reset_handlers() {
    signal::reset_actions(true);
}

/// Makes writes to a closed pipe or socket fail with EPIPE instead of killing.
pub fn ignore_sigpipe() -> Result<()> {
    signal::ignore(libc::SIGPIPE).called("signal", || "SIGPIPE, SIG_IGN".to_owned())
}

/// Takes that back, which Rust's runtime did in this program: others expect to be killed.
pub fn default_sigpipe() -> Result<()> {
    signal::default(libc::SIGPIPE).called("signal", || "SIGPIPE, SIG_DFL".to_owned())
}

/// A descriptor from which blocked signals are read; pollable, non-blocking.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

/// One signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// Its number, 1 to 64.
    pub signal: i32,
    /// Who sent it, or for CHLD whose end it reports; 0 if it came from outside our pid namespace.
    pub pid: i32,
    /// How it came about (SI_USER, CLD_EXITED, …).
    pub code: i32,
    /// For CHLD: exit code or signal.
    pub status: i32,
}

impl SignalFd {
    /// Takes all signals that the calling thread has blocked at this moment.
    pub fn all_blocked() -> Result<SignalFd> {
        let mask = signal::mask().called("rt_sigprocmask", String::new)?;
        let fd = signal::signalfd(mask).called("signalfd4", || format!("-1, {mask:#x}"))?;
        Ok(SignalFd(fd))
    }

    /// Takes just these signals; they must be blocked.
    pub fn of(signals: &[i32]) -> Result<SignalFd> {
        let mask = signals.iter().fold(0, |set, it| set | bit(*it));
        let fd = signal::signalfd(mask).called("signalfd4", || format!("-1, {mask:#x}"))?;
        Ok(SignalFd(fd))
    }

    /// The next signal, or `None` if none is waiting.
    pub fn read(&self) -> Result<Option<SignalInfo>> {
        /// Bytes of the kernel's signalfd_siginfo, and where its members lie.
        const SIZE: usize = 128;
        const SIGNAL: usize = 0;
        const CODE: usize = 8;
        const PID: usize = 12;
        const STATUS: usize = 40;
        let mut buffer = [0; SIZE];
        match retry(|| rustix::io::read(&self.0, &mut buffer)) {
            Ok(SIZE) => {}
            Ok(_) => return Err(SysError::new("read", "signalfd", Errno::IO)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(SysError::new("read", "signalfd", errno)),
        }
        let member = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&buffer[at..at + 4]);
            i32::from_ne_bytes(word)
        };
        Ok(Some(SignalInfo {
            signal: member(SIGNAL),
            pid: member(PID),
            code: member(CODE),
            status: member(STATUS),
        }))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Masks belong to threads: each test has one of its own.
    fn alone(test: impl FnOnce() + Send + 'static) {
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn a_blocked_signal_is_read() {
        alone(|| {
            let before = block_all_but_fatal().unwrap();
            let signals = SignalFd::all_blocked().unwrap();
            assert_eq!(signals.read().unwrap(), None);
            // To this thread alone, so that no other test's thread can take it.
            let me = std::process::id();
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGUSR2).unwrap();
            let info = signals.read().unwrap().unwrap();
            assert_eq!(info.signal, libc::SIGUSR2);
            assert_eq!(info.pid, me as i32);
            assert_eq!(signals.read().unwrap(), None);
            restore(&before).unwrap();
        });
    }

    #[test]
    fn faults_are_never_blocked() {
        alone(|| {
            let before = block_all_but_fatal().unwrap();
            let now = block_all_but_fatal().unwrap();
            for signal in 1..=64 {
                let uncatchable = [libc::SIGKILL, libc::SIGSTOP].contains(&signal);
                let blocked = !NEVER_BLOCKED.contains(&signal) && !uncatchable;
                assert_eq!(now.contains(signal), blocked, "signal {signal}");
            }
            empty_mask().unwrap();
            restore(&before).unwrap();
            assert!(!now.contains(0) && !now.contains(65));
        });
    }
}
