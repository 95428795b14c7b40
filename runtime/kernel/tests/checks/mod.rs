//! The checks, by name.

use lxc_kernel::process::{self, CloneSpec, Cloned, Ended};
use lxc_kernel::users;
use std::os::fd::AsFd;

mod births;
mod mounts;
mod programs;

/// Passed, or the reason why it could not run; a check that fails panics.
pub type Verdict = Result<(), String>;
/// A name and what it checks.
pub type Check = (&'static str, fn() -> Verdict);

macro_rules! checks {
    ($($module:ident: $($name:ident)* ;)*) => {
        &[$($((stringify!($name), $module::$name),)*)*]
    };
}

/// Every check.
pub const ALL: &[Check] = checks! {
    births:
        a_clone_exits_and_is_reaped
        a_child_in_its_own_session_is_reaped
        a_clone_has_memory_of_its_own
        a_clone_is_pid_1_of_its_namespace
        threads_are_noticed
        a_child_of_the_parent
        a_clone_is_born_in_its_cgroup
        cgroups_are_entered
    ;
    mounts:
        a_tmpfs_is_made_and_attached
        a_filesystem_says_what_is_wrong
        attributes_are_set_both_ways
        a_tree_is_cloned_and_bound
        removal_stops_at_mounts
        procfs_is_not_fooled_by_mounts
        the_root_is_exchanged
        a_new_devpts_gives_terminals
        a_change_reaches_as_far_as_it_is_told
        preparing_a_mount_leaves_nothing_behind
        a_long_option_reaches_the_filesystem
    ;
    programs:
        namespaces_are_entered_by_descriptor
        a_terminal_controls_a_session
        a_program_is_executed
        a_program_is_spawned_with_nothing_else
        a_sealed_program_runs
        ids_are_given_up
        stdio_becomes_null_and_the_rest_closes
        child_signals_are_read
        process_attributes_are_set
    ;
};

fn needs_root() -> Verdict {
    match users::euid() {
        0 => Ok(()),
        _ => Err("needs root".to_owned()),
    }
}

/// Whether this check runs with the calls of newer kernels filtered out.
fn filtered() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.contains("Seccomp:\t2")
}

fn plain() -> CloneSpec<'static> {
    CloneSpec {
        namespaces: 0,
        into_cgroup: None,
        exit_signal: libc::SIGCHLD,
        extra: 0,
    }
}

/// Runs `body` in a clone; its result is the exit code. A panic is code 101.
fn in_clone(spec: &CloneSpec, body: impl FnOnce() -> i32) -> Ended {
    match process::clone_process(spec).unwrap() {
        Cloned::Child => {
            let body = std::panic::AssertUnwindSafe(body);
            process::exit_now(std::panic::catch_unwind(body).unwrap_or(101))
        }
        Cloned::Parent { pidfd, .. } => process::wait_pidfd(pidfd.as_fd(), true).unwrap().unwrap(),
    }
}

fn words(words: &[&str]) -> Vec<std::ffi::CString> {
    words
        .iter()
        .map(|it| std::ffi::CString::new(*it).unwrap())
        .collect()
}
