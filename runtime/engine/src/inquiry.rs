//! Questions about a running container that its monitor need not answer.

use crate::message;
use crate::wire::{Asked, Client, ClientError, DeviceKind, DeviceRule};
use lxc_kernel::device_filter::{self, Kind, Line};
use lxc_kernel::netlink::Netlink;
use lxc_kernel::process::{self, Cloned, ForkTurn};
use lxc_kernel::{Errno, Result, SysError, fd, file, socket, users};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How long a process may look.
const PATIENCE: Duration = Duration::from_secs(10);
/// CLONE_NEWUSER.
const USER: u64 = 0x1000_0000;
/// CLONE_NEWNET.
const NETWORK: u64 = 0x4000_0000;
/// Largest cgroup file read.
const FILE_MAX: usize = 1024 * 1024;

/// What is found in a network namespace.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NetworkView {
    /// Interfaces, sorted.
    pub interfaces: Vec<String>,
    /// All addresses, sorted as text.
    pub addresses: Vec<InterfaceAddress>,
}

/// An address in a network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceAddress {
    /// Name of the interface that has it.
    pub interface: String,
    /// The address.
    pub ip: IpAddr,
    /// What the C library calls its scope: the interface's index for link-local IPv6 addresses, which
    /// mean nothing without it, else 0.
    pub scope: u32,
}

/// Looks into the network namespace of the process `pidfd` refers to.
///
/// A namespace belongs to a thread: a thread of its own goes there and ends, so that the caller
/// stays where it is, whatever happens. An ordinary user gets there through the user namespace that
/// owns it, which takes a process of its own.
pub fn network(pidfd: BorrowedFd<'_>) -> Result<NetworkView> {
    match by_thread(pidfd) {
        Err(error) if error.is(Errno::PERM) && users::euid() != 0 => by_process(pidfd),
        seen => seen,
    }
}

fn by_thread(pidfd: BorrowedFd<'_>) -> Result<NetworkView> {
    std::thread::scope(|scope| {
        let looked = scope.spawn(|| {
            process::setns(pidfd, NETWORK)?;
            look()
        });
        let lost = || SysError::new("clone", "thread", Errno::IO);
        looked.join().map_err(|_| lost())?
    })
}

/// The same by a fork, which takes no lock but the allocator's; its failure crosses as an errno.
fn by_process(pidfd: BorrowedFd<'_>) -> Result<NetworkView> {
    let (ours, theirs) = fd::pair()?;
    let turn = ForkTurn::take();
    match turn.fork()? {
        Cloned::Child => {
            drop((turn, ours));
            let seen = process::setns(pidfd, USER | NETWORK).and_then(|()| look());
            let word = seen.map_err(|error| error.errno.raw_os_error());
            // Whoever asked sees an answer that does not come.
            let _ = message::send(theirs.as_fd(), &word, &[]);
            process::exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            drop((turn, theirs));
            let answer = socket::set_receive_timeout(ours.as_fd(), Some(PATIENCE)).and_then(|()| {
                message::receive::<std::result::Result<NetworkView, i32>>(ours.as_fd())
            });
            // It has ended, or has nothing left to do.
            let _ = process::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
            match process::wait_pid(pid) {
                // A caller that ignores SIGCHLD has no child left to reap.
                Err(error) if !error.is(Errno::CHILD) => return Err(error),
                _ => {}
            }
            let failed = |errno| SysError::new("setns", "user and network namespace", errno);
            match answer? {
                Some((Ok(view), _)) => Ok(view),
                Some((Err(errno), _)) => Err(failed(Errno::from_raw_os_error(errno))),
                None => Err(failed(Errno::CHILD)),
            }
        }
    }
}

fn look() -> Result<NetworkView> {
    let mut netlink = Netlink::open()?;
    let mut interfaces: Vec<String> = netlink.links()?.into_iter().map(|(_, name)| name).collect();
    interfaces.sort();
    let mut addresses: Vec<InterfaceAddress> = netlink
        .addresses(None)?
        .into_iter()
        .map(|a| InterfaceAddress {
            scope: if is_link_local(a.ip) { a.index } else { 0 },
            interface: a.name,
            ip: a.ip,
        })
        .collect();
    addresses.sort_by_cached_key(|address| address.ip.to_string());
    Ok(NetworkView {
        interfaces,
        addresses,
    })
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// Init's pidfd, or `None` when the container does not run.
pub fn init_pidfd(client: &Client) -> std::result::Result<Option<OwnedFd>, ClientError> {
    match client.init_pidfd()? {
        Asked::Stopped => Ok(None),
        Asked::Answer(Some(pidfd)) => Ok(Some(pidfd)),
        Asked::Answer(None) => match client.init_pid()? {
            Asked::Stopped => Ok(None),
            Asked::Answer(pid) => process::pidfd_open(pid).map(Some).map_err(ClientError::Sys),
        },
    }
}

/// Reads a file of the running container's cgroup, such as `memory.current`; `None` when it does
/// not run or has no such file.
pub fn cgroup_item(
    client: &Client,
    name: &str,
) -> std::result::Result<Option<String>, ClientError> {
    let Some(controller) = controller_of(name) else {
        return Ok(None);
    };
    let directory = match client.cgroup_fd(controller, true) {
        Ok(Asked::Answer(Some(found))) => found.fd,
        Ok(_) => return Ok(None),
        // A monitor says so when it has no such controller.
        Err(ClientError::Refused { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    match file::read_at(directory.as_fd(), name, FILE_MAX) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.errno == Errno::NOENT => Ok(None),
        Err(error) => Err(ClientError::Sys(error)),
    }
}

/// The hierarchy a file belongs to; `None` for what cannot be a cgroup's file.
fn controller_of(name: &str) -> Option<&str> {
    let valid = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    name.split('.').next().filter(|_| valid)
}

/// Writes a file of the running container's cgroup, the one that has its limits, in one piece. The
/// device rules of a pure v2 host, which has no such files, go to the monitor.
///
/// # Errors
/// EINVAL for what cannot be a file or rule, ENOENT for a file there is not, and what the kernel or
/// the monitor says.
pub fn set_cgroup_item(
    client: &Client,
    name: &str,
    value: &str,
) -> std::result::Result<Asked<()>, ClientError> {
    let refused = |errno| ClientError::Sys(SysError::new("write", format!("{name:?}"), errno));
    let controller = controller_of(name).filter(|_| !value.is_empty());
    let controller = controller.ok_or_else(|| refused(Errno::INVAL))?;
    let Asked::Answer(found) = client.cgroup_fd(controller, true)? else {
        return Ok(Asked::Stopped);
    };
    // On a pure v2 host a program decides about devices, and the monitor has it.
    let directory = found.filter(|found| controller != "devices" || !found.is_unified());
    match (directory, name) {
        (Some(found), _) => {
            file::write_at(found.fd.as_fd(), name, value.as_bytes())?;
            Ok(Asked::Answer(()))
        }
        (None, "devices.allow") => client.add_device_rule(&device_rule("allow", value)?),
        (None, "devices.deny") => client.add_device_rule(&device_rule("deny", value)?),
        (None, _) => Err(refused(Errno::NOENT)),
    }
}

fn device_rule(verb: &str, text: &str) -> std::result::Result<DeviceRule, ClientError> {
    let line = device_filter::parse_rule(verb, text)
        .map_err(|why| ClientError::Sys(SysError::new("write", why, Errno::INVAL)))?;
    Ok(match line {
        Line::Everything { allow } => DeviceRule {
            kind: DeviceKind::All,
            major: None,
            minor: None,
            access: String::new(),
            allow,
        },
        Line::Rule(rule) => DeviceRule {
            kind: match rule.kind {
                Kind::All => DeviceKind::All,
                Kind::Block => DeviceKind::Block,
                Kind::Char => DeviceKind::Char,
            },
            major: rule.major,
            minor: rule.minor,
            // The last word, in every form a rule can have.
            access: text
                .rsplit(|c: char| c.is_ascii_whitespace())
                .next()
                .unwrap_or_default()
                .to_owned(),
            allow: rule.allow,
        },
    })
}

/// Whether the process blocks `signal`: systemd as init blocks SIGRTMIN+3, its halt signal.
pub fn blocks_signal(pid: i32, signal: i32) -> bool {
    let path = format!("/proc/{pid}/status");
    let Ok(status) = file::read_path(std::path::Path::new(&path), 64 * 1024) else {
        return false;
    };
    let status = String::from_utf8_lossy(&status);
    let mask = status.lines().find_map(|l| l.strip_prefix("SigBlk:"));
    let mask = mask
        .and_then(|m| u64::from_str_radix(m.trim(), 16).ok())
        .unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

/// Sends `signal` to exactly that process.
pub fn signal(pidfd: &OwnedFd, signal: i32) -> Result<()> {
    process::pidfd_signal(pidfd.as_fd(), signal)
}
