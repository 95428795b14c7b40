//! Telling lxc-monitord, where one serves this lxcpath: who it tells further is its business.

use crate::monitord::pipe_path;
use crate::wire::Notice;
use lxc_kernel::users;
use rustix::fs::{FileType, Mode, OFlags};

/// Writes one announcement into the pipe, if a daemon reads it. Never waits: one that cannot keep up
/// misses an announcement, as with LXC, and the container is not held up.
pub fn tell(lxcpath: &str, notice: &Notice) {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // No pipe, or nobody who reads it, is the usual case.
    let Ok(pipe) = rustix::fs::open(pipe_path(lxcpath), flags, Mode::empty()) else {
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
