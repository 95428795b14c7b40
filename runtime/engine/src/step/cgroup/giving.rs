//! Handing a container's cgroups to the root of its user namespace, which then makes and fills
//! cgroups below them. The limits stay out of its reach: they are not among these files.

use super::{Cgroups, Payload};
use lxc_kernel::{Errno, Result, SysError, file};
use rustix::fs::{AtFlags, Gid, Mode};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// What a kernel without /sys/kernel/cgroup/delegate (before 4.15) would list.
const DELEGATED: &str = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";
/// The two files of v1 through which processes enter.
const ENTRANCES: &str = "cgroup.procs\ntasks\n";

impl Cgroups {
    /// Lets a group of the host manage the cgroups that hold the container's processes. What cannot be
    /// given is said in the log, as with LXC: most inits do without.
    pub fn give_to_group(&self, group: u32) {
        let list = match self.places.iter().any(|place| place.fact.unified) {
            true => delegated(),
            false => String::new(),
        };
        for place in &self.places {
            let names = match place.fact.unified {
                true => list.as_str(),
                false => ENTRANCES,
            };
            if let Some(payload) = &place.payload
                && let Err(error) = give(payload, names, group)
            {
                log::info!("the container's root does not get its cgroup: {error}");
            }
        }
    }
}

fn delegated() -> String {
    match file::read_path(Path::new("/sys/kernel/cgroup/delegate"), 64 << 10) {
        Ok(list) => String::from_utf8_lossy(&list).into_owned(),
        Err(_) => DELEGATED.to_owned(),
    }
}

fn give(payload: &Payload, names: &str, group: u32) -> Result<()> {
    let directory = payload.container();
    give_one(directory, "", group, 0o775)?;
    for name in names.lines().map(str::trim).filter(|it| !it.is_empty()) {
        match give_one(directory, name, group, 0o664) {
            // The kernel lists files of controllers that are not here.
            Err(error) if error.is(Errno::NOENT) => {}
            done => done?,
        }
    }
    Ok(())
}

fn give_one(directory: BorrowedFd<'_>, name: &str, group: u32, mode: u32) -> Result<()> {
    let group = Gid::from_raw(group);
    let failed = |call, errno| {
        let args = format!("{}, {name:?}", lxc_kernel::fd::describe(directory));
        SysError::new(call, args, errno)
    };
    // Nobody but the kernel makes entries of these names: there are no links to follow.
    let (name, flags) = match name {
        "" => (".", AtFlags::empty()),
        name => (name, AtFlags::SYMLINK_NOFOLLOW),
    };
    rustix::fs::chownat(directory, name, None, Some(group), flags)
        .map_err(|errno| failed("fchownat", errno))?;
    rustix::fs::chmodat(directory, name, Mode::from_raw_mode(mode), AtFlags::empty())
        .map_err(|errno| failed("fchmodat", errno))
}
