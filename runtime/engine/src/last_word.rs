//! What a child of ours could not do, told to its parent before it ends: one failure.

use crate::failure::{Failure, FailureKind};
use lxc_kernel::{Errno, Result, SysError, fd, socket};
use std::os::fd::{AsFd, OwnedFd};

/// The parent's end: what the child said can be asked once it has ended or executed a program.
pub(crate) struct Ear(OwnedFd);

/// The child's end; it is closed when a program is executed.
pub(crate) struct Mouth(OwnedFd);

/// A line between a parent and its child to be.
pub(crate) fn line() -> Result<(Ear, Mouth)> {
    let (ours, theirs) = fd::pair()?;
    socket::set_nonblocking(ours.as_fd(), true)?;
    Ok((Ear(ours), Mouth(theirs)))
}

impl Mouth {
    /// Tells the parent; gives the exit code of a child that failed, as LXC's have it.
    pub fn say(&self, failure: &Failure) -> i32 {
        if let Ok(bytes) = postcard::to_extend(failure, Vec::new()) {
            // A parent that does not listen any more needs no reasons.
            let _ = socket::send(self.0.as_fd(), &bytes, &[], false);
        }
        1
    }
}

impl Ear {
    /// What the child has said up to now.
    pub fn heard(&self) -> Option<Failure> {
        /// A sentence with paths in it is shorter.
        const LONGEST: usize = 64 * 1024;
        let mut buffer = vec![0; LONGEST];
        let length = match socket::receive(self.0.as_fd(), &mut buffer, 0) {
            Ok(received) => received.bytes,
            Err(error) if error.is(Errno::AGAIN) => 0,
            Err(error) => return Some(garbled(&error)),
        };
        match buffer.get(..length).unwrap_or_default() {
            [] => None,
            bytes => Some(postcard::from_bytes(bytes).unwrap_or_else(|_| {
                garbled(&SysError::new("recvmsg", "a failure", Errno::BADMSG))
            })),
        }
    }
}

fn garbled(error: &SysError) -> Failure {
    Failure::new(FailureKind::Step, "a child failed, and its reason is lost").caused_by(error)
}
