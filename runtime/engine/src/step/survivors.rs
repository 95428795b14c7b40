//! Processes that outlive their init: in a pid namespace of the container's own there are none, because
//! the kernel kills them; in one that it keeps or shares they are found by their cgroup.

use lxc_kernel::{Errno, Result, file, process};
use std::os::fd::{AsFd, BorrowedFd};

/// Largest list of processes read.
const PROCESSES_MAX: usize = 1024 * 1024;
/// Rounds against processes that fork while they are being killed.
const ROUNDS: u32 = 100;

/// Kills whatever is in these cgroups, sub-cgroups of v2 included; what is left after a hundred rounds
/// keeps its cgroup.
pub fn kill(directories: &[BorrowedFd<'_>]) -> Result<()> {
    for directory in directories {
        match file::write_at(*directory, "cgroup.kill", b"1") {
            // No such file on v1, and on v2 before Linux 5.14.
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::PERM | Errno::ACCESS) => {
                kill_each(*directory)?;
            }
            done => done?,
        }
    }
    Ok(())
}

fn kill_each(directory: BorrowedFd<'_>) -> Result<()> {
    for _ in 0..ROUNDS {
        let list = members(directory)?;
        if list.is_empty() {
            return Ok(());
        }
        for pid in list {
            let Ok(pidfd) = process::pidfd_open(pid) else {
                // It has ended.
                continue;
            };
            // The number may be another's by now; whoever is still listed under it is meant.
            if members(directory)?.contains(&pid) {
                // One that has just ended takes no signal.
                let _ = process::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
            }
        }
    }
    Ok(())
}

fn members(directory: BorrowedFd<'_>) -> Result<Vec<i32>> {
    let list = file::read_at(directory, "cgroup.procs", PROCESSES_MAX)?;
    let list = String::from_utf8_lossy(&list).into_owned();
    // 0 is a process outside of our pid namespace, which is not ours to kill.
    Ok(list
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .collect())
}
