//! One question to a monitor and its answer, from the client's side.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use lxc_kernel::socket::{self, Credentials};
use lxc_kernel::{Errno, SysError, file, users};

use super::address::{Address, trimmed};
use super::client_error::ClientError;
use super::command::Command;
use super::dial::dial;
use super::frame::{FRAME, MAX_PAYLOAD, ResponseHeader};
use super::payload::CGROUP_CONTEXT_FDS;
use super::request::Request;

/// Most bytes of a console log that are taken from a monitor.
const MAX_CONSOLE_LOG: usize = 64 << 20;

/// Longest time that is given to the kernel, which cannot count for ever.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Response {
    /// 0 or a negative errno; a state for `ADD_STATE_CLIENT`.
    pub(super) ret: i32,
    /// The number in the slot.
    pub(super) inline: i32,
    /// The payload.
    pub(super) data: Vec<u8>,
    /// The descriptors, as many as the command allows.
    pub(super) fds: Vec<OwnedFd>,
}

/// What came of waiting for an answer.
pub(super) enum Heard {
    /// An answer.
    Response(Response),
    /// The monitor closed without a word.
    Closed,
    /// The monitor has gone.
    Stopped,
}

/// A connection to a monitor whose identity was checked, with one question on it.
pub(super) struct Exchange {
    /// The connection; for some commands it is kept.
    pub(super) socket: OwnedFd,
    server: Credentials,
    container: String,
    command: Command,
    deadline: Option<Instant>,
    /// The socket may have a limit from an earlier deadline.
    limited: bool,
}

/// Who is asked: the container and where its monitor listens.
#[derive(Clone, Debug)]
pub(super) struct Callee {
    /// The container's directory, whose owner may serve it.
    directory: String,
    address: Address,
}

impl Callee {
    /// Means the monitor of container `name` in `lxcpath`.
    pub(super) fn of(lxcpath: &str, name: &str) -> Callee {
        Callee {
            directory: format!("{}/{name}", trimmed(lxcpath)),
            address: Address::of(lxcpath, name),
        }
    }

    /// Means whoever listens on `address` on behalf of the owner of `directory`.
    pub(super) fn at(directory: &str, address: Address) -> Callee {
        Callee {
            directory: directory.to_owned(),
            address,
        }
    }

    /// Connects, and believes the other side only if it is root, we, or the owner of the directory.
    ///
    /// `None` if nobody listens.
    fn connect(
        &self,
        command: Command,
        deadline: Option<Instant>,
    ) -> Result<Option<(OwnedFd, Credentials)>, ClientError> {
        let socket = match dial(&self.address, deadline) {
            Ok(socket) => socket,
            Err(error) if error.errno == Errno::CONNREFUSED => return Ok(None),
            Err(error) if error.errno == Errno::AGAIN => {
                return Err(ClientError::TimedOut {
                    container: self.directory.clone(),
                    command,
                });
            }
            Err(error) => return Err(error.into()),
        };
        // On a connected socket these are of the process that listened.
        let server = socket::peer_credentials(socket.as_fd())?;
        if server.uid == 0 || server.uid == users::euid() || self.owner() == Some(server.uid) {
            return Ok(Some((socket, server)));
        }
        Err(ClientError::Impostor {
            container: self.directory.clone(),
            address: self.address.clone(),
            uid: server.uid,
            pid: server.pid,
        })
    }

    fn owner(&self) -> Option<u32> {
        let directory = file::open_path(Path::new(&self.directory)).ok()?;
        rustix::fs::fstat(&directory).ok().map(|stat| stat.st_uid)
    }

    /// Connects and sends a request; `None` if nobody listens any more.
    ///
    /// `fd` is the descriptor that travels with the payload.
    pub(super) fn ask(
        &self,
        request: &Request,
        fd: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
    ) -> Result<Option<Exchange>, ClientError> {
        let Some((socket, server)) = self.connect(request.command(), deadline)? else {
            return Ok(None);
        };
        let exchange = Exchange {
            socket,
            server,
            container: self.directory.clone(),
            command: request.command(),
            deadline,
            limited: false,
        };
        let (header, payload) = request.encode();
        let sent = exchange
            .send(&header.encode(), None, true)
            .and_then(|()| exchange.send(&payload, fd, false));
        match sent {
            Ok(()) => Ok(Some(exchange)),
            Err(ClientError::Sys(error)) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Exchange {
    fn send(
        &self,
        mut bytes: &[u8],
        fd: Option<BorrowedFd<'_>>,
        credentials: bool,
    ) -> Result<(), ClientError> {
        let mut fds = fd.as_slice();
        while !bytes.is_empty() {
            self.limit(socket::set_send_timeout)?;
            let sent = socket::send(self.socket.as_fd(), bytes, fds, credentials)
                .map_err(|error| self.timed_out(error))?;
            bytes = &bytes[sent..];
            fds = &[];
        }
        Ok(())
    }

    /// Waits for the answer.
    pub(super) fn hear(&self) -> Result<Heard, ClientError> {
        let mut head = [0; FRAME];
        let mut fds = Vec::new();
        let mut have = 0;
        while have < FRAME {
            let Some(received) = self.receive(&mut head[have..], allowed_fds(self.command))? else {
                return Ok(Heard::Stopped);
            };
            if received.truncated || fds.len() + received.fds.len() > allowed_fds(self.command) {
                return Err(self.nonsense("sent descriptors that nobody asked for"));
            }
            fds.extend(received.fds);
            match received.bytes {
                0 if have == 0 => return Ok(Heard::Closed),
                0 => return Err(self.nonsense("closed in the middle of its answer")),
                bytes => have += bytes,
            }
        }
        let head = ResponseHeader::decode(&head);
        if head.ret == -Errno::PERM.raw_os_error() && self.is_shut_to_us() {
            return Err(ClientError::Denied {
                container: self.container.clone(),
                uid: self.server.uid,
            });
        }
        // Some failures announce bytes that never come.
        let length = if head.ret < 0 { 0 } else { head.length };
        let Some(data) = self.hear_data(length)? else {
            return Ok(Heard::Stopped);
        };
        Ok(Heard::Response(Response {
            ret: head.ret,
            inline: head.inline(),
            data,
            fds,
        }))
    }

    fn hear_data(&self, length: i32) -> Result<Option<Vec<u8>>, ClientError> {
        let limit = match self.command {
            Command::ConsoleLog => MAX_CONSOLE_LOG,
            _ => MAX_PAYLOAD,
        };
        let Some(length) = usize::try_from(length).ok().filter(|len| *len <= limit) else {
            return Err(self.nonsense(&format!("announced {length} bytes")));
        };
        let mut data = Vec::new();
        while data.len() < length {
            // What is announced may never come: memory grows with what has.
            let have = data.len();
            data.resize(length.min(have + MAX_PAYLOAD), 0);
            let Some(received) = self.receive(&mut data[have..], 0)? else {
                return Ok(None);
            };
            if received.bytes == 0 {
                return Err(self.nonsense("closed in the middle of its answer"));
            }
            data.truncate(have + received.bytes);
        }
        Ok(Some(data))
    }

    /// Waits for exactly `N` bytes that follow the answer; `None` if the monitor ends before.
    pub(super) fn hear_more<const N: usize>(&self) -> Result<Option<[u8; N]>, ClientError> {
        let mut bytes = [0; N];
        let mut have = 0;
        while have < N {
            match self.receive(&mut bytes[have..], 0)? {
                Some(received) if received.bytes > 0 => have += received.bytes,
                _ if have == 0 => return Ok(None),
                _ => return Err(self.nonsense("closed in the middle of a message")),
            }
        }
        Ok(Some(bytes))
    }

    /// Receives something; `None` if the connection was reset.
    fn receive(
        &self,
        buffer: &mut [u8],
        max_fds: usize,
    ) -> Result<Option<socket::Received>, ClientError> {
        self.limit(socket::set_receive_timeout)?;
        match socket::receive(self.socket.as_fd(), buffer, max_fds) {
            Ok(received) => Ok(Some(received)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(self.timed_out(error)),
        }
    }

    /// Sets another end for what is still to come.
    pub(super) fn until(self, deadline: Option<Instant>) -> Exchange {
        Exchange {
            limited: self.limited || self.deadline.is_some(),
            deadline,
            ..self
        }
    }

    /// Gives the socket the time that is left, unless there is no end and never was.
    fn limit(
        &self,
        set: fn(BorrowedFd<'_>, Option<Duration>) -> lxc_kernel::Result<()>,
    ) -> Result<(), ClientError> {
        let left = self.remaining()?;
        if left.is_some() || self.limited {
            set(self.socket.as_fd(), left)?;
        }
        Ok(())
    }

    /// Gives the time that is left; none at all means that there is no end.
    fn remaining(&self) -> Result<Option<Duration>, ClientError> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.late());
        }
        Ok(Some(left.min(LONGEST)))
    }

    fn timed_out(&self, error: SysError) -> ClientError {
        if error.errno == Errno::AGAIN {
            self.late()
        } else {
            error.into()
        }
    }

    fn late(&self) -> ClientError {
        ClientError::TimedOut {
            container: self.container.clone(),
            command: self.command,
        }
    }

    /// Says that the other side does not keep to the protocol.
    pub(super) fn nonsense(&self, what: &str) -> ClientError {
        ClientError::Protocol(format!(
            "the monitor of {} (process {}) {what} when asked {}; it may be of a version that does not \
             know the command",
            self.container, self.server.pid, self.command
        ))
    }

    /// Says that the monitor answered with an errno.
    pub(super) fn refused(&self, ret: i32) -> ClientError {
        ClientError::Refused {
            container: self.container.clone(),
            command: self.command,
            errno: errno_of(ret),
        }
    }

    fn is_shut_to_us(&self) -> bool {
        let (uid, gid) = (users::euid(), users::egid());
        uid != 0 && (uid, gid) != (self.server.uid, self.server.gid)
    }
}

/// Gives the errno of a negative answer.
pub(super) fn errno_of(ret: i32) -> Errno {
    // The negative of the smallest number does not exist, and no errno is near it.
    Errno::from_raw_os_error(
        ret.checked_neg()
            .filter(|errno| *errno < 4096)
            .unwrap_or(4095),
    )
}

fn is_gone(error: &SysError) -> bool {
    error.errno == Errno::PIPE || error.errno == Errno::CONNRESET
}

fn allowed_fds(command: Command) -> usize {
    match command {
        Command::GetCgroupCtx => CGROUP_CONTEXT_FDS,
        Command::GetTty
        | Command::GetCgroup2Fd
        | Command::GetInitPidfd
        | Command::GetLimitCgroup2Fd
        | Command::GetDevptsFd
        | Command::GetSeccompNotifyFd
        | Command::GetCgroupFd
        | Command::GetLimitCgroupFd => 1,
        _ => 0,
    }
}
