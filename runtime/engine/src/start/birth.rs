//! The guest's birth: the clone, here or in namespaces of others.
//!
//! ```text
//!   monitor                    midwife (only to join namespaces)        guest
//!   clones the midwife         joins each namespace in turn
//!   hears of the birth      <- clones the guest with CLONE_PARENT
//!   reaps the midwife          ends
//!   is the guest's parent      .                                        sets itself up
//! ```

use super::Joined;
use crate::failure::{Failure, FailureKind};
use crate::guest::Problem;
use crate::message;
use lxc_kernel::process::{self, CloneSpec, Cloned};
use lxc_kernel::{Errno, Result, SysError, fd, socket};
use lxc_plan::Namespaces;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Joining namespaces and one clone: nothing in it waits for anybody.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who one is afterwards.
pub(super) enum Birth {
    /// The guest; was it born in its v2 cgroup?
    Guest { in_cgroup: bool },
    /// The monitor.
    Monitor { pid: i32, pidfd: OwnedFd },
}

/// What the midwife tells.
#[derive(Serialize, Deserialize)]
enum Word {
    /// The guest's pid as the monitor sees it; its pidfd travels along.
    Born { pid: i32 },
    /// There is no guest.
    Failed(Failure),
}

/// Forks the guest into `namespaces` and, on v2, into its cgroup, with those of `joined` around it.
pub(super) fn give_birth(
    namespaces: Namespaces,
    into_cgroup: Option<BorrowedFd<'_>>,
    joined: &[Joined],
) -> std::result::Result<Birth, Problem> {
    if joined.is_empty() {
        let (cloned, in_cgroup) = clone(namespaces, into_cgroup, libc::SIGCHLD, 0)?;
        return Ok(match cloned {
            Cloned::Child => Birth::Guest { in_cgroup },
            Cloned::Parent { pid, pidfd } => Birth::Monitor { pid, pidfd },
        });
    }
    let (ours, theirs) = fd::pair()?;
    let midwife = CloneSpec {
        namespaces: 0,
        into_cgroup: None,
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    match process::clone_process(&midwife)? {
        Cloned::Child => {
            drop(ours);
            deliver(namespaces, into_cgroup, joined, theirs)
        }
        Cloned::Parent { pidfd, .. } => {
            drop(theirs);
            let heard = hear(&ours);
            if heard.is_err() {
                // One that hangs must not be waited for; one that has ended cannot be killed.
                let _ = process::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
            }
            process::wait_pidfd(pidfd.as_fd(), true)?;
            heard
        }
    }
}

/// The midwife's whole life; only the guest comes back from it.
fn deliver(
    namespaces: Namespaces,
    into_cgroup: Option<BorrowedFd<'_>>,
    joined: &[Joined],
    report: OwnedFd,
) -> std::result::Result<Birth, Problem> {
    let born = join(joined).and_then(|()| {
        // With CLONE_PARENT the exit signal is the midwife's own.
        let parent = libc::CLONE_PARENT as u64;
        clone(namespaces, into_cgroup, 0, parent).map_err(|e| {
            Failure::new(FailureKind::Step, "cannot create the guest process").caused_by(&e)
        })
    });
    let told = match born {
        Ok((Cloned::Child, in_cgroup)) => return Ok(Birth::Guest { in_cgroup }),
        Ok((Cloned::Parent { pid, pidfd }, _)) => {
            message::send(report.as_fd(), &Word::Born { pid }, &[pidfd.as_fd()])
        }
        Err(failure) => message::send(report.as_fd(), &Word::Failed(failure), &[]),
    };
    // A monitor that has gone takes the guest along, whose parent it is.
    process::exit_now(i32::from(told.is_err()))
}

fn join(joined: &[Joined]) -> std::result::Result<(), Failure> {
    // From joining on processes of the others may see this one, and the guest until its exec: they
    // must not trace it.
    process::set_dumpable(false)
        .map_err(|e| Failure::new(FailureKind::Step, "cannot protect itself").caused_by(&e))?;
    for one in joined {
        process::setns(one.fd.as_fd(), one.namespace.0).map_err(|error| {
            let sentence = format!("cannot join the {} ({})", one.what, one.origin);
            let failure = Failure::new(FailureKind::Step, sentence).caused_by(&error);
            match error.errno {
                Errno::PERM => failure.hint(
                    "joining it takes privilege over the user namespace it belongs to: share that as \
                     well, or start the container as root",
                ),
                _ => failure,
            }
        })?;
    }
    Ok(())
}

/// The clone, and whether it was into the cgroup: kernels before 5.7 and filters do without that.
fn clone(
    namespaces: Namespaces,
    into_cgroup: Option<BorrowedFd<'_>>,
    exit_signal: i32,
    extra: u64,
) -> Result<(Cloned, bool)> {
    let mut spec = CloneSpec {
        namespaces: namespaces.0,
        into_cgroup,
        exit_signal,
        extra,
    };
    let mut cloned = process::clone_process(&spec);
    if let Err(error) = &cloned
        && spec.into_cgroup.is_some()
    {
        log::info!("no CLONE_INTO_CGROUP: {error}");
        // A cgroup namespace made now would have the monitor's cgroup as its root.
        spec.into_cgroup = None;
        spec.namespaces = namespaces.without(Namespaces::CGROUP).0;
        cloned = process::clone_process(&spec);
    }
    Ok((cloned?, spec.into_cgroup.is_some()))
}

fn hear(socket: &OwnedFd) -> std::result::Result<Birth, Problem> {
    socket::set_receive_timeout(socket.as_fd(), Some(PATIENCE))?;
    match message::receive::<Word>(socket.as_fd())? {
        Some((Word::Born { pid }, fds)) => match fds.into_iter().next() {
            Some(pidfd) => Ok(Birth::Monitor { pid, pidfd }),
            None => Err(SysError::new("recvmsg", "a birth without pidfd", Errno::BADMSG).into()),
        },
        Some((Word::Failed(failure), _)) => Err(Problem::Told(failure)),
        None => {
            let sentence = "the process that joins the shared namespaces died without a word";
            Err(Problem::Told(Failure::new(
                FailureKind::GuestDied,
                sentence,
            )))
        }
    }
}
