//! Mounts prepared out of sight with the classic calls, where a filter hides the descriptor API.
//!
//! A tmpfs is mounted over `/`. A process whose root lies beneath does not see it: only `/..` leads
//! onto it. There a mount is made, changed, and then moved to its place, so that its descriptor
//! is used like that of a detached mount. When the last one has been moved the tmpfs goes.

use super::{Propagation, attributes, by_descriptor, set_propagation};
use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, mknodat, openat};
use rustix::mount as raw;
use rustix::mount::{MountFlags, MoveMountFlags, UnmountFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Set once this process has a mount namespace of its own.
static ALLOWED: AtomicBool = AtomicBool::new(false);

/// The parked mounts.
static LOT: Mutex<Lot> = Mutex::new(Lot {
    place: None,
    parked: Vec::new(),
    next: 0,
});

struct Lot {
    /// Root of the tmpfs, while it exists.
    place: Option<OwnedFd>,
    parked: Vec<RawFd>,
    next: u32,
}

/// Lets the mounts of this process be prepared with the classic calls where the others are missing.
///
/// For a process that is alone in its mount namespace, whose mounts are no peers of anybody's.
/// Before this call a missing call is the error ENOSYS.
pub fn allow_classic() {
    ALLOWED.store(true, Ordering::Relaxed);
}

/// Whether a call that failed so is one that a filter hides, and there is another way.
pub(super) fn instead_of(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::PERM) && allowed()
}

/// Whether mounts may be parked.
pub(super) fn allowed() -> bool {
    ALLOWED.load(Ordering::Relaxed)
}

/// Whether nothing can be attached but by a classic move; asked once.
pub(super) fn only_way() -> bool {
    static PROBED: OnceLock<bool> = OnceLock::new();
    let missing = || {
        // An empty path without MOVE_MOUNT_F_EMPTY_PATH: where there is the call, ENOENT.
        let nothing = raw::move_mount(CWD, "", CWD, "", MoveMountFlags::empty());
        matches!(nothing, Err(Errno::NOSYS | Errno::PERM))
    };
    allowed() && *PROBED.get_or_init(missing)
}

fn lot() -> MutexGuard<'static, Lot> {
    LOT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A copy of the mount at `path`, parked; as [`super::clone_tree`].
pub(super) fn bind(at: BorrowedFd, path: &Path, recursive: bool) -> Result<OwnedFd> {
    let args = || format!("{}, {path:?}, MS_BIND", describe(at));
    let opened = match path.as_os_str().is_empty() {
        true => None,
        false => {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            Some(retry(|| openat(at, path, flags, Mode::empty())).called("openat", args)?)
        }
    };
    let source = opened.as_ref().map_or(at, AsFd::as_fd);
    let found = fstat(source).called("fstat", args)?;
    let directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    let mut flags = MountFlags::BIND;
    if recursive {
        flags |= MountFlags::REC;
    }
    park(directory, |target| {
        let source = by_descriptor(source);
        retry(|| raw::mount(source.as_str(), target, "", flags, None)).called("mount", args)
    })
}

/// A new mount of a filesystem, parked; as [`super::new_mount`].
pub(super) fn make(
    fstype: &str,
    source: Option<&str>,
    data: &[String],
    attrs: u64,
) -> Result<OwnedFd> {
    // For the mount and the filesystem as a whole; there is no other word for the latter.
    let read_only = data.iter().any(|word| word == "ro");
    let others: Vec<&str> = data
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "ro")
        .collect();
    let text = others.join(",");
    let data = std::ffi::CString::new(text.as_str())
        .map_err(|_| SysError::new("mount", format!("{fstype:?}, {text:?}"), Errno::INVAL))?;
    let mut flags = attributes::classic_flags(attrs & !libc::MOUNT_ATTR_RDONLY);
    if read_only {
        flags |= libc::MS_RDONLY;
    }
    let mount = park(true, |target| {
        let flags = MountFlags::from_bits_retain(flags as u32);
        let source = source.unwrap_or("none");
        retry(|| raw::mount(source, target, fstype, flags, data.as_c_str())).called("mount", || {
            format!("{source:?}, {fstype:?}, {flags:?}, {text:?}")
        })
    })?;
    if attrs & libc::MOUNT_ATTR_RDONLY != 0 && !read_only {
        attributes::remount_attrs(mount.as_fd(), libc::MOUNT_ATTR_RDONLY, 0)?;
    }
    Ok(mount)
}

/// Moves a mount, parked or anywhere, onto `target`.
pub(super) fn place(mount: BorrowedFd, target: BorrowedFd) -> Result<()> {
    let (from, to) = (by_descriptor(mount), by_descriptor(target));
    retry(|| raw::mount_move(from.as_str(), to.as_str())).called("mount", || {
        format!("{}, {}, MS_MOVE", describe(mount), describe(target))
    })
}

/// Takes note that a mount is in its place; with the last one the tmpfs goes.
pub(super) fn placed(mount: BorrowedFd) {
    if !allowed() {
        return;
    }
    let mut lot = lot();
    let number = mount.as_raw_fd();
    let before = lot.parked.len();
    lot.parked.retain(|parked| *parked != number);
    if lot.parked.len() != before {
        lot.close_if_empty();
    }
}

/// Lets go of every mount that was prepared and not attached: one that stays behind would stay
/// mounted. Detached ones need no such call, they go with their descriptor.
pub fn abandon_prepared() {
    let mut lot = lot();
    lot.parked.clear();
    lot.close_if_empty();
}

/// Lets `mount` mount on a new mount point of the tmpfs, gives the root of what it mounted.
fn park(directory: bool, mount: impl FnOnce(&str) -> Result<()>) -> Result<OwnedFd> {
    let mut lot = lot();
    let mounted = lot.park(directory, mount);
    match &mounted {
        Ok(mounted) => lot.parked.push(mounted.as_raw_fd()),
        Err(_) => lot.close_if_empty(),
    }
    mounted
}

impl Lot {
    fn park(&mut self, directory: bool, mount: impl FnOnce(&str) -> Result<()>) -> Result<OwnedFd> {
        let place = match self.place.take() {
            Some(place) => place,
            None => new_lot()?,
        };
        self.next += 1;
        let name = self.next.to_string();
        let place = self.place.insert(place);
        let args = || format!("{}, {name:?}", describe(place.as_fd()));
        let mode = Mode::from_raw_mode(0o700);
        match directory {
            true => mkdirat(&*place, &name, mode).called("mkdirat", args)?,
            false => {
                mknodat(&*place, &name, FileType::RegularFile, mode, 0).called("mknodat", args)?;
            }
        }
        mount(&format!("{}/{name}", by_descriptor(place.as_fd())))?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry(|| openat(&*place, &name, flags, Mode::empty())).called("openat", args)
    }

    fn close_if_empty(&mut self) {
        if !self.parked.is_empty() {
            return;
        }
        if let Some(place) = self.place.take() {
            let path = by_descriptor(place.as_fd());
            // Out of everybody's sight, and gone with the old root at the latest.
            let _ = retry(|| raw::unmount(path.as_str(), UnmountFlags::DETACH));
        }
    }
}

fn new_lot() -> Result<OwnedFd> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let mounted = raw::mount("parking", "/", "tmpfs", flags, c"mode=700,size=1m");
    mounted.called("mount", || "\"parking\", \"/\", \"tmpfs\"".to_owned())?;
    let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let args = || "\"/..\", O_PATH".to_owned();
    let place = retry(|| openat(CWD, "/..", open, Mode::empty())).called("openat", args)?;
    let root = retry(|| openat(CWD, "/", open, Mode::empty())).called("openat", args)?;
    if fstat(&place).called("fstat", args)?.st_dev == fstat(&root).called("fstat", args)?.st_dev {
        // Not onto it: `/` would be what is parked on.
        return Err(SysError::new("openat", args(), Errno::XDEV));
    }
    set_propagation(
        Path::new(&by_descriptor(place.as_fd())),
        Propagation::Private,
        false,
    )?;
    Ok(place)
}
