//! Mounts whose files show the ids of a user namespace.
//!
//! Only who is privileged over the filesystem may ask for that, which a guest is not: the monitor does
//! it, to the rootfs unasked, to entries when the guest, who finds their sources, sends them.

use crate::guest::{self, GuestWorld};
use crate::message::{self, FromGuest, Shift, ToGuest};
use lxc_config::{Bind, IdmapSource, MountEntry};
use lxc_kernel::mount::Propagation;
use lxc_kernel::{Errno, Result, SysError, fd, mount, procfs};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The monitor's part: a copy of the rootfs' mount tree with the ids shifted, for the guest whose pid
/// this is.
pub fn rootfs(source: &str, ids: &IdmapSource, guest: i32) -> Result<OwnedFd> {
    let namespace = namespace_of(path_of(ids), guest)?;
    let tree = mount::clone_tree(None, Path::new(source), true)?;
    // It comes from the host's mounts as they are: what the guest mounts there must not reach those.
    mount::set_propagation_fd(tree.as_fd(), Propagation::Slave, true)?;
    mount::set_idmap(tree.as_fd(), namespace.as_fd(), true)?;
    Ok(tree)
}

/// The monitor's part: does what the guest asks to be done to its detached mount.
pub fn shift(asked: &Shift, tree: BorrowedFd<'_>, guest: i32) -> Result<()> {
    let namespace = namespace_of(asked.namespace.as_deref(), guest)?;
    mount::set_idmap(tree, namespace.as_fd(), asked.recursive)
}

fn path_of(ids: &IdmapSource) -> Option<&str> {
    match ids {
        IdmapSource::Container => None,
        IdmapSource::Namespace(path) => Some(path),
    }
}

fn namespace_of(path: Option<&str>, guest: i32) -> Result<OwnedFd> {
    match path {
        None => procfs::Proc::host()?.open_ns(guest, "user"),
        Some(path) => {
            // A namespace's file is opened for reading; a FIFO in its place must not be waited for.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
            let opened = rustix::fs::open(path, flags, Mode::empty())
                .map_err(|errno| SysError::new("open", format!("{path:?}"), errno))?;
            // That it is a user namespace is seen by the kernel (EINVAL).
            Ok(opened)
        }
    }
}

/// The guest's part: the rootfs as the monitor has prepared it.
pub fn received_rootfs(world: &mut GuestWorld<'_>) -> Result<OwnedFd> {
    let (_, fds) = guest::next_word(world, |word| matches!(word, ToGuest::Rootfs))?;
    let missing = || SysError::new("recvmsg", "no mount came along", Errno::BADMSG);
    fds.into_iter().next().ok_or_else(missing)
}

/// The guest's part: has the monitor shift an entry's copy, if the entry asks for that.
pub fn ask(entry: &MountEntry, tree: &OwnedFd, world: &mut GuestWorld<'_>) -> Result<()> {
    let Some(ids) = &entry.options.idmap else {
        return Ok(());
    };
    let word = FromGuest::Shift(Shift {
        namespace: path_of(ids).map(str::to_owned),
        recursive: entry.options.bind == Some(Bind::Recursive),
    });
    message::send(world.socket.as_fd(), &word, &[tree.as_fd()])?;
    match guest::next_word(world, |word| matches!(word, ToGuest::Shifted(_)))?.0 {
        ToGuest::Shifted(Some(errno)) => Err(SysError::new(
            "mount_setattr",
            format!("{}, set MOUNT_ATTR_IDMAP", fd::describe(tree.as_fd())),
            Errno::from_raw_os_error(errno),
        )),
        _ => Ok(()),
    }
}
