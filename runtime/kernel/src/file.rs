//! Small files by descriptor: read, write in one call, replace without a gap, remove as a tree.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::{describe, read_all_small, write_all};
pub use crate::tree::remove_tree;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// How files are opened to be read. A FIFO that somebody put there must not make us wait.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK);

/// Reads a file of at most `max` bytes below `dir`; a longer one is refused with EFBIG.
///
/// The last component may not be a link.
pub fn read_at(dir: BorrowedFd, name: &str, max: usize) -> Result<Vec<u8>> {
    read_all_small(open_at(dir, name, READ | OFlags::NOFOLLOW)?.as_fd(), max)
}

/// Reads a file of at most `max` bytes by path; a longer one is refused with EFBIG.
pub fn read_path(path: &Path, max: usize) -> Result<Vec<u8>> {
    read_all_small(open_by_path(path, READ)?.as_fd(), max)
}

/// Writes `data` to an existing file below `dir` with exactly one write(2).
///
/// That is how files of /proc, /sys and cgroups want it; a short write is the error EIO. The last
/// component may not be a link.
pub fn write_at(dir: BorrowedFd, name: &str, data: &[u8]) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    write_once(open_at(dir, name, flags)?.as_fd(), data)
}

/// Exactly one write(2) of all the data, or an error that shows the data.
pub(crate) fn write_once(file: BorrowedFd, data: &[u8]) -> Result<()> {
    /// Bytes that an error message shows: the start tells what it was.
    const SHOWN: usize = 200;
    let args = || {
        let start = String::from_utf8_lossy(&data[..data.len().min(SHOWN)]);
        format!("{}, {start:?}, {}", describe(file), data.len())
    };
    let written = retry(|| rustix::io::write(file, data)).called("write", args)?;
    if written == data.len() {
        Ok(())
    } else {
        Err(SysError::new("write", args(), Errno::IO))
    }
}

fn open_at(dir: BorrowedFd, name: &str, flags: OFlags) -> Result<OwnedFd> {
    retry(|| openat(dir, name, flags, Mode::empty()))
        .called("openat", || format!("{}, {name:?}", describe(dir)))
}

fn open_by_path(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    retry(|| openat(CWD, path, flags, Mode::empty())).called("openat", || format!("{path:?}"))
}

/// Opens a directory as a place only (O_PATH): to resolve below it, not to read it.
pub fn open_dir(path: &Path) -> Result<OwnedFd> {
    open_by_path(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)
}

/// Opens anything as a place only (O_PATH); a link at the end is followed.
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    open_by_path(path, OFlags::PATH | OFlags::CLOEXEC)
}

/// Tells whether `dir` has an entry of that name (a link counts, wherever it leads).
pub fn exists_at(dir: BorrowedFd, name: &str) -> bool {
    retry(|| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)).is_ok()
}

/// Replaces a file, or makes it: whoever opens `path`, after a crash too, sees all old or all new.
///
/// `mode` holds permission bits, set exactly (no umask). The new content is on disk on return.
/// A link at `path` is itself replaced.
pub fn replace_file(path: &Path, data: &[u8], mode: u32) -> Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| SysError::new("openat", format!("{path:?}"), Errno::ISDIR))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let dir = open_by_path(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
    let (temporary, file) = create_unique(dir.as_fd(), name.as_bytes())?;
    let done = fill(file.as_fd(), data, mode).and_then(|()| {
        renameat(&dir, temporary.as_str(), &dir, name)
            .called("renameat", || format!("{temporary:?}, {path:?}"))
    });
    if let Err(error) = done {
        // The first error is the one that counts.
        let _ = unlinkat(&dir, temporary.as_str(), AtFlags::empty());
        return Err(error);
    }
    retry(|| rustix::fs::fsync(&dir)).called("fsync", || describe(dir.as_fd()))
}

fn fill(file: BorrowedFd, data: &[u8], mode: u32) -> Result<()> {
    write_all(file, data)?;
    let mode = Mode::from_raw_mode(mode);
    rustix::fs::fchmod(file, mode).called("fchmod", || describe(file))?;
    retry(|| rustix::fs::fsync(file)).called("fsync", || describe(file))
}

/// A new file in `dir`, readable by its owner only, whose name nobody had before.
fn create_unique(dir: BorrowedFd, wanted: &[u8]) -> Result<(String, OwnedFd)> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    /// Only leftovers of a crashed process with our pid can be in the way.
    const ATTEMPTS: u32 = 1000;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let wanted = String::from_utf8_lossy(wanted);
    let stem: String = wanted.chars().take(40).collect();
    let mut attempt = 0;
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{stem}.{}.{count}", std::process::id());
        match retry(|| openat(dir, name.as_str(), flags, Mode::RUSR | Mode::WUSR)) {
            Ok(file) => return Ok((name, file)),
            Err(Errno::EXIST) if attempt < ATTEMPTS => attempt += 1,
            Err(errno) => {
                let args = format!("{}, {name:?}, O_CREAT|O_EXCL", describe(dir));
                return Err(SysError::new("openat", args, errno));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(dir.path().join("outside"), "untouched").unwrap();
        symlink("outside", &path).unwrap();
        for (data, mode) in [("one", 0o640), ("two and more", 0o666), ("", 0o600)] {
            replace_file(&path, data.as_bytes(), mode).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), data);
            let found = std::fs::symlink_metadata(&path).unwrap();
            assert!(found.is_file());
            assert_eq!(found.permissions().mode() & 0o7777, mode);
        }
        let outside = std::fs::read_to_string(dir.path().join("outside")).unwrap();
        assert_eq!(outside, "untouched");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_failed_replacement_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(
            replace_file(&path, b"x", 0o600).unwrap_err().call,
            "renameat"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let missing = dir.path().join("no/config");
        assert!(
            replace_file(&missing, b"x", 0o600)
                .unwrap_err()
                .is(Errno::NOENT)
        );
        assert!(
            replace_file(Path::new("/"), b"x", 0o600)
                .unwrap_err()
                .is(Errno::ISDIR)
        );
    }

    #[test]
    fn links_are_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("target"), "old").unwrap();
        symlink("target", dir.path().join("link")).unwrap();
        let fd = open_dir(dir.path()).unwrap();
        let fd = fd.as_fd();
        assert!(write_at(fd, "link", b"new").unwrap_err().is(Errno::LOOP));
        assert!(read_at(fd, "link", 10).unwrap_err().is(Errno::LOOP));
        write_at(fd, "target", b"new").unwrap();
        assert_eq!(read_at(fd, "target", 3).unwrap(), b"new");
        assert!(read_at(fd, "target", 2).unwrap_err().is(Errno::FBIG));
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(read_at(fd, "fifo", 10).unwrap(), b"");
        assert!(exists_at(fd, "link") && !exists_at(fd, "none"));
    }
}
