//! Network devices, both halves: the host makes the pairs, the guest configures its ends.

use crate::guest::GuestWorld;
use crate::message::{self, FromGuest, GuestNic};
use lxc_config::Gateway;
use lxc_kernel::netlink::{LinkChange, Netlink, VethSpec, random_mac, random_name};
use lxc_kernel::{Errno, Result, SysError, file};
use lxc_plan::{NicPlan, VethPlan};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// A veth's host end, whose first byte 0xfe keeps a bridge from taking its address.
const HOST_MAC_FIRST: u8 = 0xfe;

/// Makes one pair, its far end born inside `netns`; returns the host end's name and what the guest
/// needs to know.
pub fn create_veth(
    plan: &VethPlan,
    nics: &[NicPlan],
    netlink: &mut Netlink,
    netns: BorrowedFd<'_>,
) -> Result<(String, GuestNic)> {
    let bridge = match &plan.link {
        Some(link) => Some(netlink.link(link)?),
        None => None,
    };
    let host_name = plan
        .host_name
        .clone()
        .unwrap_or_else(|| random_name("vethXXXXXX"));
    let name = random_name("vethXXXXXX");
    let spec = VethSpec {
        host_name: host_name.clone(),
        host_mac: Some(random_mac(Some(HOST_MAC_FIRST))),
        peer_name: name.clone(),
        peer_mac: plan.mac,
        mtu: plan.mtu.or(bridge.as_ref().map(|b| b.mtu)),
        bridge: bridge.as_ref().map(|b| b.index),
        peer_netns: netns,
        up: true,
    };
    netlink.create_veth(&spec)?;
    if bridge.is_some() {
        // A port needs no IPv6 address of its own; a kernel without IPv6 has no such file.
        let path = format!("/proc/sys/net/ipv6/conf/{host_name}/disable_ipv6");
        let path = Path::new(&path);
        if let (Some(folder), Some(leaf)) = (path.parent(), path.file_name())
            && let Ok(folder) = file::open_dir(folder)
        {
            let _ = file::write_at(folder.as_fd(), &leaf.to_string_lossy(), b"1");
        }
    }
    let nic = nics.iter().find(|n| n.index == plan.index);
    let gateways = match (nic, &bridge) {
        (Some(nic), Some(bridge)) => auto_gateways(nic, bridge.index, netlink)?,
        _ => (None, None),
    };
    let guest = GuestNic {
        index: plan.index,
        name,
        gateway4: gateways.0,
        gateway6: gateways.1,
    };
    Ok((host_name, guest))
}

type Gateways = (Option<std::net::Ipv4Addr>, Option<std::net::Ipv6Addr>);

/// `gateway = auto`: the first address the bridge has of the family.
fn auto_gateways(nic: &NicPlan, bridge: u32, netlink: &mut Netlink) -> Result<Gateways> {
    let wants4 = nic.ipv4_gateway == Some(Gateway::Auto);
    let wants6 = nic.ipv6_gateway == Some(Gateway::Auto);
    if !wants4 && !wants6 {
        return Ok((None, None));
    }
    let addresses = netlink.addresses(Some(bridge))?;
    let four = addresses.iter().find_map(|a| match a.ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    let six = addresses.iter().find_map(|a| match a.ip {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    });
    if wants4 && four.is_none() || wants6 && six.is_none() {
        return Err(SysError::new(
            "rtnetlink",
            format!(
                "gateway auto for lxc.net.{}: the bridge has no address",
                nic.index
            ),
            Errno::ADDRNOTAVAIL,
        ));
    }
    Ok((four, six))
}

/// Inside: names, addresses, up, routes — in the order of the plan, named devices first, so that
/// `ethN` fills the gaps they leave.
pub fn configure(nics: &[NicPlan], made: &[GuestNic], world: &mut GuestWorld<'_>) -> Result<()> {
    let quiet =
        |nic: &NicPlan| !nic.from_host && !nic.up && nic.ipv4.is_empty() && nic.ipv6.is_empty();
    if nics.iter().all(quiet) {
        // A loopback that stays down needs no netlink: LXC's default network.
        return Ok(());
    }
    let mut netlink = Netlink::open()?;
    let mut names = Vec::with_capacity(nics.len());
    let mut next = 0;
    let mut loopback_up = false;
    for nic in nics {
        let device = made.iter().find(|m| m.index == nic.index);
        let current = match (nic.from_host, device) {
            (true, Some(device)) => device.name.as_str(),
            (true, None) => {
                let what = format!("lxc.net.{}", nic.index);
                return Err(SysError::new("rtnetlink", what, Errno::NODEV));
            }
            (false, _) => "lo",
        };
        let index = netlink.link_index(current)?;
        let name = match (&nic.name, nic.from_host) {
            (Some(name), true) => name.clone(),
            (None, true) => free_name(nics, &mut next),
            (_, false) => "lo".to_string(),
        };
        let change = LinkChange {
            name: (name != current).then(|| name.clone()),
            ..LinkChange::default()
        };
        if change.name.is_some() {
            netlink.set_link(index, &change)?;
        }
        for a in &nic.ipv4 {
            netlink.add_address_v4(index, a.addr, a.prefix, a.broadcast)?;
        }
        for a in &nic.ipv6 {
            netlink.add_address_v6(index, a.addr, a.prefix)?;
        }
        if nic.up {
            let up = LinkChange {
                up: Some(true),
                ..LinkChange::default()
            };
            netlink.set_link(index, &up)?;
            if nic.from_host && !loopback_up {
                let loopback = netlink.link_index("lo")?;
                netlink.set_link(loopback, &up)?;
            }
            loopback_up = true;
        }
        routes(nic, device, index, &mut netlink)?;
        names.push(name);
    }
    message::send(world.socket.as_fd(), &FromGuest::NicNames(names), &[])
}

/// The next `ethN` that no device claims by name.
fn free_name(nics: &[NicPlan], next: &mut u32) -> String {
    loop {
        let name = format!("eth{next}");
        *next += 1;
        if nics.iter().all(|n| n.name.as_deref() != Some(&name)) {
            return name;
        }
    }
}

/// Default routes; a gateway outside every prefix is made reachable by a route of its own first.
fn routes(
    nic: &NicPlan,
    device: Option<&GuestNic>,
    index: u32,
    netlink: &mut Netlink,
) -> Result<()> {
    if let Some(gateway) = nic.ipv4_gateway {
        let via = match gateway {
            Gateway::Dev => None,
            Gateway::Addr(address) => Some(address),
            Gateway::Auto => device.and_then(|d| d.gateway4),
        };
        match (netlink.add_default_route_v4(index, via), via) {
            (Err(error), Some(address)) if error.errno != Errno::EXIST => {
                netlink.add_link_route_v4(index, address, 32)?;
                netlink.add_default_route_v4(index, via)?;
            }
            (done, _) => done?,
        }
    }
    if let Some(gateway) = nic.ipv6_gateway {
        let via = match gateway {
            Gateway::Dev => None,
            Gateway::Addr(address) => Some(address),
            Gateway::Auto => device.and_then(|d| d.gateway6),
        };
        match (netlink.add_default_route_v6(index, via), via) {
            (Err(error), Some(address)) if error.errno != Errno::EXIST => {
                netlink.add_link_route_v6(index, address, 128)?;
                netlink.add_default_route_v6(index, via)?;
            }
            (done, _) => done?,
        }
    }
    Ok(())
}
