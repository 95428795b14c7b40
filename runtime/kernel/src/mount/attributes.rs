//! MOUNT_ATTR_* bits on kernels that only know MS_* bits: a remount of one mount, as far as it can be said with them.

use super::by_descriptor;
use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use rustix::fs::fstatvfs;
use rustix::mount as raw;
use rustix::mount::MountFlags;
use std::os::fd::BorrowedFd;

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
pub(super) fn classic_flags(attrs: u64) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::path::Path;

    #[test]
    pub(super) fn classic_flags_mean_what_the_attributes_mean() {
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
