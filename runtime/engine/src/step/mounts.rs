//! proc, sysfs and what the configuration mounts. Every target is a descriptor that was
//! resolved inside the rootfs once; the mount is moved onto that descriptor.

use crate::guest::GuestWorld;
use crate::step::idmapped_mount;
use lxc_config::{Bind, Create, MountEntry, MountOptions, ProcMode, SysMode, attr};
use lxc_kernel::{Errno, Result, SysError, file, inroot::Root, mount};
use lxc_plan::PlannedMount;
use rustix::fs::FileType;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What proc and sysfs are mounted with.
pub const LOCKED_DOWN: u64 = attr::NOSUID | attr::NODEV | attr::NOEXEC;

const READ_ONLY: mount::Change = mount::Change {
    set: attr::RDONLY,
    clear: 0,
    recursive: false,
};

/// What a link of the rootfs may not lead a mount to.
const BEHIND_A_LINK: &str = "a part of proc or sysfs, behind a link";

/// A directory directly below the root that is no link: /dev, proc and sysfs go nowhere else. Made
/// if it is missing.
pub fn real_directory(name: &str, root: &Root) -> Result<OwnedFd> {
    let found = match root.resolve_nofollow(name) {
        Err(error) if error.errno == Errno::NOENT => return root.mkdirs(name, 0o755),
        found => found?,
    };
    let stat = rustix::fs::fstat(&found).map_err(|e| SysError::new("fstat", name, e))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok(found),
        _ => Err(SysError::new("openat2", name, Errno::NOTDIR)),
    }
}

/// proc, with /proc/sys and sysrq-trigger read-only unless `Rw`.
pub fn proc(mode: ProcMode, writable_net: bool, world: &mut GuestWorld<'_>) -> Result<()> {
    let target = real_directory("proc", world.root()?)?;
    let proc = mount::new_mount("proc", Some("proc"), &[], LOCKED_DOWN)?;
    mount::attach(proc.as_fd(), target.as_fd())?;
    if mode == ProcMode::Mixed {
        let inside = Root::from_fd(proc.try_clone().map_err(|e| io("dup", &e))?);
        // Cloned before /proc/sys is covered, so that it is still the writable one.
        let net = match writable_net {
            true => present(mount::clone_tree(
                Some(proc.as_fd()),
                Path::new("sys/net"),
                false,
            ))?,
            false => None,
        };
        let sys = mount::clone_tree(Some(proc.as_fd()), Path::new("sys"), false)?;
        mount::attach_with(
            sys.as_fd(),
            inside.resolve_nofollow("sys")?.as_fd(),
            &READ_ONLY,
        )?;
        if let Some(net) = net {
            let place = Root::from_fd(sys).resolve_nofollow("net")?;
            mount::attach(net.as_fd(), place.as_fd())?;
        }
        let trigger = Path::new("sysrq-trigger");
        if let Some(sysrq) = present(mount::clone_tree(Some(proc.as_fd()), trigger, false))? {
            mount::attach_with(
                sysrq.as_fd(),
                inside.resolve_nofollow("sysrq-trigger")?.as_fd(),
                &READ_ONLY,
            )?;
        }
    }
    world.proc = Some(proc);
    Ok(())
}

/// sysfs; `Mixed` leaves devices/virtual/net writable, the container's own devices.
pub fn sys(mode: SysMode, world: &mut GuestWorld<'_>) -> Result<()> {
    let target = real_directory("sys", world.root()?)?;
    let sys = mount::new_mount("sysfs", Some("sysfs"), &[], LOCKED_DOWN)?;
    mount::attach(sys.as_fd(), target.as_fd())?;
    if mode == SysMode::Rw {
        return Ok(());
    }
    let net = match mode {
        SysMode::Mixed => {
            let path = Path::new("devices/virtual/net");
            present(mount::clone_tree(Some(sys.as_fd()), path, false))?
        }
        SysMode::Ro | SysMode::Rw => None,
    };
    mount::change(sys.as_fd(), &READ_ONLY)?;
    if let Some(net) = net {
        let place = Root::from_fd(sys).resolve_nofollow("devices/virtual/net")?;
        mount::attach(net.as_fd(), place.as_fd())?;
    }
    Ok(())
}

/// A kernel without the file has nothing to protect there.
fn present(found: Result<OwnedFd>) -> Result<Option<OwnedFd>> {
    match found {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.errno == Errno::NOENT => Ok(None),
        Err(error) => Err(error),
    }
}

/// One configured mount; `optional` ones that fail are noted and skipped.
pub fn entry(planned: &PlannedMount, world: &mut GuestWorld<'_>) -> Result<()> {
    match attach_entry(planned, world) {
        Err(error) if planned.entry.options.optional => {
            mount::abandon_prepared();
            world.note(2, format!("skipped {}: {error}", planned.shown()));
            Ok(())
        }
        done => done,
    }
}

fn attach_entry(planned: &PlannedMount, world: &mut GuestWorld<'_>) -> Result<()> {
    let options = &planned.entry.options;
    // The source first: without one, nothing is created in the rootfs.
    let mounted = source_of(&planned.entry, world)?;
    idmapped_mount::ask(&planned.entry, &mounted, world)?;
    let root = world.root()?;
    let target = match options.create {
        Some(Create::Dir) => root.mkdirs(&planned.target, 0o755)?,
        Some(Create::File) => root.create_file(&planned.target, 0)?,
        None => root.resolve(&planned.target)?,
    };
    if world.own_root {
        check_target(root, &planned.target, target.as_fd())?;
    }
    mount::attach_with(mounted.as_fd(), target.as_fd(), &change_of(options))?;
    if let Some((wanted, recursive)) = options.propagation {
        mount::set_propagation_fd(mounted.as_fd(), propagation(wanted), recursive)?;
    }
    Ok(())
}

/// Refuses what the container was never meant to be covered at.
fn check_target(root: &Root, written: &str, found: BorrowedFd<'_>) -> Result<()> {
    if same_file(root.fd(), found)? {
        // The container would run on what lies beneath, every attach on what lies above.
        return Err(SysError::new(
            "move_mount",
            "the rootfs itself",
            Errno::BUSY,
        ));
    }
    // proc and sysfs tell those inside, and those who join, what is true. The author of the
    // configuration may cover a part of them, and names it; a link of the rootfs may not choose one.
    let Some(name) = reserved(found)? else {
        return Ok(());
    };
    let named = is_below(written, name)
        || match root.resolve_nofollow(written) {
            Ok(direct) => same_file(direct.as_fd(), found)?,
            Err(_) => false,
        };
    match named {
        true => Ok(()),
        false => Err(SysError::new("move_mount", BEHIND_A_LINK, Errno::XDEV)),
    }
}

/// Which directory a filesystem belongs on that tells of the system; nothing for all others.
fn reserved(found: BorrowedFd<'_>) -> Result<Option<&'static str>> {
    const SYSFS_MAGIC: rustix::fs::FsWord = 0x6265_6572;
    let on = rustix::fs::fstatfs(found).map_err(|e| SysError::new("fstatfs", "mount target", e))?;
    Ok(match on.f_type {
        rustix::fs::PROC_SUPER_MAGIC => Some("proc"),
        SYSFS_MAGIC => Some("sys"),
        _ => None,
    })
}

/// Does the way that `path` tells begin with `name`?
fn is_below(path: &str, name: &str) -> bool {
    path.split('/').find(|part| !matches!(*part, "" | ".")) == Some(name)
}

/// The mount that an entry is about: a copy, the mount itself, or a new one.
fn source_of(entry: &MountEntry, world: &GuestWorld<'_>) -> Result<OwnedFd> {
    let options = &entry.options;
    let inside = match options.relative && (options.bind.is_some() || options.moves) {
        true => Some(world.root()?.resolve(&entry.source)?),
        false => None,
    };
    match (options.bind, options.moves, inside) {
        (_, true, Some(inside)) => Ok(inside),
        (_, true, None) => file::open_path(Path::new(&entry.source)),
        (Some(bind), false, inside) => {
            let recursive = bind == Bind::Recursive;
            match inside {
                Some(inside) => mount::clone_tree(Some(inside.as_fd()), Path::new(""), recursive),
                None => mount::clone_tree(None, Path::new(&entry.source), recursive),
            }
        }
        (None, false, _) => new_filesystem(entry),
    }
}

fn new_filesystem(entry: &MountEntry) -> Result<OwnedFd> {
    let options = &entry.options;
    prepare_overlay(&entry.fstype, &options.data)?;
    let mut data = options.data.clone();
    if options.set & attr::RDONLY != 0 {
        // The filesystem too: a device that is write-protected can be mounted in no other way.
        data.push("ro".into());
    }
    mount::new_mount(&entry.fstype, Some(&entry.source), &data, options.set)
}

/// What is different about a copied mount. It keeps what its source is restricted by, whatever the
/// words `rw`, `suid` and `exec` say: those who mounted the source decided that. And like LXC the
/// words are about the mount alone, not about those below it.
fn change_of(options: &MountOptions) -> mount::Change {
    if options.bind.is_none() && !options.moves {
        // Made with its attributes.
        return mount::Change::default();
    }
    const KEPT: u64 = attr::RDONLY | attr::NOSUID | attr::NOEXEC;
    mount::Change {
        set: options.set,
        clear: options.clear & !KEPT,
        recursive: false,
    }
}

/// The kernel's word for a propagation.
pub fn propagation(wanted: lxc_config::Propagation) -> mount::Propagation {
    match wanted {
        lxc_config::Propagation::Private => mount::Propagation::Private,
        lxc_config::Propagation::Shared => mount::Propagation::Shared,
        lxc_config::Propagation::Slave => mount::Propagation::Slave,
        lxc_config::Propagation::Unbindable => mount::Propagation::Unbindable,
    }
}

/// Makes the directory that mounts of the host arrive in a slave, after the switch has made every
/// mount a peer: what the guest mounts there stays inside.
pub fn receive(target: &str) -> Result<()> {
    let found = Root::open(Path::new("/"))?.resolve(target)?;
    mount::set_propagation_fd(found.as_fd(), mount::Propagation::Slave, true)
}

fn same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    let id = |fd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let ids = id(one).and_then(|one| Ok(one == id(other)?));
    ids.map_err(|e| SysError::new("fstat", "mount target", e))
}

/// LXC makes an overlay's upper and work directories when they are missing.
fn prepare_overlay(fstype: &str, data: &[String]) -> Result<()> {
    if !fstype.starts_with("overlay") {
        return Ok(());
    }
    for option in data {
        let path = option
            .strip_prefix("upperdir=")
            .or_else(|| option.strip_prefix("workdir="));
        if let Some(path) = path {
            std::fs::create_dir_all(path).map_err(|e| io(&format!("mkdir {path}"), &e))?;
        }
    }
    Ok(())
}

/// An error of the standard library in the kernel crate's words.
pub fn io(call: &str, error: &std::io::Error) -> SysError {
    let errno = error
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error);
    SysError::new("io", call.to_string(), errno)
}
