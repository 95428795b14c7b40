//! proc, sysfs, cgroups and what the configuration mounts. Every target is a descriptor that was
//! resolved inside the rootfs once; the mount is moved onto that descriptor.

use crate::guest::GuestWorld;
use lxc_config::{Bind, Create, ProcMode, SysMode, attr};
use lxc_kernel::{Errno, Result, SysError, inroot::Root, mount};
use lxc_plan::{CgroupView, PlannedMount};
use rustix::fs::FileType;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What proc and sysfs are mounted with.
const LOCKED_DOWN: u64 = attr::NOSUID | attr::NODEV | attr::NOEXEC;

/// A directory directly below the root that is no link: /dev, proc and sysfs go nowhere else. Made
/// if it is missing.
pub fn real_directory(name: &str, root: &Root) -> Result<OwnedFd> {
    let found = match root.resolve_nofollow(name) {
        Err(error) if error.errno == Errno::NOENT => return root.mkdirs(name, 0o755),
        found => found?,
    };
    let stat = rustix::fs::fstat(&found).map_err(|e| SysError::new("fstat", name, e))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok(found),
        _ => Err(SysError::new("openat2", name, Errno::NOTDIR)),
    }
}

/// Sets attributes on a mount that is attached already, with the classic call where the kernel
/// has no other.
fn restrict(mounted: &OwnedFd, set: u64, clear: u64, recursive: bool) -> Result<()> {
    match mount::set_attrs(mounted.as_fd(), set, clear, recursive) {
        Err(error) if error.errno == Errno::NOSYS => {
            mount::remount_attrs(mounted.as_fd(), set, clear)
        }
        done => done,
    }
}

/// proc, with /proc/sys and sysrq-trigger read-only unless `Rw`.
pub fn proc(mode: ProcMode, writable_net: bool, world: &mut GuestWorld<'_>) -> Result<()> {
    let target = real_directory("proc", world.root()?)?;
    let proc = mount::new_mount("proc", Some("proc"), &[], LOCKED_DOWN)?;
    mount::attach(proc.as_fd(), target.as_fd())?;
    if mode == ProcMode::Mixed {
        let inside = Root::from_fd(proc.try_clone().map_err(|e| io("dup", &e))?);
        // Cloned before /proc/sys is covered, so that it is still the writable one.
        let net = match writable_net {
            true => present(mount::clone_tree(
                Some(proc.as_fd()),
                Path::new("sys/net"),
                false,
            ))?,
            false => None,
        };
        let sys = mount::clone_tree(Some(proc.as_fd()), Path::new("sys"), false)?;
        mount::attach(sys.as_fd(), inside.resolve_nofollow("sys")?.as_fd())?;
        restrict(&sys, attr::RDONLY, 0, false)?;
        if let Some(net) = net {
            let place = Root::from_fd(sys).resolve_nofollow("net")?;
            mount::attach(net.as_fd(), place.as_fd())?;
        }
        let trigger = Path::new("sysrq-trigger");
        if let Some(sysrq) = present(mount::clone_tree(Some(proc.as_fd()), trigger, false))? {
            mount::attach(
                sysrq.as_fd(),
                inside.resolve_nofollow("sysrq-trigger")?.as_fd(),
            )?;
            restrict(&sysrq, attr::RDONLY, 0, false)?;
        }
    }
    world.proc = Some(proc);
    Ok(())
}

/// sysfs; `Mixed` leaves devices/virtual/net writable, the container's own devices.
pub fn sys(mode: SysMode, world: &mut GuestWorld<'_>) -> Result<()> {
    let target = real_directory("sys", world.root()?)?;
    let sys = mount::new_mount("sysfs", Some("sysfs"), &[], LOCKED_DOWN)?;
    mount::attach(sys.as_fd(), target.as_fd())?;
    if mode == SysMode::Rw {
        return Ok(());
    }
    let net = match mode {
        SysMode::Mixed => {
            let path = Path::new("devices/virtual/net");
            present(mount::clone_tree(Some(sys.as_fd()), path, false))?
        }
        SysMode::Ro | SysMode::Rw => None,
    };
    restrict(&sys, attr::RDONLY, 0, false)?;
    if let Some(net) = net {
        let place = Root::from_fd(sys).resolve_nofollow("devices/virtual/net")?;
        mount::attach(net.as_fd(), place.as_fd())?;
    }
    Ok(())
}

/// A kernel without the file has nothing to protect there.
fn present(found: Result<OwnedFd>) -> Result<Option<OwnedFd>> {
    match found {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.errno == Errno::NOENT => Ok(None),
        Err(error) => Err(error),
    }
}

/// One configured mount; `optional` ones that fail are noted and skipped.
pub fn entry(planned: &PlannedMount, world: &mut GuestWorld<'_>) -> Result<()> {
    match attach_entry(planned, world) {
        Err(error) if planned.entry.options.optional => {
            world.note(2, format!("skipped {}: {error}", planned.shown()));
            Ok(())
        }
        done => done,
    }
}

fn attach_entry(planned: &PlannedMount, world: &mut GuestWorld<'_>) -> Result<()> {
    let (entry, options) = (&planned.entry, &planned.entry.options);
    let recursive = options.bind == Some(Bind::Recursive);
    // The source first: without one, nothing is created in the rootfs.
    let mounted = match options.bind {
        Some(_) if options.relative => {
            let inside = world.root()?.resolve(&entry.source)?;
            mount::clone_tree(Some(inside.as_fd()), Path::new(""), recursive)?
        }
        Some(_) => mount::clone_tree(None, Path::new(&entry.source), recursive)?,
        None => {
            prepare_overlay(&entry.fstype, &options.data)?;
            mount::new_mount(
                &entry.fstype,
                Some(&entry.source),
                &options.data,
                options.set,
            )?
        }
    };
    let root = world.root()?;
    let target = match options.create {
        Some(Create::Dir) => root.mkdirs(&planned.target, 0o755)?,
        Some(Create::File) => root.create_file(&planned.target, 0)?,
        None => root.resolve(&planned.target)?,
    };
    if world.own_root && same_file(root.fd(), target.as_fd())? {
        // The container would run on what lies beneath, every attach on what lies above.
        return Err(SysError::new(
            "move_mount",
            "the rootfs itself",
            Errno::BUSY,
        ));
    }
    let classic = options.bind.is_some() && (options.set | options.clear) != 0;
    let early = classic && mount::has_mount_setattr();
    if early {
        // Before it is visible: nothing inside ever sees it without its restrictions.
        mount::set_attrs(mounted.as_fd(), options.set, options.clear, recursive)?;
    }
    mount::attach(mounted.as_fd(), target.as_fd())?;
    if classic && !early {
        mount::remount_attrs(mounted.as_fd(), options.set, options.clear)?;
    }
    if let Some((propagation, recursive)) = options.propagation {
        let propagation = match propagation {
            lxc_config::Propagation::Private => mount::Propagation::Private,
            lxc_config::Propagation::Shared => mount::Propagation::Shared,
            lxc_config::Propagation::Slave => mount::Propagation::Slave,
            lxc_config::Propagation::Unbindable => mount::Propagation::Unbindable,
        };
        mount::set_propagation_fd(mounted.as_fd(), propagation, recursive)?;
    }
    Ok(())
}

fn same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    let id = |fd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let ids = id(one).and_then(|one| Ok(one == id(other)?));
    ids.map_err(|e| SysError::new("fstat", "mount target", e))
}

/// LXC makes an overlay's upper and work directories when they are missing.
fn prepare_overlay(fstype: &str, data: &[String]) -> Result<()> {
    if !fstype.starts_with("overlay") {
        return Ok(());
    }
    for option in data {
        let path = option
            .strip_prefix("upperdir=")
            .or_else(|| option.strip_prefix("workdir="));
        if let Some(path) = path {
            std::fs::create_dir_all(path).map_err(|e| io(&format!("mkdir {path}"), &e))?;
        }
    }
    Ok(())
}

/// /sys/fs/cgroup, when the container's init is not left to mount it.
pub fn cgroups(view: &CgroupView, world: &mut GuestWorld<'_>) -> Result<()> {
    let target = world.root()?.resolve_nofollow("sys/fs/cgroup")?;
    let read_only = |ro: &bool| if *ro { attr::RDONLY } else { 0 };
    match view {
        CgroupView::Unified { read_only: ro } => {
            let attrs = LOCKED_DOWN | read_only(ro);
            let mounted = mount::new_mount("cgroup2", Some("cgroup2"), &[], attrs)?;
            mount::attach(mounted.as_fd(), target.as_fd())
        }
        CgroupView::Legacy {
            mounts,
            read_only: ro,
        } => {
            let options = ["mode=755".to_string(), "size=10240k".to_string()];
            let tmpfs = mount::new_mount("tmpfs", Some("cgroup_root"), &options, LOCKED_DOWN)?;
            mount::attach(tmpfs.as_fd(), target.as_fd())?;
            let inside = Root::from_fd(tmpfs);
            for (name, unified, controllers) in mounts {
                let place = inside.mkdirs(name, 0o755)?;
                let fstype = if *unified { "cgroup2" } else { "cgroup" };
                let mounted = if *unified {
                    mount::new_mount(fstype, Some(fstype), &[], LOCKED_DOWN | read_only(ro))?
                } else {
                    // A hierarchy without controllers is named; the kernel wants `none` beside it.
                    let mut options = controllers.clone();
                    if controllers.iter().all(|c| c.starts_with("name=")) {
                        options.insert(0, "none".into());
                    }
                    mount::new_mount(fstype, Some(fstype), &options, LOCKED_DOWN | read_only(ro))?
                };
                mount::attach(mounted.as_fd(), place.as_fd())?;
            }
            Ok(())
        }
    }
}

/// An error of the standard library in the kernel crate's words.
pub fn io(call: &str, error: &std::io::Error) -> SysError {
    let errno = error
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error);
    SysError::new("io", call.to_string(), errno)
}
