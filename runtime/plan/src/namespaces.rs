//! Which namespaces a container gets.

use crate::{HostFacts, Layout, Refusal};
use lxc_config::{Namespaces as Asked, Origin, Values};
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

/// A namespace that is joined instead of made (`lxc.namespace.share.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedNamespace {
    /// Which.
    pub namespace: Namespaces,
    /// The name /proc/PID/ns gives it.
    pub name: &'static str,
    /// Whose: a pid, a container's name, or an absolute path.
    pub source: String,
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
    let joined = joined(values, facts)?;
    let mut own = asked(values, facts, own_network)?;
    for (namespace, _) in &joined {
        own = own.without(namespace.namespace);
    }
    if !own.has(Namespaces::MNT) {
        nothing_is_mounted(values, &joined)?;
    }
    clocks(values, facts, own)?;
    if values.sched_core && !own.has(Namespaces::PID) {
        return Err(Refusal::new(
            "lxc.sched.core needs a pid namespace of the container's own",
            "remove it, or do not keep or share the pid namespace",
        ));
    }
    let mut unshared = Namespaces::default();
    if own.has(Namespaces::USER.with(Namespaces::NET)) {
        // Who its files belong to is decided when it is made, and needs the id maps.
        unshared = Namespaces::NET;
    }
    // Its root is the cgroup the process is in when it makes the namespace: with a v1 hierarchy
    // that is only so after the guest has moved itself.
    if own.has(Namespaces::CGROUP) && facts.layout() != Layout::Unified {
        unshared = unshared.with(Namespaces::CGROUP);
    }
    // Its clocks must be set before anybody is in it.
    if own.has(Namespaces::TIME) {
        unshared = unshared.with(Namespaces::TIME);
    }
    Ok(Chosen { own, unshared })
}

fn bit(namespace: lxc_config::Namespace) -> Namespaces {
    use lxc_config::Namespace::{Cgroup, Ipc, Mount, Net, Pid, Time, User, Uts};
    match namespace {
        User => Namespaces::USER,
        Mount => Namespaces::MNT,
        Pid => Namespaces::PID,
        Uts => Namespaces::UTS,
        Ipc => Namespaces::IPC,
        Net => Namespaces::NET,
        Cgroup => Namespaces::CGROUP,
        Time => Namespaces::TIME,
    }
}

fn set(list: &[lxc_config::Namespace]) -> Namespaces {
    list.iter()
        .fold(Namespaces::default(), |set, one| set.with(bit(*one)))
}

/// What is made before sharing takes its part away.
fn asked(values: &Values, facts: &HostFacts, own_network: bool) -> Result<Namespaces, Refusal> {
    let mapped = !values.idmap.is_empty();
    let at = |key: &str, refusal: Refusal| match &values.namespaces_origin {
        Some(origin) => refusal.at(key, origin),
        None => refusal,
    };
    match &values.namespaces {
        Asked::Usual => {
            let mut own = Namespaces::MNT
                .with(Namespaces::PID)
                .with(Namespaces::UTS)
                .with(Namespaces::IPC);
            let wanted = [
                (own_network, Namespaces::NET),
                (mapped, Namespaces::USER),
                (facts.cgroup_namespace, Namespaces::CGROUP),
                (has_offsets(values), Namespaces::TIME),
            ];
            for (_, namespace) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
                own = own.with(namespace);
            }
            Ok(own)
        }
        Asked::Clone(list) => {
            let key = "lxc.namespace.clone";
            let own = set(list);
            if let Some((what, remedy)) = not_makeable(own, facts, mapped, own_network) {
                return Err(at(key, Refusal::new(what, remedy)));
            }
            maps_are_used(mapped, own).map_err(|refusal| at(key, refusal))?;
            Ok(own)
        }
        Asked::Keep(list) => {
            let kept = set(list);
            let mut own = Namespaces::ALL
                .into_iter()
                .fold(Namespaces::default(), |all, (_, one)| all.with(one))
                .without(kept);
            // A user namespace without maps has no users, and what the kernel lacks or the network's
            // type rules out was not asked for by a list of what is kept.
            let absent = [
                (!mapped, Namespaces::USER),
                (!own_network, Namespaces::NET),
                (!facts.cgroup_namespace, Namespaces::CGROUP),
                (
                    !facts.kernel.time_namespace && !has_offsets(values),
                    Namespaces::TIME,
                ),
            ];
            for (_, namespace) in absent.into_iter().filter(|(absent, _)| *absent) {
                own = own.without(namespace);
            }
            maps_are_used(mapped, own).map_err(|refusal| at("lxc.namespace.keep", refusal))?;
            Ok(own)
        }
    }
}

/// What `lxc.namespace.clone` names and cannot be had, with the remedy.
fn not_makeable(
    own: Namespaces,
    facts: &HostFacts,
    mapped: bool,
    own_network: bool,
) -> Option<(&'static str, &'static str)> {
    if own.has(Namespaces::USER) && !mapped {
        return Some((
            "a user namespace is asked for and no line says which ids are in it",
            "add lxc.idmap lines, or leave out 'user'",
        ));
    }
    if own.has(Namespaces::NET) && !own_network {
        return Some((
            "a network namespace is asked for, and lxc.net.N.type = none asks for the host's",
            "leave out 'net', or use lxc.net.0.type = empty",
        ));
    }
    if own.has(Namespaces::CGROUP) && !facts.cgroup_namespace {
        return Some(("this kernel has no cgroup namespaces", "leave out 'cgroup'"));
    }
    if own.has(Namespaces::TIME) && !facts.kernel.time_namespace {
        return Some((
            "this kernel has no time namespaces (Linux 5.6, CONFIG_TIME_NS)",
            "leave out 'time'",
        ));
    }
    None
}

fn maps_are_used(mapped: bool, own: Namespaces) -> Result<(), Refusal> {
    if !mapped || own.has(Namespaces::USER) {
        return Ok(());
    }
    Err(Refusal::new(
        "lxc.idmap maps the ids of a user namespace, and the container gets none of its own",
        "remove the lxc.idmap lines, or let it have a user namespace",
    ))
}

fn has_offsets(values: &Values) -> bool {
    let offsets = [&values.time.boot, &values.time.monotonic];
    offsets.iter().any(|offset| offset.origin.is_some())
}

/// Offsets need a time namespace of the container's own.
fn clocks(values: &Values, facts: &HostFacts, own: Namespaces) -> Result<(), Refusal> {
    let boot = ("lxc.time.offset.boot", &values.time.boot.origin);
    let monotonic = ("lxc.time.offset.monotonic", &values.time.monotonic.origin);
    let first = [boot, monotonic]
        .into_iter()
        .find_map(|(key, origin)| Some((key, origin.as_ref()?)));
    let Some((key, origin)) = first else {
        return Ok(());
    };
    if !own.has(Namespaces::TIME) {
        return Err(Refusal::new(
            "clocks cannot be set apart in a time namespace that is not the container's own",
            "remove the offset, or do not keep or share the time namespace",
        )
        .at(key, origin));
    }
    if !facts.kernel.time_namespace {
        return Err(Refusal::new(
            "this kernel has no time namespaces (Linux 5.6, CONFIG_TIME_NS)",
            "remove the offset: all containers have the host's clocks",
        )
        .at(key, origin));
    }
    Ok(())
}

/// What is shared, with the line that says so, in the order in which it has to be joined: LXC's, the
/// user namespace first because the others may be its own.
///
/// # Errors
/// One of them is not there.
pub fn joined(
    values: &Values,
    facts: &HostFacts,
) -> Result<Vec<(JoinedNamespace, Origin)>, Refusal> {
    let mut joined = Vec::with_capacity(values.shared_namespaces.len());
    for shared in &values.shared_namespaces {
        let namespace = bit(shared.value.namespace);
        let name = namespace.names().next().unwrap_or_default();
        let key = format!("lxc.namespace.share.{name}");
        let found = facts.shared.iter().find(|fact| fact.namespace == namespace);
        if let Some(Err(why)) = found.map(|fact| &fact.found) {
            return Err(Refusal::new(
                why.clone(),
                "name the pid of a process, a running container, or an absolute path of a namespace \
                 file or of a container's directory",
            )
            .at(&key, &shared.origin));
        }
        if namespace == Namespaces::USER {
            let remedy = "share the other namespaces, or give the container id maps of its own";
            let what = "sharing a user namespace";
            return Err(Refusal::not_yet(what, remedy).at(&key, &shared.origin));
        }
        let joins = JoinedNamespace {
            namespace,
            name,
            source: shared.value.source.clone(),
        };
        joined.push((joins, shared.origin.clone()));
    }
    Ok(joined)
}

/// In mounts that others see as well nothing may be mounted, and their root not be changed: the
/// container has no files of its own then.
fn nothing_is_mounted(
    values: &Values,
    joined: &[(JoinedNamespace, Origin)],
) -> Result<(), Refusal> {
    let shared = joined
        .iter()
        .any(|(one, _)| one.namespace == Namespaces::MNT);
    let whose = match shared {
        true => "those it shares",
        false => "the host's",
    };
    let refuse = |key: &str, origin: Option<&Origin>| {
        let refusal = Refusal::new(
            format!("without mounts of its own the container would change {whose} with {key}"),
            format!(
                "remove {key}, or do not keep or share the mnt namespace; a program can run on \
                 the other's files without"
            ),
        );
        Err(match origin {
            Some(origin) => refusal.at(key, origin),
            None => refusal,
        })
    };
    if let Some(path) = &values.rootfs.path {
        return refuse("lxc.rootfs.path", Some(&path.origin));
    }
    if let Some(entry) = values.mount_entries.first() {
        return refuse("lxc.mount.entry", Some(&entry.origin));
    }
    if let Some(fstab) = &values.mount_fstab {
        return refuse("lxc.mount.fstab", Some(&fstab.origin));
    }
    let auto = &values.mount_auto;
    if auto.proc.is_some() || auto.sys.is_some() || auto.cgroup.is_some() {
        return refuse("lxc.mount.auto", None);
    }
    let hooks = [
        ("lxc.hook.pre-mount", &values.hooks.pre_mount),
        ("lxc.hook.mount", &values.hooks.mount),
        ("lxc.hook.autodev", &values.hooks.autodev),
    ];
    for (key, hooks) in hooks {
        if let Some(hook) = hooks.first() {
            return refuse(key, Some(&hook.origin));
        }
    }
    Ok(())
}
