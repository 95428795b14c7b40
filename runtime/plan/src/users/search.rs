//! Whether root of a container may pass the directories above its rootfs.

use crate::Refusal;
use crate::idmap::inside;
use lxc_config::{IdKind, IdRange};

/// A directory on the way to the rootfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryFact {
    /// Its path, without links.
    pub path: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Its access control list; empty = only the bits count.
    pub acl: Vec<AclEntry>,
}

/// One entry of an access control list, as the kernel stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AclEntry {
    /// Whom it concerns.
    pub tag: AclTag,
    /// What they may: 4 read, 2 write, 1 search.
    pub permissions: u16,
}

/// Whom an entry of an access control list concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclTag {
    /// The owner.
    Owner,
    /// This user.
    User(u32),
    /// The owning group.
    OwningGroup,
    /// This group.
    Group(u32),
    /// The most that all but the owner and others get.
    Mask,
    /// Everybody else.
    Other,
}

const SEARCH: u16 = 1;

/// The first directory that these ids may not search.
pub(super) fn closed(
    way: &[DirectoryFact],
    uid: u32,
    gid: u32,
    ranges: &[IdRange],
) -> Option<Refusal> {
    let closed = way
        .iter()
        .find(|directory| !has_power(directory, ranges) && !allowed(directory, uid, gid))?;
    let path = &closed.path;
    let class = match () {
        () if closed.uid == uid => 'u',
        () if closed.gid == gid => 'g',
        () => 'o',
    };
    Some(Refusal::new(
        format!("root of the container, user {uid} of the host, may not search {path}"),
        format!("run 'setfacl -m u:{uid}:x {path}' (or 'chmod {class}+x {path}')"),
    ))
}

/// Root of a user namespace has its capabilities over what belongs to mapped ids.
fn has_power(directory: &DirectoryFact, ranges: &[IdRange]) -> bool {
    let mapped = |kind, id| inside(ranges, kind, id).is_some();
    mapped(IdKind::User, directory.uid) && mapped(IdKind::Group, directory.gid)
}

/// The kernel's decision for a process with these ids, no other groups and no capabilities.
fn allowed(directory: &DirectoryFact, uid: u32, gid: u32) -> bool {
    let bits = |shift: u32| directory.mode >> shift & u32::from(SEARCH) != 0;
    if directory.uid == uid {
        return bits(6);
    }
    if directory.acl.is_empty() {
        return bits(if directory.gid == gid { 3 } else { 0 });
    }
    let entry = |tag: AclTag| directory.acl.iter().find(|entry| entry.tag == tag);
    let grants = |entry: &AclEntry| entry.permissions & SEARCH != 0;
    let masked = entry(AclTag::Mask).is_none_or(grants);
    if let Some(user) = entry(AclTag::User(uid)) {
        return grants(user) && masked;
    }
    let owning = entry(AclTag::OwningGroup).filter(|_| directory.gid == gid);
    let groups: Vec<&AclEntry> = [owning, entry(AclTag::Group(gid))]
        .into_iter()
        .flatten()
        .collect();
    if groups.is_empty() {
        return entry(AclTag::Other).is_some_and(grants);
    }
    // Any one of them is enough; none is an answer too: others' rights do not count then.
    masked && groups.into_iter().any(grants)
}
