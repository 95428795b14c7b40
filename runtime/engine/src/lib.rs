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
mod last_word;
pub mod launch;
pub mod log;
pub mod mapped;
pub mod message;
mod mini_init;
pub mod monitor;
pub mod monitord;
pub mod origin;
pub mod program;
pub mod removal;
pub mod request;
mod rundir;
pub mod scope;
mod sharing;
pub mod start;
pub mod step;
pub mod terminal;
mod undo;
pub mod unshare;
pub mod userns;
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

/// Effective user and group id of the calling process.
pub fn caller_ids() -> (u32, u32) {
    (lxc_kernel::users::euid(), lxc_kernel::users::egid())
}

/// Login name of the calling process' effective user, if it has one.
pub fn caller_login() -> Option<String> {
    facts::users::login(caller_euid())
}

/// Removes the cgroups that killed monitors of the container `name` left; returns how many.
///
/// `place`, `pattern` and `only` are its `lxc.cgroup.dir*` and the installation's `lxc.cgroup.pattern`
/// and `lxc.cgroup.use`. Settings that contradict each other have left nothing.
pub fn sweep(
    name: &str,
    place: &lxc_config::CgroupPlace,
    pattern: Option<&str>,
    only: Option<&str>,
) -> lxc_kernel::Result<u32> {
    let found = facts::cgroups(place.relative)?;
    let wanted = lxc_plan::CgroupNames::choose(name, place, pattern);
    let (Ok(names), Ok(used)) = (wanted, lxc_plan::used_hierarchies(found, only)) else {
        return Ok(0);
    };
    step::leftovers::sweep(&names, &used)
}
