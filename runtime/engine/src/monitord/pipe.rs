//! The pipe that monitors announce into.

use std::fs::DirBuilder;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use lxc_kernel::{Errno, SysError, lock, users};
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, lstat, mknodat, open};

use crate::failure::{Failure, FailureKind};
use crate::rundir::run_directory;
use crate::wire::Notice;

/// Where the daemon's pipe for `lxcpath` lies (protocol section 4).
pub fn path(lxcpath: &str) -> PathBuf {
    run_directory()
        .join("lxc")
        .join(lxcpath.trim_start_matches('/'))
        .join("monitor-fifo")
}

/// The reading end, locked against other daemons; dropped, it is removed.
pub struct Pipe {
    path: PathBuf,
    fd: OwnedFd,
    /// The beginning of an announcement whose end has not come.
    rest: Vec<u8>,
}

impl Pipe {
    /// Makes the pipe of `lxcpath`, or takes over the one that a killed daemon left.
    pub fn take(lxcpath: &str) -> Result<Pipe, Failure> {
        let path = path(lxcpath);
        let failed = |error: &SysError| {
            let sentence = format!("cannot make the pipe {} for monitors", path.display());
            Failure::new(FailureKind::Step, sentence).caused_by(error)
        };
        let directory = path.parent().unwrap_or(Path::new("/"));
        loop {
            make_directory(directory).map_err(|error| failed(&error))?;
            match mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
                Ok(()) | Err(Errno::EXIST) => {}
                // A daemon that ends takes what it made with it.
                Err(Errno::NOENT) => continue,
                Err(errno) => {
                    let args = path.display().to_string();
                    return Err(failed(&SysError::new("mknodat", args, errno)));
                }
            }
            let fd = match open_pipe(&path) {
                Ok(fd) => fd,
                Err(error) if error.is(Errno::NOENT) => continue,
                Err(error) => return Err(failed(&error)),
            };
            let found = fstat(&fd).map_err(|errno| failed(&SysError::new("fstat", "", errno)))?;
            if FileType::from_raw_mode(found.st_mode) != FileType::Fifo
                || found.st_uid != users::euid()
            {
                return Err(foreign(&path));
            }
            match lock::lock(fd.as_fd()) {
                Ok(()) => {}
                Err(error) if error.is(Errno::AGAIN) || error.is(Errno::ACCESS) => {
                    return Err(served(lxcpath));
                }
                Err(error) => return Err(failed(&error)),
            }
            // A daemon that ended between our open and our lock took the name with it.
            if lstat(&path).is_ok_and(|named| is_same(&named, &found)) {
                let rest = Vec::new();
                return Ok(Pipe { path, fd, rest });
            }
        }
    }

    /// The announcements that have arrived.
    pub fn read(&mut self) -> lxc_kernel::Result<Vec<[u8; Notice::SIZE]>> {
        let mut buffer = [0; 16 * Notice::SIZE];
        match rustix::io::read(&self.fd, &mut buffer) {
            Ok(length) => self.rest.extend(&buffer[..length]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                let args = self.path.display().to_string();
                return Err(SysError::new("read", args, errno));
            }
        }
        let (whole, rest) = self.rest.as_chunks();
        let whole = whole.to_vec();
        self.rest = rest.to_vec();
        Ok(whole)
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // While we hold the lock the name is ours; if somebody removed it, nothing is left to do.
        let _ = std::fs::remove_file(&self.path);
        // What others use is not empty and stays.
        let above = run_directory();
        let ours = self.path.ancestors().skip(1);
        let _ = ours
            .take_while(|directory| *directory != above)
            .try_for_each(std::fs::remove_dir);
    }
}

fn make_directory(directory: &Path) -> lxc_kernel::Result<()> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory);
    made.map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        SysError::new("mkdir", directory.display().to_string(), errno)
    })
}

/// Opens both ends: so it never ends when the last monitor closes its own.
fn open_pipe(path: &Path) -> lxc_kernel::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
        .map_err(|errno| SysError::new("open", path.display().to_string(), errno))
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn foreign(path: &Path) -> Failure {
    let path = path.display();
    let sentence =
        format!("{path} is not a pipe of this user's, so monitors would not write to it");
    Failure::new(FailureKind::Refused, sentence).hint(format!("remove {path}"))
}

fn served(lxcpath: &str) -> Failure {
    let sentence = format!("another lxc-monitord serves {lxcpath}");
    Failure::new(FailureKind::AlreadyRunning, sentence)
}
