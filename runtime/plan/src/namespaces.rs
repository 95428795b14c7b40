//! Which namespaces a container gets.

use crate::{HostFacts, Layout, Refusal};
use lxc_config::Values;
use std::fmt;

/// A set of namespaces, as CLONE_NEW* bits (`linux/sched.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Namespaces(pub u64);

impl Namespaces {
    /// CLONE_NEWNS.
    pub const MNT: Namespaces = Namespaces(0x0002_0000);
    /// CLONE_NEWCGROUP.
    pub const CGROUP: Namespaces = Namespaces(0x0200_0000);
    /// CLONE_NEWUTS.
    pub const UTS: Namespaces = Namespaces(0x0400_0000);
    /// CLONE_NEWIPC.
    pub const IPC: Namespaces = Namespaces(0x0800_0000);
    /// CLONE_NEWUSER.
    pub const USER: Namespaces = Namespaces(0x1000_0000);
    /// CLONE_NEWPID.
    pub const PID: Namespaces = Namespaces(0x2000_0000);
    /// CLONE_NEWNET.
    pub const NET: Namespaces = Namespaces(0x4000_0000);
    /// CLONE_NEWTIME.
    pub const TIME: Namespaces = Namespaces(0x0000_0080);

    /// Every namespace with the name /proc/PID/ns gives it, in LXC's order.
    pub const ALL: [(&'static str, Namespaces); 8] = [
        ("user", Self::USER),
        ("mnt", Self::MNT),
        ("pid", Self::PID),
        ("uts", Self::UTS),
        ("ipc", Self::IPC),
        ("net", Self::NET),
        ("cgroup", Self::CGROUP),
        ("time", Self::TIME),
    ];

    /// Both sets together.
    pub fn with(self, other: Namespaces) -> Namespaces {
        Namespaces(self.0 | other.0)
    }

    /// This set without `other`.
    pub fn without(self, other: Namespaces) -> Namespaces {
        Namespaces(self.0 & !other.0)
    }

    /// Whether all of `other` are in this set.
    pub fn has(self, other: Namespaces) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the members, in LXC's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .into_iter()
            .filter(move |(_, n)| self.has(*n))
            .map(|(name, _)| name)
    }

    /// The namespace called `name` (`mnt`, `net`, …, any case; `mount`, `network`, `utsname` as
    /// lxc-attach spells them).
    pub fn named(name: &str) -> Option<Namespaces> {
        let name = name.to_ascii_lowercase();
        let name = match name.as_str() {
            "mount" => "mnt",
            "network" => "net",
            "utsname" => "uts",
            other => other,
        };
        Self::ALL
            .into_iter()
            .find(|(n, _)| *n == name)
            .map(|(_, n)| n)
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(" "))
    }
}

/// The namespaces of one start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// What the guest ends up with of its own.
    pub own: Namespaces,
    /// Of these, the ones it makes itself after the clone.
    pub unshared: Namespaces,
}

/// Decides which namespaces the container gets; `own_network` = its configuration wants one.
///
/// # Errors
/// What the configuration asks for contradicts itself, or this kernel lacks it.
pub fn choose(values: &Values, facts: &HostFacts, own_network: bool) -> Result<Chosen, Refusal> {
    let mut own = Namespaces::MNT
        .with(Namespaces::PID)
        .with(Namespaces::UTS)
        .with(Namespaces::IPC);
    if own_network {
        own = own.with(Namespaces::NET);
    }
    if !values.idmap.is_empty() {
        own = own.with(Namespaces::USER);
    }
    let mut unshared = Namespaces::default();
    if own.has(Namespaces::USER.with(Namespaces::NET)) {
        // Who its files belong to is decided when it is made, and needs the id maps.
        unshared = Namespaces::NET;
    }
    if facts.cgroup_namespace {
        own = own.with(Namespaces::CGROUP);
        // Its root is the cgroup the process is in when it makes the namespace: with a v1 hierarchy
        // that is only so after the guest has moved itself.
        if facts.layout() != Layout::Unified {
            unshared = unshared.with(Namespaces::CGROUP);
        }
    }
    Ok(Chosen { own, unshared })
}
