//! What the monitor does to the container's cgroups for others to use or be rid of.

use super::Monitor;
use crate::step::idmap;
use lxc_kernel::{Result, users};

impl Monitor {
    /// Lets a group of the host, that of the container's root, manage the container's cgroup.
    pub fn give_cgroup(&self, group: u32) {
        let cgroups = &self.live.cgroups;
        match &self.live.idmap {
            Some(map) if users::euid() != 0 => {
                let given = idmap::as_root_of(map, || cgroups.give_to_group(map.setup.1));
                if let Err(error) = given {
                    log::info!("the container's root does not get its cgroup: {error}");
                }
            }
            _ => cgroups.give_to_group(group),
        }
    }

    /// Removes the container's cgroup.
    pub fn remove_payload(&mut self) -> Result<()> {
        self.live.cgroups.remove_payload()
    }
}
