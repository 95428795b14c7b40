//! A terminal of a container, shown on descriptors of the caller.

use crate::console::RawTerminal;
use crate::wire::Tty;
use lxc_kernel::events::{Interest, poll_some};
use lxc_kernel::signals::{self, SigSet, SignalFd};
use lxc_kernel::{Errno, Result, SysError, fd, process, pty};
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of output under way: no more is taken from the guest before the viewer has taken these.
const OUTPUT: usize = 4096;
/// Bytes of input under way: a terminal that says it takes more takes at least these without making
/// us wait.
const INPUT: usize = 256;

/// Shows `tty` until the escape is typed, the terminal is hung up, the keys end, or SIGTERM comes.
///
/// `escape` is a control character (1 = Ctrl-a): with `q` behind it, it leaves; typed twice it is
/// passed once. `keys` is in raw mode meanwhile, if it is a terminal. The caller becomes the leader
/// of a session of its own, if it can, as with C LXC: keys such as Ctrl-c are the guest's. `resized`
/// hears of each change of the window's size, when the terminal has it.
pub fn show(
    tty: &Tty,
    keys: BorrowedFd<'_>,
    screen: BorrowedFd<'_>,
    escape: Option<u8>,
    resized: &dyn Fn(),
) -> Result<()> {
    // One that leads a group already stays what it is.
    let _ = process::setsid();
    let signals = Signals::taken()?;
    let _raw = match pty::is_terminal(keys) {
        true => {
            let own = keys.try_clone_to_owned().map_err(|error| {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                SysError::new("fcntl", fd::describe(keys), errno)
            })?;
            Some(RawTerminal::new(own)?)
        }
        false => None,
    };
    copy_window_size(keys, tty.master.as_fd(), resized);
    relay(
        tty,
        keys,
        screen,
        Escape::new(escape),
        &signals.arrived,
        resized,
    )
}

/// Says on `place` which terminal this is and how to leave it.
pub fn greet(place: BorrowedFd<'_>, number: i32, escape: u8) {
    // Who cannot be greeted is shown the terminal all the same.
    let _ = fd::write_all(place, greeting(number, escape).as_bytes());
}

/// What whoever is connected to terminal `number` reads first: how to leave it by `escape`.
fn greeting(number: i32, escape: u8) -> String {
    // The letters' control characters are 1 to 26; behind them come five signs.
    let key = match escape {
        1..=26 => char::from(escape + b'a' - 1),
        _ => char::from(escape.wrapping_add(b'@')),
    };
    format!(
        "\nConnected to tty {number}\nType <Ctrl+{key} q> to exit the console, <Ctrl+{key} Ctrl+{key}> to \
         enter Ctrl+{key} itself\n"
    )
}

/// SIGTERM, SIGWINCH and SIGPIPE of the calling thread, read instead of delivered; dropped, the
/// thread is as before, and has none of them waiting.
struct Signals {
    before: SigSet,
    arrived: SignalFd,
}

impl Signals {
    fn taken() -> Result<Signals> {
        let meant = [libc::SIGTERM, libc::SIGWINCH, libc::SIGPIPE];
        let before = signals::block(&meant)?;
        match SignalFd::of(&meant) {
            Ok(arrived) => Ok(Signals { before, arrived }),
            Err(error) => {
                // The first error is what the caller is told; this mask was valid before.
                let _ = signals::restore(&before);
                Err(error)
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // A SIGPIPE of our own writing would end the caller now.
        while matches!(self.arrived.read(), Ok(Some(_))) {}
        // It was valid before.
        let _ = signals::restore(&self.before);
    }
}

fn copy_window_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>, resized: &dyn Fn()) {
    // A viewer without a size leaves the guest's as it is.
    if let Ok(size) = pty::window_size(from) {
        // A terminal that has gone has no window.
        let _ = pty::set_window_size(to, size);
        resized();
    }
}

fn relay(
    tty: &Tty,
    keys: BorrowedFd<'_>,
    screen: BorrowedFd<'_>,
    mut escape: Escape,
    signals: &SignalFd,
    resized: &dyn Fn(),
) -> Result<()> {
    let master = tty.master.as_fd();
    let (mut shown, mut typed) = (Vec::new(), Vec::new());
    loop {
        // Only what something is wanted from: a hang-up of another would wake us without end.
        let mut wanted = vec![
            (signals.as_fd(), Interest::READ),
            (tty.connection.as_fd(), Interest::READ),
        ];
        wanted.push(match shown.is_empty() {
            true => (master, Interest::READ),
            false => (screen, Interest::WRITE),
        });
        wanted.push(match typed.is_empty() {
            true => (keys, Interest::READ),
            false => (master, Interest::WRITE),
        });
        let ready = poll_some(&wanted, None)?;
        if ready[0] && !heed(signals, keys, master, resized)? {
            return Ok(());
        }
        if ready[2] {
            let goes_on = match shown.is_empty() {
                true => read_some(master, OUTPUT, &mut shown)?,
                false => write_some(screen, &mut shown)?,
            };
            if !goes_on {
                return Ok(());
            }
        } else if ready[1] {
            // The container has ended, and its last words are out.
            return Ok(());
        }
        if ready[3] {
            let goes_on = match typed.is_empty() {
                true => read_some(keys, INPUT, &mut typed)? && !escape.leaves(&mut typed),
                false => write_some(master, &mut typed)?,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }
}

/// `false` when it is time to go.
fn heed(
    signals: &SignalFd,
    keys: BorrowedFd<'_>,
    master: BorrowedFd<'_>,
    resized: &dyn Fn(),
) -> Result<bool> {
    while let Some(arrived) = signals.read()? {
        match arrived.signal {
            libc::SIGTERM => return Ok(false),
            libc::SIGWINCH => copy_window_size(keys, master, resized),
            _ => {}
        }
    }
    Ok(true)
}

/// Reads what there is; `false` at the end.
fn read_some(from: BorrowedFd<'_>, most: usize, into: &mut Vec<u8>) -> Result<bool> {
    let mut buffer = [0; OUTPUT];
    match rustix::io::read(from, &mut buffer[..most]) {
        Ok(0) => Ok(false),
        Ok(count) => {
            into.extend_from_slice(&buffer[..count]);
            Ok(true)
        }
        Err(Errno::INTR | Errno::AGAIN) => Ok(true),
        // So a master says that nobody holds the terminal any more.
        Err(Errno::IO) => Ok(false),
        Err(error) => Err(SysError::new("read", fd::describe(from), error)),
    }
}

/// Writes what is taken; `false` when nobody takes anything any more.
fn write_some(to: BorrowedFd<'_>, from: &mut Vec<u8>) -> Result<bool> {
    match rustix::io::write(to, from) {
        Ok(count) => {
            from.drain(..count);
            Ok(true)
        }
        Err(Errno::INTR | Errno::AGAIN) => Ok(true),
        Err(Errno::PIPE | Errno::IO) => Ok(false),
        Err(error) => Err(SysError::new("write", fd::describe(to), error)),
    }
}

/// Looks for the escape in what is typed.
struct Escape {
    prefix: Option<u8>,
    seen: bool,
}

impl Escape {
    fn new(prefix: Option<u8>) -> Escape {
        Escape {
            prefix,
            seen: false,
        }
    }

    /// Takes what is the escape's out of `typed`; `true` when it is complete.
    fn leaves(&mut self, typed: &mut Vec<u8>) -> bool {
        let Some(prefix) = self.prefix else {
            return false;
        };
        let mut left = false;
        typed.retain(|byte| {
            let began = std::mem::replace(&mut self.seen, false);
            left |= began && *byte == b'q';
            self.seen = !began && *byte == prefix;
            !self.seen && !left
        });
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    #[test]
    fn the_escape_is_found_however_it_arrives() {
        let check = |parts: &[&str], passed: &str, leaves: bool| {
            let mut escape = Escape::new(Some(1));
            let mut got = String::new();
            let mut left = false;
            for part in parts {
                let mut typed = part.as_bytes().to_vec();
                left = escape.leaves(&mut typed);
                got += &String::from_utf8_lossy(&typed);
            }
            assert_eq!((got.as_str(), left), (passed, leaves), "{parts:?}");
        };
        check(&["abc"], "abc", false);
        check(&["\x01q"], "", true);
        check(&["ls\n\x01", "q"], "ls\n", true);
        check(&["\x01\x01q"], "\x01q", false);
        check(&["\x01x", "q"], "xq", false);
        check(&["q\x01qrest"], "q", true);
        let mut all = b"\x01q".to_vec();
        assert!(!Escape::new(None).leaves(&mut all));
        assert_eq!(all, b"\x01q");
    }

    #[test]
    fn who_is_connected_learns_how_to_leave() {
        let text = "\nConnected to tty 3\nType <Ctrl+b q> to exit the console, <Ctrl+b Ctrl+b> to enter \
                    Ctrl+b itself\n";
        assert_eq!(greeting(3, 2), text);
        assert!(greeting(0, 29).contains("<Ctrl+] q>"));
    }

    /// A terminal as a monitor lends it, its other side, and the monitor's end of the connection.
    fn lent() -> (Tty, OwnedFd, OwnedFd) {
        let pty = pty::open_host().unwrap();
        let (connection, monitor) = fd::pair().unwrap();
        let tty = Tty {
            number: 1,
            master: pty.master,
            connection,
        };
        (tty, pty.peer, monitor)
    }

    #[test]
    fn a_flood_nobody_reads_does_not_keep_the_viewer_from_leaving() {
        let (tty, peer, _monitor) = lent();
        let (keys, keyboard) = rustix::pipe::pipe().unwrap();
        let (_never_read, screen) = rustix::pipe::pipe().unwrap();
        // Processes have one session: in a thread the rest of the test is spared, but setsid is not.
        std::thread::scope(|scope| {
            let flood = scope.spawn(move || {
                let line = [b'x'; 4096];
                let mut sent = 0;
                // Far more than pipe and terminal hold together; ends when the master is gone.
                while sent < 64 << 20
                    && rustix::io::write(&peer, &line).is_ok_and(|count| {
                        sent += count;
                        count > 0
                    })
                {}
                sent
            });
            let shows = scope.spawn(move || {
                let shown = show(&tty, keys.as_fd(), screen.as_fd(), Some(1), &|| {});
                drop(tty);
                shown
            });
            rustix::io::write(&keyboard, b"\x01q").unwrap();
            shows.join().unwrap().unwrap();
            let sent = flood.join().unwrap();
            assert!(sent < 1 << 20, "{sent} bytes were taken and kept");
        });
    }

    #[test]
    fn what_is_typed_arrives_and_the_end_of_the_container_ends_it() {
        let (tty, peer, monitor) = lent();
        let (keys, keyboard) = rustix::pipe::pipe().unwrap();
        let (viewer, screen) = rustix::pipe::pipe().unwrap();
        std::thread::scope(|scope| {
            let shows = scope.spawn(|| show(&tty, keys.as_fd(), screen.as_fd(), None, &|| {}));
            rustix::io::write(&keyboard, b"typed\n").unwrap();
            let mut buffer = [0; 64];
            let count = rustix::io::read(&peer, &mut buffer).unwrap();
            assert_eq!(&buffer[..count], b"typed\n");
            rustix::io::write(&peer, b"said\n").unwrap();
            let mut said = Vec::new();
            while !said.ends_with(b"said\r\n") {
                let ready = poll_some(
                    &[(viewer.as_fd(), Interest::READ)],
                    Some(Duration::from_secs(5)),
                );
                assert_eq!(ready.unwrap(), [true], "{said:?}");
                let count = rustix::io::read(&viewer, &mut buffer).unwrap();
                said.extend_from_slice(&buffer[..count]);
            }
            drop(monitor);
            shows.join().unwrap().unwrap();
        });
    }
}
