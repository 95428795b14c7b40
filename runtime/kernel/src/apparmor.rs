//! AppArmor's files in securityfs: what the kernel checks, and which profiles there are.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::file::{open_dir, read_at, write_at};
use rustix::fs::{AtFlags, Mode, mkdirat, unlinkat};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Where they are.
const DIRECTORY: &str = "/sys/kernel/security/apparmor";
/// Directory of policy namespaces below it.
const NAMESPACES: &str = "policy/namespaces";
/// Largest list of profiles read.
const PROFILES_MAX: usize = 16 * 1024 * 1024;

/// AppArmor's directory; securityfs must be mounted.
#[derive(Debug)]
pub struct Policy {
    directory: OwnedFd,
}

impl Policy {
    /// Opens it; ENOENT where securityfs is not mounted or AppArmor is not enabled.
    pub fn open() -> Result<Policy> {
        let directory = open_dir(Path::new(DIRECTORY))?;
        Ok(Policy { directory })
    }

    /// Tells whether profiles have a say about mounts.
    pub fn mediates_mounts(&self) -> bool {
        let mask = Path::new(DIRECTORY).join("features/mount/mask");
        rustix::fs::access(&mask, rustix::fs::Access::EXISTS).is_ok()
    }

    /// Tells whether a process can run under several profiles, and this one does not yet.
    pub fn can_stack(&self) -> bool {
        let yes = |name: &str| {
            crate::file::read_path(&Path::new(DIRECTORY).join(name), 16)
                .is_ok_and(|text| text.starts_with(b"yes"))
        };
        yes("features/domain/stack") && !yes(".ns_stacked")
    }

    /// Tells whether a profile is loaded; `None` if the list may not be read.
    pub fn has_profile(&self, name: &str) -> Option<bool> {
        let list = read_at(self.directory.as_fd(), "profiles", PROFILES_MAX).ok()?;
        let list = String::from_utf8_lossy(&list);
        // Each line is `NAME (MODE)`.
        let mut names = list
            .lines()
            .filter_map(|line| Some(line.rsplit_once(" (")?.0));
        Some(names.any(|found| found == name))
    }

    /// Removes a profile; one that is not there is no error.
    pub fn remove_profile(&self, name: &str) -> Result<()> {
        match write_at(self.directory.as_fd(), ".remove", name.as_bytes()) {
            Err(error) if error.is(Errno::NOENT) => Ok(()),
            done => done,
        }
    }

    /// Makes a policy namespace; one that is there is no error.
    pub fn make_namespace(&self, name: &str) -> Result<()> {
        let path = namespace(name)?;
        match retry(|| mkdirat(&self.directory, &path, Mode::from_raw_mode(0o755))) {
            Err(Errno::EXIST) => Ok(()),
            done => done.called("mkdirat", || format!("{DIRECTORY}, {path:?}")),
        }
    }

    /// Removes a policy namespace with all that is in it; one that is not there is no error.
    pub fn remove_namespace(&self, name: &str) -> Result<()> {
        let path = namespace(name)?;
        match retry(|| unlinkat(&self.directory, &path, AtFlags::REMOVEDIR)) {
            Err(Errno::NOENT) => Ok(()),
            done => done.called("unlinkat", || format!("{DIRECTORY}, {path:?}")),
        }
    }
}

fn namespace(name: &str) -> Result<String> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(SysError::new("mkdirat", format!("{name:?}"), Errno::INVAL));
    }
    Ok(format!("{NAMESPACES}/{name}"))
}
