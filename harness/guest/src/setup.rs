//! What makes the initramfs a host: a root that can be pivoted away from, and its filesystems.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use lxc_guest::protocol::LXCPATH;
use lxc_kernel::mount::{self, Propagation};
use lxc_kernel::netlink::{LinkChange, Netlink};
use lxc_kernel::process;
use rustix::mount::{MountFlags, mount as mount_fs, mount_bind, mount_move};

use crate::trouble::{Calling, Outcome, Told};

/// Gives `/` a mount below it, without which pivot_root(2) is impossible for every container.
///
/// The initramfs is the bottom of the mount tree. A bind mount of it, moved over it, shows the same
/// files and has a parent. User namespaces see no change of root, because the new one covers the old.
pub fn root() -> Outcome {
    const PLACE: &str = "/mnt";
    directory(PLACE, 0o755)?;
    mount_bind("/", PLACE).calling("mount", format_args!("/ on {PLACE}, MS_BIND"))?;
    process::chdir(Path::new(PLACE)).told()?;
    mount_move(".", "/").calling("mount", format_args!("{PLACE} on /, MS_MOVE"))?;
    rustix::process::chroot(".").calling("chroot", PLACE)?;
    process::chdir(Path::new("/")).told()
}

const NODEV: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
const QUIET: MountFlags = NODEV.union(MountFlags::NOEXEC);
const TERMINALS: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);

/// Mount point, type, flags, options: as distributions mount them.
const MOUNTS: &[(&str, &str, MountFlags, &str)] = &[
    ("/proc", "proc", QUIET, ""),
    ("/sys", "sysfs", QUIET, ""),
    ("/dev", "devtmpfs", MountFlags::NOSUID, "mode=0755"),
    (
        "/dev/pts",
        "devpts",
        TERMINALS,
        "gid=5,mode=620,ptmxmode=666",
    ),
    ("/dev/shm", "tmpfs", NODEV, "mode=1777"),
    ("/run", "tmpfs", NODEV, "mode=0755"),
    ("/tmp", "tmpfs", NODEV, "mode=1777"),
];

/// Mounts what every host has, and shares all mounts, as hosts with systemd do.
pub fn mounts() -> Outcome {
    process::set_umask(0o022);
    for (target, fstype, flags, options) in MOUNTS {
        directory(target, 0o755)?;
        filesystem(fstype, target, *flags, options)?;
    }
    // Where AppArmor is looked for; a kernel without any security module has none.
    const SECURITY: &str = "/sys/kernel/security";
    if Path::new(SECURITY).is_dir() {
        filesystem("securityfs", SECURITY, QUIET, "")?;
    }
    mount::set_propagation(Path::new("/"), Propagation::Shared, true).told()
}

/// Mounts a filesystem of the kernel's own.
pub fn filesystem(fstype: &str, target: &str, flags: MountFlags, options: &str) -> Outcome {
    let data = std::ffi::CString::new(options).map_err(|_| format!("{options:?} holds a NUL"))?;
    mount_fs(fstype, target, fstype, flags, data.as_c_str())
        .calling("mount", format_args!("{fstype} on {target}, {options:?}"))
}

/// Everything that needs those mounts and nothing else waits for.
pub fn rest() -> Outcome {
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, link).calling("symlink", link)?;
    }
    // Unpacked without a word about it, the initramfs's own directory is anybody's.
    fs::set_permissions("/", Permissions::from_mode(0o755)).calling("chmod", "/")?;
    for (path, mode) in [("/run/lock", 0o1777), (LXCPATH, 0o755), ("/root", 0o700)] {
        directory(path, mode)?;
    }
    process::set_hostname("machine").told()?;
    // What is run inherits it.
    process::chdir(Path::new("/root")).told()?;
    loopback()
}

/// Makes a directory and what is missing above it; one that is there keeps its mode.
fn directory(path: &str, mode: u32) -> Outcome {
    if Path::new(path).is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).calling("mkdir", path)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).calling("chmod", path)
}

fn loopback() -> Outcome {
    /// It is the first interface of every network namespace.
    const INDEX: u32 = 1;
    let up = LinkChange {
        up: Some(true),
        ..LinkChange::default()
    };
    Netlink::open().told()?.set_link(INDEX, &up).told()
}
