//! The attach: a tool, a helper that enters the guest, a program that is born there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use lxc_kernel::process::{self, CloneSpec, Cloned, Ended};
use lxc_kernel::{Errno, Result, SysError, caps, cgroup, fd, inherit, procfs, signals, socket};
use rustix::fs::{Mode, OFlags};

use crate::cgroups::Cgroups;
use crate::orders::Orders;
use crate::start::{hear, pids, second_program};
use crate::{DROPPED, GIVEN};

/// What the attached program is.
const PROGRAM: &std::ffi::CStr = c"/bin/true";

/// Returns when the program has ended, and well.
pub fn attach(orders: &Orders) -> std::result::Result<(), String> {
    let (init, _) = pids(orders)?;
    match ended(orders, init).map_err(|error| error.to_string())? {
        Some(Ended::Exited(0)) => Ok(()),
        other => Err(format!("the attached program ended otherwise: {other:?}")),
    }
}

fn ended(orders: &Orders, init: i32) -> Result<Option<Ended>> {
    let init = process::pidfd_open(init)?;
    let cgroups = Cgroups::open(orders, "guest")?;
    let (socket, theirs) = fd::pair()?;
    let given: Vec<(BorrowedFd<'_>, i32)> = [theirs.as_fd(), init.as_fd()]
        .into_iter()
        .chain(cgroups.iter().map(AsFd::as_fd))
        .zip(GIVEN..)
        .collect();
    let (helper, _pidfd) = second_program(orders.pass_on("help-attach"), &given)?;
    drop(theirs);
    let mut buffer = [0; 4096];
    let received = socket::receive(socket.as_fd(), &mut buffer, 1)?;
    let Some(program) = received.fds.first() else {
        process::wait_pid(helper)?;
        let words = String::from_utf8_lossy(&buffer[..received.bytes]).into_owned();
        return Err(SysError::new("recvmsg", words, Errno::PROTO));
    };
    // The end of the line is the execution of the program.
    let words = hear(socket.as_fd())?;
    process::wait_pid(helper)?;
    if !words.is_empty() {
        let words = String::from_utf8_lossy(&words).into_owned();
        return Err(SysError::new("recvmsg", words, Errno::PROTO));
    }
    process::wait_pidfd(program.as_fd(), true)
}

/// The helper: what it clones is its caller's child, inside the guest.
pub fn help(orders: &Orders) -> std::result::Result<(), String> {
    let caller = inherit::take(GIVEN).map_err(|error| error.to_string())?;
    let done = enter(orders, caller.as_fd());
    if let Err(error) = &done {
        // The caller prints it; if it is gone nobody does.
        let _ = socket::send(caller.as_fd(), error.to_string().as_bytes(), &[], false);
    }
    done.map_err(|error| error.to_string())
}

fn enter(orders: &Orders, caller: BorrowedFd<'_>) -> Result<()> {
    let init = inherit::take(GIVEN + 1)?;
    let mut number = GIVEN + 1;
    let mut next = || {
        number += 1;
        inherit::take(number)
    };
    for _ in &orders.legacy {
        cgroup::enter_v1(next()?.as_fd())?;
    }
    let unified: Option<OwnedFd> = orders.unified.as_ref().map(|_| next()).transpose()?;
    let birthplace = unified
        .map(|guest| cgroup::make(guest.as_fd(), ".lxc", false))
        .transpose()?
        .map(|(directory, _)| directory);
    process::set_dumpable(false)?;
    let at_once = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    // A delegated v2 cgroup takes nobody from outside who looks at it from inside: its namespace is
    // entered after the birth.
    let later = birthplace.as_ref().map(|_| cgroup_namespace(init.as_fd()));
    let later = later.transpose()?;
    let cgroup = match later {
        Some(_) => 0,
        None => libc::CLONE_NEWCGROUP,
    };
    process::setns(init.as_fd(), (at_once | cgroup) as u64)?;
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: birthplace.as_ref().map(AsFd::as_fd),
        exit_signal: 0,
        extra: libc::CLONE_PARENT as u64,
    };
    match process::clone_process(&spec)? {
        Cloned::Parent { pidfd, .. } => {
            socket::send(caller, b"+", &[pidfd.as_fd()], false).map(drop)
        }
        Cloned::Child => {
            let error = match settle(later) {
                Ok(()) => process::exec(&[PROGRAM.to_owned()], &[]),
                Err(error) => error,
            };
            let _ = socket::send(caller, error.to_string().as_bytes(), &[], false);
            process::exit_now(1)
        }
    }
}

fn cgroup_namespace(init: BorrowedFd<'_>) -> Result<OwnedFd> {
    let path = format!("/proc/{}/ns/cgroup", procfs::pid_of(init)?);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(path.as_str(), flags, Mode::empty())
        .map_err(|errno| SysError::new("open", path, errno))
}

/// What is done inside before the program.
fn settle(cgroup_namespace: Option<OwnedFd>) -> Result<()> {
    if let Some(namespace) = cgroup_namespace {
        process::setns(namespace.as_fd(), 0)?;
    }
    process::setsid()?;
    process::chdir(Path::new("/"))?;
    for capability in DROPPED {
        caps::drop_bounding(capability)?;
    }
    process::set_keyring_session()?;
    process::set_groups(&[])?;
    process::set_ids(0, 0)?;
    caps::clear_inheritable_and_ambient()?;
    signals::empty_mask()
}
