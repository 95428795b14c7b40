//! The monitor's cgroup work that needs more than its own rights where it is an ordinary user's.

use super::Monitor;
use crate::step::idmap;
use lxc_kernel::{Errno, Result, users};

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

    /// Removes the container's cgroup. What the guest made below is not the monitor's to remove when
    /// that is an ordinary user's: the container's root does it.
    pub fn remove_payload(&mut self) -> Result<()> {
        let removed = self.live.cgroups.remove_payload();
        let denied = |errno| matches!(errno, Errno::ACCESS | Errno::PERM);
        let (Err(error), Some(map)) = (&removed, &self.live.idmap) else {
            return removed;
        };
        if !denied(error.errno) {
            return removed;
        }
        let cgroups = &mut self.live.cgroups;
        let tried = idmap::as_root_of(map, || {
            // Whether it worked is seen below.
            let _ = cgroups.remove_payload();
        });
        if let Err(error) = tried {
            log::info!("the container's root cannot remove its cgroup: {error}");
        }
        self.live.cgroups.remove_payload()
    }
}
