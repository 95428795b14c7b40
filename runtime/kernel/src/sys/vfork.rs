//! A child that borrows our memory until it executes a program.
//!
//! This is the only way into a new program that costs nothing with a large heap and is safe with
//! threads. The child runs on a stack of its own while the calling thread is suspended; it makes
//! raw calls only: no allocation, no lock, no panic.

use super::{check, pointers, signal};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Everything that the child will do, prepared by the parent.
pub(crate) struct Orders<'a> {
    pub program: BorrowedFd<'a>,
    pub argv: &'a [CString],
    pub env: &'a [CString],
    /// Each source and the number at which the program shall find it.
    pub fds: &'a [(BorrowedFd<'a>, RawFd)],
    pub new_session: bool,
    pub close_from: Option<RawFd>,
    pub reset_signals: bool,
}

/// Why a child did not become the program: the call and its errno.
pub(crate) struct Failure {
    pub call: &'static str,
    pub errno: Errno,
}

/// What the child reads and where it leaves its failure. Lives on the parent's stack.
struct Shared {
    program: RawFd,
    argv: *const *const libc::c_char,
    env: *const *const libc::c_char,
    /// Pairs of source and target; the child replaces the sources by its duplicates.
    fds: *mut (RawFd, RawFd),
    fd_count: usize,
    /// First number above all targets and above `close_from`.
    floor: RawFd,
    new_session: bool,
    close_from: Option<RawFd>,
    reset_signals: bool,
    mask: u64,
    failed_call: Option<&'static str>,
    errno: i32,
}

/// Starts the program; returns its pid and pidfd once it runs, or why it does not.
///
/// A child that failed has been reaped.
pub(crate) fn spawn(orders: &Orders) -> Result<(i32, OwnedFd), Failure> {
    let argv = pointers(orders.argv);
    let env = pointers(orders.env);
    let mut fds: Vec<(RawFd, RawFd)> = orders
        .fds
        .iter()
        .map(|(source, target)| (source.as_raw_fd(), *target))
        .collect();
    let highest = fds.iter().map(|(_, target)| *target).max().unwrap_or(2);
    let failed = |call| move |errno| Failure { call, errno };
    let stack = Stack::new().map_err(failed("mmap"))?;
    let blocked = signal::set_mask(!0).map_err(failed("rt_sigprocmask"))?;
    let mut shared = Shared {
        program: orders.program.as_raw_fd(),
        argv: argv.as_ptr(),
        env: env.as_ptr(),
        fds: fds.as_mut_ptr(),
        fd_count: fds.len(),
        floor: highest.max(2) + 1,
        new_session: orders.new_session,
        close_from: orders.close_from,
        reset_signals: orders.reset_signals,
        mask: blocked,
        failed_call: None,
        errno: 0,
    };
    let mut pidfd: RawFd = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: `child` runs on `stack`, which is mapped until after the call, and with CLONE_VFORK
    // this thread sleeps until the child has executed or exited: `shared` and all it points to
    // stay valid and are never used by both at once. All signals are blocked, so no handler of
    // this process runs in the child. The pidfd is written to the parent_tid argument.
    let pid = check(
        unsafe {
            libc::clone(
                child,
                stack.top(),
                flags,
                (&raw mut shared).cast(),
                &raw mut pidfd,
                ptr::null_mut::<libc::c_void>(),
                ptr::null_mut::<libc::pid_t>(),
            )
        }
        .into(),
    );
    // Cannot fail: the mask was valid a moment ago.
    let _ = signal::set_mask(blocked);
    let pid = pid.map_err(failed("clone"))? as i32;
    // SAFETY: the kernel has just opened this pidfd for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };

    // SAFETY: `shared` was written by the child through a pointer; a volatile read keeps the
    // compiler from assuming the values stored above.
    let (call, errno) = unsafe {
        (
            ptr::read_volatile(&raw const shared.failed_call),
            ptr::read_volatile(&raw const shared.errno),
        )
    };
    match call {
        None => Ok((pid, pidfd)),
        Some(call) => {
            reap(pid);
            Err(Failure {
                call,
                errno: Errno::from_raw_os_error(errno),
            })
        }
    }
}

/// Waits for a child that has already exited.
fn reap(pid: i32) {
    // SAFETY: a null status is allowed. A wait by somebody else's handler ends it with ECHILD.
    while unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) } == -1
        && super::last_errno() == Errno::INTR
    {}
}

/// The child's life. Never returns.
extern "C" fn child(argument: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes its own Shared and sleeps while we use it.
    let shared = unsafe { &mut *argument.cast::<Shared>() };
    let call = become_program(shared);
    shared.errno = super::last_errno().raw_os_error();
    shared.failed_call = Some(call);
    // SAFETY: _exit runs no handlers of the process whose memory we share.
    unsafe { libc::_exit(127) }
}

/// Does what was ordered; returns the name of the call that failed.
fn become_program(shared: &mut Shared) -> &'static str {
    signal::reset_actions(shared.reset_signals);
    // SAFETY: raw calls on numbers; `fds` has `fd_count` entries that only we use now; the arrays
    // for execveat end in a null. None of these functions allocates or locks.
    unsafe {
        if shared.new_session && libc::setsid() == -1 {
            return "setsid";
        }
        let floor = shared.floor;
        let fds = std::slice::from_raw_parts_mut(shared.fds, shared.fd_count);
        // Every source goes above all targets first: no placing can then overwrite a source.
        let program = libc::fcntl(shared.program, libc::F_DUPFD_CLOEXEC, floor);
        if program == -1 {
            return "fcntl";
        }
        for (source, _) in fds.iter_mut() {
            *source = libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, floor);
            if *source == -1 {
                return "fcntl";
            }
        }
        for (source, target) in fds.iter() {
            if libc::dup3(*source, *target, 0) == -1 {
                return "dup3";
            }
        }
        if let Some(first) = shared.close_from
            && !close_others(first, fds, program)
        {
            return "close_range";
        }
        let mask = if shared.reset_signals { 0 } else { shared.mask };
        if signal::set_mask(mask).is_err() {
            return "rt_sigprocmask";
        }
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            shared.argv,
            shared.env,
            libc::AT_EMPTY_PATH,
        );
    }
    "execveat"
}

/// Closes everything from `first` on but the targets and the program.
fn close_others(first: RawFd, fds: &[(RawFd, RawFd)], program: RawFd) -> bool {
    let spared = |number: RawFd| number == program || fds.iter().any(|(_, it)| *it == number);
    let next_spared = |from: RawFd| {
        let targets = fds.iter().map(|(_, target)| *target);
        targets.chain([program]).filter(|it| *it >= from).min()
    };
    let mut from = first;
    while let Some(kept) = next_spared(from) {
        if kept > from && !close_span(from as u32, kept as u32 - 1, &spared) {
            return false;
        }
        from = kept + 1;
    }
    close_span(from as u32, u32::MAX, &spared)
}

/// close_range(2), or the open numbers one by one on a kernel (before 5.9) without it.
fn close_span(first: u32, last: u32, spared: &dyn Fn(RawFd) -> bool) -> bool {
    match super::calls::close_range(first, last) {
        Ok(()) => true,
        // EPERM is what a filter says that does not know the call; its own errors are others.
        Err(Errno::NOSYS | Errno::PERM) => close_listed(first, last, spared),
        Err(_) => false,
    }
}

/// Closes the numbers from `first` to `last` that /proc/self/fd lists, without allocating.
pub(crate) fn close_listed(first: u32, last: u32, spared: &dyn Fn(RawFd) -> bool) -> bool {
    // SAFETY: raw calls on a C string and on a buffer whose length is passed with it.
    let directory = unsafe {
        libc::open(
            c"/proc/self/fd".as_ptr(),
            libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC,
        )
    };
    if directory == -1 {
        return false;
    }
    let mut buffer = [0u64; 256];
    loop {
        // SAFETY: as above.
        let filled = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                directory,
                buffer.as_mut_ptr(),
                size_of_val(&buffer),
            )
        };
        if filled <= 0 {
            super::calls::close(directory);
            return filled == 0;
        }
        // SAFETY: the kernel has just written `filled` bytes to the start of `buffer`.
        let entries =
            unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), filled as usize) };
        for_each_number(entries, |number| {
            let in_span = (first..=last).contains(&(number as u32));
            if in_span && number != directory && !spared(number) {
                super::calls::close(number);
            }
        });
    }
}

/// Calls `each` with every numeric name among the directory entries of one getdents64.
fn for_each_number(entries: &[u8], mut each: impl FnMut(RawFd)) {
    /// Where an entry keeps its length (two bytes) and its name.
    const LENGTH_AT: usize = 16;
    const NAME_AT: usize = 19;
    let mut rest = entries;
    while let (Some(&low), Some(&high)) = (rest.get(LENGTH_AT), rest.get(LENGTH_AT + 1)) {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let (Some(name), Some(after)) = (rest.get(NAME_AT..length), rest.get(length..)) else {
            return;
        };
        let mut number: Option<RawFd> = None;
        for byte in name.iter().take_while(|byte| **byte != 0) {
            number = match byte {
                b'0'..=b'9' => {
                    let digit = RawFd::from(byte - b'0');
                    number.unwrap_or(0).checked_mul(10).map(|it| it + digit)
                }
                _ => None,
            };
            if number.is_none() {
                break;
            }
        }
        if let Some(number) = number {
            each(number);
        }
        rest = after;
    }
}

/// A mapped stack with a guard page below.
struct Stack {
    base: *mut libc::c_void,
}

impl Stack {
    const GUARD: usize = 64 << 10; // the largest page size of any architecture
    const SIZE: usize = 256 << 10;

    fn new() -> Result<Stack, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice; the guard lies
        // within it.
        unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let base = libc::mmap(ptr::null_mut(), Self::SIZE, access, flags, -1, 0);
            if base == libc::MAP_FAILED {
                return Err(super::last_errno());
            }
            let stack = Stack { base };
            if libc::mprotect(base, Self::GUARD, libc::PROT_NONE) == -1 {
                return Err(super::last_errno());
            }
            Ok(stack)
        }
    }

    /// Stacks grow down on every architecture served here.
    fn top(&self) -> *mut libc::c_void {
        // SAFETY: one past the end of the mapping, 16-byte aligned because it is page-aligned.
        unsafe { self.base.cast::<u8>().add(Self::SIZE).cast() }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the child that used it has its own memory by now.
        unsafe { libc::munmap(self.base, Self::SIZE) };
    }
}
