//! Forks, namespaces, mounts and pivots against the running kernel.
//!
//! A test program of its own kind: forking is only allowed to a process with one thread, so each
//! check runs by itself in a child of this program. Speaks as much of libtest's command line as
//! cargo and nextest use.

use lxc_kernel::process::{CloneSpec, Cloned, Ended, clone_process, exit_now, wait_pidfd};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

mod checks;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|it| it == word);
    let wanted: Vec<&String> = words.iter().filter(|it| !it.starts_with('-')).collect();
    let chosen = |name: &str| {
        let matches = |it: &&String| match has("--exact") {
            true => it.as_str() == name,
            false => name.contains(it.as_str()),
        };
        // `--format terse` and the like leave a word behind; no check is called that.
        let filters: Vec<_> = wanted.iter().filter(|it| it.as_str() != "terse").collect();
        !has("--ignored") && (filters.is_empty() || filters.iter().any(|it| matches(it)))
    };
    let checks = checks::ALL.iter().flat_map(|(name, check)| {
        [
            (name.to_string(), check, Calls::All),
            (format!("old_kernel::{name}"), check, Calls::OfLinux54),
            (format!("classic_mounts::{name}"), check, Calls::NoMountApi),
        ]
    });
    let checks = checks.filter(|(name, ..)| chosen(name));
    if has("--list") {
        checks.for_each(|(name, ..)| println!("{name}: test"));
        return;
    }
    let verdicts: Vec<&str> = checks
        .map(|(name, check, calls)| verdict(&name, check, calls))
        .collect();
    let count = |wanted| verdicts.iter().filter(|it| **it == wanted).count();
    let failed = count("FAILED");
    let (passed, unable) = (count("ok"), count("could not run"));
    println!("\n{passed} passed, {failed} failed, {unable} could not run");
    std::process::exit(i32::from(failed > 0));
}

/// What a check's process exits with.
const PASSED: i32 = 0;
const FAILED: i32 = 1;
const COULD_NOT_RUN: i32 = 77;

/// Which calls the kernel seems to have.
#[derive(Clone, Copy, PartialEq)]
enum Calls {
    All,
    /// Not those that Linux 5.4 lacks, nor clone3, which filters hide.
    OfLinux54,
    /// Nor the mount API of Linux 5.2: as under the filter of an old container manager.
    NoMountApi,
}

/// Runs a check in a child whose kernel seems to have `calls`, and prints its verdict.
fn verdict(name: &str, check: &fn() -> checks::Verdict, calls: Calls) -> &'static str {
    let plain = CloneSpec {
        namespaces: 0,
        into_cgroup: None,
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    let pidfd = match clone_process(&plain) {
        Ok(Cloned::Parent { pidfd, .. }) => pidfd,
        Ok(Cloned::Child) => exit_now(run(check, calls)),
        Err(error) => panic!("{name}: {error}"),
    };
    let ended = wait_pidfd(pidfd.as_fd(), true);
    let verdict = match ended {
        Ok(Some(Ended::Exited(PASSED))) => "ok",
        Ok(Some(Ended::Exited(COULD_NOT_RUN))) => "could not run",
        _ => "FAILED",
    };
    println!("test {name} ... {verdict}");
    if verdict == "FAILED" {
        println!("  {ended:?}");
    }
    verdict
}

fn run(check: &fn() -> checks::Verdict, calls: Calls) -> i32 {
    let body = || {
        match calls {
            Calls::All => {}
            Calls::OfLinux54 => forget(NEWER_THAN_5_4),
            Calls::NoMountApi => forget(&[NEWER_THAN_5_4, MOUNT_API].concat()),
        }
        check()
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => PASSED,
        Ok(Err(missing)) => {
            println!("  could not run: {missing}");
            COULD_NOT_RUN
        }
        Err(_) => FAILED,
    }
}

const NEWER_THAN_5_4: &[libc::c_long] = &[
    libc::SYS_openat2,
    libc::SYS_close_range,
    libc::SYS_mount_setattr,
    libc::SYS_clone3,
    libc::SYS_epoll_pwait2,
    libc::SYS_faccessat2,
];

const MOUNT_API: &[libc::c_long] = &[
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
];

/// Makes calls answer ENOSYS.
fn forget(calls: &[libc::c_long]) {
    use libseccomp::{ScmpAction, ScmpFilterContext, ScmpSyscall};
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow).unwrap();
    for call in calls {
        let missing = ScmpAction::Errno(libc::ENOSYS);
        filter
            .add_rule(missing, ScmpSyscall::from(*call as i32))
            .unwrap();
    }
    filter.load().unwrap();
}
