//! /sys/fs/cgroup inside, when the container's init is not left to mount it.

use crate::guest::GuestWorld;
use crate::step::mounts::LOCKED_DOWN;
use lxc_config::attr;
use lxc_kernel::{Errno, Result, SysError, inroot::Root, mount};
use lxc_plan::{CgroupView, HierarchyFact, HierarchyMount};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Mounts what `view` says.
pub fn mount(view: &CgroupView, world: &mut GuestWorld<'_>) -> Result<()> {
    let target = world.root()?.resolve_nofollow("sys/fs/cgroup")?;
    match view {
        CgroupView::Unified { read_only } => {
            let whole = mounted_anew(true, &[], access(*read_only))?;
            mount::attach(whole.as_fd(), target.as_fd())
        }
        CgroupView::Legacy { mounts, read_only } => {
            let inside = Root::from_fd(tmpfs(target.as_fd())?);
            for hierarchy in mounts {
                let place = inside.mkdirs(&hierarchy.directory, 0o755)?;
                attach(hierarchy, access(*read_only), place.as_fd())?;
            }
            Ok(())
        }
        CgroupView::Bound {
            above_read_only,
            read_only,
        } => {
            let inside = Root::from_fd(tmpfs(target.as_fd())?);
            for (fact, path, held) in world.cgroups.payloads() {
                let above = mount::Change {
                    set: if *above_read_only { attr::RDONLY } else { 0 },
                    ..mount::Change::default()
                };
                let place = directories(fact, &path, &above, &inside)?;
                let own = mount::Change {
                    set: access(*read_only),
                    ..mount::Change::default()
                };
                let cgroup = same_directory(fact, &path, held)?;
                mount::attach_with(cgroup.as_fd(), place.as_fd(), &own)?;
            }
            Ok(())
        }
    }
}

fn tmpfs(target: BorrowedFd<'_>) -> Result<OwnedFd> {
    let options = ["mode=755".to_string(), "size=10240k".to_string()];
    let tmpfs = mount::new_mount("tmpfs", Some("cgroup_root"), &options, LOCKED_DOWN)?;
    mount::attach(tmpfs.as_fd(), target)?;
    Ok(tmpfs)
}

fn access(read_only: bool) -> u64 {
    LOCKED_DOWN | if read_only { attr::RDONLY } else { 0 }
}

fn attach(hierarchy: &HierarchyMount, attrs: u64, place: BorrowedFd<'_>) -> Result<()> {
    let Some(path) = &hierarchy.copy_of else {
        let mounted = mounted_anew(hierarchy.unified, &hierarchy.controllers, attrs)?;
        return mount::attach(mounted.as_fd(), place);
    };
    let copy = mount::clone_tree(None, Path::new(path), false)?;
    let change = mount::Change {
        set: attrs,
        ..mount::Change::default()
    };
    mount::attach_with(copy.as_fd(), place, &change)
}

fn mounted_anew(unified: bool, controllers: &[String], attrs: u64) -> Result<OwnedFd> {
    let fstype = if unified { "cgroup2" } else { "cgroup" };
    let mut options = match unified {
        true => Vec::new(),
        false => controllers.to_vec(),
    };
    // A hierarchy without controllers is named; the kernel wants `none` beside it.
    if !unified && controllers.iter().all(|c| c.starts_with("name=")) {
        options.insert(0, "none".into());
    }
    mount::new_mount(fstype, Some(fstype), &options, attrs)
}

/// The directories down to the container's cgroup, with `change` made to all above it; gives the place
/// for the cgroup itself.
fn directories(
    fact: &HierarchyFact,
    path: &str,
    change: &mount::Change,
    inside: &Root,
) -> Result<OwnedFd> {
    let name = fact.directory();
    let place = inside.mkdirs(&format!("{name}/{path}"), 0o755)?;
    if *change == mount::Change::default() {
        return Ok(place);
    }
    let above = inside.resolve_nofollow(name)?;
    let copy = mount::clone_tree(Some(above.as_fd()), Path::new(""), false)?;
    mount::attach_with(copy.as_fd(), above.as_fd(), change)?;
    Root::from_fd(copy).resolve_nofollow(path)
}

/// The container's cgroup as a mount. The descriptor `held` belongs to the host's mount namespace, so
/// the path is looked up again, in this one's copy; it must turn out to be the same directory.
fn same_directory(fact: &HierarchyFact, path: &str, held: BorrowedFd<'_>) -> Result<OwnedFd> {
    let path = Path::new(&fact.mount).join(path);
    let cgroup = mount::clone_tree(None, &path, false)?;
    let id = |fd: BorrowedFd<'_>| {
        let found = rustix::fs::fstat(fd);
        let found = found.map_err(|e| SysError::new("fstat", path.display().to_string(), e))?;
        Ok((found.st_dev, found.st_ino))
    };
    match id(cgroup.as_fd())? == id(held)? {
        true => Ok(cgroup),
        false => Err(SysError::new(
            "fstat",
            path.display().to_string(),
            Errno::STALE,
        )),
    }
}
