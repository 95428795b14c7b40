//! One client's connection, as far as it can be served without waiting.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use lxc_kernel::socket::{self, Credentials};
use lxc_kernel::{Errno, Result};

use super::admission::Door;
use super::answers::{Reply, Then};
use super::frame::{FRAME, RequestHeader};
use super::request::{Refusal, Request};
use super::state::State;

/// A connection and what it is about.
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) phase: Phase,
    /// When it is closed if nothing happens; `None` for those that may stay.
    pub(super) deadline: Option<Instant>,
    /// True until something shows that the peer may not ask.
    pub(super) admitted: bool,
    /// True once the event loop watches it.
    pub(super) watched: bool,
}

/// Where a connection stands.
pub(super) enum Phase {
    /// The request is not complete.
    Request(Reading),
    /// The answer is not drained.
    Answer(Writing),
    /// The client waits for one of these states; without any it is only expected to close.
    AwaitingState([i32; State::COUNT]),
    /// The client waits for the monitor's end.
    AwaitingEnd,
    /// The client uses this terminal.
    Tty(i32),
}

/// What reading came to.
pub(super) enum Progress {
    /// The rest has not arrived.
    Unfinished,
    /// The request is complete, with the descriptor that came along.
    Complete(std::result::Result<(Request, Option<OwnedFd>), Refusal>),
    /// The client has gone.
    Gone,
}

/// A request in pieces.
#[derive(Default)]
pub(super) struct Reading {
    bytes: Vec<u8>,
    header: Option<RequestHeader>,
    fd: Option<OwnedFd>,
}

impl Reading {
    /// Takes what has arrived of this request and nothing of what may follow it.
    ///
    /// `admitted` turns false if any piece was sent by somebody whom `door` does not admit: the one who
    /// opened a connection may have tricked another one into writing to it, and the other way round.
    pub(super) fn advance(
        &mut self,
        socket: BorrowedFd<'_>,
        door: Door,
        admitted: &mut bool,
    ) -> Progress {
        loop {
            let (whole, max_fds) = match self.header {
                None => (FRAME, 0),
                Some(header) => match header.payload_length() {
                    Ok(length) => (FRAME + length, header.payload_fds()),
                    Err(refusal) => return Progress::Complete(Err(refusal)),
                },
            };
            if self.bytes.len() < whole {
                match self.receive(socket, whole, max_fds) {
                    Ok(Some(credentials)) => {
                        *admitted &= credentials.is_some_and(|sender| door.admits(&sender));
                    }
                    Ok(None) => return Progress::Gone,
                    Err(error) if error.errno == Errno::AGAIN => return Progress::Unfinished,
                    Err(_) => return Progress::Gone,
                }
            } else if let Some(header) = self.header {
                let request = Request::decode(&header, &self.bytes[FRAME..]);
                return Progress::Complete(request.map(|request| (request, self.fd.take())));
            } else {
                let mut head = [0; FRAME];
                head.copy_from_slice(&self.bytes);
                self.header = Some(RequestHeader::decode(&head));
            }
        }
    }

    /// Receives up to `whole` bytes in all; `None` at the end of the stream, else the sender if it is known.
    fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        whole: usize,
        max_fds: usize,
    ) -> Result<Option<Option<Credentials>>> {
        let have = self.bytes.len();
        self.bytes.resize(whole, 0);
        let received = socket::receive(socket, &mut self.bytes[have..], max_fds);
        let arrived = received.as_ref().map_or(0, |received| received.bytes);
        self.bytes.truncate(have + arrived);
        let received = received?;
        // The first one counts; every other descriptor nobody asked for is closed here.
        if let Some(fd) = received.fds.into_iter().next()
            && self.fd.is_none()
        {
            self.fd = Some(fd);
        }
        Ok((arrived > 0).then_some(received.credentials))
    }
}

/// An answer on its way.
pub(super) struct Writing {
    bytes: Vec<u8>,
    sent: usize,
    /// Go with the first byte.
    fds: Vec<OwnedFd>,
    pub(super) then: Then,
}

/// What sending came to.
pub(super) enum Sent {
    /// Everything is out.
    All,
    /// The client has to read first.
    Rest(Writing),
    /// The client has gone.
    Gone,
}

impl Writing {
    /// Sends an answer as far as the client's buffer takes it.
    pub(super) fn start(socket: BorrowedFd<'_>, mut reply: Reply<'_>) -> Sent {
        let bytes = reply.bytes();
        let mut fds = reply.lent;
        fds.extend(reply.given.iter().map(AsFd::as_fd));
        let sent = match socket::send(socket, &bytes, &fds, false) {
            Ok(sent) => sent,
            Err(error) if error.errno == Errno::AGAIN => 0,
            Err(_) => return Sent::Gone,
        };
        if sent == bytes.len() {
            return Sent::All;
        }
        let kept = if sent > 0 {
            Ok(Vec::new())
        } else {
            // Lent descriptors may be closed before the client reads.
            fds.iter().map(BorrowedFd::try_clone_to_owned).collect()
        };
        match kept {
            Ok(fds) => Sent::Rest(Writing {
                bytes,
                sent,
                fds,
                then: reply.then,
            }),
            Err(_) => Sent::Gone,
        }
    }

    /// Sends more of the answer.
    pub(super) fn advance(mut self, socket: BorrowedFd<'_>) -> Sent {
        while self.sent < self.bytes.len() {
            let fds: Vec<BorrowedFd<'_>> = self.fds.iter().map(AsFd::as_fd).collect();
            match socket::send(socket, &self.bytes[self.sent..], &fds, false) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.errno == Errno::AGAIN => return Sent::Rest(self),
                Err(_) => return Sent::Gone,
            }
            self.fds.clear();
        }
        Sent::All
    }
}
