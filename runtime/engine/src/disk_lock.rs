//! The disk lock: who may change a container's configuration file, between processes and between
//! the threads of one.
//!
//! It is the lock that C LXC takes, so that both sides' programs keep out of each other's way: a
//! write lock on the whole of `RUNDIR/lxc/lock/LXCPATH/.NAME`. The file stays: removed, it would
//! leave those who wait for it holding a lock that nobody else sees.

use crate::rundir::run_directory;
use lxc_kernel::{Errno, Result, SysError, lock};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct DiskLock {
    _file: OwnedFd,
}

const OPEN: OFlags = OFlags::RDWR
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);

impl DiskLock {
    /// Takes the lock of the container `name`; its file and directory are made when they are
    /// missing. Waits without limit for whoever has it.
    pub fn take(lxcpath: &str, name: &str) -> Result<DiskLock> {
        let path = path(&run_directory(), lxcpath, name);
        let mode = Mode::from_raw_mode(0o600);
        let opened = match rustix::fs::open(&path, OPEN | OFlags::CREATE, mode) {
            Err(Errno::NOENT) => {
                make_directory(&path)?;
                rustix::fs::open(&path, OPEN | OFlags::CREATE, mode)
            }
            opened => opened,
        };
        locked(opened.map_err(|e| SysError::new("open", path.display().to_string(), e))?)
    }

    /// The same where somebody has made the file already; `None`, and nothing is made, where nobody
    /// has or the caller may not use it: for those who only read.
    ///
    /// C LXC makes the file before it writes a configuration for the first time, and writes it in
    /// place: to read without the lock could be to read half of it. Our own writes need no lock to
    /// be read whole.
    pub fn take_if_there(lxcpath: &str, name: &str) -> Result<Option<DiskLock>> {
        match rustix::fs::open(path(&run_directory(), lxcpath, name), OPEN, Mode::empty()) {
            Ok(file) => locked(file).map(Some),
            Err(_) => Ok(None),
        }
    }
}

fn locked(file: OwnedFd) -> Result<DiskLock> {
    lock::lock_and_wait(file.as_fd())?;
    Ok(DiskLock { _file: file })
}

/// The lxcpath keeps its leading slash, as C LXC writes it; to the kernel that is the same path.
fn path(run: &Path, lxcpath: &str, name: &str) -> PathBuf {
    PathBuf::from(format!("{}/lxc/lock/{lxcpath}/.{name}", run.display()))
}

fn make_directory(file: &Path) -> Result<()> {
    let Some(directory) = file.parent() else {
        return Ok(());
    };
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o755).create(directory);
    made.map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        SysError::new("mkdir", directory.display().to_string(), errno)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_where_c_lxc_looks_for_it() {
        let check = |lxcpath: &str, expected: &str| {
            assert_eq!(path(Path::new("/run"), lxcpath, "c1"), Path::new(expected));
        };
        check("/var/lib/lxc", "/run/lxc/lock/var/lib/lxc/.c1");
        check("relative", "/run/lxc/lock/relative/.c1");
    }
}
