//! What was found out about the host, and only what the configuration at hand needs.

use crate::users::{NeighbourFact, UserFacts};
use crate::{ApparmorFact, Namespaces};

/// Facts about the host, gathered by the engine just before a plan is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Effective user id of the monitor.
    pub euid: u32,
    /// The hierarchies that containers may be put in, in the order of /proc/PID/cgroup.
    pub cgroups: Vec<HierarchyFact>,
    /// The kernel has cgroup namespaces (Linux 4.6).
    pub cgroup_namespace: bool,
    /// AppArmor, where it is enabled; asked for unless nothing is to be changed.
    pub apparmor: Option<ApparmorFact>,
    /// SELinux is enabled on the host; asked only when a context is set.
    pub selinux: bool,
    /// The monitor itself already runs under a seccomp filter; asked only when a profile is set.
    pub confined: bool,
    /// What `lxc.rootfs.path` names.
    pub rootfs: RootfsFact,
    /// Whether the mount point for the rootfs exists.
    pub mount_point_exists: bool,
    /// Of the paths that mounts are made from, those that do not exist.
    pub missing_sources: Vec<String>,
    /// Text of the file that `lxc.mount.fstab` names, or why it cannot be read.
    pub fstab: Option<Result<String, String>>,
    /// Highest capability number of the kernel.
    pub last_capability: u32,
    /// What the kernel offers; each asked only where the configuration needs it.
    pub kernel: KernelFacts,
    /// What `lxc.namespace.share.*` name, in the configuration's order.
    pub shared: Vec<SharedFact>,
    /// Device rules that name a path, resolved: `/dev/kvm rw` → `c 10:232 rw`; or why not.
    pub device_paths: Vec<(String, Result<String, String>)>,
    /// The kernel has no id-mapped mounts (Linux 5.12); asked only when there is to be one.
    pub no_idmapped_mounts: bool,
    /// What id maps depend on; `None` without any.
    pub users: Option<UserFacts>,
    /// The containers that run with id maps of their own; asked only for one that has some.
    pub neighbours: Vec<NeighbourFact>,
}

/// What the kernel offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelFacts {
    /// Time namespaces (Linux 5.6).
    pub time_namespace: bool,
    /// Core scheduling (Linux 5.14), whether or not the processor has sibling threads.
    pub core_scheduling: bool,
    /// Of the files below /proc that the configuration writes, those that do not exist.
    pub missing: Vec<String>,
}

/// One namespace to be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFact {
    /// Which.
    pub namespace: Namespaces,
    /// Whether there is such a namespace now, or why not, as a sentence.
    pub found: Result<(), String>,
}

/// One cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HierarchyFact {
    /// cgroup v2.
    pub unified: bool,
    /// Controllers, named ones with `name=`.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: String,
    /// The cgroup everything is created below, relative to the mount; "" = the root.
    pub base: String,
}

/// How the host arranges its hierarchies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// None usable: containers run without cgroups.
    None,
    /// v1 only.
    Legacy,
    /// v1 controllers and a v2 hierarchy beside them.
    Hybrid,
    /// v2 only.
    Unified,
}

/// What `lxc.rootfs.path` names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RootfsFact {
    /// The configuration names none: the host's root is used.
    #[default]
    NotSet,
    /// Nothing there.
    Missing,
    /// A directory.
    Directory,
    /// Something else (file, block device, …).
    Other(String),
}

impl HierarchyFact {
    /// The name of the directory it is mounted on.
    pub fn directory(&self) -> &str {
        self.mount.rsplit('/').next().unwrap_or_default()
    }
}

impl HostFacts {
    /// How the hierarchies are arranged.
    pub fn layout(&self) -> Layout {
        let legacy = self.cgroups.iter().any(|h| !h.unified);
        let unified = self.cgroups.iter().any(|h| h.unified);
        match (legacy, unified) {
            (false, false) => Layout::None,
            (true, false) => Layout::Legacy,
            (true, true) => Layout::Hybrid,
            (false, true) => Layout::Unified,
        }
    }

    /// The hierarchy that has `controller`, if one does.
    pub fn hierarchy_of(&self, controller: &str) -> Option<&HierarchyFact> {
        self.cgroups
            .iter()
            .find(|h| h.controllers.iter().any(|c| c == controller))
    }
}
