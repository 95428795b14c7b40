//! lxc-monitord: passes what monitors announce on to whoever subscribed (protocol section 4).
//!
//! Monitors write into a pipe of the lxcpath, whose one reader this is; subscribers connect to an
//! abstract socket. Either side may be C LXC's.

mod pipe;
mod subscription;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use lxc_kernel::events::{Interest, Poller};
use lxc_kernel::signals::{self, SignalFd};
use lxc_kernel::{Errno, socket, users};

use crate::failure::{Failure, FailureKind};
use crate::wire::{Address, Notice};
use pipe::Pipe;
pub use subscription::{Subscriptions, quit};

pub(crate) use pipe::path as pipe_path;

/// Without subscribers it stays for this long, so that the next one finds it.
const LINGER: Duration = Duration::from_secs(30);

/// Subscribers at once; more are turned away, for each costs a descriptor and may cost a backlog.
const MOST: usize = 250;

/// Bytes that wait for one subscriber: some 4000 announcements, as when 800 containers start at once.
const BACKLOG: usize = 1 << 20;

/// What a subscriber writes to end it.
const QUIT: &[u8] = b"quit";

const PIPE: u64 = 0;
const LISTENER: u64 = 1;
const SIGNALS: u64 = 2;
/// Subscribers have their place in the list after this.
const FIRST: u64 = 3;

/// One who listens.
struct Subscriber {
    socket: OwnedFd,
    /// What its socket had no room for.
    backlog: Vec<u8>,
}

/// The daemon of one lxcpath, ready to serve.
pub struct Monitord {
    poller: Poller,
    pipe: Pipe,
    listener: OwnedFd,
    signals: SignalFd,
    subscribers: Vec<Option<Subscriber>>,
    /// Never ends for want of subscribers.
    persistent: bool,
}

impl Monitord {
    /// Takes the pipe and the socket of `lxcpath`. A daemon that is to stay without subscribers is
    /// `persistent`; others end after half a minute without any.
    ///
    /// Blocks the signals that end it for the calling thread.
    ///
    /// # Errors
    /// Another one serves this lxcpath, or one of the two cannot be made.
    pub fn new(lxcpath: &str, persistent: bool) -> Result<Monitord, Failure> {
        let address = Address::of_monitord(lxcpath).ok_or_else(|| too_long(lxcpath))?;
        let pipe = Pipe::take(lxcpath)?;
        let failed = |error| {
            let sentence = format!("cannot serve the subscribers of {lxcpath}");
            Failure::new(FailureKind::Step, sentence).caused_by(&error)
        };
        let listener = socket::abstract_listener(address.as_bytes(), 100).map_err(failed)?;
        let ending = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
        signals::block(&ending).map_err(failed)?;
        let daemon = Monitord {
            poller: Poller::new().map_err(failed)?,
            signals: SignalFd::of(&ending).map_err(failed)?,
            pipe,
            listener,
            subscribers: Vec::new(),
            persistent,
        };
        for (fd, token) in [
            (daemon.pipe.as_fd(), PIPE),
            (daemon.listener.as_fd(), LISTENER),
            (daemon.signals.as_fd(), SIGNALS),
        ] {
            let added = daemon.poller.add(fd, token, Interest::READ);
            added.map_err(failed)?;
        }
        Ok(daemon)
    }

    /// Serves until it is told to end by a signal or a subscriber, or nobody has listened for half
    /// a minute; the pipe is gone then.
    ///
    /// # Errors
    /// Waiting or reading fails.
    pub fn serve(self) -> Result<(), Failure> {
        self.run().map_err(|error| {
            Failure::new(FailureKind::Step, "cannot serve subscribers any longer").caused_by(&error)
        })
    }

    fn run(mut self) -> lxc_kernel::Result<()> {
        let mut alone_since = Instant::now();
        loop {
            let alone = self.subscribers.iter().all(Option::is_none);
            if !alone {
                alone_since = Instant::now();
            }
            let deadline = (alone && !self.persistent).then(|| alone_since + LINGER);
            let events = self.poller.wait(deadline)?;
            if events.is_empty() {
                return Ok(());
            }
            for event in events {
                match event.token {
                    SIGNALS => return Ok(()),
                    PIPE => {
                        // Who came before something was announced is told of it.
                        self.admit()?;
                        for message in self.pipe.read()? {
                            self.pass_on(&message);
                        }
                    }
                    LISTENER => self.admit()?,
                    token => {
                        if self.hear(token) {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Takes in whoever waits and may listen.
    fn admit(&mut self) -> lxc_kernel::Result<()> {
        while let Some(socket) = socket::accept(self.listener.as_fd())? {
            let known = socket::peer_credentials(socket.as_fd())
                .is_ok_and(|peer| peer.uid == 0 || peer.uid == users::euid());
            let free = self.subscribers.iter().position(Option::is_none);
            let place = free.unwrap_or(self.subscribers.len());
            if !known || place >= MOST {
                continue;
            }
            let token = FIRST + place as u64;
            self.poller.add(socket.as_fd(), token, Interest::READ)?;
            let subscriber = Some(Subscriber {
                socket,
                backlog: Vec::new(),
            });
            match free {
                Some(place) => self.subscribers[place] = subscriber,
                None => self.subscribers.push(subscriber),
            }
        }
        Ok(())
    }

    /// Takes what a subscriber has to say, and sends it what waits for it; true if the daemon shall
    /// end.
    fn hear(&mut self, token: u64) -> bool {
        let place = (token - FIRST) as usize;
        // One that was dismissed by an earlier event of the same batch.
        let Some(Some(subscriber)) = self.subscribers.get(place) else {
            return false;
        };
        let mut said = [0; 64];
        match rustix::io::read(&subscriber.socket, &mut said) {
            Ok(length) if length > 0 => return said[..length] == *QUIT,
            Err(Errno::AGAIN | Errno::INTR) => self.send(place, &[]),
            _ => self.dismiss(place),
        }
        false
    }

    /// Sends one announcement to all.
    fn pass_on(&mut self, message: &[u8; Notice::SIZE]) {
        for place in 0..self.subscribers.len() {
            self.send(place, message);
        }
    }

    /// Sends what waits for one subscriber, and `message` behind it, as far as there is room; the rest
    /// waits. One that does not keep up at all is dismissed: it learns by that that something is
    /// missing, and holds up nobody.
    fn send(&mut self, place: usize, message: &[u8]) {
        let Some(subscriber) = &mut self.subscribers[place] else {
            return;
        };
        let waited = !subscriber.backlog.is_empty();
        subscriber.backlog.extend_from_slice(message);
        let socket = subscriber.socket.as_fd();
        let sent = match socket::send(socket, &subscriber.backlog, &[], false) {
            Ok(sent) => sent,
            Err(error) if error.is(Errno::AGAIN) => 0,
            Err(_) => return self.dismiss(place),
        };
        subscriber.backlog.drain(..sent);
        let waits = !subscriber.backlog.is_empty();
        let interest = Interest {
            read: true,
            write: waits,
            pri: false,
        };
        let token = FIRST + place as u64;
        let changed = match waits == waited {
            true => Ok(()),
            false => self.poller.modify(socket, token, interest),
        };
        if changed.is_err() || subscriber.backlog.len() > BACKLOG {
            self.dismiss(place);
        }
    }

    fn dismiss(&mut self, place: usize) {
        if let Some(subscriber) = self.subscribers[place].take()
            && let Err(error) = self.poller.remove(subscriber.socket.as_fd())
        {
            log::info!("a subscriber that left: {error}");
        }
    }
}

fn too_long(lxcpath: &str) -> Failure {
    let sentence = format!(
        "the path {lxcpath} is too long for the name of lxc-monitord's socket, which has room for \
         about 80 characters"
    );
    Failure::new(FailureKind::Refused, sentence).hint("use a shorter lxcpath")
}
