//! The guest's side of a start: from a clone in new namespaces to the container's init.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use lxc_kernel::mount::{self, Propagation};
use lxc_kernel::pty::Pty;
use lxc_kernel::{Errno, Result, SysError, caps, file, process, signals};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;

use crate::cgroups::Cgroups;
use crate::orders::Orders;
use crate::start::all_is_well;
use crate::{DROPPED, guest_dev};

/// Directories of the root under construction.
pub struct Places {
    /// The root itself.
    pub root: OwnedFd,
    /// Its /dev.
    pub dev: OwnedFd,
    /// Its /proc.
    pub proc: OwnedFd,
}

/// Becomes the container's init; returns only if that fails.
pub fn become_init(
    orders: &Orders,
    cgroups: &Cgroups,
    console: &Pty,
    monitor: BorrowedFd<'_>,
) -> SysError {
    let ready = build(orders, cgroups, console, monitor).and_then(|places| enter(&places, monitor));
    match ready {
        Ok(()) => {
            let init = CString::new(orders.init.as_str()).unwrap_or_default();
            process::exec(&[init], &[c"container=lxc".to_owned()])
        }
        Err(error) => error,
    }
}

fn build(
    orders: &Orders,
    cgroups: &Cgroups,
    console: &Pty,
    monitor: BorrowedFd<'_>,
) -> Result<Places> {
    process::set_parent_death_signal(libc::SIGKILL)?;
    if !orders.legacy.is_empty() {
        cgroups.enter()?;
        process::unshare(libc::CLONE_NEWCGROUP as u64)?;
    }
    mount::set_propagation(Path::new("/"), Propagation::Slave, true)?;
    let root = mount::clone_tree(None, &orders.rootfs, true)?;
    mount::attach(root.as_fd(), file::open_path(&orders.rootfs)?.as_fd())?;
    process::set_hostname(&orders.name)?;
    process::set_keyring_session()?;
    let options = ["size=500000".to_owned(), "mode=755".to_owned()];
    let dev = mount::new_mount("tmpfs", Some("none"), &options, 0)?;
    put(&dev, &root, "dev")?;
    directory(&dev, "pts")?;
    let proc = kernel_views(&root)?;
    for (kind, name) in [("tmpfs", "shm"), ("mqueue", "mqueue")] {
        let made = mount::new_mount(kind, Some(name), &[], 0)?;
        directory(&dev, name)?;
        put(&made, &dev, name)?;
    }
    for bind in &orders.binds {
        let shown = mount::clone_tree(None, Path::new(bind), false)?;
        read_only(&shown)?;
        put(&shown, &root, bind.trim_start_matches('/'))?;
    }
    if orders.legacy.is_empty() {
        // On v1 the container mounts its hierarchies itself.
        let own = mount::new_mount("cgroup2", Some("cgroup2"), &[], for_the_kernels_files())?;
        put(&own, &root, "sys/fs/cgroup")?;
    }
    let places = Places { root, dev, proc };
    guest_dev::fill(&places, console, monitor)?;
    Ok(places)
}

/// /proc and /sys, with what a guest may not write to.
fn kernel_views(root: &OwnedFd) -> Result<OwnedFd> {
    let attributes = for_the_kernels_files();
    let proc = mount::new_mount("proc", Some("proc"), &[], attributes)?;
    put(&proc, root, "proc")?;
    let net = mount::clone_tree(Some(proc.as_fd()), Path::new("sys/net"), false)?;
    let sys = mount::clone_tree(Some(proc.as_fd()), Path::new("sys"), false)?;
    put(&sys, &proc, "sys")?;
    read_only(&sys)?;
    put(&net, &sys, "net")?;
    // Not every kernel has it.
    if let Ok(trigger) = mount::clone_tree(Some(proc.as_fd()), Path::new("sysrq-trigger"), false) {
        put(&trigger, &proc, "sysrq-trigger")?;
        read_only(&trigger)?;
    }
    let sysfs = mount::new_mount("sysfs", Some("sysfs"), &[], attributes)?;
    put(&sysfs, root, "sys")?;
    read_only(&sysfs)?;
    Ok(proc)
}

fn for_the_kernels_files() -> u64 {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    u64::from(attributes.bits())
}

/// The last steps: the root is changed, the boot id covered, privileges dropped.
fn enter(places: &Places, monitor: BorrowedFd<'_>) -> Result<()> {
    mount::pivot_into(places.root.as_fd())?;
    mount::set_propagation(Path::new("/"), Propagation::Shared, true)?;
    boot_id(places)?;
    for capability in DROPPED {
        caps::drop_bounding(capability)?;
    }
    all_is_well(monitor, &[])?;
    process::setsid()?;
    process::set_groups(&[])?;
    caps::clear_inheritable_and_ambient()?;
    signals::empty_mask()
}

fn boot_id(places: &Places) -> Result<()> {
    let id = file::read_path(Path::new("/proc/sys/kernel/random/uuid"), 64)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let name = ".lxc-boot-id";
    let failed = |call| move |errno| SysError::new(call, name, errno);
    let file = rustix::fs::openat(&places.dev, name, flags, Mode::from_raw_mode(0o444))
        .map_err(failed("openat"))?;
    rustix::io::write(&file, &id).map_err(failed("write"))?;
    let shown = mount::clone_tree(Some(places.dev.as_fd()), Path::new(name), false)?;
    read_only(&shown)?;
    put(&shown, &places.proc, "sys/kernel/random/boot_id")
}

/// Attaches a mount on `name` below `above`.
pub fn put(mount: &OwnedFd, above: &OwnedFd, name: &str) -> Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let target = rustix::fs::openat(above, name, flags, Mode::empty())
        .map_err(|errno| SysError::new("openat", name, errno))?;
    mount::attach(mount.as_fd(), target.as_fd())
}

fn directory(above: &OwnedFd, name: &str) -> Result<()> {
    match rustix::fs::mkdirat(above, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(SysError::new("mkdirat", name, errno)),
    }
}

fn read_only(mount: &OwnedFd) -> Result<()> {
    let read_only = u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    mount::set_attrs(mount.as_fd(), read_only, 0, false)
}
