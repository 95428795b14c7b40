//! The subscribers' end.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use lxc_kernel::events::{Interest, Poller};
use lxc_kernel::{Errno, SysError, socket};

use super::QUIT;
use crate::failure::{Failure, FailureKind};
use crate::wire::{Address, Notice, dial};

/// A daemon that does not take us in within this is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Subscriptions at the daemons of some lxcpaths.
pub struct Subscriptions {
    poller: Poller,
    sources: Vec<Source>,
    arrived: VecDeque<(usize, Notice)>,
}

/// One of them.
struct Source {
    lxcpath: String,
    socket: OwnedFd,
    /// The beginning of an announcement whose end has not come.
    rest: Vec<u8>,
}

impl Subscriptions {
    /// Subscribes at each daemon.
    ///
    /// # Errors
    /// One of them is not there ([`FailureKind::NotRunning`]) or cannot be reached.
    pub fn open(lxcpaths: &[String]) -> Result<Subscriptions, Failure> {
        let poller = Poller::new().map_err(|error| not_heard(&error))?;
        let mut sources = Vec::new();
        for lxcpath in lxcpaths {
            let socket = connect(lxcpath)?;
            // The token is its place.
            let watched = socket::set_nonblocking(socket.as_fd(), true).and_then(|()| {
                let token = sources.len() as u64;
                poller.add(socket.as_fd(), token, Interest::READ)
            });
            watched.map_err(|error| not_heard(&error))?;
            sources.push(Source {
                lxcpath: lxcpath.clone(),
                socket,
                rest: Vec::new(),
            });
        }
        Ok(Subscriptions {
            poller,
            sources,
            arrived: VecDeque::new(),
        })
    }

    /// The next announcement and the place of its lxcpath; `None` if there is none until `deadline`.
    /// What cannot be understood is left out.
    ///
    /// # Errors
    /// A daemon has gone ([`FailureKind::NotRunning`]).
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<(usize, Notice)>, Failure> {
        while self.arrived.is_empty() {
            let ready = self.poller.wait(deadline);
            let ready = ready.map_err(|error| not_heard(&error))?;
            if ready.is_empty() {
                return Ok(None);
            }
            for place in ready.iter().map(|event| event.token as usize) {
                let notices = self.sources[place].arrived()?;
                self.arrived
                    .extend(notices.into_iter().map(|notice| (place, notice)));
            }
        }
        Ok(self.arrived.pop_front())
    }
}

impl Source {
    fn arrived(&mut self) -> Result<Vec<Notice>, Failure> {
        let mut buffer = [0; 16 * Notice::SIZE];
        match rustix::io::read(&self.socket, &mut buffer) {
            Ok(0) | Err(Errno::CONNRESET) => {
                let sentence = format!("the lxc-monitord of {} has ended", self.lxcpath);
                return Err(Failure::new(FailureKind::NotRunning, sentence));
            }
            Ok(length) => self.rest.extend(&buffer[..length]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                let error = SysError::new("read", "lxc-monitord's socket", errno);
                return Err(not_heard(&error));
            }
        }
        let (whole, rest) = self.rest.as_chunks();
        let notices = whole.iter().filter_map(Notice::decode).collect();
        self.rest = rest.to_vec();
        Ok(notices)
    }
}

/// Tells the daemon of `lxcpath` to end; does not wait for that.
///
/// # Errors
/// It is not there or cannot be reached.
pub fn quit(lxcpath: &str) -> Result<(), Failure> {
    let socket = connect(lxcpath)?;
    let sent = socket::send(socket.as_fd(), QUIT, &[], false);
    sent.map(drop).map_err(|error| not_heard(&error))
}

fn connect(lxcpath: &str) -> Result<OwnedFd, Failure> {
    let address = Address::of_monitord(lxcpath).ok_or_else(|| super::too_long(lxcpath))?;
    dial(&address, Some(Instant::now() + PATIENCE)).map_err(|error| {
        let kind = match error.errno {
            Errno::CONNREFUSED => FailureKind::NotRunning,
            Errno::AGAIN => FailureKind::TimedOut,
            _ => FailureKind::Denied,
        };
        let sentence = format!("cannot reach the lxc-monitord of {lxcpath}");
        Failure::new(kind, sentence).caused_by(&error)
    })
}

fn not_heard(error: &SysError) -> Failure {
    let sentence = "cannot wait for what happens to containers";
    Failure::new(FailureKind::Step, sentence).caused_by(error)
}
