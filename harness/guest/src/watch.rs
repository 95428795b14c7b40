//! The one place where the agent waits: for ended children, programs' output, and the port.
//!
//! Whatever it waits for, orphans are reaped and output is taken: nobody is held up by us.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use lxc_kernel::Errno;
use lxc_kernel::events::{Interest, Poller};
use lxc_kernel::process::{Ended, Reaped, reap_any};
use lxc_kernel::signals::{self, SignalFd};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::trouble::{Calling, Outcome, Told};

/// Of each output this much is kept; the rest is read and forgotten.
const KEPT: usize = 256 << 10;

/// Reads of one pipe in a row: as much as a pipe can hold.
const READS: usize = 4;

const SIGNALS: u64 = 0;
const PORT: u64 = 1;

/// Everything that is waited for.
pub struct Watch {
    poller: Poller,
    signals: SignalFd,
    changes: OwnedFd,
    port_changed: bool,
    outputs: BTreeMap<u64, Output>,
    next: u64,
}

/// What comes out of one of a program's descriptors.
struct Output {
    /// The reading end, until nobody holds the other any more.
    pipe: Option<OwnedFd>,
    /// `None` once the program has ended: a daemon may write on, as to a terminal nobody looks at.
    kept: Option<Vec<u8>>,
}

/// What one wait brought.
#[derive(Debug, Default)]
pub struct Woken {
    /// Children that have ended, and how.
    pub ended: Vec<(i32, Ended)>,
}

impl Watch {
    /// Blocks all signals and watches them.
    pub fn new() -> Outcome<Watch> {
        signals::block_all_but_fatal().told()?;
        let watch = Watch {
            poller: Poller::new().told()?,
            signals: SignalFd::all_blocked().told()?,
            changes: epoll::create(CreateFlags::CLOEXEC).calling("epoll_create1", "")?,
            port_changed: false,
            outputs: BTreeMap::new(),
            next: PORT + 1,
        };
        watch
            .poller
            .add(watch.changes.as_fd(), PORT, Interest::READ)
            .told()?;
        watch
            .poller
            .add(watch.signals.as_fd(), SIGNALS, Interest::READ)
            .told()?;
        Ok(watch)
    }

    /// Notices changes at the port too: something came, the peer came or went.
    ///
    /// Changes only (edge-triggered): without a peer the port is ready all the time, for nothing.
    pub fn add_port(&mut self, port: BorrowedFd) -> Outcome {
        let edges = EventFlags::IN | EventFlags::ET;
        epoll::add(&self.changes, port, EventData::new_u64(PORT), edges)
            .calling("epoll_ctl", "the port")
    }

    /// Whether something has changed at the port since this was asked last.
    pub fn port_changed(&mut self) -> bool {
        std::mem::take(&mut self.port_changed)
    }

    /// Takes what comes out of a pipe, whose reading end does not block; gives its number.
    pub fn add_output(&mut self, pipe: OwnedFd) -> Outcome<u64> {
        let token = self.next;
        self.poller
            .add(pipe.as_fd(), token, Interest::READ)
            .told()?;
        self.next += 1;
        let output = Output {
            pipe: Some(pipe),
            kept: Some(Vec::new()),
        };
        self.outputs.insert(token, output);
        Ok(token)
    }

    /// Gives what came out of a pipe until now; what comes later is forgotten.
    pub fn take_output(&mut self, token: u64) -> Outcome<Vec<u8>> {
        self.read(token)?;
        let output = self.outputs.get_mut(&token);
        let kept = output.and_then(|output| output.kept.take());
        self.forget_finished(token);
        Ok(kept.unwrap_or_default())
    }

    /// Waits until something happens or `deadline` has come.
    pub fn wait(&mut self, deadline: Option<Instant>) -> Outcome<Woken> {
        let mut woken = Woken::default();
        for event in self.poller.wait(deadline).told()? {
            match event.token {
                SIGNALS => {
                    // Which signals came is all one: the only one meant for us is CHLD.
                    while self.signals.read().told()?.is_some() {}
                    woken.ended.extend(reap()?);
                }
                PORT => self.note_change()?,
                token => {
                    self.read(token)?;
                    self.forget_finished(token);
                }
            }
        }
        Ok(woken)
    }

    /// Reads what a pipe holds, but not for ever from one that is filled as fast; stops watching it
    /// at its end.
    fn read(&mut self, token: u64) -> Outcome {
        let Some(output) = self.outputs.get_mut(&token) else {
            return Ok(());
        };
        let Some(pipe) = &output.pipe else {
            return Ok(());
        };
        let mut buffer = [0; 16 << 10];
        for _ in 0..READS {
            match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut buffer)) {
                Ok(0) => {
                    self.poller.remove(pipe.as_fd()).told()?;
                    output.pipe = None;
                    return Ok(());
                }
                Ok(length) => {
                    if let Some(kept) = &mut output.kept {
                        let room = KEPT - kept.len();
                        kept.extend_from_slice(&buffer[..length.min(room)]);
                    }
                }
                Err(Errno::AGAIN) => return Ok(()),
                other => return other.map(drop).calling("read", "a program's output"),
            }
        }
        Ok(())
    }

    fn note_change(&mut self) -> Outcome {
        let mut events = Vec::with_capacity(1);
        let room = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&self.changes, room, Some(&Timespec::default()))
            .calling("epoll_wait", "the port")?;
        self.port_changed = true;
        Ok(())
    }

    fn forget_finished(&mut self, token: u64) {
        let finished = |output: &Output| output.pipe.is_none() && output.kept.is_none();
        if self.outputs.get(&token).is_some_and(finished) {
            self.outputs.remove(&token);
        }
    }
}

/// Reaps all children that have ended, ours and orphans.
fn reap() -> Outcome<Vec<(i32, Ended)>> {
    let mut ended = Vec::new();
    while let Reaped::Child(pid, how) = reap_any().told()? {
        ended.push((pid, how));
    }
    Ok(ended)
}
