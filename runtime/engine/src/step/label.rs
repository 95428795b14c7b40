//! Security labels: the guest takes its own, the monitor looks whether it has it.
//!
//! The file a label is written to is opened while /proc is still the host's, so that nothing the
//! rootfs puts at /proc/self can stand in for it.

use crate::guest::GuestWorld;
use lxc_kernel::lsm::{self, LabelFile, Module, Moment};
use lxc_kernel::{Errno, Result, SysError, procfs::Proc};
use lxc_plan::{Label, SecurityModule};

/// The kernel crate's name for it.
pub fn module(module: SecurityModule) -> Module {
    match module {
        SecurityModule::Apparmor => Module::Apparmor,
        SecurityModule::Selinux => Module::Selinux,
    }
}

/// When a start's label takes effect: SELinux lets no program of another type run on as it is.
fn moment(module: SecurityModule) -> Moment {
    match module {
        SecurityModule::Apparmor => Moment::Now,
        SecurityModule::Selinux => Moment::AtExec,
    }
}

/// Opens the file by which this process' label is set.
pub fn open(of: SecurityModule, world: &mut GuestWorld<'_>) -> Result<()> {
    let file = LabelFile::open(&Proc::host()?, "self", module(of), moment(of))?;
    world.label = Some(file);
    Ok(())
}

/// Takes the label; the file is not needed again.
pub fn set(label: &Label, world: &mut GuestWorld<'_>) -> Result<()> {
    let missing = || SysError::new("write", "no file of a label is open", Errno::BADF);
    world.label.take().ok_or_else(missing)?.write(&label.text)
}

/// Labels the keyring that is made next.
pub fn label_keyring(label: &str) -> Result<()> {
    let proc = Proc::host()?;
    LabelFile::open(&proc, "self", Module::Selinux, Moment::AtNewKey)?.write(label)
}

/// Looks from outside: what the guest itself can read of its label is only what its policy
/// namespace lets it see.
pub fn confirm(label: &Label, init_pid: i32) -> Result<()> {
    let (of, moment) = (module(label.module), moment(label.module));
    let file = LabelFile::open(&Proc::host()?, &init_pid.to_string(), of, moment)?;
    let found = file.read()?;
    match lxc_plan::label_in_force(label, &found) {
        true => Ok(()),
        false => Err(lsm::not_in_force("the guest", &label.text, &found)),
    }
}
