//! Who looks at a console, and types: a terminal, a file, a client, or nobody.

use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::pty::{self, SavedTermios, WindowSize};
use lxc_kernel::{Errno, Result, SysError, fd, socket};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the guest waits for a viewer who takes nothing; after that the viewer loses what is said,
/// until it takes something again.
const PATIENCE: Duration = Duration::from_secs(1);

/// A terminal in raw mode, given back as it was when dropped.
pub struct RawTerminal {
    terminal: OwnedFd,
    before: SavedTermios,
}

impl RawTerminal {
    /// The caller's controlling terminal; `None` without one.
    pub fn controlling() -> Result<Option<RawTerminal>> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        match rustix::fs::open("/dev/tty", flags, Mode::empty()) {
            Ok(terminal) => RawTerminal::new(terminal).map(Some),
            Err(Errno::NXIO | Errno::NOENT | Errno::NODEV | Errno::IO) => Ok(None),
            Err(error) => Err(SysError::new("open", "/dev/tty".to_string(), error)),
        }
    }

    /// Puts `terminal` into raw mode.
    pub fn new(terminal: OwnedFd) -> Result<RawTerminal> {
        let before = pty::raw_mode(terminal.as_fd())?;
        Ok(RawTerminal { terminal, before })
    }

    /// The terminal.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.terminal.as_fd()
    }

    /// Makes writing to it return instead of waiting. Who else has the terminal open does not notice,
    /// unless it shares the descriptor.
    pub fn never_wait(&self) -> Result<()> {
        socket::set_nonblocking(self.fd(), true)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that has gone needs no restoring.
        let _ = pty::restore(self.terminal.as_fd(), &self.before);
    }
}

/// Where the console's output goes besides memory and log.
pub enum Viewer {
    /// Nobody looks.
    Nobody,
    /// The foreground caller's terminal, or `lxc.console.path`.
    Terminal(RawTerminal),
    /// `lxc.console.path`.
    File(OwnedFd),
    /// A client: our side of the terminal that it was lent.
    Client(OwnedFd),
}

impl Viewer {
    /// Opens `lxc.console.path`.
    ///
    /// # Errors
    /// What open(2) says.
    pub fn open(path: &str) -> Result<Viewer> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
            .map_err(|e| SysError::new("open", path.to_string(), e))?;
        if pty::is_terminal(file.as_fd()) {
            return Ok(Viewer::Terminal(RawTerminal::new(file)?));
        }
        Ok(Viewer::File(file))
    }

    /// A client's, and the master that the client is to have.
    ///
    /// # Errors
    /// The host has no more terminals.
    pub fn client() -> Result<(Viewer, OwnedFd)> {
        let pty = pty::open_host()?;
        // Echo and signals are the business of the guest's terminal.
        pty::raw_mode(pty.peer.as_fd())?;
        socket::set_nonblocking(pty.peer.as_fd(), true)?;
        Ok((Viewer::Client(pty.peer), pty.master))
    }

    /// Where it types.
    pub fn keyboard(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Viewer::Terminal(terminal) => Some(terminal.fd()),
            Viewer::Client(terminal) => Some(terminal.as_fd()),
            Viewer::Nobody | Viewer::File(_) => None,
        }
    }

    /// How large its window is; `None` when it has none, or does not say.
    pub fn window_size(&self) -> Option<WindowSize> {
        let size = pty::window_size(self.keyboard()?).ok()?;
        (size.rows > 0 && size.columns > 0).then_some(size)
    }
}

/// A viewer and what it has not taken yet.
pub(super) struct Screen {
    pub(super) viewer: Viewer,
    pending: Vec<u8>,
    waiting_since: Option<Instant>,
    /// It has let its time pass.
    stalled: bool,
}

impl Screen {
    pub(super) fn new(viewer: Viewer) -> Screen {
        Screen {
            viewer,
            pending: Vec::new(),
            waiting_since: None,
            stalled: false,
        }
    }

    /// Shows `bytes`; what a terminal does not take at once is kept, but not of one that stalls.
    pub(super) fn show(&mut self, bytes: &[u8]) {
        let left = match &self.viewer {
            Viewer::Nobody => return,
            Viewer::File(file) => {
                // A full disk loses what is said.
                let _ = fd::write_all(file.as_fd(), bytes);
                return;
            }
            Viewer::Terminal(terminal) => write_some(terminal.fd(), bytes),
            Viewer::Client(terminal) => write_some(terminal.as_fd(), bytes),
        };
        self.stalled &= left.len() == bytes.len();
        if !left.is_empty() && !self.stalled {
            self.pending.extend_from_slice(left);
            self.waiting_since = Some(Instant::now());
        }
    }

    /// Shows more of what it has not taken.
    pub(super) fn show_pending(&mut self) {
        if !self.pending.is_empty() {
            let bytes = std::mem::take(&mut self.pending);
            self.waiting_since = None;
            self.show(&bytes);
        }
    }

    /// Whether the guest has to wait for it.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// When the guest need not wait any more.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting_since.map(|since| since + PATIENCE)
    }

    /// Lets go of what it has not taken, if it has had its time.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        self.pending.clear();
        self.waiting_since = None;
        self.stalled = true;
    }

    /// Shows the rest, for as long as it has patience with it.
    pub(super) fn flush(&mut self) {
        while self.is_behind() {
            let ready = match self.viewer.keyboard() {
                Some(terminal) => poll_one(terminal, Interest::WRITE, Some(PATIENCE)),
                None => return,
            };
            match ready.unwrap_or(false) {
                true => self.show_pending(),
                false => self.let_go(),
            }
        }
    }
}

/// Writes as much as is taken; gives the rest, nothing of which is left when it takes none ever again.
fn write_some<'a>(fd: BorrowedFd<'_>, mut bytes: &'a [u8]) -> &'a [u8] {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return bytes,
            Err(_) => return &[],
        }
    }
    bytes
}
