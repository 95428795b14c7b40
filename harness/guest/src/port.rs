//! The port on which the harness talks to us: virtio's, or a serial line where there is no virtio.
//!
//! While nobody holds the host's end, the port reads as ended and polls as hung up, for as long as
//! that lasts. So it is watched for changes only, and what a peer that hung up has left unfinished
//! is forgotten.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use lxc_guest::frame;
use lxc_guest::protocol::{PORT, Reply, Request, SERIAL_PARAMETER, SERIAL_READY};
use lxc_kernel::Errno;
use lxc_kernel::events::{Interest, poll_one};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::modules::Index;
use crate::parameters;
use crate::trouble::{Calling, Outcome};
use crate::watch::Watch;

/// Longer than this no machine takes to show its devices, however busy the host is.
const APPEARS_WITHIN: Duration = Duration::from_secs(20);

/// The kernel's own group of device news, not udev's.
const FROM_KERNEL: u32 = 1;

/// A port that has been asked for and may not be there yet.
pub enum Wanted {
    /// A virtio port; news of devices, from before its driver was loaded.
    Virtio(OwnedFd),
    /// The serial line that the kernel's command line names: its driver is part of the kernel.
    Serial(String),
}

impl Wanted {
    /// Loads the port's driver, where it is not part of the kernel.
    pub fn new(index: &Index) -> Outcome<Wanted> {
        if let Some(line) = parameters::value(SERIAL_PARAMETER)? {
            return Ok(Wanted::Serial(line));
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let kind = (AddressFamily::NETLINK, SocketType::RAW);
        let news = socket_with(kind.0, kind.1, flags, Some(KOBJECT_UEVENT))
            .calling("socket", "AF_NETLINK, NETLINK_KOBJECT_UEVENT")?;
        bind(&news, &SocketAddrNetlink::new(0, FROM_KERNEL))
            .calling("bind", "NETLINK_KOBJECT_UEVENT")?;
        index.load_known("virtio_pci")?;
        index.load_known("virtio_console")?;
        Ok(Wanted::Virtio(news))
    }

    /// Opens the port, as soon as it has its name.
    pub fn found(self) -> Outcome<Port> {
        let news = match self {
            Wanted::Serial(line) => return Port::open_serial(&line),
            Wanted::Virtio(news) => news,
        };
        let deadline = Instant::now() + APPEARS_WITHIN;
        loop {
            if let Some(device) = device()? {
                return Port::open(&device);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let some = poll_one(news.as_fd(), Interest::READ, Some(left));
            if !some.map_err(|error| error.to_string())? {
                return Err(format!(
                    "no virtio port is called {PORT} after {} s",
                    APPEARS_WITHIN.as_secs()
                ));
            }
            let mut buffer = [0; 4096];
            // What they say is all one, and if some were lost there was news all the same.
            while recv(&news, &mut buffer, RecvFlags::empty()) != Err(Errno::AGAIN) {}
        }
    }
}

/// The port's device file, if a port of that name is there.
fn device() -> Outcome<Option<String>> {
    const PORTS: &str = "/sys/class/virtio-ports";
    let entries = match fs::read_dir(PORTS) {
        // The driver is not there yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.calling("open", PORTS)?,
    };
    for entry in entries {
        let entry = entry.calling("getdents", PORTS)?;
        // A port has no name before the host has told it.
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim_end() == PORT {
            return Ok(Some(format!(
                "/dev/{}",
                entry.file_name().to_string_lossy()
            )));
        }
    }
    Ok(None)
}

/// The open port.
pub struct Port {
    device: OwnedFd,
    unread: Unread,
}

impl Port {
    fn open(path: &str) -> Outcome<Port> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let device = rustix::fs::open(path, flags, Mode::empty()).calling("open", path)?;
        Ok(Port {
            device,
            unread: Unread::default(),
        })
    }

    /// Opens a serial line, and says so once it passes every byte on as it is.
    fn open_serial(path: &str) -> Outcome<Port> {
        let mut port = Port::open(path)?;
        let mut settings = tcgetattr(&port.device).calling("tcgetattr", path)?;
        settings.make_raw();
        tcsetattr(&port.device, OptionalActions::Flush, &settings).calling("tcsetattr", path)?;
        port.write_all(&[SERIAL_READY]).calling("write", path)?;
        Ok(port)
    }

    /// Has `watch` notice what changes here.
    pub fn watched_by(&self, watch: &mut Watch) -> Outcome {
        watch.add_port(self.device.as_fd())
    }

    /// The next request, however long it takes to come.
    pub fn next(&mut self, watch: &mut Watch) -> Outcome<Result<Request, String>> {
        loop {
            if let Some(request) = self.unread.next() {
                return Ok(request);
            }
            match watch.port_changed() {
                true => self.read()?,
                false => watch.wait(None).map(drop)?,
            }
        }
    }

    /// Reads all there is.
    fn read(&mut self) -> Outcome {
        let mut buffer = [0; 32 << 10];
        loop {
            match rustix::io::retry_on_intr(|| rustix::io::read(&self.device, &mut buffer)) {
                Ok(0) => {
                    self.unread.forget();
                    return Ok(());
                }
                Ok(length) => self.unread.push(&buffer[..length]),
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno).calling("read", "the port"),
            }
        }
    }

    /// Answers; an answer that nobody waits for any more is dropped.
    pub fn reply(&mut self, reply: &Reply) -> Outcome {
        let sent = match frame::send(self, reply) {
            // Longer than a frame may be: the peer is told that instead.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                frame::send(self, &Reply::Failed(error.to_string()))
            }
            other => other,
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.calling("write", "the port"),
        }
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.device, bytes) {
                Err(Errno::AGAIN) => {}
                other => return Ok(other?),
            }
            let mut port = [PollFd::from_borrowed_fd(
                self.device.as_fd(),
                PollFlags::OUT,
            )];
            rustix::io::retry_on_intr(|| poll(&mut port, None))?;
            if port[0].revents().contains(PollFlags::HUP) {
                return Err(Errno::PIPE.into());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was read and is not yet a whole request.
#[derive(Default)]
struct Unread(Vec<u8>);

impl Unread {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn forget(&mut self) {
        self.0.clear();
    }

    /// Takes the first request out, or why the bytes are none.
    fn next(&mut self) -> Option<Result<Request, String>> {
        const PREFIX: usize = 4;
        let length = self.0.first_chunk::<PREFIX>()?;
        let length = u32::from_le_bytes(*length) as usize;
        if length <= frame::LONGEST && self.0.len() < PREFIX + length {
            return None;
        }
        let request = frame::receive(&mut self.0.as_slice());
        match length <= frame::LONGEST {
            true => drop(self.0.drain(..PREFIX + length)),
            // Where the next request begins is anybody's guess.
            false => self.forget(),
        }
        Some(request.map_err(|error| format!("the request cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_in_pieces_and_together() {
        let mut bytes = Vec::new();
        frame::send(&mut bytes, &Request::Hello).unwrap();
        frame::send(&mut bytes, &Request::Census).unwrap();
        let mut unread = Unread::default();
        for byte in &bytes[..bytes.len() - 1] {
            unread.push(&[*byte]);
        }
        assert_eq!(unread.next(), Some(Ok(Request::Hello)));
        assert_eq!(unread.next(), None);
        unread.push(&bytes[bytes.len() - 1..]);
        assert_eq!(unread.next(), Some(Ok(Request::Census)));
        assert_eq!(unread.next(), None);
    }

    #[test]
    fn a_broken_request_is_answered_and_the_next_is_read() {
        let mut unread = Unread::default();
        unread.push(&[2, 0, 0, 0, b'{', b'x']);
        let mut bytes = Vec::new();
        frame::send(&mut bytes, &Request::Hello).unwrap();
        unread.push(&bytes);
        assert!(
            unread
                .next()
                .unwrap()
                .unwrap_err()
                .contains("cannot be read")
        );
        assert_eq!(unread.next(), Some(Ok(Request::Hello)));
        unread.push(&[0xff; 9]);
        assert!(unread.next().unwrap().unwrap_err().contains("announced"));
        assert_eq!(unread.next(), None);
    }

    #[test]
    fn half_a_request_of_one_that_hung_up_is_forgotten() {
        let mut unread = Unread::default();
        unread.push(&[200, 0, 0]);
        unread.forget();
        let mut bytes = Vec::new();
        frame::send(&mut bytes, &Request::Hello).unwrap();
        unread.push(&bytes);
        assert_eq!(unread.next(), Some(Ok(Request::Hello)));
    }
}
