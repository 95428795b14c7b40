//! The walker: what openat2(RESOLVE_IN_ROOT) does, with the calls of Linux 5.4.
//!
//! Every directory on the way stays open, and `..` takes the last one off the pile: the kernel is
//! never asked for a parent, so no rename can make it answer with one outside the root. No
//! component is opened through a link; links are read from the descriptor that was judged.

use super::kind;
use crate::error::{Errno, retry};
use rustix::fs::{FileType, Mode, OFlags, mkdirat, openat, readlinkat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

type Raw<T> = Result<T, Errno>;

/// What to do about a link.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Links {
    Follow,
    Refuse,
}

/// As many links as the kernel follows.
const MAX_LINKS: u32 = 40;
/// As long as a path may be for the kernel (PATH_MAX, with its final NUL).
const MAX_PATH: usize = 4096;

/// Finds `path` below `root`.
pub(super) fn find(root: BorrowedFd, path: &str, links: Links) -> Raw<OwnedFd> {
    Walk::new(root, links, None).run(path.as_bytes())
}

/// Finds the directory `path` below `root`; what is missing is made.
pub(super) fn make(root: BorrowedFd, path: &str, mode: u32) -> Raw<OwnedFd> {
    let found = Walk::new(
        root,
        Links::Follow,
        Some(Mode::from_raw_mode(mode & 0o7777)),
    )
    .run(path.as_bytes())?;
    match kind(found.as_fd())? {
        FileType::Directory => Ok(found),
        _ => Err(Errno::NOTDIR),
    }
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// From just below the root down to where the walk is; only the last may be no directory.
    pile: Vec<OwnedFd>,
    links: Links,
    followed: u32,
    /// The mode of missing directories, if they are to be made.
    create: Option<Mode>,
}

impl Walk<'_> {
    fn new(root: BorrowedFd<'_>, links: Links, create: Option<Mode>) -> Walk<'_> {
        Walk {
            root,
            pile: Vec::new(),
            links,
            followed: 0,
            create,
        }
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.pile.last().map_or(self.root, |fd| fd.as_fd())
    }

    fn run(mut self, path: &[u8]) -> Raw<OwnedFd> {
        if path.len() >= MAX_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        if path.contains(&0) {
            return Err(Errno::INVAL);
        }
        let mut rest = path.to_vec();
        loop {
            let start = rest.iter().position(|byte| *byte != b'/');
            let Some(start) = start else { break };
            let end = rest[start..].iter().position(|byte| *byte == b'/');
            let end = end.map_or(rest.len(), |length| start + length);
            let after = rest[end..].to_vec();
            match self.step(&rest[start..end], !after.is_empty())? {
                None => rest = after,
                Some(target) => {
                    if target.starts_with(b"/") {
                        self.pile.clear();
                    }
                    rest = [target, after].concat();
                    if rest.len() >= MAX_PATH {
                        return Err(Errno::NAMETOOLONG);
                    }
                }
            }
        }
        match self.pile.pop() {
            Some(found) => Ok(found),
            None => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                retry(|| openat(self.root, ".", flags, Mode::empty()))
            }
        }
    }

    /// Takes one component; gives the text of a link that is to be walked in its place.
    fn step(&mut self, name: &[u8], must_be_directory: bool) -> Raw<Option<Vec<u8>>> {
        match name {
            b"." => return Ok(None),
            b".." => {
                self.pile.pop();
                return Ok(None);
            }
            _ => {}
        }
        let fd = self.open(name)?;
        match kind(fd.as_fd())? {
            FileType::Symlink => return self.read_link(fd).map(Some),
            FileType::Directory => {}
            _ if must_be_directory => return Err(Errno::NOTDIR),
            _ => {}
        }
        self.pile.push(fd);
        Ok(None)
    }

    fn open(&self, name: &[u8]) -> Raw<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || retry(|| openat(self.here(), name, flags, Mode::empty()));
        match (open(), self.create) {
            (Err(Errno::NOENT), Some(mode)) => {
                match retry(|| mkdirat(self.here(), name, mode)) {
                    // Somebody was faster; what it is shows when it is opened.
                    Ok(()) | Err(Errno::EXIST) => open(),
                    Err(errno) => Err(errno),
                }
            }
            (opened, _) => opened,
        }
    }

    fn read_link(&mut self, link: OwnedFd) -> Raw<Vec<u8>> {
        if self.links == Links::Refuse {
            return Err(Errno::LOOP);
        }
        self.followed += 1;
        if self.followed > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        let target = retry(|| readlinkat(&link, c"", Vec::new()))?.into_bytes();
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        Ok(target)
    }
}
