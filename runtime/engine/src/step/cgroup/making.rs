//! Making one directory usable: v1 cpusets need CPUs and memory nodes, v2 controllers are handed down
//! from above.

use super::Place;
use lxc_kernel::{Errno, Result, SysError, cgroup, file};
use lxc_plan::HierarchyFact;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Whether the hierarchy is that of v1 cpusets.
pub(super) fn has_cpuset(fact: &HierarchyFact) -> bool {
    !fact.unified && fact.controllers.iter().any(|c| c == "cpuset")
}

/// Makes a cgroup below the base, and those above it; tells whether the last one is new. With
/// `exclusive` one that exists is the error EEXIST.
pub(super) fn make(place: &Place, path: &str, exclusive: bool) -> Result<(OwnedFd, bool)> {
    let base = place.base.as_fd();
    if !has_cpuset(&place.fact) {
        return cgroup::make(base, path, exclusive);
    }
    let mut above: Option<OwnedFd> = None;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let parent = above.as_ref().map_or(base, AsFd::as_fd);
        let last = parts.peek().is_none();
        let (directory, made) = cgroup::make(parent, part, exclusive && last)?;
        if let Err(error) = inherit_cpuset(parent, directory.as_fd()) {
            if made {
                // Nobody is told of it, so nobody else will; empty as it is it goes.
                let _ = cgroup::remove(parent, part);
            }
            return Err(error);
        }
        if last {
            return Ok((directory, made));
        }
        above = Some(directory);
    }
    Err(SysError::new("mkdirat", path.to_string(), Errno::INVAL))
}

/// Makes the cgroup `name` in `parent`; one that exists will do.
pub(super) fn make_one(parent: BorrowedFd<'_>, name: &str, cpuset: bool) -> Result<OwnedFd> {
    let (directory, _) = cgroup::make(parent, name, false)?;
    if cpuset {
        inherit_cpuset(parent, directory.as_fd())?;
    }
    Ok(directory)
}

/// Hands the controllers down from the base to the cgroup `path`, which exists (v2).
pub(super) fn hand_down(place: &Place, path: &str) -> Result<()> {
    enable_controllers(place.base.as_fd(), &place.fact.controllers)?;
    let mut above: Option<OwnedFd> = None;
    let parts: Vec<&str> = path.split('/').collect();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        let parent = above.as_ref().map_or(place.base.as_fd(), AsFd::as_fd);
        let directory = cgroup::open_at(parent, part)?;
        enable_controllers(directory.as_fd(), &place.fact.controllers)?;
        above = Some(directory);
    }
    Ok(())
}

/// A v1 cpuset refuses processes until it has CPUs and memory nodes: the parent's.
pub(super) fn inherit_cpuset(parent: BorrowedFd<'_>, directory: BorrowedFd<'_>) -> Result<()> {
    // With clone_children the kernel has already copied them. Each is looked at by itself: a monitor
    // killed between the two leaves a directory with one of them.
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if file::read_at(directory, name, 4096)?
            .trim_ascii()
            .is_empty()
        {
            let value = file::read_at(parent, name, 4096)?;
            file::write_at(directory, name, value.trim_ascii())?;
        }
    }
    let flag = "cgroup.clone_children";
    match file::read_at(directory, flag, 16)?.trim_ascii() {
        b"1" => Ok(()),
        _ => file::write_at(directory, flag, b"1"),
    }
}

/// Hands the controllers down to the container's cgroup (v2).
///
/// A cgroup with processes of its own hands nothing down (EBUSY): the container then has no
/// controllers, and only a limit that needs one fails, by its name.
pub(super) fn enable_controllers(base: BorrowedFd<'_>, controllers: &[String]) -> Result<()> {
    let enabled = file::read_at(base, "cgroup.subtree_control", 4096)?;
    let enabled = String::from_utf8_lossy(&enabled).into_owned();
    let missing: Vec<String> = controllers
        .iter()
        .filter(|c| !enabled.split_whitespace().any(|e| e == **c))
        .map(|c| format!("+{c}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let handed = file::write_at(base, "cgroup.subtree_control", missing.join(" ").as_bytes());
    match handed {
        Err(error) if error.errno == Errno::BUSY => {
            log::warn!("the container gets no cgroup controllers: {error}");
            Ok(())
        }
        other => other,
    }
}
