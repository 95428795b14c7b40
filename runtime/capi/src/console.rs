//! Terminals and the console's buffer.

use crate::argument::{Handle, Out};
use crate::layout::lxc_console_log;
use crate::memory;
use crate::object::member;
use crate::refusal::{Outcome, Refusal, code, minus_one};
use crate::state::given;
use libc::c_int;
use lxc_runtime::{ConsoleLogRequest, ConsoleOptions};
use std::os::fd::BorrowedFd;
use std::ptr;

pub extern "C" fn console_getfd(c: Handle, ttynum: Out<c_int>, ptxfd: Out<c_int>) -> c_int {
    member(c, code, |object| {
        let (Some(number), false) = (ttynum.get(), ptxfd.is_null()) else {
            return Err(Refusal::invalid("there is no place for the terminal"));
        };
        let tty = object.container().tty(number).map_err(|error| {
            let refusal = Refusal::from(error);
            match refusal.errno {
                libc::ECONNREFUSED => refusal,
                _ => refusal.coded(-1),
            }
        })?;
        ttynum.set(tty.number);
        ptxfd.set(given(tty.master));
        Ok(given(tty.connection))
    })
}

pub extern "C" fn console(
    c: Handle,
    ttynum: c_int,
    stdinfd: c_int,
    stdoutfd: c_int,
    _stderrfd: c_int,
    escape: c_int,
) -> c_int {
    member(c, minus_one, |object| {
        object.container().console(&ConsoleOptions {
            tty: ttynum,
            input: borrowed(stdinfd, "input")?,
            output: borrowed(stdoutfd, "output")?,
            escape: u8::try_from(escape).ok().filter(|key| *key != 0),
            // Whatever the caller's fifth argument is.
            greeting: borrowed(libc::STDERR_FILENO, "standard error").ok(),
        })?;
        Ok(0)
    })
}

/// A descriptor of the caller's, which it keeps open during the call.
fn borrowed<'a>(fd: c_int, what: &str) -> Outcome<BorrowedFd<'a>> {
    // SAFETY: fcntl takes any number.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
        let sentence = format!("the {what} {fd} is no open descriptor");
        return Err(Refusal::new(libc::EBADF, sentence));
    }
    // SAFETY: it is open, and C keeps it so.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

pub extern "C" fn console_log(c: Handle, log: Out<lxc_console_log>) -> c_int {
    member(c, code, |object| {
        let Some(asked) = log.get() else {
            return Err(Refusal::invalid("there is no place for the console's log"));
        };
        let Some(read_max) = asked.read_max.get() else {
            return Err(Refusal::invalid("read_max is NULL"));
        };
        let answered = |bytes: &[u8]| {
            asked.read_max.set(bytes.len() as u64);
            let data = match bytes {
                [] => ptr::null_mut(),
                bytes => memory::bytes(bytes),
            };
            log.set(lxc_console_log { data, ..asked });
        };
        let read = object.container().console_log(&ConsoleLogRequest {
            read: asked.read != 0,
            clear: asked.clear != 0,
            read_max,
        });
        answered(read.as_deref().unwrap_or_default());
        read?;
        Ok(0)
    })
}
