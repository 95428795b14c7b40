//! Pseudo-terminals: pairs, window sizes, raw mode, the controlling terminal.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs, openat};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, Winsize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    /// The side of whoever shows it.
    pub master: OwnedFd,
    /// The side of the program that runs in it.
    pub peer: OwnedFd,
    /// Its number: the peer's name in its devpts.
    pub number: u32,
}

/// Makes a pseudo-terminal in a given devpts (a descriptor of its root directory).
pub fn open_in(devpts: BorrowedFd) -> Result<Pty> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let args = || format!("{}, \"ptmx\"", describe(devpts));
    let master = retry(|| openat(devpts, "ptmx", flags, Mode::empty())).called("openat", args)?;
    let filesystem = fstatfs(&master).called("fstatfs", args)?;
    if filesystem.f_type as u64 != DEVPTS_MAGIC {
        return Err(SysError::new("openat", args(), Errno::NODEV));
    }
    finish(master)
}

/// Makes a pseudo-terminal in the host's devpts, by /dev/ptmx.
pub fn open_host() -> Result<Pty> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let args = || "\"/dev/ptmx\"".to_owned();
    let master = retry(|| openat(CWD, "/dev/ptmx", flags, Mode::empty())).called("openat", args)?;
    finish(master)
}

/// Opens the other side of a master that is unlocked. While it is held, the master does not report a
/// hang-up when nobody else has the terminal open.
pub fn open_peer(master: BorrowedFd) -> Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    retry(|| ioctl_tiocgptpeer(master, flags))
        .called("ioctl", || format!("{}, TIOCGPTPEER", describe(master)))
}

const DEVPTS_MAGIC: u64 = 0x1cd1;

/// Unlocks a master and opens its peer; whatever is no ptmx is refused with ENODEV.
fn finish(master: OwnedFd) -> Result<Pty> {
    let args = || describe(master.as_fd());
    let found = fstat(&master).called("fstat", args)?;
    let device = (
        rustix::fs::major(found.st_rdev),
        rustix::fs::minor(found.st_rdev),
    );
    let character = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    if !character || device != (5, 2) {
        return Err(SysError::new("openat", args(), Errno::NODEV));
    }
    unlockpt(&master).called("ioctl", || format!("{}, TIOCSPTLCK", args()))?;
    let peer = open_peer(master.as_fd())?;
    let name = ptsname(&master, Vec::new()).called("ioctl", || format!("{}, TIOCGPTN", args()))?;
    // rustix puts the number behind a path of its own; only the number is the kernel's.
    let number = name
        .to_str()
        .ok()
        .and_then(|name| name.rsplit('/').next())
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| SysError::new("ioctl", format!("{}, TIOCGPTN", args()), Errno::IO))?;
    Ok(Pty {
        master,
        peer,
        number,
    })
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowSize {
    /// Lines of text.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
    /// Width in pixels, 0 if unknown.
    pub x_pixels: u16,
    /// Height in pixels, 0 if unknown.
    pub y_pixels: u16,
}

/// The size of the terminal behind `fd`.
pub fn window_size(fd: BorrowedFd) -> Result<WindowSize> {
    retry(|| rustix::termios::tcgetwinsize(fd))
        .map(|size| WindowSize {
            rows: size.ws_row,
            columns: size.ws_col,
            x_pixels: size.ws_xpixel,
            y_pixels: size.ws_ypixel,
        })
        .called("ioctl", || format!("{}, TIOCGWINSZ", describe(fd)))
}

/// Sets the size of the terminal behind `fd`; its programs get SIGWINCH if that is a change.
pub fn set_window_size(fd: BorrowedFd, size: WindowSize) -> Result<()> {
    let raw = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: size.x_pixels,
        ws_ypixel: size.y_pixels,
    };
    retry(|| rustix::termios::tcsetwinsize(fd, raw)).called("ioctl", || {
        format!("{}, TIOCSWINSZ, {size:?}", describe(fd))
    })
}

/// How a terminal was set before [`raw_mode`].
#[derive(Clone, Debug)]
pub struct SavedTermios(Termios);

/// Makes a terminal pass every byte through unchanged, both ways; gives how it was before.
pub fn raw_mode(fd: BorrowedFd) -> Result<SavedTermios> {
    let before = retry(|| rustix::termios::tcgetattr(fd))
        .called("ioctl", || format!("{}, TCGETS", describe(fd)))?;
    let mut raw = before.clone();
    raw.make_raw();
    set_termios(fd, &raw)?;
    Ok(SavedTermios(before))
}

/// Sets a terminal as it was.
pub fn restore(fd: BorrowedFd, saved: &SavedTermios) -> Result<()> {
    set_termios(fd, &saved.0)
}

fn set_termios(fd: BorrowedFd, termios: &Termios) -> Result<()> {
    // Draining output first could wait for a reader that is gone.
    retry(|| rustix::termios::tcsetattr(fd, OptionalActions::Now, termios))
        .called("ioctl", || format!("{}, TCSETS", describe(fd)))
}

/// Tells whether `fd` is a terminal.
pub fn is_terminal(fd: BorrowedFd) -> bool {
    rustix::termios::isatty(fd)
}

/// Makes `fd` the controlling terminal of this session, whose leader must be the caller.
pub fn set_controlling(fd: BorrowedFd) -> Result<()> {
    retry(|| rustix::process::ioctl_tiocsctty(fd))
        .called("ioctl", || format!("{}, TIOCSCTTY, 0", describe(fd)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::open_dir;
    use std::path::Path;

    #[test]
    fn a_pair_talks_and_has_a_size() {
        let devpts = open_dir(Path::new("/dev/pts")).unwrap();
        for pty in [open_host().unwrap(), open_in(devpts.as_fd()).unwrap()] {
            let peer = pty.peer.as_fd();
            assert!(is_terminal(peer));
            let name = std::fs::read_link(format!("/proc/self/fd/{}", {
                use std::os::fd::AsRawFd;
                peer.as_raw_fd()
            }));
            assert_eq!(
                name.unwrap(),
                Path::new(&format!("/dev/pts/{}", pty.number))
            );

            let size = WindowSize {
                rows: 30,
                columns: 100,
                x_pixels: 0,
                y_pixels: 1,
            };
            set_window_size(pty.master.as_fd(), size).unwrap();
            assert_eq!(window_size(peer).unwrap(), size);

            let saved = raw_mode(peer).unwrap();
            rustix::io::write(&pty.master, b"\x03\r").unwrap();
            let mut buffer = [0; 8];
            assert_eq!(rustix::io::read(peer, &mut buffer), Ok(2));
            assert_eq!(&buffer[..2], b"\x03\r");
            restore(peer, &saved).unwrap();
            let again = rustix::termios::tcgetattr(peer).unwrap();
            assert_eq!(again.local_modes, saved.0.local_modes);
        }
    }

    #[test]
    fn what_is_no_ptmx_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let fd = open_dir(dir.path()).unwrap();
        assert!(open_in(fd.as_fd()).unwrap_err().is(Errno::NOENT));
        std::fs::write(dir.path().join("ptmx"), "").unwrap();
        assert!(open_in(fd.as_fd()).unwrap_err().is(Errno::NODEV));
        std::fs::remove_file(dir.path().join("ptmx")).unwrap();
        std::os::unix::fs::symlink("/dev/pts/ptmx", dir.path().join("ptmx")).unwrap();
        assert!(open_in(fd.as_fd()).unwrap_err().is(Errno::LOOP));
        let file = tempfile::tempfile().unwrap();
        assert!(!is_terminal(file.as_fd()));
        assert!(window_size(file.as_fd()).unwrap_err().is(Errno::NOTTY));
        assert!(raw_mode(file.as_fd()).unwrap_err().is(Errno::NOTTY));
    }
}
