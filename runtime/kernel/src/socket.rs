//! Unix sockets: abstract names, descriptors and credentials in messages.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use crate::sys::message;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
    socket_with,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Who a process is, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its pid in our pid namespace; 0 if it has none there.
    pub pid: i32,
    /// Its user id in our user namespace.
    pub uid: u32,
    /// Its group id in our user namespace.
    pub gid: u32,
}

/// Opens a listening stream socket under an abstract name (given without its leading NUL byte).
///
/// The address is exactly as long as the name. It does not block, and disappears when closed.
pub fn abstract_listener(name: &[u8], backlog: i32) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, address) = stream(name, flags)?;
    retry(|| bind(&socket, &address)).called("bind", || shown(&socket, name))?;
    retry(|| listen(&socket, backlog)).called("listen", || shown(&socket, name))?;
    Ok(socket)
}

/// Connects a blocking stream socket to an abstract name (given without its leading NUL byte).
///
/// Waits while the listener's queue is full.
pub fn abstract_connect(name: &[u8]) -> Result<OwnedFd> {
    let (socket, address) = stream(name, SocketFlags::CLOEXEC)?;
    retry(|| connect(&socket, &address)).called("connect", || shown(&socket, name))?;
    Ok(socket)
}

fn stream(name: &[u8], flags: SocketFlags) -> Result<(OwnedFd, SocketAddrUnix)> {
    let address = SocketAddrUnix::new_abstract_name(name)
        .called("bind", || format!("@{}", String::from_utf8_lossy(name)))?;
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let socket = socket_with(family, kind, flags, None)
        .called("socket", || "AF_UNIX, SOCK_STREAM".to_owned())?;
    Ok((socket, address))
}

fn shown(socket: &OwnedFd, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    format!("{}, \"@{name}\"", describe(socket.as_fd()))
}

/// Takes the next connection; `None` if none is waiting.
///
/// The new socket does not block. It receives its peer's credentials with each message if the
/// listener asked for them ([`set_pass_credentials`]): unix(7) sockets inherit that.
pub fn accept(listener: BorrowedFd) -> Result<Option<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match retry(|| accept_with(listener, flags)) {
        // One that went away again before it was taken is none.
        Err(Errno::AGAIN | Errno::CONNABORTED) => Ok(None),
        other => other.called("accept4", || describe(listener)).map(Some),
    }
}

/// Who connected (or listened) at the other end, at that moment.
pub fn peer_credentials(fd: BorrowedFd) -> Result<Credentials> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    getsockopt(&fd, PeerCredentials)
        .map(|who| Credentials {
            pid: who.pid(),
            uid: who.uid(),
            gid: who.gid(),
        })
        .map_err(|errno| Errno::from_raw_os_error(errno as i32))
        .called("getsockopt", || format!("{}, SO_PEERCRED", describe(fd)))
}

/// Sends one message: `data`, `fds` (253 at most), and if asked this process's credentials.
///
/// Gives the bytes sent, which a stream socket may cut short. EPIPE instead of SIGPIPE. Without
/// data the kernel sends no descriptors on a stream.
pub fn send(fd: BorrowedFd, data: &[u8], fds: &[BorrowedFd], credentials: bool) -> Result<usize> {
    let args = || format!("{}, {} bytes, {} fds", describe(fd), data.len(), fds.len());
    if fds.len() > message::MAX_FDS {
        return Err(SysError::new("sendmsg", args(), Errno::TOOMANYREFS));
    }
    let who = credentials.then(|| Credentials {
        pid: std::process::id() as i32,
        uid: crate::users::ruid(),
        gid: crate::users::rgid(),
    });
    retry(|| message::send(fd, data, fds, who)).called("sendmsg", args)
}

/// One received message.
#[derive(Debug)]
pub struct Received {
    /// Bytes in the buffer; 0 is the end (or, on a packet socket, an empty message).
    pub bytes: usize,
    /// Descriptors that came along, close-on-exec, never more than asked for.
    pub fds: Vec<OwnedFd>,
    /// The sender's credentials, if this socket asks for them.
    pub credentials: Option<Credentials>,
    /// Whether data or descriptors were lost because there was no room for them.
    pub truncated: bool,
}

/// Gives the length of the next message without taking it; 0 at the end. Blocks until there is one.
pub fn next_length(fd: BorrowedFd) -> Result<usize> {
    use rustix::net::RecvFlags;
    let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
    let mut nothing = [0u8; 1];
    retry(|| rustix::net::recv(fd, &mut nothing, flags))
        .map(|(_, length)| length)
        .called("recvfrom", || {
            format!("{}, MSG_PEEK|MSG_TRUNC", describe(fd))
        })
}

/// Receives one message with at most `max_fds` descriptors; surplus ones are closed.
///
/// Blocks as the socket does.
pub fn receive(fd: BorrowedFd, buffer: &mut [u8], max_fds: usize) -> Result<Received> {
    let room = max_fds.min(message::MAX_FDS);
    let mut message =
        retry(|| message::receive(fd, buffer, room)).called("recvmsg", || describe(fd))?;
    let surplus = message.fds.len() > max_fds;
    message.fds.truncate(max_fds);
    Ok(Received {
        bytes: message.bytes,
        fds: message.fds,
        credentials: message.credentials,
        truncated: message.truncated || surplus,
    })
}

/// Limits how long a receive may block (EAGAIN then); `None`: for ever.
pub fn set_receive_timeout(fd: BorrowedFd, timeout: Option<Duration>) -> Result<()> {
    set_timeout(fd, Timeout::Recv, timeout)
}

/// Limits how long a send or connect may block (EAGAIN then); `None`: for ever.
pub fn set_send_timeout(fd: BorrowedFd, timeout: Option<Duration>) -> Result<()> {
    set_timeout(fd, Timeout::Send, timeout)
}

fn set_timeout(fd: BorrowedFd, which: Timeout, timeout: Option<Duration>) -> Result<()> {
    // To the kernel, zero means for ever; the shortest time it knows is a microsecond.
    let timeout = timeout.map(|timeout| timeout.max(Duration::from_micros(1)));
    sockopt::set_socket_timeout(fd, which, timeout).called("setsockopt", || {
        format!("{}, {which:?}, {timeout:?}", describe(fd))
    })
}

/// Makes reads and writes fail with EAGAIN instead of waiting, or wait again.
pub fn set_nonblocking(fd: BorrowedFd, on: bool) -> Result<()> {
    rustix::io::ioctl_fionbio(fd, on).called("ioctl", || {
        format!("{}, FIONBIO, {}", describe(fd), u8::from(on))
    })
}

/// Asks for the sender's credentials with each message.
pub fn set_pass_credentials(fd: BorrowedFd) -> Result<()> {
    sockopt::set_socket_passcred(fd, true)
        .called("setsockopt", || format!("{}, SO_PASSCRED", describe(fd)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Interest, poll_one};
    use crate::fd::{memfd_sealed, pair, read_memfd};
    use std::os::fd::AsRawFd;

    fn me() -> Credentials {
        Credentials {
            pid: std::process::id() as i32,
            uid: crate::users::ruid(),
            gid: crate::users::rgid(),
        }
    }

    #[test]
    fn descriptors_and_credentials_travel() {
        let (ours, theirs) = pair().unwrap();
        set_pass_credentials(theirs.as_fd()).unwrap();
        for (count, room, credentials, truncated) in [
            (0, 0, true, false),
            (1, 1, true, false),
            (3, 3, false, false),
            (3, 2, true, true),
            (2, 0, true, true),
            (253, 300, true, false),
            (4, 3, true, true),
        ] {
            let row = format!("{count} sent, {room} asked for");
            let memfd = memfd_sealed("sent", b"content").unwrap();
            let fds = vec![memfd.as_fd(); count];
            let sent = send(ours.as_fd(), b"hello", &fds, credentials).unwrap();
            assert_eq!(sent, 5, "{row}");
            let mut buffer = [0; 16];
            let got = receive(theirs.as_fd(), &mut buffer, room).unwrap();
            assert_eq!(&buffer[..got.bytes], b"hello", "{row}");
            assert_eq!(got.truncated, truncated, "{row}");
            assert!(got.fds.len() <= room, "{row}");
            // With SO_PASSCRED the kernel vouches even for a sender that says nothing.
            assert_eq!(got.credentials, Some(me()), "{row}");
            for fd in &got.fds {
                assert_eq!(read_memfd(fd.as_fd()).unwrap(), b"content");
                let flags = rustix::io::fcntl_getfd(fd).unwrap();
                assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "{row}");
            }
            if !truncated {
                assert_eq!(got.fds.len(), count, "{row}");
            }
        }
        drop(ours);
        let end = receive(theirs.as_fd(), &mut [0; 4], 1).unwrap();
        assert!(end.bytes == 0 && end.fds.is_empty() && end.credentials.is_none());
    }

    #[test]
    fn too_many_descriptors_and_a_closed_peer_are_errors() {
        let (ours, theirs) = pair().unwrap();
        let fds = vec![ours.as_fd(); 254];
        let error = send(ours.as_fd(), b"x", &fds, false).unwrap_err();
        assert!(error.is(Errno::TOOMANYREFS), "{error}");
        // Not by closing: a child being spawned by another test may hold a copy for a moment.
        rustix::net::shutdown(&theirs, rustix::net::Shutdown::Both).unwrap();
        let error = send(ours.as_fd(), b"x", &[], false).unwrap_err();
        assert!(error.is(Errno::PIPE), "{error}");
    }

    #[test]
    fn an_abstract_name_is_served() {
        let name = format!("lxcrt-kernel-test-{}", std::process::id());
        let listener = abstract_listener(name.as_bytes(), 5).unwrap();
        set_pass_credentials(listener.as_fd()).unwrap();
        assert!(accept(listener.as_fd()).unwrap().is_none());
        let error = abstract_listener(name.as_bytes(), 5).unwrap_err();
        assert!(error.is(Errno::ADDRINUSE), "{error}");
        // The length is exact: the same name with a NUL at its end is another one.
        let longer = [name.as_bytes(), b"\0"].concat();
        let error = abstract_connect(&longer).unwrap_err();
        assert!(error.is(Errno::CONNREFUSED), "{error}");

        let client = abstract_connect(name.as_bytes()).unwrap();
        assert!(poll_one(listener.as_fd(), Interest::READ, None).unwrap());
        let served = accept(listener.as_fd()).unwrap().unwrap();
        assert_eq!(peer_credentials(served.as_fd()).unwrap(), me());
        let mut buffer = [0; 8];
        let error = receive(served.as_fd(), &mut buffer, 1).unwrap_err();
        assert!(error.is(Errno::AGAIN), "{error}");
        send(client.as_fd(), b"ask", &[client.as_fd()], true).unwrap();
        let got = receive(served.as_fd(), &mut buffer, 1).unwrap();
        assert_eq!(got.credentials, Some(me()));
        assert_ne!(got.fds[0].as_raw_fd(), client.as_raw_fd());

        set_receive_timeout(client.as_fd(), Some(Duration::ZERO)).unwrap();
        let error = receive(client.as_fd(), &mut buffer, 0).unwrap_err();
        assert!(error.is(Errno::AGAIN), "{error}");
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        assert!(abstract_listener(&[b'x'; 107], 1).is_ok());
        assert!(
            abstract_listener(&[b'x'; 108], 1)
                .unwrap_err()
                .is(Errno::NAMETOOLONG)
        );
    }
}
