//! Probes of mounts.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use lxc_kernel::mount::{self, Propagation, new_mount, set_idmap};
use lxc_kernel::process::{CloneSpec, Cloned, clone_process, exit_now};
use lxc_kernel::{Errno, SysError};
use rustix::mount::MountFlags;
use rustix::process::Signal;

use super::{Had, NEW_USER, failed, file_failed, in_child, map_root, why};
use crate::watch::Watch;

/// Shifts the owners of a new tmpfs by a new user namespace's map.
///
/// Older kernels do it for other filesystems only, and say EINVAL of a tmpfs. That they know the
/// call all the same shows in what they say of the first user namespace: EPERM.
pub fn idmap(watch: &mut Watch) -> Had {
    in_child(watch, 0, || {
        let other = Other::new()?;
        let path = format!("/proc/{}/ns/user", other.pid);
        match try_idmap(&path) {
            Err(error) if error.is(Errno::INVAL) => match try_idmap("/proc/self/ns/user") {
                Err(first) if first.is(Errno::PERM) => Ok(()),
                _ => Err(why(error)),
            },
            other => other.map_err(why),
        }
    })
}

/// The same, where only success counts.
pub fn idmapped_tmpfs(watch: &mut Watch) -> Had {
    in_child(watch, 0, || {
        let other = Other::new()?;
        try_idmap(&format!("/proc/{}/ns/user", other.pid)).map_err(why)
    })
}

fn try_idmap(namespace: &str) -> lxc_kernel::Result<()> {
    let tmpfs = new_mount("tmpfs", None, &[], 0)?;
    // Not O_PATH: the kernel wants a namespace that is really open.
    let namespace = std::fs::File::open(namespace).map_err(|error| {
        SysError::new(
            "open",
            namespace,
            Errno::from_io_error(&error).unwrap_or(Errno::IO),
        )
    })?;
    set_idmap(tmpfs.as_fd(), namespace.as_fd(), false)
}

/// A process in a user namespace of its own, for as long as this value lives.
struct Other {
    pid: i32,
    /// It waits for the end of this.
    _line: OwnedFd,
}

impl Other {
    fn new() -> Result<Other, String> {
        let (ours, its) = lxc_kernel::fd::pair().map_err(why)?;
        let child = CloneSpec {
            namespaces: NEW_USER,
            into_cgroup: None,
            exit_signal: Signal::CHILD.as_raw(),
            extra: 0,
        };
        let Cloned::Parent { pid, .. } = clone_process(&child).map_err(why)? else {
            drop(ours);
            let said = map_root().err().unwrap_or_default();
            // Sent even if empty; then the end of our life, or of the one who waits.
            let _ =
                lxc_kernel::socket::send(its.as_fd(), format!("{said} ").as_bytes(), &[], false);
            let _ = rustix::io::retry_on_intr(|| rustix::io::read(&its, &mut [0; 1]));
            exit_now(0)
        };
        drop(its);
        let mut said = [0; 256];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&ours, &mut said))
            .map_err(|errno| failed("read", errno))?;
        match String::from_utf8_lossy(&said[..length]).trim() {
            "" if length > 0 => Ok(Other { pid, _line: ours }),
            said => Err(said.to_owned()),
        }
    }
}

/// Mounts an overlay of three directories, in the caller's own mount namespace.
pub fn overlay() -> Had {
    const PLACE: &str = "/mnt";
    mount::set_propagation(Path::new("/"), Propagation::Private, true).map_err(why)?;
    crate::setup::filesystem("tmpfs", PLACE, MountFlags::empty(), "")?;
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(format!("{PLACE}/{name}")).map_err(|error| file_failed("mkdir", error))?;
    }
    let options = format!("lowerdir={PLACE}/lower,upperdir={PLACE}/upper,workdir={PLACE}/work");
    let merged = format!("{PLACE}/merged");
    mount::classic(
        Some("overlay"),
        Path::new(&merged),
        Some("overlay"),
        0,
        Some(&options),
    )
    .map_err(why)
}
