//! The host's side: the tool that starts, the monitor that stays, the tool that stops.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::process::{self, CloneSpec, Cloned, SpawnSpec};
use lxc_kernel::{Errno, Result, SysError, fd, inherit, pty, socket};
use rustix::fs::{CWD, Mode, OFlags};

use crate::cgroups::Cgroups;
use crate::orders::Orders;
use crate::{GIVEN, guest};

/// What the monitor tells its caller, and the guest its monitor, when all is well.
const WELL: &[u8] = b"+";
/// No text of an error is longer.
const LONGEST: usize = 4096;
/// The kernel needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns when the container's init has been executed.
pub fn start(orders: &Orders) -> std::result::Result<(), String> {
    let told = told_by_monitor(orders).map_err(|error| error.to_string())?;
    match told == WELL {
        true => Ok(()),
        false if told.is_empty() => Err("the monitor has died".to_owned()),
        false => Err(String::from_utf8_lossy(&told).into_owned()),
    }
}

fn told_by_monitor(orders: &Orders) -> Result<Vec<u8>> {
    let (socket, theirs) = fd::pair()?;
    let given = [(theirs.as_fd(), GIVEN)];
    let (pid, _pidfd) = second_program(orders.pass_on("monitor"), &given)?;
    drop(theirs);
    process::wait_pid(pid)?;
    hear(socket.as_fd())
}

/// Executes this program again, from a copy that nobody can write to.
pub fn second_program(
    argv: Vec<std::ffi::CString>,
    given: &[(BorrowedFd<'_>, i32)],
) -> Result<(i32, OwnedFd)> {
    let program = process::sealed_program(Path::new("/proc/self/exe"), true)?;
    process::spawn(&SpawnSpec {
        program: program.as_fd(),
        argv,
        env: Vec::new(),
        fds: given.to_vec(),
        new_session: false,
        close_from: Some(GIVEN),
        reset_signals: false,
    })
}

/// One message, empty at the end.
pub fn hear(socket: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let mut buffer = vec![0; LONGEST];
    let received = socket::receive(socket, &mut buffer, 16)?;
    buffer.truncate(received.bytes);
    Ok(buffer)
}

/// The second program: it is born again in its cgroup, and the new one stays.
pub fn monitor(orders: &Orders) -> std::result::Result<(), String> {
    let caller = inherit::take(GIVEN).map_err(|error| error.to_string())?;
    let done = stage_one(orders, caller.as_fd());
    if let Err(error) = &done {
        // To the one who waits; nobody reads what a daemon writes to its standard error.
        let _ = socket::send(caller.as_fd(), error.to_string().as_bytes(), &[], false);
    }
    done.map_err(|error| error.to_string())
}

fn stage_one(orders: &Orders, caller: BorrowedFd<'_>) -> Result<()> {
    fd::null_stdio()?;
    process::chdir(Path::new("/"))?;
    let own = Cgroups::make(orders, "monitor")?;
    let stage_two = CloneSpec {
        namespaces: 0,
        into_cgroup: own.birthplace(),
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    match process::clone_process(&stage_two)? {
        Cloned::Parent { .. } => Ok(()),
        Cloned::Child => {
            process::setsid()?;
            own.enter()?;
            let init = run(orders, caller)?;
            process::wait_pidfd(init.as_fd(), true).map(drop)
        }
    }
}

/// Makes the guest and tells the caller when it runs.
fn run(orders: &Orders, caller: BorrowedFd<'_>) -> Result<OwnedFd> {
    let console = pty::open_host()?;
    let _pin = pin(&orders.rootfs)?;
    let cgroups = Cgroups::make(orders, "guest")?;
    let (ours, theirs) = fd::pair()?;
    let always = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    // Born where it belongs, it can have a cgroup namespace at once; else it has to move first.
    let cgroup = if orders.legacy.is_empty() {
        libc::CLONE_NEWCGROUP
    } else {
        0
    };
    let spec = CloneSpec {
        namespaces: (always | cgroup) as u64,
        into_cgroup: cgroups.birthplace(),
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    let (pid, init) = match process::clone_process(&spec)? {
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
        Cloned::Child => {
            let error = guest::become_init(orders, &cgroups, &console, theirs.as_fd());
            let _ = socket::send(theirs.as_fd(), error.to_string().as_bytes(), &[], false);
            process::exit_now(1);
        }
    };
    drop(theirs);
    // Its terminals, then that it is ready; the end of the line is the execution of init.
    for expected in [WELL, WELL, b""] {
        let heard = hear(ours.as_fd())?;
        if heard != expected {
            let words = String::from_utf8_lossy(&heard).into_owned();
            return Err(SysError::new("recvmsg", words, Errno::PROTO));
        }
    }
    let state = format!("{pid} {}\n", std::process::id());
    std::fs::write(&orders.state, state).map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        SysError::new("write", orders.state.display().to_string(), errno)
    })?;
    socket::send(caller, WELL, &[], false)?;
    Ok(init)
}

/// Keeps the rootfs from being made read-only underneath.
fn pin(rootfs: &Path) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, rootfs, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| SysError::new("openat", rootfs.display().to_string(), errno))
}

/// The guest says that all is well, with descriptors for the monitor.
pub fn all_is_well(socket: BorrowedFd<'_>, fds: &[BorrowedFd<'_>]) -> Result<()> {
    socket::send(socket, WELL, fds, false).map(drop)
}

/// Pids of the guest's init and of its monitor.
pub fn pids(orders: &Orders) -> std::result::Result<(i32, i32), String> {
    let path = orders.state.display();
    let text = std::fs::read_to_string(&orders.state)
        .map_err(|error| format!("cannot read {path}: {error}"))?;
    let numbers: Vec<i32> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers[..] {
        [init, monitor] => Ok((init, monitor)),
        _ => Err(format!("{path} should be two pids, but is {text:?}")),
    }
}

/// Kills the guest and removes everything, whether it runs or a start has failed half-way.
pub fn stop(orders: &Orders) -> std::result::Result<(), String> {
    if let Ok((init, monitor)) = pids(orders) {
        end(init, monitor).map_err(|error| error.to_string())?;
        std::fs::remove_file(&orders.state)
            .map_err(|error| format!("cannot remove {}: {error}", orders.state.display()))?;
    }
    for side in ["guest", "monitor"] {
        Cgroups::remove(orders, side).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn end(init: i32, monitor: i32) -> Result<()> {
    // The monitor first: it ends by itself once the guest has.
    let monitor = process::pidfd_open(monitor);
    if let Ok(init) = process::pidfd_open(init) {
        process::pidfd_signal(init.as_fd(), libc::SIGKILL)?;
    }
    match monitor {
        Ok(monitor) if !poll_one(monitor.as_fd(), Interest::READ, Some(PATIENCE))? => {
            Err(SysError::new("poll", "the monitor", Errno::TIMEDOUT))
        }
        Err(error) if !error.is(Errno::SRCH) => Err(error),
        _ => Ok(()),
    }
}
