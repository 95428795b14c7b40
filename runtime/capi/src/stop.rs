//! Stop, shut down, reboot.

use crate::argument::Handle;
use crate::object::member;
use crate::refusal::{Outcome, Refusal, no};
use crate::state::{limit, not_running};
use libc::c_int;
use std::time::Duration;

pub extern "C" fn stop(c: Handle) -> bool {
    member(c, no, |object| {
        object.container().stop()?;
        Ok(true)
    })
}

pub extern "C" fn shutdown(c: Handle, timeout: c_int) -> bool {
    member(c, no, |object| {
        let container = object.container();
        in_time(
            container.shutdown(limit(timeout))?,
            container.name(),
            "shut down",
        )
    })
}

pub extern "C" fn reboot(c: Handle) -> bool {
    member(c, no, |object| {
        let container = object.container();
        if !container.is_running()? {
            return Err(not_running(container.name()));
        }
        Ok(container.reboot(Some(Duration::ZERO))?)
    })
}

pub extern "C" fn reboot2(c: Handle, timeout: c_int) -> bool {
    member(c, no, |object| {
        let container = object.container();
        in_time(
            container.reboot(limit(timeout))?,
            container.name(),
            "reboot",
        )
    })
}

fn in_time(done: bool, name: &str, what: &str) -> Outcome<bool> {
    match done {
        true => Ok(true),
        false => Err(Refusal::absent(
            libc::ETIMEDOUT,
            format!("{name} was asked to {what} and did not in time"),
        )),
    }
}
