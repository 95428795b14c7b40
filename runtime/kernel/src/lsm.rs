//! Linux security modules that give labels: which one is in force, and the label of a process.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use crate::file::write_once;
use crate::procfs::Proc;
use rustix::fs::{Mode, OFlags, openat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Longest label read: the kernel gives at most a page.
const LABEL_MAX: usize = 4096;
/// What a label is written with where AppArmor is to change to it.
const CHANGE: &str = "changeprofile ";
/// `SELINUX_MAGIC` (`linux/magic.h`).
const SELINUX_MAGIC: u64 = 0xf97c_ff8c;

/// A module that gives labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// AppArmor.
    Apparmor,
    /// SELinux.
    Selinux,
}

/// When a label that is written takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At once.
    Now,
    /// With the next program that is executed.
    AtExec,
    /// With the next key that is created.
    AtNewKey,
}

/// Tells whether AppArmor is enabled; one read.
pub fn apparmor_enabled() -> bool {
    let state = crate::file::read_path(Path::new("/sys/module/apparmor/parameters/enabled"), 16);
    state.is_ok_and(|state| state.first() == Some(&b'Y'))
}

/// Tells whether SELinux is enabled: its filesystem is mounted, or the kernel's list names it.
pub fn selinux_enabled() -> bool {
    let mounted = rustix::fs::statfs("/sys/fs/selinux")
        .is_ok_and(|filesystem| filesystem.f_type as u64 == SELINUX_MAGIC);
    let named = || {
        let list = crate::file::read_path(Path::new("/sys/kernel/security/lsm"), LABEL_MAX);
        list.is_ok_and(|list| {
            list.split(|byte| *byte == b',')
                .any(|name| name == b"selinux")
        })
    };
    mounted || named()
}

/// The file of one process by which its label is read and changed.
///
/// Only the process itself can write to it, whoever has opened it, and only until its next exec.
#[derive(Debug)]
pub struct LabelFile {
    fd: OwnedFd,
    module: Module,
}

/// What it is called.
fn file_name(module: Module, moment: Moment) -> &'static str {
    match (module, moment) {
        (Module::Apparmor, Moment::AtExec) => "exec",
        (_, Moment::Now) | (Module::Apparmor, _) => "current",
        (Module::Selinux, Moment::AtExec) => "exec",
        (Module::Selinux, Moment::AtNewKey) => "keycreate",
    }
}

impl LabelFile {
    /// Opens it: `who` is `self` or a pid of that procfs.
    ///
    /// Nothing that was mounted over a file of /proc is opened instead: see [`Proc::read`].
    pub fn open(proc: &Proc, who: &str, module: Module, moment: Moment) -> Result<LabelFile> {
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let name = file_name(module, moment);
        let common = || proc.open_file(&format!("{who}/attr/{name}"), flags);
        let fd = match module {
            // Its own since Linux 5.8; the other may be that of another module.
            Module::Apparmor => match proc.open_file(&format!("{who}/attr/apparmor/{name}"), flags)
            {
                Err(error) if error.is(Errno::NOENT) => common()?,
                opened => opened?,
            },
            Module::Selinux => common()?,
        };
        Ok(LabelFile { fd, module })
    }

    /// The place (O_PATH) where the files of the process `who` are, for [`LabelFile::open_in`].
    pub fn directory(proc: &Proc, who: &str, module: Module) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let common = || proc.open_file(&format!("{who}/attr"), flags);
        match module {
            Module::Apparmor => match proc.open_file(&format!("{who}/attr/apparmor"), flags) {
                Err(error) if error.is(Errno::NOENT) => common(),
                opened => opened,
            },
            Module::Selinux => common(),
        }
    }

    /// Opens one's own in the [`LabelFile::directory`] that somebody else has found.
    ///
    /// Since Linux 5.13 a file takes a label only if who opened it may look into the process: itself,
    /// or somebody with power over all that it has in memory.
    pub fn open_in(directory: BorrowedFd, module: Module, moment: Moment) -> Result<LabelFile> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = file_name(module, moment);
        let fd = retry(|| openat(directory, name, flags, Mode::empty()))
            .called("openat", || format!("{}, {name:?}", describe(directory)))?;
        Ok(LabelFile { fd, module })
    }

    /// Takes one that somebody else has opened.
    pub fn from_fd(fd: OwnedFd, module: Module) -> LabelFile {
        LabelFile { fd, module }
    }

    /// Itself, to be given away.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The label, without the mode that AppArmor adds; empty where none has been set.
    ///
    /// EINVAL without a module that gives labels.
    pub fn read(&self) -> Result<String> {
        let mut buffer = vec![0; LABEL_MAX];
        let length = retry(|| rustix::io::pread(&self.fd, &mut buffer, 0))
            .called("pread64", || describe(self.fd()))?;
        buffer.truncate(length);
        Ok(self.module.label(&buffer))
    }

    /// Changes the label; only for the process that the file is of.
    pub fn write(&self, label: &str) -> Result<()> {
        match self.module {
            Module::Apparmor => write_once(self.fd(), format!("{CHANGE}{label}").as_bytes()),
            Module::Selinux => write_once(self.fd(), label.as_bytes()),
        }
    }
}

impl Module {
    /// A label as a person writes it, of what the kernel tells.
    fn label(self, told: &[u8]) -> String {
        let text = String::from_utf8_lossy(told);
        let text = text.trim_end_matches(['\0', '\n']);
        match (self, text.rsplit_once(" (")) {
            (Module::Apparmor, Some((label, mode))) if mode.ends_with(')') => label.to_owned(),
            _ => text.to_owned(),
        }
    }
}

/// The label of a process and whose it is; `None` without a module that gives labels.
///
/// `who` is `self` or a pid of that procfs.
pub fn label_of(proc: &Proc, who: &str) -> Result<Option<(Module, String)>> {
    // The one file that is there for all of them; it cannot be read without any.
    let told = match proc.read(&format!("{who}/attr/current"), LABEL_MAX) {
        Err(error) if error.is(Errno::INVAL) => return Ok(None),
        Err(error) if error.is(Errno::NOENT) => {
            // A kernel without security modules; or the process has gone.
            proc.read(&format!("{who}/comm"), LABEL_MAX)?;
            return Ok(None);
        }
        told => told?,
    };
    if !apparmor_enabled() {
        return Ok(Some((Module::Selinux, Module::Selinux.label(&told))));
    }
    let own = match proc.read(&format!("{who}/attr/apparmor/current"), LABEL_MAX) {
        Err(error) if error.is(Errno::NOENT) => told,
        own => own?,
    };
    Ok(Some((Module::Apparmor, Module::Apparmor.label(&own))))
}

/// The error of a label that is not in force although it was written.
pub fn not_in_force(who: &str, wanted: &str, found: &str) -> SysError {
    let args = format!("the label of {who} is {found:?}, not {wanted:?}");
    SysError::new("read", args, Errno::BADMSG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_without_their_mode() {
        for (module, told, label) in [
            (Module::Apparmor, &b"unconfined\n"[..], "unconfined"),
            (Module::Apparmor, b"lxc-a_</b> (enforce)\n", "lxc-a_</b>"),
            (
                Module::Apparmor,
                b"a//&:n:unconfined (mixed)\n",
                "a//&:n:unconfined",
            ),
            (Module::Apparmor, b"a (b) (complain)", "a (b)"),
            (Module::Selinux, b"u:r:t:s0 (x)\0", "u:r:t:s0 (x)"),
            (Module::Selinux, b"", ""),
        ] {
            assert_eq!(module.label(told), label);
        }
    }

    #[test]
    fn a_process_that_is_not_there_has_no_label() {
        let proc = Proc::host().unwrap();
        assert!(label_of(&proc, "self").is_ok());
        assert!(label_of(&proc, "4194305").unwrap_err().is(Errno::NOENT));
    }
}
