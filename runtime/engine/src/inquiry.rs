//! Questions about a running container that its monitor need not answer.

use crate::wire::{Asked, Client, ClientError};
use lxc_kernel::netlink::Netlink;
use lxc_kernel::{Errno, Result, SysError, file, process};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// CLONE_NEWNET.
const NETWORK: u64 = 0x4000_0000;
/// Largest cgroup file read.
const FILE_MAX: usize = 1024 * 1024;

/// What is found in a network namespace.
#[derive(Debug, Clone, Default)]
pub struct NetworkView {
    /// Interfaces, sorted.
    pub interfaces: Vec<String>,
    /// Addresses with their interface, loopback excluded, sorted as text.
    pub addresses: Vec<(String, IpAddr)>,
}

/// Looks into the network namespace of the process `pidfd` refers to.
///
/// A namespace belongs to a thread: a thread of its own goes there and ends, so that the caller
/// stays where it is, whatever happens.
pub fn network(pidfd: BorrowedFd<'_>) -> Result<NetworkView> {
    std::thread::scope(|scope| {
        let looked = scope.spawn(|| {
            process::setns(pidfd, NETWORK)?;
            look()
        });
        let lost = || SysError::new("clone", "thread", Errno::IO);
        looked.join().map_err(|_| lost())?
    })
}

fn look() -> Result<NetworkView> {
    let mut netlink = Netlink::open()?;
    let mut interfaces: Vec<String> = netlink.links()?.into_iter().map(|(_, name)| name).collect();
    interfaces.sort();
    let mut addresses: Vec<(String, IpAddr)> = netlink
        .addresses(None)?
        .into_iter()
        .filter(|a| a.name != "lo" && !a.ip.is_loopback() && !is_link_local(a.ip))
        .map(|a| (a.name, a.ip))
        .collect();
    addresses.sort_by_key(|(_, ip)| ip.to_string());
    Ok(NetworkView {
        interfaces,
        addresses,
    })
}

/// LXC leaves out IPv6 addresses of any other scope than the one asked for: global.
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
    let valid = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    let controller = name.split('.').next().filter(|_| valid);
    let Some(controller) = controller else {
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
