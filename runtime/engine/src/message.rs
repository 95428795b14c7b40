//! What the processes of one start say to each other, in typed values.
//!
//! ```text
//!   guest                                monitor
//!                                 <-     Mapped              its id maps are written, if any
//!   Network [+ fd]                ->                         made after the maps
//!                                 <-     Rootfs [+ fd]       its ids shifted, if asked for
//!   Shift(..) [+ fd]              ->                         the same of a mount entry
//!                                 <-     Shifted(..)
//!                                 <-     Nics(..)            the host's ends exist
//!   Terminals{..} [+ fds]         ->                         console, ttys, devpts
//!   Ready                         ->                         everything is set up
//!                                 <-     Go                  limits applied, hooks run
//!   (socket closes at exec)       |  Started     ->          under a minimal init
//!   Failed(..)                    ->                         at any moment instead
//! ```

use crate::failure::Failure;
use lxc_kernel::{Errno, SysError, socket};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::os::fd::{BorrowedFd, OwnedFd};

/// No message is longer; a frame that is was not written by us.
const MAX_FRAME: usize = 64 * 1024;
/// Most descriptors in one message: the kernel's own limit (SCM_MAX_FD).
pub const MAX_FDS: usize = 253;

/// The guest's words.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromGuest {
    /// Descriptors follow in this order: devpts, console, ttys — each only if said here.
    Terminals {
        /// The mounted devpts instance.
        devpts: bool,
        /// The console's master, then its peer.
        console: bool,
        /// Masters of the ttys.
        ttys: u32,
    },
    /// A line for the log: `level` counts from 0 (TRACE) to 8 (FATAL).
    Note {
        /// Level.
        level: u8,
        /// Text.
        text: String,
    },
    /// It has made its network namespace, whose descriptor comes along.
    Network,
    /// A detached mount comes along whose ids are to be shifted.
    Shift(Shift),
    /// Names that the network devices got inside, in the plan's order.
    NicNames(Vec<String>),
    /// Everything is set up; the next thing is exec.
    Ready,
    /// The minimal init has its program running (it never executes anything itself).
    Started,
    /// It failed.
    Failed(Failure),
}

/// The monitor's words to the guest.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToGuest {
    /// The maps of its user namespace are written.
    Mapped,
    /// The mount that becomes the rootfs comes along.
    Rootfs,
    /// The mount is shifted, or the errno why it is not.
    Shifted(Option<i32>),
    /// The host's work on the network is done; names of the guest's ends, in the plan's order.
    Nics(Vec<GuestNic>),
    /// Execute.
    Go,
}

/// A mount whose files shall show the ids of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// File of the namespace; `None` = the container's own.
    pub namespace: Option<String>,
    /// What is mounted below as well.
    pub recursive: bool,
}

/// A device that was put into the guest's network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestNic {
    /// N of `lxc.net.N`.
    pub index: u32,
    /// The name it has now.
    pub name: String,
    /// What `gateway = auto` means.
    pub gateway4: Option<std::net::Ipv4Addr>,
    /// What `gateway = auto` means.
    pub gateway6: Option<std::net::Ipv6Addr>,
}

/// The monitor's report to whoever started it: one, and in the foreground another at the end.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// The guest runs.
    Running {
        /// Its pid as the monitor sees it.
        init_pid: i32,
    },
    /// It does not.
    Failed(Failure),
    /// It ran in the foreground and has ended: the very last word. Sent after `Running`, of which
    /// there is another one after each reboot.
    Ended {
        /// Exit code << 8, or signal << 8 | 0x7f: how LXC's `error_num` says it.
        status: i32,
    },
}

/// Sends one message; `fds` travel with it.
pub fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> lxc_kernel::Result<()> {
    let bytes = postcard::to_allocvec(message).map_err(|_| malformed("encode"))?;
    socket::send(socket, &bytes, fds, false).map(|_| ())
}

/// Receives one message; `None` when the other side is gone.
pub fn receive<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
) -> lxc_kernel::Result<Option<(T, Vec<OwnedFd>)>> {
    // Asked first: room for the longest message would cost pages that most monitors never use.
    let length = socket::next_length(socket)?;
    if length > MAX_FRAME {
        return Err(malformed("receive"));
    }
    let mut buffer = vec![0u8; length.max(1)];
    let got = socket::receive(socket, &mut buffer, MAX_FDS)?;
    if got.bytes == 0 {
        return Ok(None);
    }
    if got.truncated {
        return Err(malformed("receive"));
    }
    let message = postcard::from_bytes(&buffer[..got.bytes]).map_err(|_| malformed("decode"))?;
    Ok(Some((message, got.fds)))
}

fn malformed(what: &str) -> SysError {
    SysError::new("message", what.to_string(), Errno::BADMSG)
}
