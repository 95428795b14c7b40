//! Members about the state of a container, and descriptors that belong to it.

use crate::argument::{Handle, Text};
use crate::object::member;
use crate::refusal::{Outcome, Refusal, code, minus_one, no};
use libc::{c_char, c_int, pid_t};
use lxc_runtime::State;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// All states by their numbers, with their names.
const STATES: [(State, &std::ffi::CStr); 8] = [
    (State::Stopped, c"STOPPED"),
    (State::Starting, c"STARTING"),
    (State::Running, c"RUNNING"),
    (State::Stopping, c"STOPPING"),
    (State::Aborting, c"ABORTING"),
    (State::Freezing, c"FREEZING"),
    (State::Frozen, c"FROZEN"),
    (State::Thawed, c"THAWED"),
];

fn name_of(state: State) -> *const c_char {
    let found = STATES.iter().find(|(known, _)| *known == state);
    found.map_or(c"INVALID STATE", |(_, name)| name).as_ptr()
}

pub extern "C" fn is_defined(c: Handle) -> bool {
    member(c, no, |object| {
        Ok(object.config_file().is_some() && object.container().is_defined())
    })
}

pub extern "C" fn state(c: Handle) -> *const c_char {
    let unknown = || match c.is_null() {
        true => ptr::null(),
        false => c"INVALID STATE".as_ptr(),
    };
    member(
        c,
        |_| unknown(),
        |object| Ok(name_of(object.container().state()?)),
    )
}

pub extern "C" fn is_running(c: Handle) -> bool {
    // Whoever cannot be asked is not stopped.
    member(
        c,
        |_| !c.is_null(),
        |object| Ok(object.container().is_running()?),
    )
}

pub extern "C" fn freeze(c: Handle) -> bool {
    member(c, no, |object| {
        object.configured()?.freeze()?;
        Ok(true)
    })
}

pub extern "C" fn unfreeze(c: Handle) -> bool {
    member(c, no, |object| {
        object.configured()?.unfreeze()?;
        Ok(true)
    })
}

pub extern "C" fn wait(c: Handle, states: Text, timeout: c_int) -> bool {
    member(c, no, |object| {
        let wanted = parse_states(states.required("the states to wait for")?)?;
        let container = object.container();
        match container.wait(&wanted, limit(timeout))? {
            true => Ok(true),
            false => Err(Refusal::absent(
                libc::ETIMEDOUT,
                format!(
                    "{} did not get into a state waited for in time",
                    container.name()
                ),
            )),
        }
    })
}

/// Names joined by `|`.
fn parse_states(text: &str) -> Outcome<Vec<State>> {
    let parse = |name: &str| {
        let found = STATES
            .iter()
            .find(|(_, known)| known.to_bytes() == name.as_bytes());
        let unknown = || Refusal::invalid(format!("{name:?} is no state of a container"));
        found.map(|(state, _)| *state).ok_or_else(unknown)
    };
    let names = text.split('|').filter(|name| !name.is_empty());
    let states: Vec<State> = names.map(parse).collect::<Outcome<_>>()?;
    match states.is_empty() {
        true => Err(Refusal::invalid("no state to wait for was named")),
        false => Ok(states),
    }
}

/// Seconds; a negative number is no limit.
pub fn limit(seconds: c_int) -> Option<Duration> {
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

pub extern "C" fn set_timeout(c: Handle, timeout: c_int) -> bool {
    member(c, no, |object| {
        if timeout != -1 && timeout <= 0 {
            let sentence = format!("{timeout} is no time to wait; use seconds, or -1 for no limit");
            return Err(Refusal::invalid(sentence));
        }
        object.change(|container| container.set_timeout(limit(timeout)));
        object.set_rcv_timeout(timeout);
        Ok(true)
    })
}

pub extern "C" fn may_control(c: Handle) -> bool {
    member(c, no, |object| Ok(object.container().may_control()?))
}

pub extern "C" fn init_pid(c: Handle) -> pid_t {
    member(c, minus_one, |object| {
        let container = object.container();
        container
            .init_pid()?
            .ok_or_else(|| not_running(container.name()))
    })
}

/// Nothing went wrong, but there is nothing to look at.
pub fn not_running(name: &str) -> Refusal {
    Refusal::absent(
        libc::ECONNREFUSED,
        format!("the container {name} is not running"),
    )
}

pub extern "C" fn init_pidfd(c: Handle) -> c_int {
    member(c, code, |object| {
        Ok(given(object.container().init_pidfd()?))
    })
}

pub extern "C" fn devpts_fd(c: Handle) -> c_int {
    member(c, code, |object| Ok(given(object.container().devpts_fd()?)))
}

pub extern "C" fn seccomp_notify_fd(c: Handle) -> c_int {
    member(c, code, |object| {
        let container = object.configured()?;
        let sentence = format!(
            "this object holds no seccomp listener of {}; the running container's is \
             seccomp_notify_fd_active()",
            container.name()
        );
        Err(Refusal::absent(libc::EBADF, sentence))
    })
}

pub extern "C" fn seccomp_notify_fd_active(c: Handle) -> c_int {
    member(c, code, |object| {
        Ok(given(object.configured()?.seccomp_notify_fd_active()?))
    })
}

/// A descriptor that is the caller's from now on.
pub fn given(fd: OwnedFd) -> c_int {
    fd.into_raw_fd()
}

/// Number of states; their names, if there is a place for them.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_get_wait_states(states: *mut *const c_char) -> c_int {
    if !states.is_null() {
        for (at, (_, name)) in STATES.iter().enumerate() {
            // SAFETY: C passed it as an array with a place for each state.
            unsafe { states.add(at).write(name.as_ptr()) }
        }
    }
    STATES.len() as c_int
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_joined_by_bars() {
        assert_eq!(
            parse_states("|STOPPED||FROZEN|").unwrap(),
            [State::Stopped, State::Frozen]
        );
        for wrong in ["", "|", "stopped", "STOPPED|NONE", "STOPPED RUNNING"] {
            assert!(parse_states(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_negative_time_is_no_limit() {
        assert_eq!(limit(-1), None);
        assert_eq!(limit(0), Some(Duration::ZERO));
        assert_eq!(limit(2), Some(Duration::from_secs(2)));
    }
}
