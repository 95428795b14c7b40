//! Attach: a process of the caller's becomes one of the container's.
//!
//! ```text
//!   caller                    helper (executed from a sealed mount)     attached process
//!   asks the monitor
//!   plans, spawns the helper  enters v1 cgroups, joins namespaces
//!   reaps the helper       <- clones, born in the v2 cgroup, exits
//!   is its parent             .                                         gives up power, executes
//! ```

mod caller;
mod helper;

pub use caller::{Attached, Command, attach};
pub use helper::serve;

use serde::{Deserialize, Serialize};

/// What the helper is asked to do; descriptors lie right above the request's, in the order named.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HelperRequest {
    /// Init's pid, for kernels that cannot join by pidfd.
    pub init_pid: i32,
    /// cgroup directories that follow init's pidfd.
    pub cgroups: u32,
    /// A terminal's peer follows.
    pub terminal: bool,
    /// CLONE_NEW* bits to join.
    pub join: u64,
    /// Personality to set.
    pub bits32: Option<bool>,
    /// The bounding set to leave.
    pub bounding: Option<u64>,
    /// Forbid new privileges.
    pub no_new_privs: bool,
    /// Policy to load.
    pub seccomp_profile: Option<String>,
    /// Environment, complete.
    pub env: Vec<(String, String)>,
    /// Program and arguments; empty = the user's shell.
    pub argv: Vec<String>,
    /// Directory to begin in; the root if it does not exist inside.
    pub cwd: String,
    /// Ids.
    pub uid: u32,
    /// Ids.
    pub gid: u32,
}
