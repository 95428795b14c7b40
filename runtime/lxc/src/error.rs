//! Why something was not done: one sentence with its remedy, and a kind to act on.

use lxc_config::Diagnostic;
use lxc_engine::wire::ClientError;
use lxc_engine::{Failure, FailureKind};
use std::fmt;

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The container runs already.
    AlreadyRunning,
    /// The container does not run.
    NotRunning,
    /// There is no such container.
    NotDefined,
    /// There is one already.
    Exists,
    /// The caller may not.
    Denied,
    /// The name cannot be a container's.
    BadName,
    /// The configuration cannot be used.
    BadConfig,
    /// LXC has it, this project not yet.
    NotImplemented,
    /// A step of a start or attach failed.
    Step,
    /// The program could not be executed inside.
    Exec,
    /// It did not happen in time.
    TimedOut,
    /// Anything else.
    Other,
}

/// An error: its `Display` is the sentence, with the failed call and the remedy below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    errno: Option<i32>,
}

/// What the functions of this library return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind`.
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Error {
        Error {
            kind,
            text: text.into(),
            errno: None,
        }
    }

    /// An error about something LXC has and this project does not have yet, and what can be done
    /// instead.
    pub(crate) fn not_yet(what: &str, instead: &str) -> Error {
        let text = format!("{what} is not implemented yet; {instead}");
        Error::new(ErrorKind::NotImplemented, text)
    }

    /// An error about `container` that a stopped one gives.
    pub(crate) fn not_running(container: &str) -> Error {
        let text = format!(
            "the container {container} is not running\n  start it with 'lxc-start {container}'"
        );
        Error::new(ErrorKind::NotRunning, text).with_errno(libc::ECONNREFUSED)
    }

    /// The same error with an errno.
    pub(crate) fn with_errno(self, errno: i32) -> Error {
        Error {
            errno: Some(errno),
            ..self
        }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The errno of the call that failed, or the one LXC's C interface has for this; ECONNREFUSED says
    /// that the container does not run.
    pub fn errno(&self) -> Option<i32> {
        self.errno
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let kind = match failure.kind {
            FailureKind::AlreadyRunning => ErrorKind::AlreadyRunning,
            FailureKind::NotRunning => ErrorKind::NotRunning,
            FailureKind::Denied | FailureKind::Impostor => ErrorKind::Denied,
            FailureKind::Refused => ErrorKind::BadConfig,
            FailureKind::Exec => ErrorKind::Exec,
            FailureKind::TimedOut => ErrorKind::TimedOut,
            FailureKind::Step | FailureKind::GuestDied => ErrorKind::Step,
            FailureKind::Mismatch | FailureKind::Monitor => ErrorKind::Other,
        };
        let not_running = (kind == ErrorKind::NotRunning).then_some(libc::ECONNREFUSED);
        Error {
            kind,
            errno: failure.errno.or(not_running),
            text: failure.to_string(),
        }
    }
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Error {
        let kind = match diagnostic.kind {
            lxc_config::Kind::NotImplemented => ErrorKind::NotImplemented,
            _ => ErrorKind::BadConfig,
        };
        Error::new(kind, diagnostic.to_string()).with_errno(diagnostic.errno)
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Error {
        let kind = match &error {
            ClientError::Denied { .. } | ClientError::Impostor { .. } => ErrorKind::Denied,
            ClientError::TimedOut { .. } => ErrorKind::TimedOut,
            _ => ErrorKind::Other,
        };
        let errno = error.errno().map(|e| e.raw_os_error());
        Error {
            kind,
            errno,
            text: error.to_string(),
        }
    }
}
