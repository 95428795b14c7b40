//! Does: executes plans; the monitor program; steps, undo, wire protocol.
//!
//! **Is** where plans meet the kernel: one function per step, an undo for every host-visible effect.
//! **Knows** configuration, plans and the kernel.
//! **Never** decides what `plan` could have decided.
#![forbid(unsafe_code)]

mod apparmor;
pub mod attach;
pub mod console;
pub mod directory;
pub mod disk_lock;
pub mod facts;
pub mod failure;
pub mod freezer;
pub mod guest;
mod hint;
pub mod hooks;
pub mod inquiry;
pub mod launch;
pub mod log;
pub mod message;
mod mini_init;
pub mod monitor;
pub mod origin;
pub mod program;
pub mod request;
mod rundir;
pub mod start;
pub mod step;
pub mod terminal;
mod undo;
pub mod wire;

pub use failure::{Failure, FailureKind};

/// Effective user id of the calling process.
pub fn caller_euid() -> u32 {
    lxc_kernel::users::euid()
}

/// Removes the AppArmor profile that a killed monitor of this container left loaded.
///
/// # Errors
/// It is there and the kernel refuses.
pub fn forget_profile(lxcpath: &str, name: &str) -> lxc_kernel::Result<()> {
    apparmor::forget(lxcpath, name)
}

/// Removes the cgroups that killed monitors of `name` left; returns how many.
pub fn sweep(name: &str) -> lxc_kernel::Result<u32> {
    step::leftovers::sweep(name, &facts::cgroups()?)
}
