//! Builds the messages we send and reads those we get; no socket here.

use super::{Address, Link, LinkChange, VethSpec};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A request for devices that leaves out the statistics, which are most of an answer.
pub(super) fn link_query() -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes
        .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    link
}

pub(super) fn veth(spec: &VethSpec) -> LinkMessage {
    let mut peer = LinkMessage::default();
    peer.attributes = vec![LinkAttribute::IfName(spec.peer_name.clone())];
    peer.attributes
        .push(LinkAttribute::NetNsFd(spec.peer_netns.as_raw_fd()));
    peer.attributes.extend(
        spec.peer_mac
            .map(|mac| LinkAttribute::Address(mac.to_vec())),
    );
    peer.attributes.extend(spec.mtu.map(LinkAttribute::Mtu));

    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(spec.host_name.clone())];
    link.attributes.extend(
        spec.host_mac
            .map(|mac| LinkAttribute::Address(mac.to_vec())),
    );
    link.attributes.extend(spec.mtu.map(LinkAttribute::Mtu));
    link.attributes
        .extend(spec.bridge.map(LinkAttribute::Controller));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    if spec.up {
        set_up(&mut link, true);
    }
    link
}

pub(super) fn link_change(index: u32, change: &LinkChange) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes
        .extend(change.name.clone().map(LinkAttribute::IfName));
    link.attributes
        .extend(change.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    link.attributes.extend(change.mtu.map(LinkAttribute::Mtu));
    link.attributes
        .extend(change.master.map(LinkAttribute::Controller));
    if let Some(up) = change.up {
        set_up(&mut link, up);
    }
    link
}

pub(super) fn link_move(index: u32, netns: BorrowedFd, name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes
        .push(LinkAttribute::NetNsFd(netns.as_raw_fd()));
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

pub(super) fn address(
    index: u32,
    ip: IpAddr,
    prefix: u8,
    broadcast: Option<Ipv4Addr>,
) -> AddressMessage {
    let mut address = AddressMessage::default();
    address.header.family = family(ip);
    address.header.prefix_len = prefix;
    address.header.index = index;
    address.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    address
        .attributes
        .extend(broadcast.map(AddressAttribute::Broadcast));
    address
}

/// The route to everywhere; `everywhere` only tells the family.
pub(super) fn default_route(index: u32, everywhere: IpAddr, via: Option<IpAddr>) -> RouteMessage {
    let mut route = route(index, family(everywhere), RouteScope::Universe);
    route
        .attributes
        .extend(via.map(|via| RouteAttribute::Gateway(via.into())));
    route
}

pub(super) fn link_route(index: u32, ip: IpAddr, prefix: u8) -> RouteMessage {
    let mut route = route(index, family(ip), RouteScope::Link);
    route.header.destination_prefix_length = prefix;
    route
        .attributes
        .push(RouteAttribute::Destination(ip.into()));
    route
}

fn route(index: u32, family: AddressFamily, scope: RouteScope) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = family;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Boot;
    route.header.scope = scope;
    route.header.kind = RouteType::Unicast;
    route.attributes.push(RouteAttribute::Oif(index));
    route
}

pub(super) fn family(ip: IpAddr) -> AddressFamily {
    match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn set_up(link: &mut LinkMessage, up: bool) {
    link.header.change_mask |= LinkFlags::Up;
    link.header.flags.set(LinkFlags::Up, up);
}

pub(super) fn link_of(message: &RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else {
        return None;
    };
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mtu: 0,
        is_bridge: false,
        up: message.header.flags.contains(LinkFlags::Up),
        mac: None,
        master: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(mac) => link.mac = Some(mac.clone()),
            LinkAttribute::Controller(master) => link.master = Some(*master),
            LinkAttribute::LinkInfo(info) => {
                link.is_bridge = info
                    .iter()
                    .any(|item| matches!(item, LinkInfo::Kind(InfoKind::Bridge)));
            }
            _ => {}
        }
    }
    Some(link)
}

/// An address without its device's name, which the message does not carry.
pub(super) fn address_of(message: &RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = message else {
        return None;
    };
    let local = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Local(ip) => Some(*ip),
            _ => None,
        });
    // IPv6 carries no IFA_LOCAL; on a point-to-point IPv4 link IFA_ADDRESS is the other side.
    let ip = local.or_else(|| {
        message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Address(ip) => Some(*ip),
                _ => None,
            })
    })?;
    Some(Address {
        index: message.header.index,
        name: String::new(),
        ip,
        prefix: message.header.prefix_len,
        scope: message.header.scope.into(),
    })
}

/// The text of `NLMSGERR_ATTR_MSG` in an error's payload: the request's 16-byte header, then attributes.
pub(super) fn kernel_sentence(payload: &[u8]) -> Option<String> {
    const REQUEST_HEADER: usize = 16;
    const MSG: u16 = 1;
    let mut rest = payload.get(REQUEST_HEADER..)?;
    while let [l0, l1, t0, t1, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = rest.get(4..length)?;
        if u16::from_ne_bytes([t0, t1]) == MSG {
            let text = value.split(|byte| *byte == 0).next()?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_sentence_is_found_behind_other_attributes() {
        let offset: &[u8] = &[8, 0, 2, 0, 40, 0, 0, 0];
        let text: &[u8] = b"\x0b\0\x01\0no way\0\0";
        let header = [0_u8; 16];
        let check = |parts: &[&[u8]], expected: Option<&str>| {
            assert_eq!(
                kernel_sentence(&parts.concat()).as_deref(),
                expected,
                "{parts:?}"
            );
        };
        check(&[&header, offset, text], Some("no way"));
        check(&[&header, text], Some("no way"));
        check(&[&header, offset], None);
        check(&[&header], None);
        check(&[], None);
        check(&[&header, &[3, 0, 1, 0]], None);
        check(&[&header, &[0, 0, 0, 0]], None);
        check(&[&header, &[255, 0, 1, 0, 65]], None);
    }
}
