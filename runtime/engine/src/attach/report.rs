//! What the helper and the attached process tell the caller.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};

/// One word. A program has begun when both have let go of the socket and neither said that it has not;
/// a function, which keeps what it does not close, has begun when that is said.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// The helper: this is the attached process; its pidfd travels along.
    Attached {
        /// Pid as the helper's parent sees it.
        pid: i32,
    },
    /// The helper: a second one goes on; its pidfd travels along. Always before that one's words.
    Second {
        /// Pid as the helper's parent sees it.
        pid: i32,
    },
    /// The helper: nobody was attached.
    Failed(Failure),
    /// The attached process: why what was to run does not. Before or after the helper's word about it.
    NotBegun(Failure),
    /// The attached process: the function is the next thing.
    Begun,
    /// The attached process: it has written its label, and waits to be told that it is in force.
    Labelled,
    /// The attached process: something was asked for that is not so; it goes on nevertheless.
    Warning(String),
}

/// What the caller answers the attached process, in this order, when it is to take a label.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The file of its label travels along.
    LabelFile,
    /// The place of that file travels along: the process opens it itself.
    LabelDirectory,
    /// The label is in force.
    GoOn,
}
