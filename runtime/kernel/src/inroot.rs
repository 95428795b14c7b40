//! Paths inside a directory tree that somebody hostile may rearrange at any moment.
//!
//! A [`Root`] resolves as a process chrooted there would: links, absolute ones too, and `..` never
//! lead out. Linux 5.6 does that itself (openat2); before, a walker goes component by component
//! with descriptors only. Both are used in earnest and tested alike.

mod walk;

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use crate::file;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mknodat, openat, openat2};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A directory that paths cannot leave.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

/// Set by tests only: behave as on a kernel without openat2.
static FORCED: AtomicBool = AtomicBool::new(false);

/// Makes this process resolve as on a kernel without openat2. For tests.
pub fn force_fallback(on: bool) {
    FORCED.store(on, Ordering::Relaxed);
}

/// How often a resolution that was disturbed by a rename or a mount is tried again.
const ATTEMPTS: u32 = 128;

/// openat2(2), repeated while it is being disturbed; ENOSYS if it is missing or hidden, or tests say
/// so.
fn resolve2(
    dir: BorrowedFd,
    path: impl rustix::path::Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> std::result::Result<OwnedFd, Errno> {
    if FORCED.load(Ordering::Relaxed) {
        return Err(Errno::NOSYS);
    }
    let mut attempt = 0;
    loop {
        match openat2(dir, path, flags, Mode::empty(), resolve) {
            Err(Errno::INTR) => {}
            // A filter that does not know the call; the walk says whether it was something else.
            Err(Errno::PERM) => return Err(Errno::NOSYS),
            // EXDEV is a verdict where crossing is forbidden, and a race elsewhere.
            Err(Errno::AGAIN) if attempt < ATTEMPTS => attempt += 1,
            Err(Errno::XDEV) if attempt < ATTEMPTS && !resolve.contains(ResolveFlags::NO_XDEV) => {
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// Opens `path` below `dir` without links and without entering another mount; ENOSYS if this
/// kernel cannot.
pub(crate) fn below(
    dir: BorrowedFd,
    path: impl rustix::path::Arg + Copy,
    flags: OFlags,
) -> std::result::Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    resolve2(dir, path, flags | OFlags::CLOEXEC, resolve)
}

/// The id of the mount that a descriptor lies on, as in /proc/self/mountinfo.
pub(crate) fn mount_id(fd: BorrowedFd) -> std::result::Result<u64, Errno> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let text = match file::read_path(Path::new(&path), 64 << 10) {
        // Its own /proc is closed to a process that nobody may dump.
        Err(error) if error.is(Errno::ACCESS) => return mount_id_without_proc(fd),
        read => read.map_err(|error| error.errno)?,
    };
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .find_map(|line| line.strip_prefix("mnt_id:"))
        .and_then(|id| id.trim().parse().ok())
        .ok_or(Errno::NODATA)
}

/// Since Linux 5.8 statx tells; before, a handle does, where the filesystem has them: else EOPNOTSUPP.
fn mount_id_without_proc(fd: BorrowedFd) -> std::result::Result<u64, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    match retry(|| statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)) {
        Ok(found) if found.stx_mask & StatxFlags::MNT_ID.bits() != 0 => Ok(found.stx_mnt_id),
        _ => crate::sys::calls::mount_id(fd),
    }
}

impl Root {
    /// Takes the directory at `path` (its own path is resolved ordinarily) as a root.
    pub fn open(path: &Path) -> Result<Root> {
        file::open_dir(path).map(Root::from_fd)
    }

    /// Takes an open directory as a root; O_PATH is enough.
    pub fn from_fd(fd: OwnedFd) -> Root {
        Root { fd }
    }

    /// The root directory itself.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Finds `path`, links followed inside the root (the last one too), as an O_PATH descriptor.
    ///
    /// A leading `/` means the root. Being disturbed by renames 128 times in a row is the error
    /// EAGAIN. Magic links of a procfs are refused (ELOOP) or taken as their text.
    pub fn resolve(&self, path: &str) -> Result<OwnedFd> {
        let rule = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let found = match resolve2(self.fd(), plain(path), OFlags::PATH | OFlags::CLOEXEC, rule) {
            Err(Errno::NOSYS) => walk::find(self.fd(), path, walk::Links::Follow),
            other => other,
        };
        self.called(found, path)
    }

    /// Finds `path` if no component of it is a link (else ELOOP), as an O_PATH descriptor.
    pub fn resolve_nofollow(&self, path: &str) -> Result<OwnedFd> {
        let rule = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let found = match resolve2(self.fd(), plain(path), OFlags::PATH | OFlags::CLOEXEC, rule) {
            Err(Errno::NOSYS) => walk::find(self.fd(), path, walk::Links::Refuse),
            other => other,
        };
        self.called(found, path)
    }

    fn called(&self, found: std::result::Result<OwnedFd, Errno>, path: &str) -> Result<OwnedFd> {
        found.called("openat2", || {
            format!("{}, {path:?}, RESOLVE_IN_ROOT", describe(self.fd()))
        })
    }

    /// Reads the regular file `path` of at most `max` bytes (else EFBIG), links followed inside.
    ///
    /// Anything but a regular file is refused with EACCES, unopened. Needs /proc.
    pub fn read_file(&self, path: &str, max: usize) -> Result<Vec<u8>> {
        let found = self.resolve(path)?;
        let args = || format!("{}, {path:?}", describe(self.fd()));
        if kind(found.as_fd()).called("fstat", args)? != FileType::RegularFile {
            return Err(SysError::new("openat", args(), Errno::ACCESS));
        }
        file::read_path(
            Path::new(&format!("/proc/self/fd/{}", found.as_raw_fd())),
            max,
        )
    }

    /// Makes the directory `path` with all that is missing above it, inside the root; O_PATH.
    ///
    /// `mode` is for the new ones, less the umask. Links on the way are followed inside the root;
    /// something that is no directory is the error ENOTDIR.
    pub fn mkdirs(&self, path: &str, mode: u32) -> Result<OwnedFd> {
        let rule = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match resolve2(self.fd(), plain(path), flags, rule) {
            Err(Errno::NOENT | Errno::NOSYS) => walk::make(self.fd(), path, mode),
            other => other,
        }
        .called("mkdirat", || {
            format!("{}, {path:?}, {mode:#o}", describe(self.fd()))
        })
    }

    /// Makes an empty file at `path` and missing directories (0755) above it; O_PATH.
    ///
    /// An existing entry of any kind but a link is taken as it is; a link as last component is
    /// refused with ELOOP. Nothing is opened for reading or writing, so nothing can block.
    pub fn create_file(&self, path: &str, mode: u32) -> Result<OwnedFd> {
        let args = || format!("{}, {path:?}, {mode:#o}", describe(self.fd()));
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() || name == "." || name == ".." {
            return Err(SysError::new("mknodat", args(), Errno::ISDIR));
        }
        let parent = self.mkdirs(parent, 0o755)?;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        match retry(|| mknodat(&parent, name, FileType::RegularFile, mode, 0)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(SysError::new("mknodat", args(), errno)),
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = retry(|| openat(&parent, name, flags, Mode::empty())).called("openat", args)?;
        if kind(file.as_fd()).called("fstat", args)? == FileType::Symlink {
            return Err(SysError::new("openat", args(), Errno::LOOP));
        }
        Ok(file)
    }
}

/// openat2 has no empty path; the root itself is `.`.
fn plain(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

/// What kind of file a descriptor refers to.
fn kind(fd: BorrowedFd) -> std::result::Result<FileType, Errno> {
    fstat(fd).map(|found| FileType::from_raw_mode(found.st_mode))
}

#[cfg(test)]
pub(crate) mod tests;
