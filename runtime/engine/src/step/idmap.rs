//! The user namespace of a start: its maps, whom the guest becomes, what of the host is given to it.

use crate::failure::{Failure, FailureKind};
use crate::guest::{self, GuestWorld, Problem};
use crate::message::{self, FromGuest, ToGuest};
use lxc_config::{IdKind, IdRange};
use lxc_kernel::idmap::{self, Kind, Range, Writer};
use lxc_kernel::{Errno, Result, process, procfs, users};
use lxc_plan::IdmapPlan;
use lxc_plan::users::MapWriter;
use rustix::fs::{Gid, Uid};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// CLONE_NEWNET.
const NEW_NETWORK: u64 = 0x4000_0000;

/// A range in the kernel crate's words.
pub fn range(range: &IdRange) -> Range {
    Range {
        kind: match range.kind {
            IdKind::User => Kind::User,
            IdKind::Group => Kind::Group,
        },
        inside: range.inside,
        outside: range.host,
        count: range.count,
    }
}

/// The same as a line of a configuration says it.
pub fn configured(range: &Range) -> IdRange {
    IdRange {
        kind: match range.kind {
            Kind::User => IdKind::User,
            Kind::Group => IdKind::Group,
        },
        inside: range.inside,
        host: range.outside,
        count: range.count,
    }
}

/// Writes the maps of the guest, whose pid this is.
pub fn write(map: &IdmapPlan, guest: i32) -> std::result::Result<(), Problem> {
    let ranges: Vec<Range> = map.ranges.iter().map(range).collect();
    idmap::write(guest, &ranges, &writer(&map.writer)).map_err(|error| match error {
        idmap::Error::Sys(error) => Problem::Call(error),
        told => Problem::Told(refused(map, &told)),
    })
}

fn refused(map: &IdmapPlan, error: &idmap::Error) -> Failure {
    let sentence = format!("cannot map the ids {map}: {error}");
    Failure::new(FailureKind::Step, sentence).hint(
        "grant the ranges to this user ('usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST \
         USER'), or use granted ones in lxc.idmap",
    )
}

/// Does `work` in a child that is the container's root and owns what the caller owns: what an ordinary
/// user may do with the files of both at once.
///
/// # Errors
/// There is no such child. What `work` could not do is its own to tell.
pub fn as_root_of(map: &IdmapPlan, work: impl FnOnce()) -> std::result::Result<(), idmap::Error> {
    let mut ranges: Vec<Range> = map.ranges.iter().map(range).collect();
    for (kind, own) in [(Kind::User, users::euid()), (Kind::Group, users::egid())] {
        let same = ranges.iter().filter(|it| it.kind == kind);
        let mapped = same.clone().any(|it| {
            let distance = own.checked_sub(it.outside);
            distance.is_some_and(|distance| distance < it.count)
        });
        let free = same.filter_map(|it| it.inside.checked_add(it.count)).max();
        if let Some(inside) = free.filter(|_| !mapped) {
            ranges.push(Range {
                kind,
                inside,
                outside: own,
                count: 1,
            });
        }
    }
    let work = || {
        work();
        0
    };
    idmap::in_user_namespace(&ranges, &writer(&map.writer), Some(map.setup), work).map(drop)
}

/// Who writes the maps, in the kernel crate's words.
pub fn writer(planned: &MapWriter) -> Writer<'_> {
    match planned {
        MapWriter::Direct => Writer::Direct,
        MapWriter::Tools {
            newuidmap,
            newgidmap,
        } => Writer::Tools {
            newuidmap: Path::new(newuidmap),
            newgidmap: Path::new(newgidmap),
        },
    }
}

/// The guest's part: waits for its maps and becomes somebody in them.
pub fn take_ids(
    (uid, gid): (u32, u32),
    new_network: bool,
    world: &mut GuestWorld<'_>,
) -> Result<()> {
    guest::next_word(world, |word| matches!(word, ToGuest::Mapped))?;
    if new_network {
        process::unshare(NEW_NETWORK)?;
        // While it is its own: what is forked and changes its ids belongs to nobody in /proc.
        let network = procfs::Proc::host()?.open_own_ns("net")?;
        let word = FromGuest::Network;
        message::send(world.socket.as_fd(), &word, &[network.as_fd()])?;
    }
    match process::set_groups(&[]) {
        // Denied where an ordinary user wrote the map of groups himself.
        Err(error) if error.is(Errno::PERM) => {}
        done => done?,
    }
    process::set_ids(uid, gid)?;
    // It keeps a copy of the monitor's memory until it executes, and may stay one as a minimal init.
    process::set_dumpable(false)?;
    // Changing ids clears it.
    process::set_parent_death_signal(libc::SIGKILL)
}

/// Gives a terminal of the host's to the container's root. Without the right to do so it stays the
/// caller's: its descriptors work all the same.
pub fn give_terminal(map: &IdmapPlan, terminal: BorrowedFd<'_>) -> Result<()> {
    let (uid, gid) = map.host;
    match rustix::fs::fchown(terminal, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
        Err(Errno::PERM) => {
            log::info!("the console stays the caller's: no right to give it away");
            Ok(())
        }
        done => done.map_err(|e| lxc_kernel::SysError::new("fchown", format!("{uid}, {gid}"), e)),
    }
}
