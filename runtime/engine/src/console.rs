//! Between the console's master and whoever looks at it: a terminal, a log file, or nobody.

use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::pty::{self, SavedTermios};
use lxc_kernel::{Errno, Result, SysError};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes taken from the guest at a turn: a flood slows the guest down, never the monitor.
const TURN: usize = 4096;

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
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that has gone needs no restoring.
        let _ = pty::restore(self.terminal.as_fd(), &self.before);
    }
}

/// Where the console's output goes besides the log.
pub enum Viewer {
    /// Nobody looks.
    Nobody,
    /// The foreground caller's terminal.
    Terminal(RawTerminal),
    /// `lxc.console.path`.
    File(OwnedFd),
}

/// The console as the monitor serves it.
pub struct Console {
    /// The master.
    pub master: OwnedFd,
    /// Held so that the master does not report a hang-up whenever nobody inside has it open.
    _peer: OwnedFd,
    /// Who looks.
    pub viewer: Viewer,
    /// Copy of everything.
    log: Option<OwnedFd>,
}

impl Console {
    /// Serves `master` to `viewer` and `log`.
    pub fn new(
        master: OwnedFd,
        peer: OwnedFd,
        viewer: Viewer,
        log: Option<OwnedFd>,
    ) -> Result<Console> {
        lxc_kernel::socket::set_nonblocking(master.as_fd(), true)?;
        let console = Console {
            master,
            _peer: peer,
            viewer,
            log,
        };
        console.copy_window_size();
        Ok(console)
    }

    /// What can be read from the viewer, when it types.
    pub fn keyboard(&self) -> Option<BorrowedFd<'_>> {
        match &self.viewer {
            Viewer::Terminal(terminal) => Some(terminal.fd()),
            Viewer::Nobody | Viewer::File(_) => None,
        }
    }

    /// One turn of output; `false` when the console is gone.
    pub fn output(&mut self) -> bool {
        let mut buffer = [0u8; TURN];
        let count = match rustix::io::read(&self.master, &mut buffer) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return true,
            Err(_) => return false,
        };
        let bytes = &buffer[..count];
        // A viewer or log that cannot keep up loses bytes; the container is not stopped for it.
        match &self.viewer {
            Viewer::Terminal(terminal) => write_all(terminal.fd(), bytes),
            Viewer::File(file) => write_all(file.as_fd(), bytes),
            Viewer::Nobody => {}
        }
        if let Some(log) = &self.log {
            write_all(log.as_fd(), bytes);
        }
        true
    }

    /// Takes what is left to say, now that nobody can say more.
    pub fn drain(&mut self) {
        let now = Some(std::time::Duration::ZERO);
        while poll_one(self.master.as_fd(), Interest::READ, now).unwrap_or(false) && self.output() {
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
                write_all(self.master.as_fd(), &buffer[..count]);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// Passes the viewer's window size on.
    pub fn copy_window_size(&self) {
        if let Some(terminal) = self.keyboard()
            && let Ok(size) = pty::window_size(terminal)
        {
            let _ = pty::set_window_size(self.master.as_fd(), size);
        }
    }
}

/// Writes as much as is taken.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Opens `lxc.console.logfile`: a regular file of the user's, appended to, never through a link.
pub fn open_log(path: &str) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::APPEND
        | OFlags::NOFOLLOW
        | OFlags::NOCTTY
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let log = rustix::fs::open(path, flags, Mode::from_raw_mode(0o640))
        .map_err(|e| SysError::new("open", path.to_string(), e))?;
    let kind = rustix::fs::fstat(&log).map_err(|e| SysError::new("fstat", path.to_string(), e))?;
    match rustix::fs::FileType::from_raw_mode(kind.st_mode) {
        rustix::fs::FileType::RegularFile => Ok(log),
        _ => Err(SysError::new(
            "open",
            format!("{path}: not a regular file"),
            Errno::INVAL,
        )),
    }
}

/// Opens `lxc.console.path` for the console's output.
pub fn open_viewer(path: &str) -> Result<Viewer> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        .map_err(|e| SysError::new("open", path.to_string(), e))?;
    if pty::is_terminal(file.as_fd()) {
        return Ok(Viewer::Terminal(RawTerminal::new(file)?));
    }
    Ok(Viewer::File(file))
}
