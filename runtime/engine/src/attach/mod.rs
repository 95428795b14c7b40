//! Attach: a process of the caller's becomes one of the container's.
//!
//! ```text
//!   caller                    helper                                    attached process
//!   asks the monitor
//!   plans, makes the helper   enters v1 cgroups, joins namespaces
//!   reaps the helper       <- clones, born in the v2 cgroup, exits
//!   is its parent             .                                         gives up power, executes
//! ```
//!
//! For a program the helper is executed from a sealed mount. For a function it is a fork of the
//! caller, because the function lives in the caller's memory. What both do inside is one code: `join`
//! and `guest`.

mod attached;
mod caller;
mod facts;
mod fork;
mod guest;
mod helper;
mod join;
mod label;
mod report;

pub use attached::Attached;
pub use caller::{Command, Wish, attach, attach_function};
pub use helper::serve;

use crate::failure::{Failure, FailureKind};
use lxc_kernel::SysError;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::fd::OwnedFd;

/// What the helper is asked to do; descriptors lie right above the request's, in the order named.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HelperRequest {
    /// What the attached process becomes.
    pub order: Order,
    /// cgroup directories that follow init's pidfd.
    pub cgroups: u32,
    /// Which of 0, 1 and 2 follow.
    pub streams: [bool; 3],
    /// A terminal's peer follows.
    pub terminal: bool,
    /// Policy to load.
    pub seccomp_profile: Option<String>,
    /// Environment, complete.
    pub env: Vec<(OsString, OsString)>,
    /// Program and arguments; empty = the user's shell.
    pub argv: Vec<String>,
}

/// What the attached process becomes, whether it runs a program or a function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// Init's pid, for kernels that cannot join by pidfd.
    pub init_pid: i32,
    /// The systemd unit whose cgroup the container's is in, when the caller is not root.
    pub scope: Option<String>,
    /// CLONE_NEW* bits to join.
    pub join: u64,
    /// Directory that was asked for.
    pub directory: Option<String>,
    /// Directory to begin in otherwise; the root if it does not exist inside.
    pub cwd: String,
    /// Resource limits: number, soft, hard.
    pub limits: Vec<(u32, Option<u64>, Option<u64>)>,
    /// Files of its directory in /proc, and what is written there.
    pub proc_files: Vec<(String, String)>,
    /// Init's core scheduling cookie is taken over.
    pub same_cores: bool,
    /// Personality to set.
    pub personality: Option<u64>,
    /// The bounding set to leave.
    pub bounding: Option<u64>,
    /// Take this security label.
    pub label: Option<LabelOrder>,
    /// Forbid new privileges.
    pub no_new_privs: bool,
    /// Supplementary groups; `None` = none, where the kernel lets them be dropped.
    pub groups: Option<Vec<u32>>,
    /// User and group to take on in the moment of joining a user namespace.
    pub setup: Option<(u32, u32)>,
    /// The host's ids of these two.
    pub setup_on_host: Option<(u32, u32)>,
    /// Ids.
    pub uid: u32,
    /// Ids.
    pub gid: u32,
}

/// A label to be taken, by a file that the caller opens: what the process itself could open is the
/// container's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabelOrder {
    /// AppArmor's; else SELinux'.
    pub apparmor: bool,
    /// It takes effect when the program is executed; else at once.
    pub at_exec: bool,
    /// The label.
    pub text: String,
}

/// The descriptors needed for that.
struct Given {
    /// Init's.
    pidfd: OwnedFd,
    /// Directories of the container's cgroups.
    cgroups: Vec<OwnedFd>,
    /// What become 0, 1 and 2.
    streams: [Option<OwnedFd>; 3],
    /// Peer of a terminal for those of 0, 1 and 2 that are terminals.
    terminal: Option<OwnedFd>,
}

fn step(what: &str, error: &SysError) -> Failure {
    Failure::new(FailureKind::Step, format!("cannot {what}")).caused_by(error)
}

fn broken(what: &str, error: &SysError) -> Failure {
    Failure::new(FailureKind::Monitor, format!("cannot {what}")).caused_by(error)
}
