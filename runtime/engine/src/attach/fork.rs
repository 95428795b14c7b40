//! The helper of one attach of a function: a fork of the caller.
//!
//! Made by the C library's fork, which keeps malloc usable whatever the caller's other threads were
//! doing; no other lock has that care, so nothing here takes one (the log, standard output, the
//! environment of `std`) until the function, whose author answers for it.

use super::report::Word;
use super::{Given, Order, guest, join, step};
use crate::failure::Failure;
use crate::message;
use lxc_kernel::process;
use lxc_kernel::seccomp::Filter;
use lxc_kernel::signals::{self, SigSet};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Exit code of a process that could not begin, or whose function panicked.
const FAILED: i32 = 255;

/// All that the child needs, prepared while there is none. Its descriptors lie above 2.
pub struct Errand {
    pub order: Order,
    pub given: Given,
    pub filter: Option<Filter>,
    pub env: Vec<CString>,
    /// Signals that the caller's thread had blocked.
    pub mask: SigSet,
    pub report: OwnedFd,
}

/// The whole life of the forked child, and of the attached process that it lets be born.
pub fn live(mut errand: Errand, function: impl FnOnce() -> i32) -> ! {
    // Before anything of the container's can be seen, and while /proc is the host's.
    process::close_host_handles(&errand.given.all(), |peer| peer.ends_with(b"/command"));
    let noted = libc::CLONE_CHILD_SETTID as u64;
    let (failure, word): (_, fn(Failure) -> Word) =
        match join::enter(&errand.order, &mut errand.given, &errand.report, noted) {
            Ok(join::Side::Helper) => process::exit_now(0),
            Ok(join::Side::Guest { way }) => {
                drop(way);
                run(errand, function)
            }
            Ok(join::Side::Stranded(failure)) => (failure, Word::NotBegun),
            Err(failure) => (failure, Word::Failed),
        };
    give_up(&errand.report, &word(failure))
}

/// The attached process: becomes the container's and runs the function.
fn run(errand: Errand, function: impl FnOnce() -> i32) -> ! {
    let Errand {
        order,
        mut given,
        filter,
        env,
        mask,
        report,
    } = errand;
    let ready = guest::become_guest(&order, &mut given, filter.as_ref(), &report).and_then(|()| {
        process::replace_environment(env).map_err(|e| step("prepare the function", &e))
    });
    if let Err(failure) = ready {
        give_up(&report, &Word::NotBegun(failure));
    }
    // No exec will close them.
    drop(given);
    if message::send(report.as_fd(), &Word::Begun, &[]).is_err() {
        // The caller has gone: nobody is left to answer for the function, or to reap it.
        process::exit_now(FAILED);
    }
    drop(report);
    // Last: handlers are the caller's, as with LXC, and run from here on. The mask was valid before.
    let _ = signals::restore(&mask);
    // Nothing of the caller's frames may be unwound, and no exit handler run, in a copy of it.
    match catch_unwind(AssertUnwindSafe(function)) {
        Ok(code) => process::exit_now(code),
        Err(_) => process::exit_now(FAILED),
    }
}

fn give_up(report: &OwnedFd, word: &Word) -> ! {
    // A caller that has gone does not want to know.
    let _ = message::send(report.as_fd(), word, &[]);
    process::exit_now(FAILED)
}

impl Given {
    fn all(&self) -> Vec<BorrowedFd<'_>> {
        let streams = self.streams.iter().flatten();
        let rest = self.cgroups.iter().chain(streams).chain(&self.terminal);
        [&self.pidfd]
            .into_iter()
            .chain(rest)
            .map(AsFd::as_fd)
            .collect()
    }
}
