//! Removing what the root of a user namespace has made in its cgroups: as that root.

use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::process::{self, CloneSpec, Cloned, Ended};
use lxc_kernel::{Errno, Result, SysError, cgroup};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// How long the removal may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Removes all cgroups below `directory` by a child that joins the user namespace `owner`, where its
/// maker has every capability.
pub(super) fn empty(directory: BorrowedFd<'_>, owner: BorrowedFd<'_>) -> Result<()> {
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: None,
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    let pidfd = match process::clone_process(&spec)? {
        Cloned::Child => {
            let emptied = process::setns(owner, libc::CLONE_NEWUSER as u64)
                .and_then(|()| cgroup::remove_below(directory));
            process::exit_now(match emptied {
                Ok(()) => 0,
                Err(error) => error.errno.raw_os_error(),
            })
        }
        Cloned::Parent { pidfd, .. } => pidfd,
    };
    if !poll_one(pidfd.as_fd(), Interest::READ, Some(PATIENCE))? {
        process::pidfd_signal(pidfd.as_fd(), libc::SIGKILL)?;
    }
    let failed = |errno| SysError::new("rmdir", "cgroups of the container's root", errno);
    match process::wait_pidfd(pidfd.as_fd(), true)? {
        Some(Ended::Exited(0)) => Ok(()),
        // errno is told as the exit status, which has room for it.
        Some(Ended::Exited(errno)) => Err(failed(Errno::from_raw_os_error(errno))),
        _ => Err(failed(Errno::TIMEDOUT)),
    }
}
