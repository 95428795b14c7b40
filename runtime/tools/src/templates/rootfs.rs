//! Writing below a root directory that must not lead anywhere else.
//!
//! A template may be pointed at a directory that already holds something. Every component is opened
//! from its parent without following symbolic links, so a link `etc -> /etc` is an error, never a
//! way to the host's files.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// An open root directory; all paths are relative to it.
pub struct Rootfs {
    root: OwnedFd,
    shown: String,
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Rootfs {
    /// Opens the directory `path`; it may itself be reached through links.
    pub fn open(path: &Path) -> Result<Rootfs, String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| format!("cannot open the rootfs {}: {errno}", path.display()))?;
        Ok(Rootfs {
            root,
            shown: path.display().to_string(),
        })
    }

    /// Makes a directory and its parents; `mode` is set on the last one, also when it was there.
    pub fn directory(&self, path: &str, mode: u32) -> Result<(), String> {
        let directory = self.walk(path)?;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))
            .map_err(|errno| self.failed("set the mode of", path, errno))
    }

    /// Makes a file with this content, or adds the content to the file that is there.
    pub fn append(&self, path: &str, mode: u32, content: &[u8]) -> Result<(), String> {
        let mut file = self.file(path, OFlags::APPEND)?;
        file.write_all(content)
            .map_err(|error| self.failed("write", path, error))?;
        self.set_mode(&file, path, mode)
    }

    /// Makes a file with this content, in place of what the file held.
    pub fn replace(&self, path: &str, mode: u32, content: &[u8]) -> Result<(), String> {
        let mut file = self.file(path, OFlags::TRUNC)?;
        file.write_all(content)
            .map_err(|error| self.failed("write", path, error))?;
        self.set_mode(&file, path, mode)
    }

    /// Copies a file of the host to `path`.
    pub fn copy(&self, source: &Path, path: &str, mode: u32) -> Result<(), String> {
        let mut from = File::open(source)
            .map_err(|error| format!("cannot open {}: {error}", source.display()))?;
        let mut to = self.file(path, OFlags::TRUNC)?;
        std::io::copy(&mut from, &mut to).map_err(|error| self.failed("write", path, error))?;
        self.set_mode(&to, path, mode)
    }

    /// Makes a symbolic link `path`, in place of a link or file that is there.
    pub fn symlink(&self, target: &str, path: &str) -> Result<(), String> {
        let (parent, name) = self.parent(path)?;
        match rustix::fs::symlinkat(target, &parent, name) {
            Err(Errno::EXIST) => rustix::fs::unlinkat(&parent, name, AtFlags::empty())
                .and_then(|()| rustix::fs::symlinkat(target, &parent, name)),
            result => result,
        }
        .map_err(|errno| self.failed("link", path, errno))
    }

    /// Makes `path` another name of the file `existing`, in place of what had that name.
    pub fn hard_link(&self, existing: &str, path: &str) -> Result<(), String> {
        let (from, from_name) = self.parent(existing)?;
        let (to, to_name) = self.parent(path)?;
        let link = || rustix::fs::linkat(&from, from_name, &to, to_name, AtFlags::empty());
        match link() {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(&to, to_name, AtFlags::empty()).and_then(|()| link())
            }
            result => result,
        }
        .map_err(|errno| self.failed("link", path, errno))
    }

    fn file(&self, path: &str, how: OFlags) -> Result<File, String> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | how;
        rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600))
            .map(File::from)
            .map_err(|errno| self.failed("open", path, errno))
    }

    fn set_mode(&self, file: &File, path: &str, mode: u32) -> Result<(), String> {
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
            .map_err(|errno| self.failed("set the mode of", path, errno))
    }

    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), String> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() || name == ".." {
            return Err(format!(
                "{path:?} is no path of a file below {}",
                self.shown
            ));
        }
        Ok((self.walk(parent)?, name))
    }

    /// Opens a directory, making what is missing on the way.
    fn walk(&self, path: &str) -> Result<OwnedFd, String> {
        let failed = |errno| self.failed("open", path, errno);
        let mut at = self.root.as_fd().try_clone_to_owned().map_err(|error| {
            self.failed(
                "open",
                path,
                Errno::from_io_error(&error).unwrap_or(Errno::MFILE),
            )
        })?;
        for name in path
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
        {
            if name == ".." {
                return Err(format!("{path:?} leads out of {}", self.shown));
            }
            match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
            at = rustix::fs::openat(&at, name, DIRECTORY, Mode::empty()).map_err(failed)?;
        }
        Ok(at)
    }

    fn failed(&self, what: &str, path: &str, error: impl std::fmt::Display) -> String {
        format!("cannot {what} {path} in the rootfs {}: {error}", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_is_made_is_there() {
        let place = tempfile::tempdir().unwrap();
        let rootfs = Rootfs::open(place.path()).unwrap();
        rootfs.directory("a/b", 0o1777).unwrap();
        rootfs.append("a/b/file", 0o640, b"one ").unwrap();
        rootfs.append("a/b/file", 0o644, b"two").unwrap();
        rootfs.replace("new/other", 0o744, b"x").unwrap();
        rootfs.symlink("file", "a/b/link").unwrap();
        rootfs.symlink("../../new/other", "a/b/link").unwrap();
        rootfs.hard_link("a/b/file", "new/hard").unwrap();
        let mode = |path: &str| {
            place
                .path()
                .join(path)
                .metadata()
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!(mode("a/b") & 0o7777, 0o1777);
        assert_eq!(mode("a/b/file") & 0o7777, 0o644);
        assert_eq!(mode("new/other") & 0o7777, 0o744);
        let read = |path: &str| std::fs::read_to_string(place.path().join(path)).unwrap();
        assert_eq!(
            (read("new/hard"), read("a/b/link")),
            ("one two".to_owned(), "x".to_owned())
        );
    }

    #[test]
    fn links_lead_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("passwd"), "host").unwrap();
        symlink(outside.path(), place.path().join("etc")).unwrap();
        symlink(outside.path().join("passwd"), place.path().join("file")).unwrap();
        let rootfs = Rootfs::open(place.path()).unwrap();
        assert!(rootfs.append("etc/passwd", 0o644, b"x").is_err());
        assert!(rootfs.append("file", 0o644, b"x").is_err());
        assert!(rootfs.directory("etc/new", 0o755).is_err());
        assert!(rootfs.directory("../new", 0o755).is_err());
        assert!(rootfs.replace("etc/..", 0o644, b"x").is_err());
        assert_eq!(
            std::fs::read_to_string(outside.path().join("passwd")).unwrap(),
            "host"
        );
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
