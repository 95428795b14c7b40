//! What extended attributes say of a file: capabilities it gives, and who may use it.

use crate::error::{Called, Errno, Result, retry};
use std::path::Path;

/// Capabilities that executing the file gives at once (bit N for capability N); 0 = none.
///
/// A namespaced grant (with a root user of its own) does not count.
pub fn file_capabilities(path: &Path) -> Result<u64> {
    /// Revisions 1 and 2 of `struct vfs_cap_data`, and the flag that the permitted set takes effect.
    const REVISIONS: [u32; 2] = [0x0100_0000, 0x0200_0000];
    const EFFECTIVE: u32 = 1;
    let data = get(path, "security.capability")?;
    let word = |index: usize| {
        let bytes = data.get(index * 4..index * 4 + 4)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    };
    let magic = word(0).unwrap_or(0);
    if !REVISIONS.contains(&(magic & 0xff00_0000)) || magic & EFFECTIVE == 0 {
        return Ok(0);
    }
    let low = word(1).unwrap_or(0);
    // Words: magic, permitted, inheritable, and from revision 2 on the upper half of both.
    let high = word(3).unwrap_or(0);
    Ok(u64::from(high) << 32 | u64::from(low))
}

/// One entry of an access control list: tag, permissions (4 read, 2 write, 1 search or execute) and
/// id, as `linux/posix_acl_xattr.h` numbers them.
pub type AclEntry = (u16, u16, u32);

/// The access control list of a file; empty = it has none, or its file system knows none.
pub fn acl(path: &Path) -> Result<Vec<AclEntry>> {
    let data = get(path, "system.posix_acl_access")?;
    // Behind the version, entries of eight bytes.
    let entries = data.get(4..).unwrap_or_default().chunks_exact(8);
    let entry = |bytes: &[u8]| {
        let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let id = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
        Some((half(0)?, half(2)?, id))
    };
    Ok(entries.filter_map(entry).collect())
}

fn get(path: &Path, name: &str) -> Result<Vec<u8>> {
    /// More than any such attribute has on a real host; a longer one is the error ERANGE.
    const LARGEST: usize = 16 * 1024;
    let mut buffer = vec![0; LARGEST];
    match retry(|| rustix::fs::getxattr(path, name, &mut buffer[..])) {
        Ok(length) => {
            buffer.truncate(length);
            Ok(buffer)
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(Vec::new()),
        Err(errno) => Err(errno).called("getxattr", || format!("{path:?}, {name:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{XattrFlags, setxattr};

    #[test]
    fn what_is_not_there_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(file_capabilities(dir.path()), Ok(0));
        assert_eq!(acl(dir.path()), Ok(Vec::new()));
        let missing = dir.path().join("missing");
        assert!(acl(&missing).unwrap_err().is(Errno::NOENT));
    }

    #[test]
    fn a_list_is_read_as_it_was_set() {
        let dir = tempfile::tempdir().unwrap();
        let entries: [AclEntry; 5] = [
            (0x01, 7, u32::MAX),
            (0x02, 1, 100_000),
            (0x04, 0, u32::MAX),
            (0x10, 1, u32::MAX),
            (0x20, 0, u32::MAX),
        ];
        let mut data = 2u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            data.extend(tag.to_le_bytes());
            data.extend(permissions.to_le_bytes());
            data.extend(id.to_le_bytes());
        }
        match setxattr(
            dir.path(),
            "system.posix_acl_access",
            &data,
            XattrFlags::empty(),
        ) {
            Err(Errno::NOTSUP) => {}
            set => {
                set.unwrap();
                assert_eq!(acl(dir.path()).unwrap(), entries);
            }
        }
    }

    #[test]
    fn capabilities_count_only_if_they_take_effect() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (magic, wanted) in [(0x0200_0001u32, 1 << 7 | 1 << 32), (0x0200_0000, 0)] {
            let words = [magic, 1 << 7, 0, 1, 0];
            let data: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            match setxattr(
                file.path(),
                "security.capability",
                &data,
                XattrFlags::empty(),
            ) {
                // Only root may.
                Err(Errno::PERM | Errno::NOTSUP) => {}
                set => {
                    set.unwrap();
                    assert_eq!(file_capabilities(file.path()), Ok(wanted), "{magic:#x}");
                }
            }
        }
    }
}
