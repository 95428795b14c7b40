//! A connection to a message bus of the user who asks: authenticated, every wait with a deadline.

use super::message::{self, FIXED, Kind, Message, Writer};
use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::{Errno, Result, SysError, socket, users};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// A name on the bus, an object of it, and one of its interfaces.
pub type Object<'a> = (&'a str, &'a str, &'a str);

const DRIVER: Object<'_> = (
    "org.freedesktop.DBus",
    "/org/freedesktop/DBus",
    "org.freedesktop.DBus",
);

/// A connection.
pub struct Bus {
    socket: OwnedFd,
    deadline: Instant,
    serial: u32,
    /// Signals that came while an answer was awaited.
    signals: Vec<Message>,
}

impl Bus {
    /// Connects to the bus at `address` (`unix:path=…` or `unix:abstract=…`; of several the first of
    /// these) and says who we are. All that is done with it is done by `deadline`.
    ///
    /// # Errors
    /// ETIMEDOUT; EPERM for a bus that another user runs; what the socket or the bus says.
    pub fn connect(address: &str, deadline: Instant) -> Result<Bus> {
        let place = socket_address(address)
            .ok_or_else(|| SysError::new("connect", address.to_string(), Errno::INVAL))?;
        let failed = |call| move |errno| SysError::new(call, address.to_string(), errno);
        // Full of waiting clients a bus that does not serve says EAGAIN instead of keeping us.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(failed("socket"))?;
        connect(&socket, &place).map_err(failed("connect"))?;
        let peer = socket::peer_credentials(socket.as_fd())?;
        if peer.uid != users::euid() {
            let args = format!("{address}, run by uid {}", peer.uid);
            return Err(SysError::new("connect", args, Errno::PERM));
        }
        let mut bus = Bus {
            socket,
            deadline,
            serial: 0,
            signals: Vec::new(),
        };
        bus.authenticate()?;
        bus.call(DRIVER, "Hello", "", &Writer::default())?;
        Ok(bus)
    }

    fn authenticate(&mut self) -> Result<()> {
        let digits = users::euid().to_string();
        let hex: String = digits.bytes().map(|b| format!("{b:02x}")).collect();
        self.write(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.push(byte[0]);
            if line.len() > 512 {
                return Err(SysError::new("recv", "a word too long", Errno::MSGSIZE));
            }
        }
        if !line.starts_with(b"OK ") {
            let said = String::from_utf8_lossy(line.trim_ascii()).into_owned();
            return Err(SysError::new("AUTH EXTERNAL", said, Errno::ACCESS));
        }
        self.write(b"BEGIN\r\n")
    }

    /// Asks for the signals that `rule` describes.
    pub fn subscribe(&mut self, rule: &str) -> Result<()> {
        let mut body = Writer::default();
        body.text(rule);
        self.call(DRIVER, "AddMatch", "s", &body).map(drop)
    }

    /// Calls a method and gives its answer; `types` is the signature of `body`.
    ///
    /// # Errors
    /// The bus's or the service's refusal is EREMOTEIO with its name, EEXIST for a unit that exists.
    pub fn call(
        &mut self,
        object: Object<'_>,
        member: &str,
        types: &str,
        body: &Writer,
    ) -> Result<Message> {
        self.serial += 1;
        let serial = self.serial;
        let bytes = message::call(serial, object, member, types, body);
        self.write(&bytes)?;
        loop {
            let came = self.receive()?;
            match came.kind {
                Kind::Signal => self.signals.push(came),
                _ if came.answers != Some(serial) => {}
                Kind::Error => return Err(refusal(member, &came)),
                Kind::Return | Kind::Call => return Ok(came),
            }
        }
    }

    /// Gives the next signal, those first that came before.
    pub fn signal(&mut self) -> Result<Message> {
        loop {
            if !self.signals.is_empty() {
                return Ok(self.signals.remove(0));
            }
            let came = self.receive()?;
            if came.kind == Kind::Signal {
                return Ok(came);
            }
        }
    }

    fn receive(&mut self) -> Result<Message> {
        let mut fixed = [0; FIXED];
        self.read(&mut fixed)?;
        let mut bytes = fixed.to_vec();
        bytes.resize(message::length(&fixed)?, 0);
        self.read(&mut bytes[FIXED..])?;
        Message::parse(&bytes)
    }

    fn ready(&self, interest: Interest) -> Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match !left.is_zero() && poll_one(self.socket.as_fd(), interest, Some(left))? {
            true => Ok(()),
            false => Err(SysError::new("poll", "the bus", Errno::TIMEDOUT)),
        }
    }

    fn read(&self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            self.ready(Interest::READ)?;
            match rustix::io::read(&self.socket, &mut buffer[filled..]) {
                Ok(0) => return Err(SysError::new("read", "the bus", Errno::CONNRESET)),
                Ok(count) => filled += count,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(SysError::new("read", "the bus", errno)),
            }
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.ready(Interest::WRITE)?;
            // A bus that has gone is an error, no signal that ends us.
            let flags = rustix::net::SendFlags::NOSIGNAL;
            match rustix::net::send(&self.socket, rest, flags) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(SysError::new("send", "the bus", errno)),
            }
        }
        Ok(())
    }
}

fn refusal(member: &str, message: &Message) -> SysError {
    let name = message.error.clone().unwrap_or_default();
    let words = message.arguments().unwrap_or_default().join(" ");
    let errno = match name.as_str() {
        "org.freedesktop.systemd1.UnitExists" => Errno::EXIST,
        _ => Errno::REMOTEIO,
    };
    SysError::new("D-Bus call", format!("{member}: {name}: {words}"), errno)
}

/// The first address that this client can use; values with escapes (`%xx`) are not.
fn socket_address(text: &str) -> Option<SocketAddrUnix> {
    text.split(';').find_map(|address| {
        let parts = address.strip_prefix("unix:")?;
        parts
            .split(',')
            .find_map(|part| match part.split_once('=')? {
                (_, value) if value.contains('%') => None,
                ("path", path) => SocketAddrUnix::new(path).ok(),
                ("abstract", name) => SocketAddrUnix::new_abstract_name(name.as_bytes()).ok(),
                _ => None,
            })
    })
}

#[cfg(test)]
mod tests {
    use super::socket_address;

    #[test]
    fn addresses_of_unix_sockets_are_understood() {
        for (text, found) in [
            ("unix:path=/run/user/1000/bus", true),
            ("unix:path=/run/user/1000/bus,guid=0123", true),
            ("tcp:host=localhost,port=1;unix:abstract=/tmp/dbus-x", true),
            ("unix:path=/a%20b", false),
            ("tcp:host=localhost,port=1", false),
            ("unix:", false),
            ("", false),
        ] {
            assert_eq!(socket_address(text).is_some(), found, "{text:?}");
        }
    }
}
