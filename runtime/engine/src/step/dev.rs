//! /dev: the tmpfs, its nodes, the private devpts, the links. All by the descriptor of the mount
//! just made, or of a directory that is no link; nothing of the guest's is ever a source.

use crate::guest::GuestWorld;
use crate::step::mounts::{io, real_directory};
use lxc_config::attr;
use lxc_kernel::{Errno, Result, SysError, fd, mount};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The nodes every container gets: name, major, minor.
const NODES: [(&str, u32, u32); 6] = [
    ("full", 1, 7),
    ("null", 1, 3),
    ("random", 1, 8),
    ("tty", 5, 0),
    ("urandom", 1, 9),
    ("zero", 1, 5),
];

/// The links every container gets.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// A tmpfs of `size` bytes on /dev, with an empty /dev/pts.
pub fn mount(size: u64, world: &mut GuestWorld<'_>) -> Result<()> {
    let target = real_directory("dev", world.root()?)?;
    let options = [format!("size={size}"), "mode=755".to_string()];
    let dev = mount::new_mount("tmpfs", Some("none"), &options, 0)?;
    mount::attach(dev.as_fd(), target.as_fd())?;
    mkdir(dev.as_fd(), "pts")?;
    world.dev = Some(dev);
    Ok(())
}

fn mkdir(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(SysError::new("mkdirat", name.to_string(), error)),
    }
}

/// Makes the nodes; where mknod is not allowed the host's are bound instead.
pub fn populate(world: &mut GuestWorld<'_>) -> Result<()> {
    let dev = world.dev()?;
    let before = rustix::process::umask(Mode::empty());
    let done = NODES.iter().try_for_each(|(name, major, minor)| {
        let device = rustix::fs::makedev(*major, *minor);
        let mode = Mode::from_raw_mode(0o666);
        match rustix::fs::mknodat(dev, *name, FileType::CharacterDevice, mode, device) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(Errno::PERM) => bind_host_node(dev.as_fd(), name, device),
            Err(error) => Err(SysError::new("mknodat", name.to_string(), error)),
        }
    });
    rustix::process::umask(before);
    done
}

/// Binds the host's node, after checking that it is the device it claims to be.
fn bind_host_node(dev: BorrowedFd<'_>, name: &str, device: u64) -> Result<()> {
    let path = format!("/dev/{name}");
    let node = mount::clone_tree(None, Path::new(&path), false)?;
    let found = rustix::fs::fstat(&node).map_err(|e| SysError::new("fstat", path.clone(), e))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::CharacterDevice
        || found.st_rdev != device
    {
        return Err(SysError::new("fstat", path, Errno::NXIO));
    }
    let place = placeholder(dev, name)?;
    mount::attach(node.as_fd(), place.as_fd())
}

/// An empty regular file to mount onto; something else of that name is the error, never followed.
pub fn placeholder(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let failed =
        |call, errno| SysError::new(call, format!("{}, {name:?}", fd::describe(dir)), errno);
    let mode = Mode::from_raw_mode(0o600);
    match rustix::fs::mknodat(dir, name, FileType::RegularFile, mode, 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(failed("mknodat", error)),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, name, flags, Mode::empty())
        .map_err(|error| failed("openat", error))?;
    let found = rustix::fs::fstat(&file).map_err(|error| failed("fstat", error))?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Symlink => Err(failed("openat", Errno::LOOP)),
        FileType::Directory => Err(failed("openat", Errno::ISDIR)),
        _ => Ok(file),
    }
}

/// A real directory below /dev, made if it is missing.
pub fn subdirectory(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    mkdir(dir, name)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
        .map_err(|e| SysError::new("openat", format!("{}, {name:?}", fd::describe(dir)), e))
}

/// A devpts instance on /dev/pts, and its ptmx on /dev/ptmx.
pub fn mount_devpts(max: u32, ptmx: bool, world: &mut GuestWorld<'_>) -> Result<()> {
    let dev = world.dev()?.try_clone().map_err(|e| io("dup", &e))?;
    let target = subdirectory(dev.as_fd(), "pts")?;
    let max = format!("max={max}");
    let with_group = ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5", &max];
    let options: Vec<String> = with_group.iter().map(ToString::to_string).collect();
    let attrs = attr::NOSUID | attr::NOEXEC;
    let devpts = match mount::new_mount("devpts", Some("devpts"), &options, attrs) {
        // Group 5 (tty) may not exist in a user namespace; the terminals work without.
        Err(error) if error.errno == Errno::INVAL => {
            let options: Vec<_> = options
                .into_iter()
                .filter(|o| !o.starts_with("gid"))
                .collect();
            mount::new_mount("devpts", Some("devpts"), &options, attrs)?
        }
        made => made?,
    };
    mount::attach(devpts.as_fd(), target.as_fd())?;
    if ptmx {
        let device = mount::clone_tree(Some(devpts.as_fd()), Path::new("ptmx"), false)?;
        remove_link(dev.as_fd(), "ptmx");
        let place = placeholder(dev.as_fd(), "ptmx")?;
        mount::attach(device.as_fd(), place.as_fd())?;
    }
    world.devpts = Some(devpts);
    Ok(())
}

/// A rootfs may bring /dev/ptmx as a link to pts/ptmx; ours replaces it. What is not there or is
/// mounted over cannot be removed and need not be.
fn remove_link(dev: BorrowedFd<'_>, name: &str) {
    let _ = rustix::fs::unlinkat(dev, name, AtFlags::empty());
}

/// /dev/fd and the standard streams; what a read-only rootfs refuses is left out.
pub fn link(world: &mut GuestWorld<'_>) -> Result<()> {
    let Ok(dev) = world.dev() else { return Ok(()) };
    for (name, target) in LINKS {
        match rustix::fs::symlinkat(target, dev, name) {
            Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
            Err(error) => return Err(SysError::new("symlinkat", name.to_string(), error)),
        }
    }
    Ok(())
}
