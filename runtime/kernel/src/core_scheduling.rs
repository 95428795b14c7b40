//! Core scheduling: tasks with one cookie share the sibling threads of a core, others are kept off.

use crate::error::{Called, Errno, Result, retry};
use crate::sys::calls::{self, SchedCore};

/// Whether the kernel has it and the processor has sibling threads to keep anybody off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Both.
    Yes,
    /// The processor has none.
    NoSiblings,
    /// The kernel has not (before 5.14, or without CONFIG_SCHED_CORE).
    No,
}

/// What this machine can do.
pub fn support() -> Support {
    match calls::sched_core_cookie(0) {
        Ok(_) => Support::Yes,
        Err(Errno::NODEV) => Support::NoSiblings,
        Err(_) => Support::No,
    }
}

/// The cookie of the process `pid` (0: the calling one); 0 for none, and where there are none.
pub fn cookie(pid: i32) -> Result<u64> {
    match retry(|| calls::sched_core_cookie(pid)) {
        Err(Errno::NODEV | Errno::INVAL) => Ok(0),
        found => found.called("prctl", || {
            format!("PR_SCHED_CORE, PR_SCHED_CORE_GET, {pid}")
        }),
    }
}

/// Gives all threads of the process `pid` (0: the calling one) a new cookie, which its children
/// inherit. ENODEV on a processor without sibling threads, EINVAL where the kernel lacks it.
pub fn create(pid: i32) -> Result<()> {
    calls::sched_core(SchedCore::Create, pid).called("prctl", || {
        format!("PR_SCHED_CORE, PR_SCHED_CORE_CREATE, {pid}")
    })
}

/// Gives the calling thread the cookie of the process `pid`.
pub fn share_from(pid: i32) -> Result<()> {
    calls::sched_core(SchedCore::ShareFrom, pid).called("prctl", || {
        format!("PR_SCHED_CORE, PR_SCHED_CORE_SHARE_FROM, {pid}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_siblings_there_is_no_cookie() {
        match support() {
            // A test must not change how its own process is scheduled.
            Support::Yes => assert!(cookie(0).is_ok()),
            Support::NoSiblings => {
                assert!(create(0).unwrap_err().is(Errno::NODEV));
                assert_eq!(cookie(0).unwrap(), 0);
            }
            Support::No => {
                assert!(create(0).unwrap_err().is(Errno::INVAL));
                assert_eq!(cookie(0).unwrap(), 0);
            }
        }
    }
}
