//! The cgroups of one side, monitor or guest: one a hierarchy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use lxc_kernel::{Errno, Result, cgroup, file};

use crate::orders::Orders;

/// Open directories.
pub struct Cgroups {
    legacy: Vec<OwnedFd>,
    unified: Option<OwnedFd>,
}

impl Cgroups {
    /// Makes those of `side`, new ones only.
    pub fn make(orders: &Orders, side: &str) -> Result<Cgroups> {
        let name = orders.cgroup(side);
        let make = |above: &Path| {
            let above = cgroup::open(above)?;
            let (made, _) = cgroup::make(above.as_fd(), &name, true)?;
            Ok((above, made))
        };
        let mut legacy = Vec::new();
        for above in &orders.legacy {
            let (parent, made) = make(above)?;
            fill_cpuset(parent.as_fd(), made.as_fd())?;
            legacy.push(made);
        }
        let unified = orders.unified.as_deref().map(make).transpose()?;
        Ok(Cgroups {
            legacy,
            unified: unified.map(|(_, made)| made),
        })
    }

    /// Opens those of `side`, v1 first.
    pub fn open(orders: &Orders, side: &str) -> Result<Vec<OwnedFd>> {
        let name = orders.cgroup(side);
        let all = orders.legacy.iter().chain(&orders.unified);
        all.map(|above| cgroup::open(&above.join(&name))).collect()
    }

    /// Removes those of `side`; missing ones are fine.
    pub fn remove(orders: &Orders, side: &str) -> Result<()> {
        let name = orders.cgroup(side);
        for above in orders.legacy.iter().chain(&orders.unified) {
            cgroup::remove(cgroup::open(above)?.as_fd(), &name)?;
        }
        Ok(())
    }

    /// The one in which a process can be born.
    pub fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Moves this process into those it was not born in.
    pub fn enter(&self) -> Result<()> {
        self.legacy
            .iter()
            .try_for_each(|directory| cgroup::enter_v1(directory.as_fd()))
    }
}

/// A new cpuset takes nobody in before it has processors and memory; other hierarchies have none.
fn fill_cpuset(parent: BorrowedFd<'_>, made: BorrowedFd<'_>) -> Result<()> {
    for key in ["cpuset.cpus", "cpuset.mems"] {
        match file::read_at(parent, key, 4096) {
            Ok(value) => file::write_at(made, key, value.trim_ascii_end())?,
            Err(error) if error.is(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    file::write_at(made, "cgroup.clone_children", b"1")
}
