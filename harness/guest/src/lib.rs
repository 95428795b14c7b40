//! The protocol between the harness and the agent that is PID 1 in its machines.
//!
//! **Is** the requests and replies ([`protocol`]) and how they are framed ([`frame`]).
//! **Knows** nothing of either side.
//! **Never** judges: the agent does what it is told and says what it saw.
#![forbid(unsafe_code)]

pub mod frame;
pub mod protocol;
