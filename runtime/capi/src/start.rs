//! Start.

use crate::argument::{Handle, Words};
use crate::object::member;
use crate::refusal::no;
use libc::c_int;
use lxc_runtime::{StartOptions, Started};

/// `error_num` unless a container has run in the foreground.
const NO_STATUS: c_int = 1;

pub extern "C" fn start(c: Handle, useinit: c_int, argv: Words) -> bool {
    member(c, no, |object| {
        object.set_error_num(NO_STATUS);
        let container = object.configured()?;
        let foreground = !object.wants_daemon();
        let started = container.start(&StartOptions {
            argv: argv.get("an argument of the program")?.unwrap_or_default(),
            mini_init: useinit != 0,
            foreground,
            close_all_fds: object.closes_all_fds(),
            pidfile: object.pid_file(),
        });
        // After a run here the text is the library's. After a daemon's start LXC does not free it, so
        // a caller may have put one there that cannot be.
        if started.is_ok() {
            object.forget_pid_file(foreground);
        }
        if let Started::Ended { status } = started? {
            object.set_error_num(status);
        }
        Ok(true)
    })
}

pub extern "C" fn want_daemonize(c: Handle, state: u8) -> bool {
    member(c, no, |object| {
        object.configured()?;
        object.want_daemon(state != 0);
        Ok(true)
    })
}

pub extern "C" fn want_close_all_fds(c: Handle, state: u8) -> bool {
    member(c, no, |object| {
        object.configured()?;
        object.close_all_fds(state != 0);
        Ok(true)
    })
}
