//! A container's directory: made, marked as being filled, written, removed.

use crate::failure::{Failure, FailureKind};
use crate::mapped::TemplateRun;
use lxc_kernel::{Errno, Result, SysError, file, lock};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Marks a container whose creation has not finished.
const PARTIAL: &str = "partial";

/// The mark of a creation in progress; dropped, it is gone.
pub struct Partial {
    path: PathBuf,
    _lock: OwnedFd,
}

/// What a `partial` file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// No mark: the container is whole.
    Finished,
    /// Somebody is at it.
    Ongoing,
    /// Whoever was at it has died.
    Abandoned,
}

impl Partial {
    /// Marks `directory`; the lock lasts as long as the returned value.
    pub fn mark(directory: &Path) -> Result<Partial> {
        let path = directory.join(PARTIAL);
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mark = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|e| SysError::new("open", path.display().to_string(), e))?;
        lock::lock(mark.as_fd())?;
        Ok(Partial { path, _lock: mark })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // A creation that failed has removed the whole directory already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether `directory` is whole.
pub fn creation(directory: &Path) -> Creation {
    let path = directory.join(PARTIAL);
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let found = match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR) => return Creation::Finished,
        // One that we may not look at belongs to somebody who is at it.
        Err(_) => return Creation::Ongoing,
    };
    let locked = lock::is_locked(found.as_fd()).unwrap_or(true);
    if locked {
        Creation::Ongoing
    } else {
        Creation::Abandoned
    }
}

/// Makes the container's directory, mode 0770, and its parents, 0755; `true` if it was not there.
pub fn make(directory: &Path) -> Result<bool> {
    if let Some(parent) = directory.parent() {
        std::fs::create_dir_all(parent).map_err(|e| io("mkdir", parent, &e))?;
    }
    let mode = Mode::from_raw_mode(0o770);
    // Whatever the umask is; setting that would change it for every thread of the caller.
    let made = rustix::fs::mkdir(directory, mode).and_then(|()| rustix::fs::chmod(directory, mode));
    match made {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(SysError::new(
            "mkdir",
            directory.display().to_string(),
            error,
        )),
    }
}

/// Makes the rootfs directory and its parents, mode 0755; `true` if it was not there.
pub fn make_rootfs(path: &Path) -> Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    std::fs::create_dir_all(path).map_err(|e| io("mkdir", path, &e))?;
    Ok(true)
}

/// Largest configuration read: a larger file is none.
const LARGEST_CONFIG: usize = 16 << 20;

/// Reads the configuration file of a container; `None` when there is none. One open, one read.
///
/// # Errors
/// It is there and cannot be read.
pub fn read_config(path: &Path) -> Result<Option<Vec<u8>>> {
    match file::read_path(path, LARGEST_CONFIG) {
        Ok(text) => Ok(Some(text)),
        Err(error) => match error.errno {
            Errno::NOENT | Errno::NOTDIR | Errno::ISDIR => Ok(None),
            // Whoever may not look into the directory cannot tell either whether there is one.
            Errno::ACCESS if !path.is_file() => Ok(None),
            _ => Err(error),
        },
    }
}

/// Replaces a configuration file as a whole: a reader sees the old one or the new one.
pub fn write_config(path: &Path, text: &[u8]) -> Result<()> {
    file::replace_file(path, text, 0o640)
}

/// The snapshots in `directory`, in its own order, each with its time stamp: what has a
/// configuration. None when there is no such directory.
pub fn snapshots(directory: &Path) -> Result<Vec<(String, Option<String>)>> {
    /// A time stamp has 19 characters; what is longer is none.
    const LONGEST_STAMP: usize = 256;
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("open", directory, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| io("getdents64", directory, &e))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let own = directory.join(&name);
        if own.join("config").is_file() {
            let stamp = file::read_path(&own.join("ts"), LONGEST_STAMP).ok();
            found.push((name, stamp.and_then(|text| String::from_utf8(text).ok())));
        }
    }
    Ok(found)
}

/// Removes a directory tree, one device only, never through links; what is named in `keep` at its
/// top stays. A tree that is not there is no error.
pub fn remove(path: &Path, keep: &[&str]) -> Result<()> {
    match place(path)? {
        Some((parent, name)) => remove_at(parent.as_fd(), &name, keep),
        None => Ok(()),
    }
}

/// The directory that holds `path`, open, and its name there; `None` if there is no such directory.
pub(crate) fn place(path: &Path) -> Result<Option<(OwnedFd, String)>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(SysError::new(
            "rmdir",
            path.display().to_string(),
            Errno::BUSY,
        ));
    };
    match file::open_dir(parent) {
        Err(error) if error.errno == Errno::NOENT => Ok(None),
        Err(error) => Err(error),
        Ok(parent) => Ok(Some((parent, name.to_string_lossy().into_owned()))),
    }
}

/// As [`remove`], below an open directory.
pub(crate) fn remove_at(parent: BorrowedFd, name: &str, keep: &[&str]) -> Result<()> {
    match file::remove_tree(parent, name, keep) {
        Err(error) if error.errno == Errno::NOENT => Ok(()),
        done => done,
    }
}

/// Reads a configuration file that a template wrote: a link or a device in its place is an error.
///
/// # Errors
/// It cannot be read.
pub fn read_left(path: &Path) -> Result<Vec<u8>> {
    match place(path)? {
        Some((parent, name)) => file::read_at(parent.as_fd(), &name, LARGEST_CONFIG),
        None => Err(SysError::new(
            "openat",
            path.display().to_string(),
            Errno::NOENT,
        )),
    }
}

/// Runs a template by LXC's contract and waits for it; its output is the caller's.
///
/// # Errors
/// It cannot be executed, or ends with another code than 0.
pub fn run_template(run: &TemplateRun<'_>) -> std::result::Result<(), Failure> {
    use std::process::{Command, Stdio};
    let TemplateRun {
        program,
        directory,
        name,
        rootfs,
        args,
        quiet,
    } = *run;
    let mut command = Command::new(program);
    command
        .arg(format!("--path={}", directory.display()))
        .arg(format!("--name={name}"))
        .arg(format!("--rootfs={}", rootfs.display()))
        .args(args);
    if quiet {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    }
    let told = |how: String| {
        Failure::new(
            FailureKind::Step,
            format!("the template {} {how}", program.display()),
        )
    };
    let ended = command.status().map_err(|e| {
        told(format!("cannot be executed: {e}")).hint("make it executable ('chmod +x')")
    })?;
    match ended.success() {
        true => Ok(()),
        false => Err(told(format!("failed ({ended})")).hint("its own messages above say why")),
    }
}

fn io(call: &'static str, path: &Path, error: &std::io::Error) -> SysError {
    let errno = error
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error);
    SysError::new(call, path.display().to_string(), errno)
}
