//! What a user namespace with id maps needs of the host, and what of it is missing.
//!
//! Everything here can be known before anything is made. Each shortcoming is a finding of its own,
//! with the command that mends it; a start is refused with the first, lxc-checkconfig shows all.

mod overlap;
mod ranges;
mod search;

pub use overlap::{NeighbourFact, overlaps};
pub use ranges::{SubidFact, SubidRange};
pub use search::{AclEntry, AclTag, DirectoryFact};

use crate::Refusal;
use crate::idmap::{inside, on_host};
use lxc_config::{IdKind, IdRange, Located, Values};

/// What was found out about the caller and the host for id maps, gathered only if there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFacts {
    /// The caller's effective user id.
    pub euid: u32,
    /// Its effective group id.
    pub egid: u32,
    /// Its login name, if it has one.
    pub login: Option<String>,
    /// It has CAP_SETUID and CAP_SETGID: it may write any map itself.
    pub may_map: bool,
    /// It has CAP_SYS_ADMIN: limits for unprivileged users do not concern it.
    pub admin: bool,
    /// It can gain nothing by executing a program (PR_SET_NO_NEW_PRIVS).
    pub no_new_privs: bool,
    /// What /etc/subuid grants.
    pub subuid: SubidFact,
    /// What /etc/subgid grants.
    pub subgid: SubidFact,
    /// `newuidmap` of PATH.
    pub newuidmap: Option<ToolFact>,
    /// `newgidmap` of PATH.
    pub newgidmap: Option<ToolFact>,
    /// What the kernel lets users do.
    pub kernel: UsernsFact,
    /// The directories from `/` down to the rootfs; empty = none is searched by name.
    pub way: Vec<DirectoryFact>,
}

/// A program that writes maps for those who may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFact {
    /// Where it is.
    pub path: String,
    /// It is set-uid root, or has the file capability it needs.
    pub privileged: bool,
    /// It is on a file system where neither counts (mount option nosuid).
    pub nosuid: bool,
}

/// How far the kernel lets user namespaces be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsernsFact {
    /// It has them at all.
    pub present: bool,
    /// user.max_user_namespaces is 0.
    pub none_allowed: bool,
    /// kernel.unprivileged_userns_clone is 0 (kernels of Debian and its descendants).
    pub privileged_only: bool,
    /// kernel.apparmor_restrict_unprivileged_userns holds for the caller.
    pub apparmor_restricts: bool,
}

/// Who writes the maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapWriter {
    /// The caller itself.
    Direct,
    /// The set-uid programs of shadow.
    Tools {
        /// Path of newuidmap.
        newuidmap: String,
        /// Path of newgidmap.
        newgidmap: String,
    },
}

/// Who writes these maps, as LXC decides it: nobody needs the tools for the own ids, and they refuse
/// to map root of the host; apart from that they are used wherever they are installed, by root too.
pub fn writer(ranges: &[IdRange], facts: &UserFacts) -> MapWriter {
    let maps_root = ranges
        .iter()
        .any(|range| range.kind == IdKind::User && range.host == 0);
    if maps_root || only_own(ranges, facts) {
        return MapWriter::Direct;
    }
    match (&facts.newuidmap, &facts.newgidmap) {
        (Some(users), Some(groups)) if users.privileged && groups.privileged => MapWriter::Tools {
            newuidmap: users.path.clone(),
            newgidmap: groups.path.clone(),
        },
        _ => MapWriter::Direct,
    }
}

/// The ids that root of a container with these maps has on the host; `None` if it has no root.
pub fn mapped_root(ranges: &[IdRange]) -> Option<(u32, u32)> {
    let host = |kind| on_host(ranges, kind, 0);
    Some((host(IdKind::User)?, host(IdKind::Group)?))
}

/// Everything that keeps the caller from living under these maps, written by `writer`; empty = nothing
/// is known to.
pub fn findings(ranges: &[IdRange], facts: &UserFacts, writer: &MapWriter) -> Vec<Refusal> {
    let mut found = kernel(facts);
    match writer {
        MapWriter::Tools { .. } => {
            found.extend(powerless(facts));
            found.extend(ranges::ungranted(ranges, facts));
        }
        MapWriter::Direct if facts.may_map || only_own(ranges, facts) => {}
        MapWriter::Direct => {
            let users = unusable("newuidmap", facts.newuidmap.as_ref());
            let groups = unusable("newgidmap", facts.newgidmap.as_ref());
            if users.is_none() && groups.is_none() {
                found.push(maps_hosts_root());
            }
            found.extend(users.into_iter().chain(groups));
        }
    }
    if let Some((uid, gid)) = mapped_root(ranges) {
        found.extend(search::closed(&facts.way, uid, gid, ranges));
    }
    found
}

/// Refuses a start whose id maps cannot be had, pointing at their first line.
pub(crate) fn check(values: &Values, facts: Option<&UserFacts>) -> Result<(), Refusal> {
    let (Some(first), Some(facts)) = (values.idmap.first(), facts) else {
        return Ok(());
    };
    let ranges = plain(&values.idmap);
    let writer = writer(&ranges, facts);
    match findings(&ranges, facts, &writer).into_iter().next() {
        Some(finding) => Err(finding.at("lxc.idmap", &first.origin)),
        None => Ok(()),
    }
}

/// The ranges without where they were written.
pub fn plain(located: &[Located<IdRange>]) -> Vec<IdRange> {
    located.iter().map(|range| range.value).collect()
}

/// The kernel lets everybody map the own ids: one user and one group, themselves.
fn only_own(ranges: &[IdRange], facts: &UserFacts) -> bool {
    let own = |range: &IdRange| {
        let host = match range.kind {
            IdKind::User => facts.euid,
            IdKind::Group => facts.egid,
        };
        range.count == 1 && range.host == host
    };
    let of = |kind| ranges.iter().filter(|range| range.kind == kind).count();
    of(IdKind::User) <= 1 && of(IdKind::Group) <= 1 && ranges.iter().all(own)
}

fn kernel(facts: &UserFacts) -> Vec<Refusal> {
    let UsernsFact {
        present,
        none_allowed,
        privileged_only,
        apparmor_restricts,
    } = facts.kernel;
    if !present {
        return vec![Refusal::new(
            "this kernel has no user namespaces",
            "boot one that was built with CONFIG_USER_NS, or remove lxc.idmap",
        )];
    }
    let mut found = Vec::new();
    if none_allowed {
        found.push(Refusal::new(
            "this host allows no user namespaces (user.max_user_namespaces = 0)",
            "run 'sysctl -w user.max_user_namespaces=15000' as root",
        ));
    }
    if !facts.admin && privileged_only {
        found.push(Refusal::new(
            "this host lets only root make user namespaces (kernel.unprivileged_userns_clone = 0)",
            "run 'sysctl -w kernel.unprivileged_userns_clone=1' as root",
        ));
    }
    if !facts.admin && apparmor_restricts {
        found.push(Refusal::new(
            "AppArmor takes all power from user namespaces of ordinary users \
             (kernel.apparmor_restrict_unprivileged_userns = 1)",
            "run 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0' as root, or give this \
             program a profile that allows userns",
        ));
    }
    found
}

/// The tools are there, and what they have cannot be gained.
fn powerless(facts: &UserFacts) -> Option<Refusal> {
    if facts.may_map {
        return None;
    }
    if facts.no_new_privs {
        return Some(Refusal::new(
            "newuidmap and newgidmap are powerless: this process has given up gaining privileges \
             (no_new_privs)",
            "start it without that (in a systemd unit: NoNewPrivileges=no)",
        ));
    }
    let tools = [&facts.newuidmap, &facts.newgidmap];
    let tool = tools.into_iter().flatten().find(|tool| tool.nosuid)?;
    Some(Refusal::new(
        format!(
            "{} is powerless: its file system is mounted nosuid",
            tool.path
        ),
        "install it on one that is not, or remount that with the option suid",
    ))
}

/// Why a tool that is needed is not used.
fn unusable(name: &str, tool: Option<&ToolFact>) -> Option<Refusal> {
    let need = "more than the own ids can only be mapped by root or with it";
    match tool {
        None => Some(Refusal::new(
            format!("there is no {name} in PATH, and {need}"),
            "install the package uidmap (Debian) or shadow-utils",
        )),
        Some(tool) if !tool.privileged => Some(Refusal::new(
            format!("{} is not set-uid root, and {need}", tool.path),
            format!("run 'chown root {0} && chmod u+s {0}' as root", tool.path),
        )),
        Some(_) => None,
    }
}

fn maps_hosts_root() -> Refusal {
    Refusal::new(
        "only root can map the host's user 0",
        "map other ids in lxc.idmap, or run this as root",
    )
}

/// The maps with the caller's own ids beside the others, where they are not mapped yet: each at the
/// lowest id that is free inside.
pub fn with_own(ranges: &[IdRange], uid: u32, gid: u32) -> Vec<IdRange> {
    let mut all = ranges.to_vec();
    for (kind, host) in [(IdKind::User, uid), (IdKind::Group, gid)] {
        if inside(&all, kind, host).is_some() {
            continue;
        }
        let inside = free(&all, kind);
        all.push(IdRange {
            kind,
            inside,
            host,
            count: 1,
        });
    }
    all
}

/// The lowest id that means nothing inside yet.
fn free(ranges: &[IdRange], kind: IdKind) -> u32 {
    let mut lowest = 0;
    let covers = |range: &&IdRange, id: u32| {
        range.kind == kind
            && id
                .checked_sub(range.inside)
                .is_some_and(|d| d < range.count)
    };
    while let Some(range) = ranges.iter().find(|range| covers(range, lowest)) {
        lowest = range.inside + range.count;
    }
    lowest
}
