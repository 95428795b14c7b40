//! Connecting to an abstract socket within a deadline.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use lxc_kernel::{Result, SysError, socket};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::address::Address;
use super::exchange::LONGEST;

/// Connects a blocking stream socket.
///
/// Whoever holds a name decides how long its queue stays full, and may be a stranger: the wait ends with
/// `EAGAIN` at the deadline.
pub(crate) fn dial(address: &Address, deadline: Option<Instant>) -> Result<OwnedFd> {
    let failed = |call| move |errno| SysError::new(call, address.to_string(), errno);
    let name = SocketAddrUnix::new_abstract_name(address.as_bytes()).map_err(failed("connect"))?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed("socket"))?;
    if let Some(deadline) = deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        socket::set_send_timeout(socket.as_fd(), Some(left.min(LONGEST)))?;
    }
    rustix::io::retry_on_intr(|| connect(&socket, &name)).map_err(failed("connect"))?;
    Ok(socket)
}
