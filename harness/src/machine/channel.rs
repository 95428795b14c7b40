//! One of the sockets to a machine, read and written with a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};

use super::deadline::Deadline;
use super::lost::Failure;

/// Our end of a pair of connected sockets; QEMU inherits the other.
///
/// A pair needs no name, no listening and no retry, and it closes when QEMU dies.
#[derive(Debug)]
pub(super) struct Channel {
    socket: UnixStream,
}

impl Channel {
    /// A channel, and the end of it that QEMU gets.
    pub(super) fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        Ok((Channel { socket }, theirs.into()))
    }

    /// The channel as a stream whose every wait ends at the deadline, or when the process behind
    /// `pidfd` does.
    pub(super) fn until<'a>(&'a self, deadline: Deadline, pidfd: BorrowedFd<'a>) -> Timed<'a> {
        Timed {
            socket: &self.socket,
            pidfd,
            deadline,
        }
    }

    /// The socket, for a message with descriptors.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A channel with a deadline: `TimedOut`, and `UnexpectedEof` once nobody is at the other end.
#[derive(Debug)]
pub(super) struct Timed<'a> {
    socket: &'a UnixStream,
    pidfd: BorrowedFd<'a>,
    deadline: Deadline,
}

impl Timed<'_> {
    /// Waits for the socket; the process's end counts only if the socket has nothing to give.
    fn ready(&self, flags: PollFlags) -> io::Result<()> {
        loop {
            let mut fds = [
                PollFd::new(self.socket, flags),
                PollFd::from_borrowed_fd(self.pidfd, PollFlags::IN),
            ];
            match poll(&mut fds, Some(&self.deadline.left())) {
                Ok(0) if self.deadline.passed() => return Err(ErrorKind::TimedOut.into()),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) if !fds[0].revents().is_empty() => return Ok(()),
                Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Repeats a call on the socket until it does not say that it would block.
    ///
    /// The deadline is looked at first: a peer that never stops sending does not outlive it.
    fn whenever<T>(
        &self,
        flags: PollFlags,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            if self.deadline.passed() {
                return Err(ErrorKind::TimedOut.into());
            }
            match call() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.ready(flags)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        self.whenever(PollFlags::IN, || socket.read(buffer))
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        self.whenever(PollFlags::OUT, || socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says what an error of a [`Timed`] channel means for the one who asked.
pub(super) fn failure(
    error: &io::Error,
    who: &'static str,
    asked: &str,
    deadline: Deadline,
) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut => Failure::Silent {
            who,
            asked: asked.to_owned(),
            within: deadline.within,
        },
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            Failure::Closed
        }
        ErrorKind::InvalidInput => Failure::Here(format!("cannot ask {asked}: {error}")),
        _ => Failure::Said(format!(
            "{who} said something that is no answer to {asked}: {error}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// Something that never becomes readable, in place of a process that lives.
    fn alive() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[test]
    fn every_wait_ends_at_the_deadline() {
        let (channel, theirs) = Channel::pair().unwrap();
        let (alive, _other) = alive();
        let start = Instant::now();
        let deadline = Deadline::after(Duration::from_millis(50));
        let mut timed = channel.until(deadline, alive.as_fd());
        let error = timed.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // A peer that reads nothing holds up a writer no longer than that.
        let error = timed.write_all(&vec![0; 64 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert!(start.elapsed() < Duration::from_secs(5));
        drop(theirs);
    }

    #[test]
    fn a_peer_that_never_stops_does_not_outlive_the_deadline() {
        let (channel, theirs) = Channel::pair().unwrap();
        let (alive, _other) = alive();
        let writer = std::thread::spawn(move || {
            let mut theirs = UnixStream::from(theirs);
            while theirs.write_all(&[b'x'; 4096]).is_ok() {}
        });
        let deadline = Deadline::after(Duration::from_millis(50));
        let mut sink = io::sink();
        let error = io::copy(&mut channel.until(deadline, alive.as_fd()), &mut sink).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(channel);
        writer.join().unwrap();
    }

    #[test]
    fn what_was_said_before_the_end_is_still_read() {
        let (channel, theirs) = Channel::pair().unwrap();
        let (dead, other) = alive();
        drop(other);
        let mut theirs = UnixStream::from(theirs);
        theirs.write_all(b"bye").unwrap();
        let deadline = Deadline::after(Duration::from_secs(20));
        let mut timed = channel.until(deadline, dead.as_fd());
        let mut buffer = [0; 8];
        assert_eq!(timed.read(&mut buffer).unwrap(), 3);
        // The socket is still open elsewhere, yet nobody is left to write to it.
        let error = timed.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn errors_become_sentences() {
        let deadline = Deadline::after(Duration::from_secs(3));
        let told = |kind: ErrorKind| failure(&kind.into(), "the agent", "Run", deadline);
        assert_eq!(told(ErrorKind::BrokenPipe), Failure::Closed);
        assert_eq!(told(ErrorKind::UnexpectedEof), Failure::Closed);
        assert!(
            matches!(told(ErrorKind::TimedOut), Failure::Silent { within, .. } if within.as_secs() == 3)
        );
        assert!(
            matches!(told(ErrorKind::InvalidData), Failure::Said(what) if what.starts_with("the agent said"))
        );
        assert!(matches!(told(ErrorKind::InvalidInput), Failure::Here(_)));
    }
}
