//! Which network devices a container gets.

use lxc_config::{Gateway, Ipv4Address, Ipv6Address, NetDevice, NetKind, Values};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Refusal;

/// A veth pair to create. What the configuration leaves open (names, addresses) the engine draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethPlan {
    /// N of `lxc.net.N`.
    pub index: u32,
    /// Bridge for the host's end.
    pub link: Option<String>,
    /// Name of the host's end; `None` = random.
    pub host_name: Option<String>,
    /// Address of the guest's end.
    pub mac: Option<[u8; 6]>,
    /// `None` = the bridge's.
    pub mtu: Option<u32>,
}

impl fmt::Display for VethPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "create a veth pair for lxc.net.{}", self.index)?;
        match &self.link {
            Some(bridge) => write!(f, " in the bridge {bridge}"),
            None => Ok(()),
        }
    }
}

/// One device as the guest configures it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicPlan {
    /// N of `lxc.net.N`.
    pub index: u32,
    /// A device comes from the host; otherwise the loopback is meant.
    pub from_host: bool,
    /// Name inside; `None` = the next free `ethN`.
    pub name: Option<String>,
    /// Bring it (and the loopback) up.
    pub up: bool,
    /// Addresses.
    pub ipv4: Vec<Ipv4Address>,
    /// Addresses.
    pub ipv6: Vec<Ipv6Address>,
    /// Default route.
    pub ipv4_gateway: Option<Gateway<Ipv4Addr>>,
    /// Default route.
    pub ipv6_gateway: Option<Gateway<Ipv6Addr>>,
}

impl fmt::Display for NicPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.from_host) {
            (Some(name), _) => f.write_str(name),
            (None, true) => write!(f, "lxc.net.{}", self.index),
            (None, false) => f.write_str("lo"),
        }
    }
}

/// The network of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// The host's.
    Shared,
    /// Its own.
    Own {
        /// Pairs to create.
        veths: Vec<VethPlan>,
        /// Devices to configure inside, in the order names are given: named ones first.
        nics: Vec<NicPlan>,
    },
}

/// Decides the network, refusing what is not implemented yet or cannot work.
pub fn network(values: &Values) -> Result<Network, Refusal> {
    let devices = &values.net;
    let shares = |d: &NetDevice| d.kind == Some(NetKind::None);
    if !devices.is_empty() && devices.iter().all(shares) {
        return Ok(Network::Shared);
    }
    let (mut veths, mut nics) = (Vec::new(), Vec::new());
    for device in devices.iter().filter(|d| !shares(d)) {
        let key = format!("lxc.net.{}.type", device.index);
        let from_host = match device.kind {
            Some(NetKind::Veth) => {
                veths.push(veth(device)?);
                true
            }
            Some(NetKind::Empty) | None => false,
            Some(NetKind::None) => continue,
            Some(other) => {
                let name = format!("network type {other:?}").to_lowercase();
                return Err(
                    Refusal::not_yet(&name, "use veth, empty or none until then")
                        .at(&key, &device.origin),
                );
            }
        };
        nics.push(nic(device, from_host)?);
    }
    nics.sort_by_key(|n| n.name.is_none());
    Ok(Network::Own { veths, nics })
}

/// What is not made where the container has no network namespace of its own, as a note.
pub fn not_made(network: &Network) -> Option<String> {
    let Network::Own { veths, nics } = network else {
        return None;
    };
    let asks = |nic: &NicPlan| nic.from_host || !nic.ipv4.is_empty() || !nic.ipv6.is_empty();
    (!veths.is_empty() || nics.iter().any(asks)).then(|| {
        "the lxc.net lines have no effect: the container has no network namespace of its own".into()
    })
}

fn veth(device: &NetDevice) -> Result<VethPlan, Refusal> {
    let bad = |what: &str, text: &str, want: &str| {
        Refusal::new(
            format!("{what} = {text} is not usable"),
            format!("it must be {want}"),
        )
        .at(&format!("lxc.net.{}.{what}", device.index), &device.origin)
    };
    let mac = match &device.hwaddr {
        None => None,
        Some(text) => Some(parse_mac(text).ok_or_else(|| {
            bad(
                "hwaddr",
                text,
                "six pairs of hex digits with colons between, the first byte even",
            )
        })?),
    };
    let mtu = match &device.mtu {
        None => None,
        Some(text) => {
            let number = text.parse().ok().filter(|m| (68..=65535).contains(m));
            Some(number.ok_or_else(|| bad("mtu", text, "a number from 68 to 65535"))?)
        }
    };
    Ok(VethPlan {
        index: device.index,
        link: device.link.clone(),
        host_name: device.veth_pair.clone(),
        mac,
        mtu,
    })
}

fn nic(device: &NetDevice, from_host: bool) -> Result<NicPlan, Refusal> {
    let refuse = |family: &str, why: &str| {
        Err(Refusal::new(
            format!("lxc.net.{} has an {family} gateway but {why}", device.index),
            format!(
                "add lxc.net.{}.flags = up and an {family} address, or remove the gateway",
                device.index
            ),
        )
        .at(&format!("lxc.net.{}", device.index), &device.origin))
    };
    let link_local = |g: &Gateway<Ipv6Addr>| match g {
        Gateway::Addr(a) => a.segments()[0] & 0xffc0 == 0xfe80,
        _ => false,
    };
    if !device.up && (device.ipv4_gateway.is_some() || device.ipv6_gateway.is_some()) {
        return refuse("IPv4 or IPv6", "is not up");
    }
    if device.ipv4_gateway.is_some() && device.ipv4.is_empty() {
        return refuse("IPv4", "no address");
    }
    if let Some(gateway) = &device.ipv6_gateway
        && device.ipv6.is_empty()
        && !link_local(gateway)
    {
        return refuse("IPv6", "no address");
    }
    let auto = matches!(device.ipv4_gateway, Some(Gateway::Auto))
        || matches!(device.ipv6_gateway, Some(Gateway::Auto));
    if auto && device.link.is_none() {
        return refuse("auto", "no link to take it from");
    }
    Ok(NicPlan {
        index: device.index,
        from_host,
        name: device.name.clone(),
        up: device.up,
        ipv4: device.ipv4.clone(),
        ipv6: device.ipv6.clone(),
        ipv4_gateway: device.ipv4_gateway,
        ipv6_gateway: device.ipv6_gateway,
    })
}

/// `aa:bb:cc:dd:ee:ff`, a unicast address.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0u8; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 2 {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    (parts.next().is_none() && mac[0] & 1 == 0).then_some(mac)
}
