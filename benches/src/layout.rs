//! How cgroups are laid out where a container is measured: as this host has them, and v2 alone.
//!
//! v2 alone is a mount namespace of our own in which nothing but a cgroup2 lies on /sys/fs/cgroup.
//! Controllers that the host keeps in v1 hierarchies are missing there, for everyone alike.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use lxc_kernel::mount::{self, Propagation};
use lxc_kernel::{SysError, cgroup, process};

use crate::Failure;

const CGROUPS: &str = "/sys/fs/cgroup";
const MOUNT_NAMESPACE: u64 = libc::CLONE_NEWNS as u64;

/// Which hierarchies are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// v1 hierarchies, and v2 beside them.
    Hybrid,
    /// Nothing but v2.
    Unified,
    /// Nothing but v1.
    Legacy,
}

impl Kind {
    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Hybrid => "hybrid",
            Kind::Unified => "v2",
            Kind::Legacy => "v1",
        }
    }

    /// What this thread sees mounted.
    fn seen() -> Result<Option<Kind>, Failure> {
        let path = "/proc/thread-self/mounts";
        let mounts = fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
        Ok(Kind::of(&mounts))
    }

    fn of(mounts: &str) -> Option<Kind> {
        let has = |kind: &str| {
            mounts
                .lines()
                .any(|line| line.split(' ').nth(2) == Some(kind))
        };
        match (has("cgroup"), has("cgroup2")) {
            (true, true) => Some(Kind::Hybrid),
            (false, true) => Some(Kind::Unified),
            (true, false) => Some(Kind::Legacy),
            (false, false) => None,
        }
    }
}

/// A mount namespace to measure in.
#[derive(Debug)]
pub struct Layout {
    /// What is mounted in it.
    pub kind: Kind,
    namespace: File,
    /// Everybody's working directory: entering a mount namespace ends in its root.
    directory: PathBuf,
}

impl Layout {
    /// The host's own layout, and v2 alone if that is another one; the second may be a sentence.
    pub fn all() -> Result<Vec<Result<Layout, Failure>>, Failure> {
        let host = Layout::current()?.ok_or("no cgroup hierarchy is mounted")?;
        if host.kind == Kind::Unified {
            return Ok(vec![Ok(host)]);
        }
        let unified = Layout::unified();
        // Also after a failure half-way, which may have left us in the new namespace.
        host.enter()?;
        let unified = unified.map_err(|reason| format!("v2 alone: {reason}"));
        Ok(vec![Ok(host), unified])
    }

    /// Takes the calling thread there; what it executes starts there as well.
    pub fn enter(&self) -> Result<(), Failure> {
        let entered = process::setns(self.namespace.as_fd(), MOUNT_NAMESPACE)
            .and_then(|()| process::chdir(&self.directory));
        entered.map_err(|error| format!("cannot enter a mount namespace: {error}"))
    }

    /// Where a container's cgroups lie here: pid 1's own in each v1 hierarchy, and in v2.
    pub fn cgroups(&self) -> Result<Cgroups, Failure> {
        let text = fs::read_to_string("/proc/1/cgroup")
            .map_err(|error| format!("cannot read /proc/1/cgroup: {error}"))?;
        let found = cgroup::hierarchies(&text)
            .map_err(|error| format!("cannot find the cgroup hierarchies: {error}"))?;
        let (unified, legacy): (Vec<_>, Vec<_>) = found
            .iter()
            .partition(|hierarchy| matches!(hierarchy.version, cgroup::Version::V2));
        Ok(Cgroups {
            legacy: legacy.iter().map(|hierarchy| hierarchy.path()).collect(),
            unified: unified.first().map(|hierarchy| hierarchy.path()),
        })
    }

    fn current() -> Result<Option<Layout>, Failure> {
        let path = "/proc/thread-self/ns/mnt";
        let namespace = File::open(path).map_err(|e| format!("cannot open {path}: {e}"))?;
        let directory = std::env::current_dir()
            .map_err(|error| format!("there is no working directory: {error}"))?;
        Ok(Kind::seen()?.map(|kind| Layout {
            kind,
            namespace,
            directory,
        }))
    }

    fn unified() -> Result<Layout, Failure> {
        let directory = std::env::current_dir()
            .map_err(|error| format!("there is no working directory: {error}"))?;
        mount_unified().map_err(|error| error.to_string())?;
        match Layout::current()? {
            Some(layout) if layout.kind == Kind::Unified => Ok(Layout {
                directory,
                ..layout
            }),
            _ => Err(format!("v1 hierarchies are mounted outside of {CGROUPS}")),
        }
    }
}

/// Directories below which containers' cgroups are made.
#[derive(Debug)]
pub struct Cgroups {
    /// One a v1 hierarchy.
    pub legacy: Vec<PathBuf>,
    /// The one in v2.
    pub unified: Option<PathBuf>,
}

/// Leaves the host's mounts and puts v2 in the place of its cgroups.
fn mount_unified() -> Result<(), SysError> {
    process::unshare(MOUNT_NAMESPACE)?;
    mount::set_propagation(Path::new("/"), Propagation::Private, true)?;
    // What is mounted below goes with it.
    mount::detach_path(Path::new(CGROUPS))?;
    mount::classic(
        Some("cgroup2"),
        Path::new(CGROUPS),
        Some("cgroup2"),
        0,
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_names_the_layout() {
        const V1: &str = "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n";
        const V2: &str = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        const OTHER: &str = "tmpfs /sys/fs/cgroup tmpfs ro 0 0\n";
        for (mounts, kind) in [
            (vec![OTHER, V1, V2], Some(Kind::Hybrid)),
            (vec![V2], Some(Kind::Unified)),
            (vec![OTHER, V1], Some(Kind::Legacy)),
            (vec![OTHER], None),
        ] {
            assert_eq!(Kind::of(&mounts.concat()), kind, "{mounts:?}");
        }
    }
}
