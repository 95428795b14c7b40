//! The table of system calls of an older kernel, made of a newer one's.

use lxc_guest::protocol::TABLE_PARAMETER;
use lxc_kernel::seccomp;

use crate::parameters;
use crate::trouble::{Outcome, Told};

/// What Linux 5.10 has and 5.4 has not; both the numbers 436 to 440 on every architecture.
const SINCE_5_4: [&str; 5] = [
    "close_range",
    "openat2",
    "pidfd_getfd",
    "faccessat2",
    "process_madvise",
];

/// Takes away what the kernel's command line says, from us and from all that we start.
///
/// A filter can take calls away, but not flags of a call that stays. It shows in
/// `/proc/PID/status`, and needs no_new_privs of nobody who is root, so it sets none.
pub fn cut() -> Outcome {
    match parameters::value(TABLE_PARAMETER)?.as_deref() {
        None => Ok(()),
        Some("5.4") => load(&SINCE_5_4),
        Some(other) => Err(format!(
            "{TABLE_PARAMETER}={other} on the kernel's command line is no table; there is 5.4"
        )),
    }
}

fn load(calls: &[&str]) -> Outcome {
    let missing = lxc_kernel::Errno::NOSYS.raw_os_error();
    let rules: Vec<String> = calls
        .iter()
        .map(|call| format!("{call} errno {missing}\n"))
        .collect();
    let policy = seccomp::parse(&format!("2\ndenylist\n{}", rules.concat()))
        .map_err(|error| error.to_string())?;
    let filter = seccomp::compile(&policy).map_err(|error| error.to_string())?;
    if let Some(unknown) = filter.unknown_syscalls().next() {
        return Err(format!("libseccomp does not know {unknown}"));
    }
    filter.load().told()
}
