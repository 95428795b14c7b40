//! LXC's wire protocol: what a monitor and its clients say to each other.
//!
//! **Is** the command socket, byte for byte as C LXC 5.0 and later speak it: their tools control our
//! containers and ours control theirs.
//! **Knows** states, addresses, requests, answers, and who may ask.
//! **Never** lets a byte pass the door undecoded: [`Request`] is typed, [`Answers`] sees nothing else.
//!
//! ```text
//!   client                                      monitor
//!   connect(@LXCPATH/NAME/command)              accept; SO_PEERCRED
//!   16-byte header + SCM_CREDENTIALS   ──────▶  decode length
//!   payload, if the header says so     ──────▶  decode once into Request
//!                                      ◀──────  16-byte header [+ descriptors] [+ payload]
//!                                               close, but for GetTty, AddStateClient, Stop
//! ```

mod address;
mod admission;
mod answers;
mod client;
mod client_error;
mod command;
mod connection;
mod dial;
mod exchange;
mod frame;
mod listing;
mod notice;
mod payload;
mod request;
mod server;
mod state;
mod waiting;

pub use address::{Address, fnv1a};
pub use answers::Answers;
pub use client::{Asked, Client, Tty};
pub use client_error::ClientError;
pub use command::Command;
pub use frame::{FRAME, MAX_PAYLOAD, RequestHeader, ResponseHeader};
pub use listing::{monitors_everywhere, running};
pub use notice::{Notice, NoticeKind};
pub use payload::{
    CGROUP_CONTEXT_FDS, CGROUP_MAGIC, CGROUP2_MAGIC, CgroupContext, CgroupFd, ConsoleLog,
    DeviceKind, DeviceRule,
};
pub use request::{Refusal, Request};
pub use server::{BindError, Server};
pub use state::{State, UnknownState};
