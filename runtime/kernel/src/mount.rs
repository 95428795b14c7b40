//! Mounts: the descriptor API of Linux 5.2, and the classic calls where a kernel lacks mount_setattr
//! (5.12) or a filter hides the others.

mod attributes;
mod below;
mod parking;

pub use attributes::remount_attrs;
pub use parking::{abandon_prepared, allow_classic};

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use crate::sys::calls::{self, MountChange};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount as raw;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

/// How mounts below a mount point travel between peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Neither way.
    Private,
    /// Both ways.
    Shared,
    /// From the master to here only.
    Slave,
    /// Neither way, and it cannot be bound.
    Unbindable,
}

impl Propagation {
    fn flags(self, recursive: bool) -> MountPropagationFlags {
        let kind = match self {
            Propagation::Private => MountPropagationFlags::PRIVATE,
            Propagation::Shared => MountPropagationFlags::SHARED,
            Propagation::Slave => MountPropagationFlags::DOWNSTREAM,
            Propagation::Unbindable => MountPropagationFlags::UNBINDABLE,
        };
        if recursive {
            kind | MountPropagationFlags::REC
        } else {
            kind
        }
    }
}

/// Gives a detached copy of the mount at `path`, ready to be changed and attached elsewhere.
///
/// `path` is resolved from `at` (or the working directory); if it is empty, `at` itself is meant.
/// `recursive` takes the mounts below along. The copy vanishes with its last descriptor.
pub fn clone_tree(at: Option<BorrowedFd>, path: &Path, recursive: bool) -> Result<OwnedFd> {
    let dir = at.unwrap_or(CWD);
    if parking::only_way() {
        return parking::bind(dir, path, recursive);
    }
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    match retry(|| raw::open_tree(dir, path, flags)) {
        Err(errno) if parking::instead_of(errno) => parking::bind(dir, path, recursive),
        opened => opened.called("open_tree", || {
            let recursive = if recursive { "|AT_RECURSIVE" } else { "" };
            format!("{}, {path:?}, OPEN_TREE_CLONE{recursive}", describe(dir))
        }),
    }
}

/// Makes a new, detached mount of a filesystem.
///
/// `options` are the filesystem's own, `key=value` or `key`; what belongs to the mount (`ro`,
/// `nosuid`, …) is given as MOUNT_ATTR_* bits in `attrs`. The option `ro` makes the filesystem
/// itself read-only. The error carries what the filesystem said about it.
pub fn new_mount(
    fstype: &str,
    source: Option<&str>,
    options: &[String],
    attrs: u64,
) -> Result<OwnedFd> {
    let long = options.iter().any(|option| option.len() >= LONGEST_OPTION);
    if parking::only_way() || long && parking::allowed() {
        return parking::make(fstype, source, options, attrs);
    }
    match by_context(fstype, source, options, attrs) {
        Err(error) if error.call != "fsconfig" && parking::instead_of(error.errno) => {
            parking::make(fstype, source, options, attrs)
        }
        Err(error) if error.errno == Errno::NOSYS && parking::allowed() => {
            parking::make(fstype, source, options, attrs)
        }
        made => made,
    }
}

/// What fsconfig(2) takes of a value, with its final NUL; mount(2) takes a page of them.
const LONGEST_OPTION: usize = 256;

/// [`new_mount`] with the calls of Linux 5.2.
fn by_context(
    fstype: &str,
    source: Option<&str>,
    options: &[String],
    attrs: u64,
) -> Result<OwnedFd> {
    let context = retry(|| raw::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC))
        .called("fsopen", || format!("{fstype:?}"))?;
    let failed = |call, args: String, errno| {
        let said = messages(context.as_fd());
        let args = match said.is_empty() {
            true => format!("{fstype}: {args}"),
            false => format!("{fstype}: {args}; the kernel says: {said}"),
        };
        SysError::new(call, args, errno)
    };
    let configured = |key: &str, value: Option<&str>| {
        let set = match value {
            Some(value) => retry(|| raw::fsconfig_set_string(&context, key, value)),
            None => retry(|| raw::fsconfig_set_flag(&context, key)),
        };
        set.map_err(|errno| failed("fsconfig", format!("{key:?}, {value:?}"), errno))
    };
    if let Some(source) = source {
        configured("source", Some(source))?;
    }
    for option in options {
        match option.split_once('=') {
            Some((key, value)) => configured(key, Some(value))?,
            None => configured(option, None)?,
        }
    }
    retry(|| raw::fsconfig_create(&context))
        .map_err(|errno| failed("fsconfig", "FSCONFIG_CMD_CREATE".to_owned(), errno))?;
    let bits = attribute_bits(attrs)
        .map_err(|errno| failed("fsmount", format!("attributes {attrs:#x}"), errno))?;
    retry(|| raw::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, bits))
        .map_err(|errno| failed("fsmount", format!("attributes {attrs:#x}"), errno))
}

/// fsmount takes 32 bits where mount_setattr takes 64; none of the upper ones exists.
fn attribute_bits(attrs: u64) -> std::result::Result<MountAttrFlags, Errno> {
    u32::try_from(attrs)
        .map(MountAttrFlags::from_bits_retain)
        .map_err(|_| Errno::INVAL)
}

/// What the filesystem left to be read in its context: lines such as `e tmpfs: Bad value`.
fn messages(context: BorrowedFd) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    // One message a read, and ENODATA after the last.
    while let Ok(length @ 1..) = retry(|| rustix::io::read(context, &mut buffer)) {
        let line = String::from_utf8_lossy(&buffer[..length]);
        let line = line.trim();
        let severity = ["e ", "w ", "i "];
        let words = severity.iter().find_map(|it| line.strip_prefix(it));
        said.push(words.unwrap_or(line).to_owned());
    }
    said.join("; ")
}

/// Attaches a detached mount, or moves an attached one, on top of the file or directory that
/// `target` refers to.
pub fn attach(mount: BorrowedFd, target: BorrowedFd) -> Result<()> {
    let done = match parking::only_way() {
        true => parking::place(mount, target),
        false => {
            let empty_path =
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            retry(|| raw::move_mount(mount, "", target, "", empty_path))
                .called("move_mount", || {
                    format!("{}, {}", describe(mount), describe(target))
                })
        }
    };
    if done.is_ok() {
        parking::placed(mount);
    }
    done
}

/// What is to be different about a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// MOUNT_ATTR_* bits to set.
    pub set: u64,
    /// MOUNT_ATTR_* bits to clear.
    pub clear: u64,
    /// The same for all mounts below.
    pub recursive: bool,
}

/// As [`attach`], with `change` made to the mount: where the kernel can (5.12) before anybody sees
/// it, else right after.
///
/// It fails as [`change`] does.
pub fn attach_with(mount: BorrowedFd, target: BorrowedFd, change: &Change) -> Result<()> {
    if change.set | change.clear == 0 {
        return attach(mount, target);
    }
    if has_mount_setattr() {
        set_attrs(mount, change.set, change.clear, change.recursive)?;
        return attach(mount, target);
    }
    attach(mount, target)?;
    self::change(mount, change)
}

/// Makes `change` to an **attached** mount.
///
/// Without mount_setattr (5.12), and if it reaches below, a mount below that another one hides is the
/// error EBUSY.
pub fn change(mount: BorrowedFd, change: &Change) -> Result<()> {
    if has_mount_setattr() {
        return set_attrs(mount, change.set, change.clear, change.recursive);
    }
    remount_attrs(mount, change.set, change.clear)?;
    if change.recursive {
        for inner in below::mounts_below(mount)? {
            remount_attrs(inner.as_fd(), change.set, change.clear)?;
        }
    }
    Ok(())
}

/// Sets and clears MOUNT_ATTR_* bits of a mount, attached or not, with mount_setattr.
///
/// To set an access time rule, MOUNT_ATTR__ATIME must be among the cleared. ENOSYS before 5.12:
/// see [`remount_attrs`].
pub fn set_attrs(mount: BorrowedFd, set: u64, clear: u64, recursive: bool) -> Result<()> {
    let change = MountChange {
        set,
        clear,
        ..MountChange::default()
    };
    retry(|| calls::mount_setattr(mount, recursive, &change)).called("mount_setattr", || {
        let recursive = if recursive { ", AT_RECURSIVE" } else { "" };
        let mount = describe(mount);
        format!("{mount}, set {set:#x}, clear {clear:#x}{recursive}")
    })
}

/// Shows the owners of a detached mount's files shifted by a user namespace's maps.
pub fn set_idmap(mount: BorrowedFd, user_namespace: BorrowedFd, recursive: bool) -> Result<()> {
    let change = MountChange {
        set: libc::MOUNT_ATTR_IDMAP,
        user_namespace: user_namespace.as_raw_fd() as u64,
        ..MountChange::default()
    };
    retry(|| calls::mount_setattr(mount, recursive, &change)).called("mount_setattr", || {
        let namespace = describe(user_namespace);
        format!("{}, set MOUNT_ATTR_IDMAP by {namespace}", describe(mount))
    })
}

/// Tells whether this kernel has mount_setattr (5.12); asked once.
pub fn has_mount_setattr() -> bool {
    static PROBED: OnceLock<bool> = OnceLock::new();
    *PROBED.get_or_init(|| {
        // No such descriptor: a kernel that has the call answers EBADF.
        let nothing = MountChange {
            clear: libc::MOUNT_ATTR_NOSUID,
            ..MountChange::default()
        };
        calls::mount_setattr_raw(-1, false, &nothing) == Err(Errno::BADF)
    })
}

/// Changes the propagation of the mount at `path` and, if `recursive`, of all below.
pub fn set_propagation(path: &Path, p: Propagation, recursive: bool) -> Result<()> {
    let flags = p.flags(recursive);
    retry(|| raw::mount_change(path, flags)).called("mount", || format!("{path:?}, {flags:?}"))
}

/// Changes the propagation of a mount given by a descriptor of its root.
///
/// Before 5.12 the mount must be attached, and /proc be there.
pub fn set_propagation_fd(mount: BorrowedFd, p: Propagation, recursive: bool) -> Result<()> {
    if !has_mount_setattr() {
        return set_propagation(Path::new(&by_descriptor(mount)), p, recursive);
    }
    let change = MountChange {
        propagation: u64::from(p.flags(false).bits()),
        ..MountChange::default()
    };
    retry(|| calls::mount_setattr(mount, recursive, &change)).called("mount_setattr", || {
        format!(
            "{}, propagation {p:?}, recursive {recursive}",
            describe(mount)
        )
    })
}

/// The name under which a descriptor's file can be given to a call that wants a path.
fn by_descriptor(fd: BorrowedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Takes the topmost mount at `path` out of sight; it ends when nobody uses it any more.
pub fn detach_path(path: &Path) -> Result<()> {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    retry(|| raw::unmount(path, flags)).called("umount2", || format!("{path:?}, MNT_DETACH"))
}

/// Takes the mount whose root `at` refers to out of sight. Needs /proc.
pub fn detach_fd(at: BorrowedFd) -> Result<()> {
    let path = by_descriptor(at);
    retry(|| raw::unmount(path.as_str(), UnmountFlags::DETACH))
        .called("umount2", || format!("{}, MNT_DETACH", describe(at)))
}

/// Makes the mount at `new_root` the root of this mount namespace; the old root is gone after.
///
/// `new_root` is the root directory of a mount that is not shared. The working directory is `/`
/// afterwards; descriptors into the old root stay valid.
pub fn pivot_into(new_root: BorrowedFd) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = retry(|| openat(CWD, "/", flags, Mode::empty()))
        .called("openat", || "\"/\", O_PATH".to_owned())?;
    crate::process::fchdir(new_root)?;
    // Old and new root on the same directory: the old one comes to lie on top, no directory
    // inside the new root is needed for it.
    retry(|| rustix::process::pivot_root(".", "."))
        .called("pivot_root", || format!("{0}, {0}", describe(new_root)))?;
    crate::process::fchdir(old.as_fd())?;
    // Slave first, or the unmounting would travel back to the host.
    set_propagation(Path::new("."), Propagation::Slave, true)?;
    retry(|| raw::unmount(".", UnmountFlags::DETACH))
        .called("umount2", || "old root, MNT_DETACH".to_owned())?;
    crate::process::fchdir(new_root)?;
    crate::process::chdir(Path::new("/"))
}

/// Plain mount(2), for what the new API cannot do. `flags` are MS_* bits.
pub fn classic(
    source: Option<&str>,
    target: &Path,
    fstype: Option<&str>,
    flags: u64,
    data: Option<&str>,
) -> Result<()> {
    let bits = nix::mount::MsFlags::from_bits_retain(flags as libc::c_ulong);
    let done = retry(|| {
        nix::mount::mount(source, target, fstype, bits, data)
            .map_err(|errno| Errno::from_raw_os_error(errno as i32))
    });
    done.called("mount", || {
        let source = source.unwrap_or("none");
        let fstype = fstype.unwrap_or("none");
        let data = data.unwrap_or("");
        format!("{source:?}, {target:?}, {fstype:?}, {flags:#x}, {data:?}")
    })
}
