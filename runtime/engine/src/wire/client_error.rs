//! Why a monitor could not be asked, in sentences for the one who asked.

use std::fmt;

use lxc_kernel::{Errno, SysError};

use super::address::Address;
use super::command::Command;

/// Why a question found no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The monitor serves root and its own user, and we are neither.
    Denied {
        /// `LXCPATH/NAME`.
        container: String,
        /// User the monitor runs as.
        uid: u32,
    },
    /// Somebody else than root, we, or the container's owner listens on its address.
    Impostor {
        /// `LXCPATH/NAME`.
        container: String,
        /// Address that is held.
        address: Address,
        /// User who holds it.
        uid: u32,
        /// Process that holds it, 0 if it is outside our pid namespace.
        pid: i32,
    },
    /// No answer came in time.
    TimedOut {
        /// `LXCPATH/NAME`.
        container: String,
        /// What was asked.
        command: Command,
    },
    /// The monitor answered that it could not.
    Refused {
        /// `LXCPATH/NAME`.
        container: String,
        /// What was asked.
        command: Command,
        /// Its reason.
        errno: Errno,
    },
    /// What came back is no answer.
    Protocol(String),
    /// The kernel refused.
    Sys(SysError),
}

impl ClientError {
    /// Gives the reason of the monitor or of the kernel, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            ClientError::Denied { .. } | ClientError::Impostor { .. } => Some(Errno::PERM),
            ClientError::TimedOut { .. } => Some(Errno::TIMEDOUT),
            ClientError::Refused { errno, .. } => Some(*errno),
            ClientError::Protocol(_) => None,
            ClientError::Sys(error) => Some(error.errno),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Denied { container, uid } => write!(
                f,
                "the monitor of {container} answers only root and user {uid}; run this as one of them"
            ),
            ClientError::Impostor {
                container,
                address,
                uid,
                pid,
            } => write!(
                f,
                "user {uid} (process {pid}) holds the command socket {address} but neither is root \
                 nor owns {container}; nothing it says is believed: end that process"
            ),
            ClientError::TimedOut { container, command } => write!(
                f,
                "the monitor of {container} did not answer {command} in time; \
                 see what it is doing, or end the container by its init process"
            ),
            ClientError::Refused {
                container,
                command,
                errno,
            } => write!(
                f,
                "the monitor of {container} refused {command}: {} ({})",
                std::io::Error::from(*errno),
                lxc_kernel::errno_name(*errno)
            ),
            ClientError::Protocol(what) => f.write_str(what),
            ClientError::Sys(error) => write!(f, "cannot ask the monitor: {error}"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ClientError::Sys(error) => Some(error),
            _ => None,
        }
    }
}

impl From<SysError> for ClientError {
    fn from(error: SysError) -> ClientError {
        ClientError::Sys(error)
    }
}
