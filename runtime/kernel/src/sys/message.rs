//! sendmsg(2) and recvmsg(2) with descriptors and credentials.
//!
//! Raw because both wrappers refuse what the kernel sends: rustix cannot hold pid 0 (a peer of
//! another pid namespace), nix hands descriptors out as numbers.

use super::check;
use crate::socket::Credentials;
use rustix::io::Errno;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Most descriptors that the kernel takes in one message (SCM_MAX_FD).
pub(crate) const MAX_FDS: usize = 253;

/// Bytes that a control message with `payload` bytes takes up.
fn space(payload: usize) -> usize {
    // SAFETY: pure arithmetic.
    unsafe { libc::CMSG_SPACE(payload as u32) as usize }
}

/// Zeroed memory for control messages, in words because they must be aligned like a cmsghdr.
fn control(bytes: usize) -> Vec<u64> {
    vec![0; bytes.div_ceil(size_of::<u64>())]
}

/// One sendmsg(2), MSG_NOSIGNAL.
pub(crate) fn send(
    socket: BorrowedFd,
    data: &[u8],
    fds: &[BorrowedFd],
    credentials: Option<Credentials>,
) -> Result<usize, Errno> {
    let fd_bytes = size_of::<RawFd>() * fds.len();
    let mut length = 0;
    if !fds.is_empty() {
        length += space(fd_bytes);
    }
    if credentials.is_some() {
        length += space(size_of::<libc::ucred>());
    }
    let mut room = control(length);
    let mut part = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    // SAFETY: all zero is a valid msghdr (no name, no parts, no control data).
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if length > 0 {
        header.msg_control = room.as_mut_ptr().cast();
        header.msg_controllen = length as _;
    }

    // SAFETY: `header` names `room`, whose length is the sum of the spaces of exactly the messages
    // written here, so the pointers of CMSG_FIRSTHDR and CMSG_NXTHDR lie within it.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(&raw const header);
        if !fds.is_empty() {
            (*at).cmsg_level = libc::SOL_SOCKET;
            (*at).cmsg_type = libc::SCM_RIGHTS;
            (*at).cmsg_len = libc::CMSG_LEN(fd_bytes as u32) as _;
            let numbers = libc::CMSG_DATA(at).cast::<RawFd>();
            for (index, fd) in fds.iter().enumerate() {
                numbers.add(index).write_unaligned(fd.as_raw_fd());
            }
            at = libc::CMSG_NXTHDR(&raw const header, at);
        }
        if let Some(who) = credentials {
            (*at).cmsg_level = libc::SOL_SOCKET;
            (*at).cmsg_type = libc::SCM_CREDENTIALS;
            (*at).cmsg_len = libc::CMSG_LEN(size_of::<libc::ucred>() as u32) as _;
            let ucred = libc::ucred {
                pid: who.pid,
                uid: who.uid,
                gid: who.gid,
            };
            libc::CMSG_DATA(at)
                .cast::<libc::ucred>()
                .write_unaligned(ucred);
        }
    }
    // SAFETY: everything that `header` points to outlives the call; `data` is only read.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
    check(sent as libc::c_long).map(|sent| sent as usize)
}

/// What one recvmsg(2) gave.
pub(crate) struct Message {
    pub bytes: usize,
    pub fds: Vec<OwnedFd>,
    pub credentials: Option<Credentials>,
    pub truncated: bool,
}

/// One recvmsg(2), MSG_CMSG_CLOEXEC, with room for `max_fds` descriptors.
pub(crate) fn receive(
    socket: BorrowedFd,
    buffer: &mut [u8],
    max_fds: usize,
) -> Result<Message, Errno> {
    // The spaces are rounded up, so there can be room for one descriptor more than asked for; the
    // caller sees to those.
    let rights = if max_fds == 0 {
        0
    } else {
        space(size_of::<RawFd>() * max_fds)
    };
    let length = rights + space(size_of::<libc::ucred>());
    let mut room = control(length);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all zero is a valid msghdr.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = room.as_mut_ptr().cast();
    header.msg_controllen = length as _;
    // SAFETY: the kernel writes at most `buffer.len()` bytes of data and `length` bytes of control
    // data to memory that outlives the call and that nobody else uses.
    let bytes =
        unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    let bytes = check(bytes as libc::c_long)? as usize;

    let mut message = Message {
        bytes,
        fds: Vec::new(),
        credentials: None,
        truncated: header.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0,
    };
    // SAFETY: the kernel has filled `room` with well-formed control messages and set their total
    // length; the macros stay within it, and payload lengths come from the headers.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(&raw const header);
        while !at.is_null() {
            let payload = (*at).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            let data = libc::CMSG_DATA(at);
            match ((*at).cmsg_level, (*at).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    let numbers = data.cast::<RawFd>();
                    for index in 0..payload / size_of::<RawFd>() {
                        // The kernel has opened each of them for us: own them at once.
                        let number = numbers.add(index).read_unaligned();
                        message.fds.push(OwnedFd::from_raw_fd(number));
                    }
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS)
                    if payload >= size_of::<libc::ucred>() =>
                {
                    let who = data.cast::<libc::ucred>().read_unaligned();
                    message.credentials = Some(Credentials {
                        pid: who.pid,
                        uid: who.uid,
                        gid: who.gid,
                    });
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(&raw const header, at);
        }
    }
    Ok(message)
}
