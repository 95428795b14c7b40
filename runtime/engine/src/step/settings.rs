//! What the guest sets for itself in its namespaces: clocks and kernel parameters.

use crate::guest::GuestWorld;
use lxc_kernel::{Result, process, procfs::Proc};
use lxc_plan::{ClockOffset, Namespaces};
use std::os::fd::AsFd;

/// Makes a time namespace, sets its clocks apart, and enters it: made, it is only that of children.
pub fn new_time_namespace(offsets: &[ClockOffset]) -> Result<()> {
    process::unshare(Namespaces::TIME.0)?;
    let proc = Proc::host()?;
    if !offsets.is_empty() {
        let lines: String = offsets.iter().map(|offset| format!("{offset}\n")).collect();
        proc.write("self/timens_offsets", lines.as_bytes())?;
    }
    let made = proc.open_own_ns("time_for_children")?;
    process::setns(made.as_fd(), Namespaces::TIME.0)
}

/// Writes one parameter through a procfs that nobody else can put anything upon; the host's where the
/// kernel gives a user namespace none of its own.
pub fn write_sysctl(path: &str, value: &str, world: &mut GuestWorld<'_>) -> Result<()> {
    if world.settings.is_none() {
        world.settings = Some(Proc::private().or_else(|_| Proc::host())?);
    }
    match &world.settings {
        Some(proc) => proc.write(&format!("sys/{path}"), value.as_bytes()),
        None => Ok(()),
    }
}
