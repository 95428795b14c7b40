//! Linux, spoken safely: descriptors, mounts, cgroups, netlink, pidfds, namespaces, seccomp.
//!
//! **Is** the only crate (with `capi`) that contains `unsafe`, each block with its reason.
//! **Knows** Linux. Each error carries the call, its arguments and errno, as strace shows them.
//! **Never** knows containers or LXC's keys: it could serve another project.
//!
//! Every descriptor it hands out is close-on-exec unless the function says otherwise, and every
//! call that a signal interrupts is made again.
#![deny(unsafe_op_in_unsafe_fn)]
// Only the modules marked below may talk to the kernel without a wrapper.
#![deny(unsafe_code)]

mod error;
#[allow(unsafe_code)]
mod sys;

pub mod apparmor;
pub mod caps;
pub mod cgroup;
pub mod core_scheduling;
#[allow(unsafe_code)]
pub mod device_filter;
pub mod events;
pub mod fd;
pub mod file;
pub mod idmap;
#[allow(unsafe_code)]
pub mod inherit;
pub mod inroot;
#[allow(unsafe_code)]
pub mod lock;
pub mod lsm;
pub mod mirror;
pub mod mount;
pub mod namespace;
#[allow(unsafe_code)]
pub mod netlink;
pub mod process;
pub mod procfs;
mod program;
pub mod pty;
pub mod rlimit;
#[allow(unsafe_code)]
pub mod seccomp;
pub mod signals;
pub mod socket;
mod spawn;
mod tree;
pub mod users;
pub mod xattr;

pub use error::{Errno, Result, SysError, errno_name};
