//! Starting another program from a process that may be large and have threads.

use crate::error::{Errno, Result, SysError};
use crate::fd::describe;
use crate::sys::vfork::{self, Orders};
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// A program to be started and what it shall find.
#[derive(Clone, Debug)]
pub struct SpawnSpec<'a> {
    /// The program's file; O_PATH is enough. Not a script: its interpreter could not open it.
    pub program: BorrowedFd<'a>,
    /// Its arguments, the name first.
    pub argv: Vec<CString>,
    /// Its environment, `NAME=value` each.
    pub env: Vec<CString>,
    /// Descriptors and the numbers at which it finds them; any overlap is fine.
    pub fds: Vec<(BorrowedFd<'a>, RawFd)>,
    /// Whether it leads a session of its own.
    pub new_session: bool,
    /// Everything open from this number on is closed for it, but for what `fds` names.
    pub close_from: Option<RawFd>,
    /// Whether it starts with an empty signal mask and no signal ignored.
    pub reset_signals: bool,
}

/// Starts a program; gives its pid and pidfd once it is running.
///
/// Safe with threads, and the cost does not grow with the caller's memory. The calling thread
/// sleeps until the program runs. The error of a program that cannot be executed is returned
/// here, with nothing left to be reaped. Two sources for one number, or a negative number, are
/// refused with EINVAL.
pub fn spawn(spec: &SpawnSpec) -> Result<(i32, OwnedFd)> {
    let args = || {
        let name = spec.argv.first();
        format!("{}, {name:?}", describe(spec.program))
    };
    let mut numbers: Vec<RawFd> = spec.fds.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    let twice = numbers.windows(2).any(|pair| pair[0] == pair[1]);
    let negative = numbers.first().is_some_and(|number| *number < 0);
    let cleared = spec.close_from.is_some_and(|first| first < 0);
    // The child duplicates above the highest number: that one needs a successor.
    let last = numbers.last() == Some(&RawFd::MAX);
    if twice || negative || cleared || last || spec.argv.is_empty() {
        return Err(SysError::new("clone", args(), Errno::INVAL));
    }
    let orders = Orders {
        program: spec.program,
        argv: &spec.argv,
        env: &spec.env,
        fds: &spec.fds,
        new_session: spec.new_session,
        close_from: spec.close_from,
        reset_signals: spec.reset_signals,
    };
    vfork::spawn(&orders).map_err(|failure| SysError::new(failure.call, args(), failure.errno))
}

#[cfg(test)]
mod tests;
