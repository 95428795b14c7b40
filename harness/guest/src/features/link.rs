//! One network interface, made with one message.

use lxc_kernel::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

use super::{Had, failed};

const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
/// REQUEST, ACK, EXCL, CREATE.
const FLAGS: u16 = 0x1 | 0x4 | 0x200 | 0x400;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;

/// Bytes before an answer's errno, and with it.
const HEADER: usize = 16;
const ANSWER: usize = HEADER + 4;

/// Makes an interface of this kind in the caller's network namespace, which should be its own.
pub fn create(kind: &str) -> Had {
    let call = |errno| failed(&format!("RTM_NEWLINK {kind}"), errno);
    let family = AddressFamily::NETLINK;
    // Without a protocol it is the first one: NETLINK_ROUTE.
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, None)
        .map_err(|errno| failed("socket", errno))?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &message(kind), SendFlags::empty(), &kernel).map_err(call)?;
    let mut answer = [0; 4096];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty()).map_err(call)?;
    match errno_of(&answer[..length.min(4096)]) {
        Some(0) => Ok(()),
        Some(code) => Err(call(Errno::from_raw_os_error(code))),
        None => Err(format!(
            "RTM_NEWLINK {kind}: the answer is no acknowledgement"
        )),
    }
}

fn message(kind: &str) -> Vec<u8> {
    let info = attribute(IFLA_INFO_KIND, kind.as_bytes());
    let mut body = vec![0; 16];
    body.extend(attribute(IFLA_IFNAME, b"probe0\0"));
    body.extend(attribute(IFLA_LINKINFO, &info));
    let length = (HEADER + body.len()) as u32;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    // Sequence number and sender: one message, one answer.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Length, type, value, and nothing up to a multiple of four.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The errno, 0 for success, in the kernel's answer.
fn errno_of(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(*answer.get(4..)?.first_chunk()?);
    let code = i32::from_ne_bytes(*answer.get(HEADER..ANSWER)?.first_chunk()?);
    (kind == NLMSG_ERROR).then_some(code.checked_neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_true_and_parts_aligned() {
        let message = message("bridge");
        assert_eq!(message.len(), 16 + 16 + 12 + 4 + 12);
        assert_eq!(message[..4], (message.len() as u32).to_ne_bytes());
    }

    #[test]
    fn answers_are_read_whatever_they_are() {
        let mut answer = vec![0; ANSWER];
        answer[4] = 2;
        assert_eq!(errno_of(&answer), Some(0));
        answer[HEADER..].copy_from_slice(&(-95i32).to_ne_bytes());
        assert_eq!(errno_of(&answer), Some(95));
        answer[HEADER..].copy_from_slice(&i32::MIN.to_ne_bytes());
        assert_eq!(errno_of(&answer), None);
        assert_eq!(errno_of(&answer[..ANSWER - 1]), None);
        answer[4] = 3;
        assert_eq!(errno_of(&answer), None);
        assert_eq!(errno_of(&[]), None);
    }
}
