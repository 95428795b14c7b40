//! fork(2) as the C library makes it, and what it keeps per process.

use super::check;
use rustix::io::Errno;
use std::ffi::{CString, c_char};

/// fork(3): 0 in the child.
pub(crate) fn fork() -> Result<i32, Errno> {
    // SAFETY: takes nothing. What the child may do afterwards is the caller's to keep; the C library
    // itself sees to its own locks, malloc's among them.
    check(unsafe { libc::fork() }.into()).map(|pid| pid as i32)
}

/// kill(2) with SIGKILL, for a child that nobody has waited for yet.
pub(crate) fn kill(pid: i32) -> Result<(), Errno> {
    // SAFETY: two integers.
    check(unsafe { libc::kill(pid, libc::SIGKILL) }.into()).map(drop)
}

/// Where the C library keeps this thread's id, 0 if the kernel does not tell.
///
/// It asked the kernel to clear that place at the thread's end, and the kernel gives the address out.
pub(crate) fn thread_id_place() -> u64 {
    let mut place = 0u64;
    // SAFETY: the kernel writes one pointer to `place`, which outlives the call. The unused
    // arguments are 0.
    let told = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut place, 0, 0, 0) };
    if told == -1 { 0 } else { place }
}

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Makes `env` the C library's environment.
pub(crate) fn replace_environment(env: Vec<CString>) {
    let pointers: Vec<*mut c_char> = env
        .into_iter()
        .map(CString::into_raw)
        .chain([std::ptr::null_mut()])
        .collect();
    let pointers = Vec::leak(pointers).as_mut_ptr();
    // SAFETY: the array ends in a null and neither it nor its strings are ever freed. The caller
    // answers for this being the only thread, so nobody reads the variable meanwhile.
    unsafe { environ = pointers };
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;
    use crate::process::{self, CloneSpec, Cloned, Ended, ForkTurn};

    /// The C library derives a thread's clock from its note of the thread's id.
    fn note_is_true() -> bool {
        const PER_THREAD_RUNTIME: i32 = 6;
        let mut clock = 0;
        // SAFETY: `clock` outlives the call, and the handle is this thread's own.
        let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        // SAFETY: takes nothing.
        let id = unsafe { libc::gettid() };
        failed == 0 && clock == (!id << 3 | PER_THREAD_RUNTIME)
    }

    /// The exit code of a bare clone in a fork of this (threaded) process: 0 if its note is true.
    fn code_of_a_clone(extra: i32) -> Ended {
        let turn = ForkTurn::take();
        let Cloned::Parent { pid, .. } = turn.fork().unwrap() else {
            let spec = CloneSpec {
                namespaces: 0,
                into_cgroup: None,
                exit_signal: libc::SIGCHLD,
                extra: extra as u64,
            };
            // Allocates, whatever the other threads of the test program were doing.
            let code = match process::clone_process(&spec) {
                Ok(Cloned::Child) => i32::from(!note_is_true()),
                Ok(Cloned::Parent { pid, .. }) => match process::wait_pid(pid) {
                    Ok(Ended::Exited(code)) => code,
                    _ => 2,
                },
                Err(_) => 3,
            };
            process::exit_now(code)
        };
        process::wait_pid(pid).unwrap()
    }

    #[test]
    fn the_note_of_a_clones_id_is_kept_true_if_asked() {
        assert!(note_is_true());
        assert_eq!(code_of_a_clone(libc::CLONE_CHILD_SETTID), Ended::Exited(0));
        assert_eq!(code_of_a_clone(0), Ended::Exited(1));
    }

    #[test]
    fn an_environment_is_replaced_as_a_whole() {
        let turn = ForkTurn::take();
        let Cloned::Parent { pid, .. } = turn.fork().unwrap() else {
            replace_environment(vec![c"A=1".to_owned(), c"B=x=y".to_owned()]);
            let found: Vec<_> = std::env::vars().collect();
            let want = [("A".into(), "1".into()), ("B".into(), "x=y".into())];
            process::exit_now(i32::from(found != want))
        };
        assert_eq!(process::wait_pid(pid).unwrap(), Ended::Exited(0));
    }
}
