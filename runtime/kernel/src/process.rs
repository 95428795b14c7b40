//! Processes: making them, waiting for them, and what a process sets about itself.

mod fork;

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
pub use crate::program::{exec, exec_fd, open_program, sealed_program};
pub use crate::spawn::{SpawnSpec, spawn};
use crate::sys::calls::{self, Forked};
pub use fork::{ForkTurn, NoFork, close_host_handles, no_fork, replace_environment};
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, WaitOptions, WaitStatus, wait, waitid, waitpid,
};
use rustix::thread::{Gid, Uid};
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// How a new process differs from a plain fork.
#[derive(Clone, Copy, Debug)]
pub struct CloneSpec<'a> {
    /// CLONE_NEW* bits: the namespaces that are made for it.
    pub namespaces: u64,
    /// The cgroup (v2) directory in which it is born.
    pub into_cgroup: Option<BorrowedFd<'a>>,
    /// The signal its parent gets at its end: SIGCHLD, or 0 for none (needed with CLONE_PARENT).
    pub exit_signal: i32,
    /// More CLONE_* bits, such as CLONE_PARENT; nothing that shares memory. With CLONE_CHILD_SETTID the
    /// C library's note of the thread's id is kept true, which code that is not ours may rely on.
    pub extra: u64,
}

/// Who one is after [`clone_process`].
#[derive(Debug)]
pub enum Cloned {
    /// The caller.
    Parent {
        /// The child's pid in the caller's pid namespace.
        pid: i32,
        /// The child itself.
        pidfd: OwnedFd,
    },
    /// The new process, on a copy of the caller's memory.
    Child,
}

/// Forks: clone3 with a pidfd, optionally into new namespaces and a cgroup. Not retried.
///
/// The caller must be single-threaded, because the child has only this thread and would wait
/// for ever for a lock that another one held; debug builds refuse others with EDEADLK. The C
/// library's atfork handlers do not run. Where clone3 is missing or filtered (ENOSYS) and no
/// cgroup is asked for, clone does it. EINVAL for bits that would share memory.
pub fn clone_process(spec: &CloneSpec) -> Result<Cloned> {
    if cfg!(debug_assertions) && thread_count() > 1 {
        let args = "the caller has several threads";
        return Err(SysError::new("clone3", args, Errno::DEADLK));
    }
    clone_bare(spec)
}

/// The same from a process that may have several threads.
///
/// The child must make only raw calls of this crate that neither allocate nor lock until it
/// executes a program, exits, or runs code whose author answers for it.
pub fn clone_bare(spec: &CloneSpec) -> Result<Cloned> {
    let flags = spec.namespaces | spec.extra;
    let args = || {
        let into = spec.into_cgroup.map(describe);
        let signal = spec.exit_signal;
        format!("flags {flags:#x}, exit_signal {signal}, cgroup {into:?}")
    };
    let sharing = libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_VFORK | libc::CLONE_SETTLS;
    let signal = u64::try_from(spec.exit_signal).unwrap_or(u64::MAX);
    if flags & sharing as u64 != 0 || signal > 64 {
        return Err(SysError::new("clone3", args(), Errno::INVAL));
    }
    let forked = match calls::clone3(flags, signal, spec.into_cgroup) {
        // The lowest byte of clone's flags is the exit signal: CLONE_NEWTIME (0x80) has no place.
        Err(Errno::NOSYS)
            if spec.into_cgroup.is_none() && flags & 0xff == 0 && flags >> 32 == 0 =>
        {
            calls::clone_legacy(flags, signal).called("clone", args)?
        }
        other => other.called("clone3", args)?,
    };
    Ok(match forked {
        Forked::Parent(pid, pidfd) => Cloned::Parent { pid, pidfd },
        Forked::Child => Cloned::Child,
    })
}

/// Threads of this process; 1 if /proc does not tell.
fn thread_count() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Ends this process at once: no exit handlers, no flushing of buffers shared with a parent.
pub fn exit_now(code: i32) -> ! {
    calls::exit_now(code)
}

/// Opens a pidfd of a process.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    let args = || format!("{pid}");
    let found = positive(pid).called("pidfd_open", args)?;
    retry(|| rustix::process::pidfd_open(found, PidfdFlags::empty())).called("pidfd_open", args)
}

fn positive(pid: i32) -> std::result::Result<Pid, Errno> {
    if pid < 1 {
        return Err(Errno::INVAL);
    }
    Pid::from_raw(pid).ok_or(Errno::INVAL)
}

/// Sends a signal (1 to 64, or 0 to probe) to exactly that process.
pub fn pidfd_signal(pidfd: BorrowedFd, signal: i32) -> Result<()> {
    retry(|| calls::pidfd_send_signal(pidfd, signal)).called("pidfd_send_signal", || {
        format!("{}, {signal}", describe(pidfd))
    })
}

/// Sends a signal (1 to 31) to every process of the group that `leader` leads, a child of the caller
/// that it has not reaped. Nobody there is no error.
pub fn signal_group(leader: i32, signal: i32) -> Result<()> {
    let args = || format!("-{leader}, {signal}");
    let group = positive(leader).called("kill", args)?;
    let named = rustix::process::Signal::from_named_raw(signal).ok_or(Errno::INVAL);
    match named.and_then(|signal| rustix::process::kill_process_group(group, signal)) {
        Err(Errno::SRCH) => Ok(()),
        sent => sent.called("kill", args),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code (0 to 255).
    Exited(i32),
    /// A signal killed it.
    Killed {
        /// The signal's number.
        signal: i32,
        /// Whether it left a core dump.
        core: bool,
    },
}

impl Ended {
    /// The status as wait(2) writes it.
    pub fn wait_status(&self) -> i32 {
        match *self {
            Ended::Exited(code) => (code & 0xff) << 8,
            Ended::Killed { signal, core } => (signal & 0x7f) | if core { 0x80 } else { 0 },
        }
    }

    fn from_status(status: i32) -> Ended {
        match status & 0x7f {
            0 => Ended::Exited(status >> 8 & 0xff),
            signal => Ended::Killed {
                signal,
                core: status & 0x80 != 0,
            },
        }
    }
}

/// Reaps a child by its pidfd; `None` if it still runs and `block` is false.
///
/// With `block` it waits as long as the child lives.
pub fn wait_pidfd(pidfd: BorrowedFd, block: bool) -> Result<Option<Ended>> {
    let mut options = WaitIdOptions::EXITED;
    if !block {
        options |= WaitIdOptions::NOHANG;
    }
    let args = || format!("P_PIDFD, {}", describe(pidfd));
    let status = retry(|| waitid(WaitId::PidFd(pidfd), options)).called("waitid", args)?;
    let Some(status) = status else {
        return Ok(None);
    };
    let ended = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(signal)) => Ended::Killed {
            signal,
            core: status.dumped(),
        },
        (None, None) => return Ok(None),
    };
    Ok(Some(ended))
}

/// Waits for a child to end, and reaps it.
pub fn wait_pid(pid: i32) -> Result<Ended> {
    let args = || format!("{pid}");
    let child = positive(pid).called("wait4", args)?;
    loop {
        let ended = retry(|| waitpid(Some(child), WaitOptions::empty())).called("wait4", args)?;
        if let Some(ended) = ended.and_then(end_of) {
            return Ok(ended.1);
        }
    }
}

/// What [`reap_any`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// This child has ended and is reaped.
    Child(i32, Ended),
    /// There are children and none has ended.
    NoneYet,
    /// There are no children.
    Childless,
}

/// Reaps one child that has ended, whichever; never blocks.
pub fn reap_any() -> Result<Reaped> {
    // Not waitpid without a pid: that means the caller's process group, not any child.
    match retry(|| wait(WaitOptions::NOHANG)) {
        Ok(ended) => Ok(ended
            .and_then(end_of)
            .map_or(Reaped::NoneYet, |(pid, ended)| Reaped::Child(pid, ended))),
        Err(Errno::CHILD) => Ok(Reaped::Childless),
        Err(errno) => Err(SysError::new("wait4", "-1, WNOHANG", errno)),
    }
}

fn end_of((pid, status): (Pid, WaitStatus)) -> Option<(i32, Ended)> {
    (status.exited() || status.signaled()).then(|| {
        (
            pid.as_raw_nonzero().get(),
            Ended::from_status(status.as_raw()),
        )
    })
}

/// Leaves the namespaces (and other things) named by CLONE_* bits for new ones.
pub fn unshare(flags: u64) -> Result<()> {
    bits(flags)
        .and_then(|bits| retry(|| calls::unshare(bits)))
        .called("unshare", || format!("{flags:#x}"))
}

/// Enters namespaces: `fd` is one namespace (`flags` its CLONE_NEW* bit or 0), or a pidfd (5.8)
/// whose namespaces `flags` names.
pub fn setns(fd: BorrowedFd, flags: u64) -> Result<()> {
    bits(flags)
        .and_then(|bits| retry(|| calls::setns(fd, bits)))
        .called("setns", || format!("{}, {flags:#x}", describe(fd)))
}

/// CLONE_* bits as the two calls above take them.
fn bits(flags: u64) -> std::result::Result<i32, Errno> {
    u32::try_from(flags)
        .map(|flags| flags as i32)
        .map_err(|_| Errno::INVAL)
}

/// Asks for a signal at the death of the parent thread; 0 takes that back.
///
/// A parent that is dead already gives none: compare its pid afterwards.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    let number = libc::c_ulong::try_from(signal).unwrap_or(libc::c_ulong::MAX);
    prctl("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, number)
}

/// Sets what ps shows as this thread's name; the kernel keeps 15 bytes.
pub fn set_name(name: &str) -> Result<()> {
    CString::new(name)
        .map_err(|_| Errno::INVAL)
        .and_then(|name| rustix::thread::set_name(&name))
        .called("prctl", || format!("PR_SET_NAME, {name:?}"))
}

/// Allows or forbids core dumps, ptrace and /proc/PID by others of the same user.
pub fn set_dumpable(on: bool) -> Result<()> {
    prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, on.into())
}

/// Gives up for ever what set-uid programs and file capabilities would grant.
pub fn set_no_new_privs() -> Result<()> {
    // The unused arguments must be 0, as `calls::prctl` has them.
    prctl("PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Becomes the reaper of orphans among its descendants, or stops being it.
pub fn set_child_subreaper(on: bool) -> Result<()> {
    prctl(
        "PR_SET_CHILD_SUBREAPER",
        libc::PR_SET_CHILD_SUBREAPER,
        on.into(),
    )
}

fn prctl(name: &'static str, option: i32, argument: libc::c_ulong) -> Result<()> {
    calls::prctl(option, argument)
        .map(drop)
        .called("prctl", || format!("{name}, {argument}"))
}

/// Sets the execution domain (PER_* value and flags).
pub fn set_personality(persona: u64) -> Result<()> {
    calls::personality(persona)
        .map(drop)
        .called("personality", || format!("{persona:#x}"))
}

/// Sets the host name of this UTS namespace.
pub fn set_hostname(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).called("sethostname", || format!("{name:?}"))
}

/// Starts a new session without a terminal; gives its id.
pub fn setsid() -> Result<i32> {
    rustix::process::setsid()
        .map(|pid| pid.as_raw_nonzero().get())
        .called("setsid", String::new)
}

/// Changes the working directory.
pub fn chdir(path: &Path) -> Result<()> {
    retry(|| rustix::process::chdir(path)).called("chdir", || format!("{path:?}"))
}

/// Changes the working directory to an open one; O_PATH is enough.
pub fn fchdir(fd: BorrowedFd) -> Result<()> {
    retry(|| rustix::process::fchdir(fd)).called("fchdir", || describe(fd))
}

/// The working directory; ENOENT if it was removed or lies outside the root.
pub fn getcwd() -> Result<PathBuf> {
    let path = rustix::process::getcwd(Vec::new()).called("getcwd", String::new)?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(path.into_bytes()));
    // The kernel marks a directory that the root does not reach by "(unreachable)" in front.
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(SysError::new("getcwd", format!("{path:?}"), Errno::NOENT))
    }
}

/// Leaves the caller's session keyring for a new, empty one.
pub fn set_keyring_session() -> Result<()> {
    calls::join_session_keyring()
        .called("keyctl", || "KEYCTL_JOIN_SESSION_KEYRING, NULL".to_owned())
}

/// Sets the supplementary groups of this thread (one raw call; other threads keep theirs).
pub fn set_groups(groups: &[u32]) -> Result<()> {
    let args = || format!("{groups:?}");
    if groups.contains(&u32::MAX) {
        return Err(SysError::new("setgroups", args(), Errno::INVAL));
    }
    let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    rustix::thread::set_thread_groups(&groups).called("setgroups", args)
}

/// Sets real, effective and saved ids of this thread, the group first (raw calls, other threads
/// keep theirs). The supplementary groups are another matter: [`set_groups`].
pub fn set_ids(uid: u32, gid: u32) -> Result<()> {
    // The highest value means "leave it" to the kernel: that would be a silent no-op.
    if uid == u32::MAX || gid == u32::MAX {
        let args = format!("{uid}, {gid}");
        return Err(SysError::new("setresuid", args, Errno::INVAL));
    }
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_res_gid(group, group, group)
        .called("setresgid", || format!("{gid}, {gid}, {gid}"))?;
    rustix::thread::set_thread_res_uid(user, user, user)
        .called("setresuid", || format!("{uid}, {uid}, {uid}"))
}

/// Sets the user ids of this thread and leaves the groups alone (a raw call, other threads keep theirs).
pub fn set_user(uid: u32) -> Result<()> {
    let args = || format!("{uid}, {uid}, {uid}");
    // The highest value means "leave it" to the kernel: that would be a silent no-op.
    if uid == u32::MAX {
        return Err(SysError::new("setresuid", args(), Errno::INVAL));
    }
    let user = Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(user, user, user).called("setresuid", args)
}

/// Sets the file mode creation mask; gives the one before.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask)).as_raw_mode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn an_end_survives_the_way_through_a_status() {
        for (status, ended) in [
            (0, Ended::Exited(0)),
            (0x2a00, Ended::Exited(42)),
            (
                9,
                Ended::Killed {
                    signal: 9,
                    core: false,
                },
            ),
            (
                0x8b,
                Ended::Killed {
                    signal: 11,
                    core: true,
                },
            ),
        ] {
            assert_eq!(Ended::from_status(status), ended);
            assert_eq!(ended.wait_status(), status);
        }
    }

    #[test]
    fn senseless_requests_are_refused_before_the_kernel_sees_them() {
        let plain = CloneSpec {
            namespaces: 0,
            into_cgroup: None,
            exit_signal: libc::SIGCHLD,
            extra: 0,
        };
        for spec in [
            CloneSpec {
                extra: libc::CLONE_VM as u64,
                ..plain
            },
            CloneSpec {
                extra: libc::CLONE_THREAD as u64,
                ..plain
            },
            CloneSpec {
                exit_signal: -1,
                ..plain
            },
            CloneSpec {
                exit_signal: 65,
                ..plain
            },
        ] {
            assert!(clone_bare(&spec).unwrap_err().is(Errno::INVAL), "{spec:?}");
        }
        assert!(pidfd_open(0).unwrap_err().is(Errno::INVAL));
        assert!(pidfd_open(-5).unwrap_err().is(Errno::INVAL));
        assert!(wait_pid(-1).unwrap_err().is(Errno::INVAL));
        assert!(set_ids(u32::MAX, 0).unwrap_err().is(Errno::INVAL));
        assert!(set_groups(&[0, u32::MAX]).unwrap_err().is(Errno::INVAL));
        assert!(unshare(1 << 40).unwrap_err().is(Errno::INVAL));
        assert!(set_name("a\0b").unwrap_err().is(Errno::INVAL));
    }

    #[test]
    fn one_can_signal_oneself_with_nothing() {
        let me = pidfd_open(std::process::id() as i32).unwrap();
        pidfd_signal(me.as_fd(), 0).unwrap();
        let error = pidfd_signal(me.as_fd(), 65).unwrap_err();
        assert!(error.is(Errno::INVAL), "{error}");
    }
}
