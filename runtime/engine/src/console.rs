//! Between the console's master and whoever looks at it: viewer, memory, log file.

mod log_file;
mod ring;
mod viewer;

pub use log_file::LogFile;
pub use ring::Ring;
pub use viewer::{RawTerminal, Viewer};

use lxc_kernel::events::{Interest, Poller, poll_one};
use lxc_kernel::{Errno, Result, pty};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;
use viewer::Screen;

/// Bytes taken from the guest at a turn: a flood slows the guest down, never the monitor. No more than
/// a page, which every [`Ring`] has.
const TURN: usize = 4096;

/// Turns at the end: more than the kernel keeps of a terminal's output (64 KiB), read in pieces that
/// may be short.
const LAST_TURNS: usize = 256;

/// What of the console is kept.
#[derive(Default)]
pub struct Record {
    /// The last things said, in memory.
    pub memory: Option<Ring>,
    /// A copy of everything.
    pub log: Option<LogFile>,
}

/// The console as the monitor serves it.
pub struct Console {
    /// The master.
    pub master: OwnedFd,
    /// Held so that the master does not report a hang-up whenever nobody inside has it open.
    _peer: OwnedFd,
    screen: Screen,
    /// What is kept.
    pub record: Record,
    watch: Watch,
}

/// What the event loop has been told.
#[derive(Default)]
struct Watch {
    master: Option<Interest>,
    keyboard: Option<Interest>,
    /// A client's terminal that it is to forget.
    left: Option<OwnedFd>,
    /// The console has gone.
    master_ended: bool,
    /// The viewer has gone.
    keyboard_ended: bool,
}

impl Console {
    /// Serves `master` to `viewer` and keeps what `record` keeps.
    ///
    /// # Errors
    /// The master is no descriptor that can be read without waiting.
    pub fn new(master: OwnedFd, peer: OwnedFd, viewer: Viewer, record: Record) -> Result<Console> {
        lxc_kernel::socket::set_nonblocking(master.as_fd(), true)?;
        let console = Console {
            master,
            _peer: peer,
            screen: Screen::new(viewer),
            record,
            watch: Watch::default(),
        };
        console.copy_window_size();
        Ok(console)
    }

    /// What can be read from the viewer, when it types.
    pub fn keyboard(&self) -> Option<BorrowedFd<'_>> {
        self.screen.viewer.keyboard()
    }

    /// One turn of output; `false` when the console is gone.
    pub fn output(&mut self) -> bool {
        let mut buffer = [0u8; TURN];
        let master = self.master.as_fd();
        let read = match &mut self.record.memory {
            // Straight to where it stays.
            Some(memory) => memory.append_from(master, TURN),
            None => rustix::io::read(master, &mut buffer).map(|count| &buffer[..count]),
        };
        let bytes = match read {
            Ok([]) => return false,
            Ok(bytes) => bytes,
            Err(Errno::AGAIN | Errno::INTR) => return true,
            Err(_) => return false,
        };
        self.screen.show(bytes);
        if let Some(log) = &mut self.record.log {
            log.write(bytes);
        }
        true
    }

    /// Takes what is left to say. Processes that outlive init may go on: only what a terminal can hold
    /// is waited for.
    pub fn drain(&mut self) {
        let now = Some(std::time::Duration::ZERO);
        self.screen.flush();
        for _ in 0..LAST_TURNS {
            let more = poll_one(self.master.as_fd(), Interest::READ, now);
            if !more.unwrap_or(false) || !self.output() {
                return;
            }
            self.screen.flush();
        }
    }

    /// Leaves in the log what nobody has read of the memory.
    pub fn finish(&mut self) {
        if let Record {
            memory: Some(memory),
            log: Some(log),
        } = &mut self.record
        {
            log.finish(memory.content());
        }
    }

    /// One turn of typing; `false` when the viewer's terminal is gone.
    pub fn input(&mut self) -> bool {
        let Some(keyboard) = self.keyboard() else {
            return false;
        };
        let mut buffer = [0u8; TURN];
        match rustix::io::read(keyboard, &mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                // Nobody says when a client's window changes.
                if matches!(self.screen.viewer, Viewer::Client(_)) {
                    self.copy_window_size();
                }
                self.type_in(&buffer[..count]);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// What a guest that does not read has no room for is lost.
    fn type_in(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match rustix::io::write(&self.master, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Passes the viewer's window size on.
    pub fn copy_window_size(&self) {
        if let Some(size) = self.screen.viewer.window_size() {
            // A console that has gone has no window.
            let _ = pty::set_window_size(self.master.as_fd(), size);
        }
    }

    /// Lends it to a client: a terminal of the client's own, between which and the console bytes are
    /// passed. `None` while somebody looks already.
    ///
    /// # Errors
    /// The host has no more terminals.
    pub fn lend(&mut self) -> Result<Option<OwnedFd>> {
        if !matches!(self.screen.viewer, Viewer::Nobody) {
            return Ok(None);
        }
        let (viewer, master) = Viewer::client()?;
        self.screen = Screen::new(viewer);
        Ok(Some(master))
    }

    /// The client has gone.
    pub fn take_back(&mut self) {
        if !matches!(self.screen.viewer, Viewer::Client(_)) {
            return;
        }
        let screen = std::mem::replace(&mut self.screen, Screen::new(Viewer::Nobody));
        self.watch.keyboard_ended = false;
        if self.watch.keyboard.take().is_some()
            && let Viewer::Client(terminal) = screen.viewer
        {
            self.watch.left = Some(terminal);
        }
    }

    /// When [`Console::expire`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.screen.deadline()
    }

    /// Stops waiting for a viewer that takes nothing.
    pub fn expire(&mut self, now: Instant) {
        self.screen.expire(now);
    }

    /// Serves an event of the master, or of the viewer.
    pub fn ready(&mut self, of_master: bool) {
        if of_master {
            self.watch.master_ended = !self.output();
            return;
        }
        self.screen.show_pending();
        self.watch.keyboard_ended = !self.input();
    }

    /// Tells `poller` what is wanted now: a viewer that is behind is waited for, and the guest with it.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn watch(&mut self, poller: &Poller, tokens: Tokens) -> Result<()> {
        if let Some(left) = self.watch.left.take() {
            poller.remove(left.as_fd())?;
        }
        let behind = self.screen.is_behind();
        let of_master = Interest {
            read: !behind,
            ..Interest::default()
        };
        let of_keyboard = Interest {
            read: true,
            write: behind,
            pri: false,
        };
        let master = (!self.watch.master_ended).then_some(of_master);
        let keyboard = (!self.watch.keyboard_ended).then_some(of_keyboard);
        change(
            poller,
            self.master.as_fd(),
            tokens.master,
            &mut self.watch.master,
            master,
        )?;
        match self.screen.viewer.keyboard() {
            Some(fd) => change(
                poller,
                fd,
                tokens.keyboard,
                &mut self.watch.keyboard,
                keyboard,
            ),
            None => Ok(()),
        }
    }

    /// Makes `poller` forget it.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn unwatch(&mut self, poller: &Poller) -> Result<()> {
        (self.watch.master_ended, self.watch.keyboard_ended) = (true, true);
        self.watch(poller, Tokens::default())
    }
}

/// What the event loop calls the two ends of a console.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tokens {
    /// Of the master.
    pub master: u64,
    /// Of the viewer.
    pub keyboard: u64,
}

/// Brings what the poller knows of `fd` from `told` to `wanted`.
fn change(
    poller: &Poller,
    fd: BorrowedFd<'_>,
    token: u64,
    told: &mut Option<Interest>,
    wanted: Option<Interest>,
) -> Result<()> {
    match (*told, wanted) {
        (None, Some(interest)) => poller.add(fd, token, interest)?,
        (Some(_), None) => poller.remove(fd)?,
        (Some(before), Some(interest)) if before != interest => {
            poller.modify(fd, token, interest)?;
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    *told = wanted;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lxc_kernel::pty::{Pty, open_host};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A console that `viewer` looks at, with memory; and the guest's side.
    fn console(viewer: Viewer) -> (Console, OwnedFd) {
        let Pty { master, peer, .. } = open_host().unwrap();
        pty::raw_mode(peer.as_fd()).unwrap();
        let guest = peer.try_clone().unwrap();
        let record = Record {
            memory: Some(Ring::new(16384).unwrap()),
            log: None,
        };
        (Console::new(master, peer, viewer, record).unwrap(), guest)
    }

    #[test]
    fn whoever_writes_on_does_not_keep_the_end_from_coming() {
        let (mut console, guest) = console(Viewer::Nobody);
        lxc_kernel::socket::set_nonblocking(guest.as_fd(), true).unwrap();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        // Full, it is tried again: there is never nothing to read for long.
                        let _ = rustix::io::write(&guest, &[b'x'; 64]);
                    }
                });
            }
            console.drain();
            ended.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_viewer_that_stalls_loses_bytes_and_memory_does_not() {
        let (viewer, _never_read) = Viewer::client().unwrap();
        let (mut console, guest) = console(viewer);
        // More than a terminal holds of what nobody reads.
        let mut said = 0;
        while !console.screen.is_behind() {
            rustix::io::write(&guest, &[b'a'; 1024]).unwrap();
            assert!(console.output());
            said += 1024;
            assert!(said < 1 << 20, "a terminal without end");
        }
        let late = console.deadline().unwrap();
        console.expire(late);
        assert!(!console.screen.is_behind());
        rustix::io::write(&guest, b"and more").unwrap();
        assert!(console.output());
        assert!(!console.screen.is_behind(), "it is not waited for again");
        let memory = console.record.memory.as_ref().unwrap();
        assert!(memory.content().ends_with(b"aand more"));
    }
}
