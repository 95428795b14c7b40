//! Removing a directory tree that somebody else filled.
//!
//! Everything happens below held descriptors; links are removed, never followed; mounts are not
//! entered. The walk needs neither stack nor descriptors in proportion to the depth: far above the
//! current directory only the identity of each ancestor is kept, and `..` must lead back to it.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use crate::inroot::{below, mount_id};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Ancestors whose descriptors are held at the same time.
const HELD: usize = 64;
/// How often one removal looks again at an entry that somebody changed between two of its calls. Who
/// changes more than that, or has something mounted there, is told.
const TRIES: u32 = 300;

/// Removes the entry `name` of `parent` with everything below it, whatever kind it is.
///
/// Entries directly in it that `keep_top` names are spared, and then it stays itself. A missing
/// entry is fine, and so is one that becomes something else meanwhile. A mount point inside ends it
/// with EXDEV (or EBUSY), a tree that is being moved meanwhile with EAGAIN; what was removed before
/// stays removed.
pub fn remove_tree(parent: BorrowedFd, name: &str, keep_top: &[&str]) -> Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        let args = format!("{}, {name:?}", describe(parent));
        return Err(SysError::new("unlinkat", args, Errno::INVAL));
    }
    let name = CString::new(name)
        .map_err(|_| SysError::new("unlinkat", format!("{name:?}"), Errno::INVAL))?;
    Removal::new(true).run(parent, name, keep_top)
}

/// Removes a tree of directories whose files go with them, as in cgroupfs.
pub(crate) fn remove_directories(parent: BorrowedFd, name: &str) -> Result<()> {
    let name = CString::new(name)
        .map_err(|_| SysError::new("unlinkat", format!("{name:?}"), Errno::INVAL))?;
    Removal::new(false).run(parent, name, &[])
}

/// As [`remove_directories`], of everything in `top`, which stays.
pub(crate) fn remove_directories_in(top: BorrowedFd) -> Result<()> {
    let mut removal = Removal::new(false);
    while let Emptied::Descend(child) = removal.empty(top, &[])? {
        removal.run(top, child.name, &[])?;
    }
    Ok(())
}

/// One directory on the way down to the current one.
struct Level {
    /// Dropped while the walk is more than [`HELD`] levels deeper.
    fd: Option<OwnedFd>,
    identity: (u64, u64),
    /// Its name in the level above.
    name: CString,
}

struct Removal {
    /// Whether files are unlinked; otherwise they vanish with their directory.
    files: bool,
    /// Second looks that are left.
    tries: u32,
}

impl Removal {
    fn new(files: bool) -> Removal {
        Removal {
            files,
            tries: TRIES,
        }
    }

    fn run(&mut self, parent: BorrowedFd, name: CString, keep_top: &[&str]) -> Result<()> {
        while let Some(top) = self.open(parent, &name, FileType::Unknown)? {
            if self.empty_tree(parent, top, keep_top)? {
                break;
            }
        }
        Ok(())
    }

    /// Removes `top` and what is below it; `false` if it is to be looked at again.
    fn empty_tree(&mut self, parent: BorrowedFd, top: Level, keep_top: &[&str]) -> Result<bool> {
        let mut levels = vec![top];
        while let Some(mut level) = levels.pop() {
            let fd = level.fd.take().ok_or_else(|| moved(&level.name))?;
            let keep: &[&str] = if levels.is_empty() { keep_top } else { &[] };
            match self.empty(fd.as_fd(), keep)? {
                Emptied::Descend(child) => {
                    level.fd = Some(fd);
                    levels.push(level);
                    levels.push(child);
                    if let Some(far) = levels.len().checked_sub(HELD + 1) {
                        // The top stays open: it is the anchor of everything below.
                        if far > 0 {
                            levels[far].fd = None;
                        }
                    }
                }
                Emptied::Kept => return Ok(true),
                Emptied::Empty => {
                    if let Some(above) = levels.last_mut()
                        && above.fd.is_none()
                    {
                        above.fd = Some(climb(fd.as_fd(), above)?);
                    }
                    drop(fd);
                    let holder = levels.last().and_then(|above| above.fd.as_ref());
                    let holder = holder.map_or(parent, |fd| fd.as_fd());
                    match remove(holder, &level.name, AtFlags::REMOVEDIR) {
                        Ok(()) => {}
                        Err(error) if self.looks_again(&error) => {
                            // The directory above is read anew in any case.
                            if levels.is_empty() {
                                return Ok(false);
                            }
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(true)
    }

    /// Whether `error` only says that an entry is not any more what it was a moment ago, and there is
    /// patience left for that. A cgroup that is busy is the caller's to wait for.
    fn looks_again(&mut self, error: &SysError) -> bool {
        let changed = matches!(
            error.errno,
            Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY | Errno::XDEV | Errno::BUSY
        );
        let again = self.files && changed && self.tries > 0;
        self.tries -= u32::from(again);
        again
    }

    /// Opens an entry that is a directory, removes any other; one that changes meanwhile is looked at
    /// again. `kind` is what the directory said it is.
    fn open(
        &mut self,
        parent: BorrowedFd,
        name: &CStr,
        mut kind: FileType,
    ) -> Result<Option<Level>> {
        loop {
            let done = match kind {
                FileType::Directory | FileType::Unknown => self.enter(parent, name),
                _ if self.files => remove(parent, name, AtFlags::empty()).map(|()| None),
                _ => Ok(None),
            };
            match done {
                Err(error) if self.looks_again(&error) => kind = FileType::Unknown,
                done => return done,
            }
        }
    }

    /// Removes what is no directory, and goes down into the first one that does not go at once.
    fn empty(&mut self, fd: BorrowedFd, keep: &[&str]) -> Result<Emptied> {
        let mut kept = false;
        let entries = Dir::read_from(fd).called("getdents64", || describe(fd))?;
        for entry in entries {
            let entry = entry.called("getdents64", || describe(fd))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if keep
                .iter()
                .any(|spared| spared.as_bytes() == name.to_bytes())
            {
                kept = true;
                continue;
            }
            if let Some(child) = self.open(fd, name, entry.file_type())? {
                return Ok(Emptied::Descend(child));
            }
        }
        Ok(if kept { Emptied::Kept } else { Emptied::Empty })
    }

    /// Opens a directory on the same mount; anything else is removed instead.
    fn enter(&self, parent: BorrowedFd, name: &CStr) -> Result<Option<Level>> {
        let args = || format!("{}, {name:?}", describe(parent));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match below(parent, name, flags) {
            Err(Errno::NOSYS) => enter_checked(parent, name, flags),
            other => other,
        };
        let fd = match opened {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                if self.files {
                    remove(parent, name, AtFlags::empty())?;
                }
                return Ok(None);
            }
            Err(errno) => return Err(SysError::new("openat2", args(), errno)),
        };
        let found = fstat(&fd).called("fstat", args)?;
        Ok(Some(Level {
            fd: Some(fd),
            identity: (found.st_dev, found.st_ino),
            name: name.to_owned(),
        }))
    }
}

enum Emptied {
    Empty,
    Kept,
    Descend(Level),
}

/// Without openat2 (before Linux 5.6): open, then see whether that crossed into another mount.
fn enter_checked(
    parent: BorrowedFd,
    name: &CStr,
    flags: OFlags,
) -> std::result::Result<OwnedFd, Errno> {
    let fd = retry(|| openat(parent, name, flags, Mode::empty()))?;
    if mount_id(fd.as_fd())? == mount_id(parent)? {
        Ok(fd)
    } else {
        Err(Errno::XDEV)
    }
}

/// Goes from a directory to its parent, which must be the one that the walk came through.
fn climb(from: BorrowedFd, to: &Level) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let args = || format!("{}, \"..\"", describe(from));
    let fd = retry(|| openat(from, c"..", flags, Mode::empty())).called("openat", args)?;
    let found = fstat(&fd).called("fstat", args)?;
    if (found.st_dev, found.st_ino) == to.identity {
        Ok(fd)
    } else {
        Err(moved(&to.name))
    }
}

/// The tree changed its shape while it was being removed.
fn moved(name: &CStr) -> SysError {
    let args = format!("{name:?}, moved while its tree was being removed");
    SysError::new("openat", args, Errno::AGAIN)
}

/// unlinkat(2); that somebody else was faster is fine.
fn remove(parent: BorrowedFd, name: &CStr, flags: AtFlags) -> Result<()> {
    match retry(|| unlinkat(parent, name, flags)) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => {
            let args = format!("{}, {name:?}", describe(parent));
            Err(SysError::new("unlinkat", args, errno))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::open_dir;
    use crate::inroot::tests::{both_ways, scratch};
    use rustix::fs::mkdirat;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    /// A chain of directories too deep for any path.
    fn dig(top: &Path, depth: usize) {
        let mut dir = open_dir(top).unwrap();
        for _ in 0..depth {
            mkdirat(&dir, c"d", Mode::RWXU).unwrap();
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::CREATE;
            drop(openat(&dir, c"file", flags, Mode::RUSR).unwrap());
            dir = openat(&dir, c"d", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_deep_tree_goes() {
        both_ways(|how| {
            let top = scratch();
            std::fs::create_dir(top.path().join("tree")).unwrap();
            // The second way reads /proc for each directory, so it digs less.
            let depth = if how == "openat2" { 10_000 } else { 1_000 };
            dig(&top.path().join("tree"), depth);
            let parent = open_dir(top.path()).unwrap();
            remove_tree(parent.as_fd(), "tree", &[]).unwrap();
            assert!(names(top.path()).is_empty(), "{how}");
        });
    }

    #[test]
    fn what_links_lead_to_stays() {
        both_ways(|how| {
            let top = scratch();
            let path = |name: &str| top.path().join(name);
            std::fs::create_dir_all(path("outside/dir")).unwrap();
            std::fs::write(path("outside/file"), "").unwrap();
            std::fs::create_dir_all(path("tree/a/b")).unwrap();
            for (target, link) in [
                ("../outside", "out"),
                ("/", "root"),
                ("..", "up"),
                ("x", "x"),
            ] {
                symlink(target, path("tree").join(link)).unwrap();
                symlink(path("outside"), path("tree/a").join(link)).unwrap();
            }
            std::fs::hard_link(path("outside/file"), path("tree/hard")).unwrap();
            let parent = open_dir(top.path()).unwrap();
            let parent = parent.as_fd();

            remove_tree(parent, "tree", &["a", "hard", "missing"]).unwrap();
            assert_eq!(names(&path("tree")), ["a", "hard"], "{how}");
            assert_eq!(names(&path("tree/a")).len(), 5, "{how}");
            remove_tree(parent, "tree", &["missing"]).unwrap();
            remove_tree(parent, "tree", &[]).unwrap();
            assert_eq!(names(top.path()), ["outside"], "{how}");
            assert_eq!(names(&path("outside")), ["dir", "file"], "{how}");

            symlink("outside", path("link")).unwrap();
            remove_tree(parent, "link", &[]).unwrap();
            assert_eq!(names(&path("outside")), ["dir", "file"], "{how}");
            assert_eq!(names(top.path()), ["outside"], "{how}");
        });
    }

    #[test]
    fn only_a_plain_name_is_removed() {
        let top = scratch();
        std::fs::create_dir_all(top.path().join("a/b")).unwrap();
        let parent = open_dir(top.path()).unwrap();
        for bad in ["", ".", "..", "a/b", "/a", "a\0"] {
            let error = remove_tree(parent.as_fd(), bad, &[]).unwrap_err();
            assert!(error.is(Errno::INVAL), "{bad:?}: {error}");
        }
        assert_eq!(names(&top.path().join("a")), ["b"]);
    }

    #[test]
    fn a_wide_tree_goes() {
        let top = scratch();
        for index in 0..300 {
            let dir = top.path().join(format!("tree/{index}/x/y"));
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("file"), "").unwrap();
        }
        let parent = open_dir(top.path()).unwrap();
        remove_tree(parent.as_fd(), "tree", &[]).unwrap();
        assert!(names(top.path()).is_empty());
    }
}
