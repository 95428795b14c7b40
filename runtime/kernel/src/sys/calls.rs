//! Raw calls on processes, descriptors, mounts and names.

use super::{check, pointers};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

type Raw<T> = Result<T, Errno>;

/// Who one is after a fork: the parent learns the child's pid and holds its pidfd.
pub(crate) enum Forked {
    Parent(i32, OwnedFd),
    Child,
}

/// libc's constant of this name is 32 bits wide, in which it is 0.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// clone3(2) with CLONE_PIDFD and the caller's memory copied, as fork(2) does. With CLONE_CHILD_SETTID
/// the C library's note of the thread's id is brought up to date, where the kernel tells its place.
pub(crate) fn clone3(flags: u64, exit_signal: u64, cgroup: Option<BorrowedFd>) -> Raw<Forked> {
    let mut pidfd: RawFd = -1;
    let mut args = libc::clone_args {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        child_tid: match flags & libc::CLONE_CHILD_SETTID as u64 {
            0 => 0,
            _ => super::fork::thread_id_place(),
        },
        parent_tid: 0,
        exit_signal,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    match args.child_tid {
        0 => args.flags &= !(libc::CLONE_CHILD_SETTID as u64),
        // As fork(3) does: whoever asks the child's kernel for the place finds it again.
        _ => args.flags |= libc::CLONE_CHILD_CLEARTID as u64,
    }
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    let size = size_of::<libc::clone_args>();
    // SAFETY: `args` is a whole clone_args of `size` bytes and `pidfd` outlives the call; the child's
    // copy of the C library's note, if any, is where the library has the kernel clear it too. Without
    // CLONE_VM (refused by the caller) the child runs on a copy of this stack and this memory.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size) })?;
    forked(pid, pidfd)
}

/// clone(2) with CLONE_PIDFD, for kernels and filters without clone3.
///
/// `flags` must fit: the lowest eight bits carry the exit signal.
pub(crate) fn clone_legacy(flags: u64, exit_signal: u64) -> Raw<Forked> {
    let mut pidfd: RawFd = -1;
    // Where it takes the child's id is another argument on each architecture: the note stays as it is.
    let flags = flags & !(libc::CLONE_CHILD_SETTID as u64);
    let word = flags | libc::CLONE_PIDFD as u64 | (exit_signal & 0xff);
    // SAFETY: the third argument (parent_tid on every architecture) points to `pidfd`, which
    // outlives the call; a null stack makes the child go on with a copy of this one.
    let pid = check(unsafe {
        libc::syscall(
            libc::SYS_clone,
            word,
            std::ptr::null_mut::<libc::c_void>(),
            &raw mut pidfd,
            0usize,
            0usize,
        )
    })?;
    forked(pid, pidfd)
}

fn forked(pid: libc::c_long, pidfd: RawFd) -> Raw<Forked> {
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // SAFETY: the kernel has just opened this pidfd for us; nobody else knows its number.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Forked::Parent(pid as i32, pidfd))
}

/// _exit(2): no exit handlers, no flushing of buffers that a parent shares.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any number and does not come back.
    unsafe { libc::_exit(code) }
}

/// pidfd_send_signal(2); rustix refuses real-time signals.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd, signal: i32) -> Raw<()> {
    // SAFETY: a null siginfo asks the kernel to fill it as kill(2) does.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        )
    })
    .map(drop)
}

/// unshare(2) with any bits.
pub(crate) fn unshare(flags: i32) -> Raw<()> {
    // SAFETY: takes one integer; memory is never unshared by it.
    check(unsafe { libc::unshare(flags) }.into()).map(drop)
}

/// setns(2) with any bits.
pub(crate) fn setns(fd: BorrowedFd, flags: i32) -> Raw<()> {
    // SAFETY: takes a live descriptor and an integer.
    check(unsafe { libc::setns(fd.as_raw_fd(), flags) }.into()).map(drop)
}

const NONE: libc::c_ulong = 0;

/// prctl(2) whose arguments are plain integers.
pub(crate) fn prctl(option: i32, argument: libc::c_ulong) -> Raw<i32> {
    // SAFETY: callers pass only options whose arguments are integers, so no memory is touched.
    check(unsafe { libc::prctl(option, argument, NONE, NONE, NONE) }.into()).map(|it| it as i32)
}

const PR_SCHED_CORE: i32 = 62;
const PIDTYPE_PID: libc::c_ulong = 0;
const PIDTYPE_TGID: libc::c_ulong = 1;

/// What prctl(PR_SCHED_CORE) changes.
#[derive(Clone, Copy)]
pub(crate) enum SchedCore {
    /// A new cookie for all threads of a process.
    Create,
    /// The cookie of a process for the calling thread.
    ShareFrom,
}

/// prctl(PR_SCHED_CORE) to change.
pub(crate) fn sched_core(what: SchedCore, pid: i32) -> Raw<()> {
    let (command, scope): (libc::c_ulong, _) = match what {
        SchedCore::Create => (1, PIDTYPE_TGID),
        SchedCore::ShareFrom => (3, PIDTYPE_PID),
    };
    let pid = libc::c_ulong::try_from(pid).map_err(|_| Errno::INVAL)?;
    // SAFETY: neither command reads or writes memory; the last argument must be 0.
    check(unsafe { libc::prctl(PR_SCHED_CORE, command, pid, scope, NONE) }.into()).map(drop)
}

/// prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET) of one thread.
pub(crate) fn sched_core_cookie(pid: i32) -> Raw<u64> {
    let pid = libc::c_ulong::try_from(pid).map_err(|_| Errno::INVAL)?;
    let mut cookie = 0u64;
    // SAFETY: the kernel writes eight bytes to `cookie`, which outlives the call.
    let told = unsafe {
        libc::prctl(
            PR_SCHED_CORE,
            0 as libc::c_ulong,
            pid,
            PIDTYPE_PID,
            &raw mut cookie,
        )
    };
    check(told.into()).map(|_| cookie)
}

/// ioctl(NS_GET_NSTYPE): the CLONE_NEW* bit of a namespace.
pub(crate) fn namespace_type(namespace: BorrowedFd) -> Raw<u64> {
    const NS_GET_NSTYPE: u32 = 0xb703;
    // SAFETY: this request takes no argument.
    let told = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE as libc::Ioctl) };
    check(told.into()).map(|bit| bit as u64)
}

/// personality(2); returns the one before.
pub(crate) fn personality(persona: u64) -> Raw<i32> {
    // SAFETY: takes one integer.
    check(unsafe { libc::personality(persona as libc::c_ulong) }.into()).map(|it| it as i32)
}

/// The mount id that name_to_handle_at(2) tells of a descriptor beside a handle that has no room.
pub(crate) fn mount_id(fd: BorrowedFd) -> Raw<u64> {
    // struct file_handle with room for nothing: bytes, type.
    let mut handle = [0u32; 2];
    let mut id: libc::c_int = 0;
    // SAFETY: the name is a C string, `handle` is as long as its first word says, and `id` has room
    // for an int; all outlive the call.
    let done = check(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            fd.as_raw_fd(),
            c"".as_ptr(),
            handle.as_mut_ptr(),
            &raw mut id,
            libc::AT_EMPTY_PATH,
        )
    });
    match done {
        // There was no room for the handle; the id is there all the same.
        Ok(_) | Err(Errno::OVERFLOW) => u64::try_from(id).map_err(|_| Errno::OVERFLOW),
        Err(errno) => Err(errno),
    }
}

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL): a new anonymous session keyring.
pub(crate) fn join_session_keyring() -> Raw<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    })
    .map(drop)
}

/// execve(2): returns only the reason of its failure.
pub(crate) fn execve(path: &CStr, argv: &[CString], env: &[CString]) -> Errno {
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end in a null and point to strings that live until the call is over.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    super::last_errno()
}

/// execveat(fd, "", AT_EMPTY_PATH): returns only the reason of its failure.
pub(crate) fn execveat(fd: BorrowedFd, argv: &[CString], env: &[CString]) -> Errno {
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end in a null and point to strings that live until the call is over.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    super::last_errno()
}

/// close_range(2), closing now.
pub(crate) fn close_range(first: u32, last: u32) -> Raw<()> {
    // SAFETY: the caller answers for nobody using those numbers any more (see `fd::close_from`).
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) }).map(drop)
}

/// close(2) by number.
pub(crate) fn close(number: RawFd) {
    // SAFETY: the caller answers for nobody using this number any more (see `fd::close_from`).
    unsafe { libc::close(number) };
}

/// dup3(2) onto a number; without close-on-exec.
pub(crate) fn dup_onto(fd: BorrowedFd, number: RawFd) -> Raw<()> {
    // SAFETY: two integers; what was open at `number` is closed, for which the caller answers.
    check(unsafe { libc::dup3(fd.as_raw_fd(), number, 0) }.into()).map(drop)
}

/// fcntl(F_SETFD) by number.
pub(crate) fn set_close_on_exec(number: RawFd, on: bool) -> Raw<()> {
    let flag = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: two integers.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, flag) }.into()).map(drop)
}

/// What mount_setattr(2) is to change.
#[derive(Default)]
pub(crate) struct MountChange {
    pub set: u64,
    pub clear: u64,
    pub propagation: u64,
    pub user_namespace: u64,
}

/// mount_setattr(fd, "", AT_EMPTY_PATH).
pub(crate) fn mount_setattr(fd: BorrowedFd, recursive: bool, change: &MountChange) -> Raw<()> {
    mount_setattr_raw(fd.as_raw_fd(), recursive, change)
}

/// The same by number, so that a probe can pass one that is not open.
pub(crate) fn mount_setattr_raw(fd: RawFd, recursive: bool, change: &MountChange) -> Raw<()> {
    let attributes = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: change.user_namespace,
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: `attributes` is a whole mount_attr of the size given and outlives the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// memfd_create(2) with any bits (MFD_EXEC and MFD_NOEXEC_SEAL are new).
pub(crate) fn memfd_create(name: &CStr, flags: u32) -> Raw<OwnedFd> {
    // SAFETY: the name is a C string that outlives the call.
    let fd = check(unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags) })?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
