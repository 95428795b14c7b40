//! Devices that share a parent device's wire, and addresses answered for on somebody's behalf.

use super::{CHANGE, CREATE, Netlink, check_name};
use crate::error::{Errno, Result};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoVlan, IpVlanFlags, LinkAttribute, LinkInfo,
    LinkMessage,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use std::net::IpAddr;

pub use rtnetlink::packet_route::link::{IpVlanMode, MacVlanMode};

/// A device on top of a parent device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpperSpec {
    /// Name of the new device, which is born down, in this namespace.
    pub name: String,
    /// Index of the parent device.
    pub parent: u32,
    /// What it is.
    pub kind: UpperKind,
    /// Largest packet in bytes; the parent's if absent.
    pub mtu: Option<u32>,
}

/// How a device shares its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpperKind {
    /// A hardware address of its own on the parent's wire.
    Macvlan(MacVlanMode),
    /// The parent's hardware address, told apart by IP address.
    Ipvlan(IpVlanMode, IpvlanIsolation),
    /// The packets of one 802.1Q VLAN, 0–4094.
    Vlan(u16),
}

/// Whether ipvlan devices of one parent reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanIsolation {
    /// Directly.
    Bridge,
    /// Not at all.
    Private,
    /// Through the switch outside, if that sends packets back.
    Vepa,
}

impl Netlink {
    /// Makes a device on top of another; `EEXIST` if the name is taken, `EOPNOTSUPP` if the kernel lacks the kind.
    pub fn create_upper(&mut self, upper: &UpperSpec) -> Result<()> {
        check_name("RTM_NEWLINK", &upper.name)?;
        let (kind, data) = match upper.kind {
            UpperKind::Macvlan(mode) => (
                InfoKind::MacVlan,
                InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)]),
            ),
            UpperKind::Ipvlan(mode, isolation) => {
                (InfoKind::IpVlan, InfoData::IpVlan(ipvlan(mode, isolation)))
            }
            UpperKind::Vlan(id) => (InfoKind::Vlan, InfoData::Vlan(vec![InfoVlan::Id(id)])),
        };
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(upper.name.clone()),
            LinkAttribute::Link(upper.parent),
        ];
        link.attributes.extend(upper.mtu.map(LinkAttribute::Mtu));
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(kind),
            LinkInfo::Data(data),
        ]));
        self.request(RouteNetlinkMessage::NewLink(link), CREATE, || {
            format!(
                "RTM_NEWLINK {} {:?} on index {}",
                upper.name, upper.kind, upper.parent
            )
        })?;
        Ok(())
    }

    /// Makes the device with this index answer for `ip` when neighbours ask who has it; it may do so already.
    pub fn add_proxy_neighbour(&mut self, index: u32, ip: IpAddr) -> Result<()> {
        let message = RouteNetlinkMessage::NewNeighbour(proxy_neighbour(index, ip));
        match self.request(message, CREATE, || {
            format!("RTM_NEWNEIGH proxy {ip} on index {index}")
        }) {
            Err(error) if error.errno == Errno::EXIST => Ok(()),
            result => result.map(drop),
        }
    }

    /// Ends what [`add_proxy_neighbour`](Self::add_proxy_neighbour) began; an entry or device that is gone is a success.
    pub fn delete_proxy_neighbour(&mut self, index: u32, ip: IpAddr) -> Result<()> {
        let message = RouteNetlinkMessage::DelNeighbour(proxy_neighbour(index, ip));
        match self.request(message, CHANGE, || {
            format!("RTM_DELNEIGH proxy {ip} on index {index}")
        }) {
            Err(error) if [Errno::NOENT, Errno::NODEV, Errno::NXIO].contains(&error.errno) => {
                Ok(())
            }
            result => result.map(drop),
        }
    }
}

fn ipvlan(mode: IpVlanMode, isolation: IpvlanIsolation) -> Vec<InfoIpVlan> {
    let flags = match isolation {
        // Kernels before 4.15 know no flags, and this is what they do.
        IpvlanIsolation::Bridge => None,
        IpvlanIsolation::Private => Some(IpVlanFlags::Private),
        IpvlanIsolation::Vepa => Some(IpVlanFlags::Vepa),
    };
    let mut data = vec![InfoIpVlan::Mode(mode)];
    data.extend(flags.map(InfoIpVlan::Flags));
    data
}

fn proxy_neighbour(index: u32, ip: IpAddr) -> NeighbourMessage {
    let mut neighbour = NeighbourMessage::default();
    neighbour.header.family = super::message::family(ip);
    neighbour.header.ifindex = index;
    neighbour.header.state = NeighbourState::Permanent;
    neighbour.header.flags = NeighbourFlags::Proxy;
    neighbour
        .attributes
        .push(NeighbourAttribute::Destination(ip.into()));
    neighbour
}
