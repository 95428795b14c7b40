//! A start or attach that failed: one value that crosses from the guest to the monitor to the
//! caller, and that a person reads as one sentence with its root cause and remedy.

use lxc_kernel::SysError;
use lxc_plan::Refusal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// What kind of failure it is, for callers that react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// Somebody already runs this container.
    AlreadyRunning,
    /// The command socket's name is held by somebody who has no right to it.
    Impostor,
    /// The container does not run.
    NotRunning,
    /// The monitor does not answer to this user.
    Denied,
    /// The plan could not be made.
    Refused,
    /// The attached program could not be executed.
    Exec,
    /// It did not happen in time.
    TimedOut,
    /// A step failed.
    Step,
    /// The guest died without a word.
    GuestDied,
    /// Caller and monitor do not understand each other (liblxc was upgraded in between).
    Mismatch,
    /// The monitor could not be started or died.
    Monitor,
}

/// Where in the plan it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepAt {
    /// From 1.
    pub number: u32,
    /// Steps in the plan.
    pub total: u32,
    /// [`lxc_plan::Step::name`].
    pub name: String,
}

/// One failure; see [`Details`] for what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure(Box<Details>);

/// What a failure says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Kind.
    pub kind: FailureKind,
    /// What could not be done, naming the object, and where the configuration asks for it.
    pub sentence: String,
    /// The call as strace would show it.
    pub call: Option<String>,
    /// Its errno.
    pub errno: Option<i32>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Which step.
    pub step: Option<StepAt>,
    /// What could not be undone afterwards; empty = nothing was left behind.
    pub left_behind: Vec<String>,
}

impl Failure {
    /// A failure that is not a step's.
    pub fn new(kind: FailureKind, sentence: impl Into<String>) -> Failure {
        Failure(Box::new(Details {
            kind,
            sentence: sentence.into(),
            call: None,
            errno: None,
            hint: None,
            step: None,
            left_behind: Vec::new(),
        }))
    }

    /// Adds the remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the call that failed.
    pub fn caused_by(mut self, error: &SysError) -> Failure {
        self.call = Some(error.to_string());
        self.errno = Some(error.errno.raw_os_error());
        self
    }
}

impl Deref for Failure {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let mut sentence = refusal.sentence;
        if let Some(origin) = refusal.origin {
            sentence = format!("{sentence} ({origin})");
        }
        Failure::new(FailureKind::Refused, sentence).hint(refusal.hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        if let Some(call) = &self.call {
            write!(f, "\n  {call}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  {hint}")?;
        }
        match (&self.step, self.left_behind.as_slice()) {
            (_, [_, ..]) => write!(f, "\n  Left behind: {}.", self.left_behind.join("; ")),
            (Some(step), []) => write!(
                f,
                "\n  Nothing was left behind. Step {} of {} ({}); --plan shows them all.",
                step.number, step.total, step.name
            ),
            (None, []) => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
