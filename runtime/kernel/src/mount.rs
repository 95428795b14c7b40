//! Mounts: the descriptor API of Linux 5.2, and the classic remount where mount_setattr (5.12) is
//! missing.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use crate::sys::calls::{self, MountChange};
use rustix::fs::{CWD, Mode, OFlags, fstatvfs, openat};
use rustix::mount as raw;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
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
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    retry(|| raw::open_tree(dir, path, flags)).called("open_tree", || {
        let recursive = if recursive { "|AT_RECURSIVE" } else { "" };
        format!("{}, {path:?}, OPEN_TREE_CLONE{recursive}", describe(dir))
    })
}

/// Makes a new, detached mount of a filesystem.
///
/// `options` are the filesystem's own, `key=value` or `key`; what belongs to the mount (`ro`,
/// `nosuid`, …) is given as MOUNT_ATTR_* bits in `attrs`. The error carries what the filesystem
/// said about it.
pub fn new_mount(
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

/// Attaches a detached mount on top of the file or directory that `target` refers to.
pub fn attach(mount: BorrowedFd, target: BorrowedFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    retry(|| raw::move_mount(mount, "", target, "", flags)).called("move_mount", || {
        format!("{}, {}", describe(mount), describe(target))
    })
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

/// Sets and clears MOUNT_ATTR_* bits of one **attached** mount by a classic remount.
///
/// `mount` is a descriptor of its root, opened after it was attached. Bits not named stay. Needs
/// /proc. Id-mapping is beyond it (EINVAL).
pub fn remount_attrs(mount: BorrowedFd, set: u64, clear: u64) -> Result<()> {
    let args = || format!("{}, set {set:#x}, clear {clear:#x}", describe(mount));
    let known = CLASSIC.iter().fold(ATIME, |bits, (bit, ..)| bits | bit);
    if (set | clear) & !known != 0 {
        return Err(SysError::new("mount", args(), Errno::INVAL));
    }
    let current = retry(|| fstatvfs(mount)).called("fstatvfs", args)?;
    let current = attributes_of(current.f_flag.bits());
    let wanted = classic_flags((current & !clear) | set);
    let flags = wanted | libc::MS_BIND;
    // MountFlags is 32 bits wide, as the kernel's flags are; the upper half is always empty.
    let flags = MountFlags::from_bits_retain(flags as u32);
    let path = by_descriptor(mount);
    retry(|| raw::mount_remount(path.as_str(), flags, "")).called("mount", || {
        format!("{}, MS_REMOUNT|MS_BIND|{wanted:#x}", describe(mount))
    })
}

const ATIME: u64 = libc::MOUNT_ATTR__ATIME;

/// MOUNT_ATTR_* bit, its MS_* bit, its ST_* bit.
const CLASSIC: &[(u64, u64, u64)] = &[
    (libc::MOUNT_ATTR_RDONLY, libc::MS_RDONLY, libc::ST_RDONLY),
    (libc::MOUNT_ATTR_NOSUID, libc::MS_NOSUID, libc::ST_NOSUID),
    (libc::MOUNT_ATTR_NODEV, libc::MS_NODEV, libc::ST_NODEV),
    (libc::MOUNT_ATTR_NOEXEC, libc::MS_NOEXEC, libc::ST_NOEXEC),
    (
        libc::MOUNT_ATTR_NODIRATIME,
        libc::MS_NODIRATIME,
        libc::ST_NODIRATIME,
    ),
    (libc::MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW, ST_NOSYMFOLLOW),
];
const MS_NOSYMFOLLOW: u64 = 1 << 8;
const ST_NOSYMFOLLOW: u64 = 1 << 13;

/// MOUNT_ATTR_* bits of what statfs reports.
fn attributes_of(st_flags: u64) -> u64 {
    let atime = match () {
        () if st_flags & libc::ST_NOATIME != 0 => libc::MOUNT_ATTR_NOATIME,
        () if st_flags & libc::ST_RELATIME != 0 => libc::MOUNT_ATTR_RELATIME,
        () => libc::MOUNT_ATTR_STRICTATIME,
    };
    CLASSIC
        .iter()
        .filter(|(_, _, st)| st_flags & st != 0)
        .fold(atime, |attrs, (bit, ..)| attrs | bit)
}

/// MS_* bits that mean the same as MOUNT_ATTR_* bits.
fn classic_flags(attrs: u64) -> u64 {
    let atime = match attrs & ATIME {
        libc::MOUNT_ATTR_NOATIME => libc::MS_NOATIME,
        libc::MOUNT_ATTR_STRICTATIME => libc::MS_STRICTATIME,
        _ => libc::MS_RELATIME,
    };
    CLASSIC
        .iter()
        .filter(|(bit, ..)| attrs & bit != 0)
        .fold(atime, |flags, (_, ms, _)| flags | ms)
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
    let change = MountChange {
        propagation: u64::from(p.flags(false).bits()),
        ..MountChange::default()
    };
    match retry(|| calls::mount_setattr(mount, recursive, &change)) {
        Err(Errno::NOSYS) => set_propagation(Path::new(&by_descriptor(mount)), p, recursive),
        other => other.called("mount_setattr", || {
            format!(
                "{}, propagation {p:?}, recursive {recursive}",
                describe(mount)
            )
        }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_flags_mean_what_the_attributes_mean() {
        use libc::*;
        for (attrs, flags) in [
            (0, MS_RELATIME),
            (
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID,
                MS_RDONLY | MS_NOSUID | MS_RELATIME,
            ),
            (
                MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODIRATIME,
                MS_NOATIME | MS_NODIRATIME,
            ),
            (
                MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NODEV,
                MS_STRICTATIME | MS_NODEV,
            ),
            (
                MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NOEXEC,
                256 | MS_NOEXEC | MS_RELATIME,
            ),
        ] {
            assert_eq!(classic_flags(attrs), flags, "{attrs:#x}");
        }
    }

    #[test]
    fn statfs_flags_are_read_as_attributes() {
        use libc::*;
        for (st, attrs) in [
            (ST_RELATIME, 0),
            (0, MOUNT_ATTR_STRICTATIME),
            (
                ST_NOATIME | ST_RDONLY,
                MOUNT_ATTR_NOATIME | MOUNT_ATTR_RDONLY,
            ),
            (ST_RELATIME | ST_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
        ] {
            assert_eq!(attributes_of(st), attrs, "{st:#x}");
        }
    }

    #[test]
    fn bits_that_a_remount_cannot_set_are_refused() {
        let root = crate::file::open_dir(Path::new("/")).unwrap();
        let error = remount_attrs(root.as_fd(), libc::MOUNT_ATTR_IDMAP, 0).unwrap_err();
        assert_eq!(error.errno, Errno::INVAL);
    }
}
