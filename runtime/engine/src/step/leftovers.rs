//! What a killed monitor leaves: cgroups under its suffixes, and in a frozen one processes that
//! cannot die before it is thawed.

use super::cgroup::lock_directory;
use lxc_kernel::events::{Interest, poll_one, timer};
use lxc_kernel::{Errno, Result, cgroup, file};
use lxc_plan::{CgroupNames, HierarchyFact};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what has been thawed may take to die.
const DYING: Duration = Duration::from_secs(2);
/// Largest list of processes read.
const PROCESSES_MAX: usize = 1024 * 1024;

/// Removes what killed monitors of these names left in any hierarchy: cgroups under their suffixes
/// whose monitor is gone. Returns how many directories went; those above them stay.
pub fn sweep(names: &CgroupNames, facts: &[HierarchyFact]) -> Result<u32> {
    let mut gone = 0;
    for suffix in suffixes(names, facts) {
        let monitor = format!("{}{suffix}", names.monitor);
        if in_charge(facts, &monitor) {
            continue;
        }
        let payload = format!("{}{suffix}", names.payload);
        let deadline = thaw_doomed(&payload, facts).then(|| Instant::now() + DYING);
        for fact in facts {
            let base = cgroup::open(&directory(fact))?;
            for name in [&payload, &monitor] {
                if is_there(base.as_fd(), name) {
                    // The kernel itself refuses to remove a cgroup with processes in it.
                    let removed = removed(deadline, || cgroup::remove(base.as_fd(), name));
                    gone += u32::from(removed.is_ok());
                }
            }
        }
    }
    Ok(gone)
}

fn directory(fact: &HierarchyFact) -> PathBuf {
    Path::new(&fact.mount).join(&fact.base)
}

fn is_there(base: BorrowedFd<'_>, path: &str) -> bool {
    cgroup::open_at(base, path).is_ok()
}

/// The suffixes under which there is something in any hierarchy: "", "-1", …
fn suffixes(names: &CgroupNames, facts: &[HierarchyFact]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for fact in facts {
        if names.exact {
            // The container's alone may be an administrator's; the monitor's is nobody else's.
            if directory(fact).join(&names.monitor).is_dir() {
                found.insert(String::new());
            }
            continue;
        }
        for path in [&names.monitor, &names.payload] {
            let (above, leaf) = path.rsplit_once('/').unwrap_or(("", path));
            suffixes_in(&directory(fact).join(above), leaf, &mut found);
        }
    }
    found
}

/// Adds what follows `leaf` in the names of `directory`: nothing, or a number.
fn suffixes_in(directory: &Path, leaf: &str, found: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(entry) = entry.file_name().into_string() else {
            continue;
        };
        let Some(rest) = entry.strip_prefix(leaf) else {
            continue;
        };
        let number = rest.strip_prefix('-');
        let counted = number.is_some_and(|n| n.parse::<u32>().is_ok());
        if rest.is_empty() || counted {
            found.insert(rest.to_string());
        }
    }
}

/// Whether a living monitor is responsible for the monitor cgroup `name`: one of ours holds its
/// lock, C LXC's lives in it.
fn in_charge(facts: &[HierarchyFact], name: &str) -> bool {
    let Some(first) = facts.first() else {
        return false;
    };
    let Ok(base) = cgroup::open(&directory(first)) else {
        return false;
    };
    match lock_directory(base.as_fd(), name) {
        Ok(Some(directory)) => file::read_at(directory.as_fd(), "cgroup.procs", PROCESSES_MAX)
            .map_or(true, |processes| !processes.is_empty()),
        Ok(None) => true,
        Err(error) => error.errno != Errno::NOENT,
    }
}

/// Thaws a v1 payload in which somebody has been killed and cannot die, frozen as it is; `true` if
/// there was one. What is frozen and not killed is somebody's and stays frozen.
fn thaw_doomed(payload: &str, facts: &[HierarchyFact]) -> bool {
    let freezer = facts
        .iter()
        .find(|f| f.controllers.iter().any(|c| c == "freezer"));
    let Some(freezer) = freezer.filter(|f| !f.unified) else {
        return false;
    };
    let Ok(found) = cgroup::open(&directory(freezer).join(payload)) else {
        return false;
    };
    let processes = file::read_at(found.as_fd(), "cgroup.procs", PROCESSES_MAX);
    let doomed = processes.is_ok_and(|list| {
        let list = String::from_utf8_lossy(&list).into_owned();
        list.lines().any(is_killed)
    });
    doomed && file::write_at(found.as_fd(), "freezer.state", b"THAWED").is_ok()
}

/// Whether SIGKILL is pending for the process.
fn is_killed(pid: &str) -> bool {
    let path = format!("/proc/{pid}/status");
    let Ok(status) = file::read_path(Path::new(&path), 64 * 1024) else {
        return false;
    };
    let status = String::from_utf8_lossy(&status);
    status.lines().any(|line| {
        let mask = line
            .strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (libc::SIGKILL - 1)) != 0)
    })
}

/// Repeats a removal while the kernel still holds the cgroup for tasks that are dying; it has no
/// event for that on v1, hence a timer that doubles. Without a deadline one try is all.
pub fn removed(deadline: Option<Instant>, mut act: impl FnMut() -> Result<()>) -> Result<()> {
    let mut pause = Duration::from_micros(200);
    loop {
        match act() {
            Err(error)
                if error.errno == Errno::BUSY && deadline.is_some_and(|d| Instant::now() < d) => {}
            done => return done,
        }
        poll_one(timer(pause)?.as_fd(), Interest::READ, Some(pause))?;
        pause *= 2;
    }
}
