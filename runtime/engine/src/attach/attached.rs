//! The attached process as its parent holds it.

use super::broken;
use crate::console::{Console, LogFile, RawTerminal, Record, Viewer};
use crate::failure::{Failure, FailureKind};
use lxc_kernel::events::{Interest, Poller};
use lxc_kernel::process::{self, Ended};
use lxc_kernel::signals::{self, SignalFd};
use lxc_kernel::{SysError, pty::Pty};
use std::os::fd::{AsFd, OwnedFd};

/// An attached process, child of the caller. Dropped, it goes on; it is the caller's to reap.
pub struct Attached {
    /// Its pid.
    pub pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) terminal: Option<OwnTerminal>,
    pub(super) failure: Option<Failure>,
}

/// A terminal that was made for it.
pub(super) struct OwnTerminal {
    pub(super) pty: Pty,
    /// Gets a copy of what appears on it.
    pub(super) log: Option<OwnedFd>,
}

impl Attached {
    /// Why the program could not be executed, if it could not.
    pub fn exec_failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Passes on what is typed and shown until the process has ended or its terminal is gone. Blocks
    /// without limit; nothing happens without a terminal, or a second time.
    pub fn relay(&mut self) -> Result<(), Failure> {
        match self.terminal.take() {
            Some(terminal) => {
                relay(terminal, &self.pidfd).map_err(|e| broken("relay the terminal", &e))
            }
            None => Ok(()),
        }
    }

    /// Waits for its end, relaying the terminal if there is one; blocks without limit.
    pub fn wait(mut self) -> Result<Ended, Failure> {
        self.relay()?;
        let ended = process::wait_pidfd(self.pidfd.as_fd(), true)
            .map_err(|e| broken("wait for the attached process", &e))?;
        ended.ok_or_else(|| Failure::new(FailureKind::Monitor, "the attached process is lost"))
    }
}

const MASTER: u64 = 0;
const KEYBOARD: u64 = 1;
const ENDED: u64 = 2;
const SIGNALS: u64 = 3;

/// Passes bytes and window sizes until the attached process has ended and its last words are out.
fn relay(terminal: OwnTerminal, pidfd: &OwnedFd) -> Result<(), SysError> {
    let OwnTerminal { pty, log } = terminal;
    let viewer = RawTerminal::controlling()?.map_or(Viewer::Nobody, Viewer::Terminal);
    let record = Record {
        memory: None,
        log: log.map(LogFile::given),
    };
    let mut console = Console::new(pty.master, pty.peer, viewer, record)?;
    let before = signals::block(&[libc::SIGWINCH])?;
    let resized = SignalFd::of(&[libc::SIGWINCH])?;
    let poller = Poller::new()?;
    poller.add(console.master.as_fd(), MASTER, Interest::READ)?;
    poller.add(pidfd.as_fd(), ENDED, Interest::READ)?;
    poller.add(resized.as_fd(), SIGNALS, Interest::READ)?;
    if let Some(keyboard) = console.keyboard() {
        poller.add(keyboard, KEYBOARD, Interest::READ)?;
    }
    'relay: loop {
        for event in poller.wait(None)? {
            match event.token {
                MASTER if !console.output() => break 'relay,
                MASTER => {}
                KEYBOARD => {
                    if !console.input()
                        && let Some(keyboard) = console.keyboard()
                    {
                        poller.remove(keyboard)?;
                    }
                }
                SIGNALS => {
                    while resized.read()?.is_some() {}
                    console.copy_window_size();
                }
                _ => {
                    console.drain();
                    break 'relay;
                }
            }
        }
    }
    drop(console);
    signals::restore(&before)
}
