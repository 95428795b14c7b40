//! Telling lxc-monitord, where one serves this lxcpath: who it tells further is its business.

use crate::wire::Notice;
use lxc_kernel::users;
use rustix::fs::{FileType, Mode, OFlags};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the daemon's pipe for `lxcpath` lies: below /run for whoever owns that, else in the user's
/// own run directory (protocol section 4).
fn pipe(lxcpath: &str) -> PathBuf {
    let system = Path::new("/run");
    let ours = std::fs::metadata(system)
        .is_ok_and(|run| run.uid() == users::euid() || run.gid() == users::egid());
    let directory = match std::env::var_os("XDG_RUNTIME_DIR") {
        _ if ours => system.to_path_buf(),
        Some(runtime) => PathBuf::from(runtime),
        None => {
            let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
            home.join(".cache/lxc/run")
        }
    };
    directory
        .join("lxc")
        .join(lxcpath.trim_start_matches('/'))
        .join("monitor-fifo")
}

/// Writes one announcement into the pipe, if a daemon reads it. Never waits: one that cannot keep up
/// misses an announcement, as with LXC, and the container is not held up.
pub fn tell(lxcpath: &str, notice: &Notice) {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // No pipe, or nobody who reads it, is the usual case.
    let Ok(pipe) = rustix::fs::open(pipe(lxcpath), flags, Mode::empty()) else {
        return;
    };
    // Only a pipe of our own user's is a daemon's: anything else would be somebody's trap.
    let trusted = rustix::fs::fstat(&pipe).is_ok_and(|found| {
        FileType::from_raw_mode(found.st_mode) == FileType::Fifo && found.st_uid == users::euid()
    });
    if trusted && let Err(error) = rustix::io::write(&pipe, &notice.encode()) {
        log::info!("lxc-monitord was not told: {error}");
    }
}
