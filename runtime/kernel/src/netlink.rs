//! Network devices, addresses and routes, over one `NETLINK_ROUTE` socket.
//!
//! All calls block, start no thread and end after five seconds at the latest (`ETIMEDOUT`). A socket belongs to the
//! network namespace of the thread that opened it and stays there when the thread moves on. Errors carry the
//! message's name, its object and, where the kernel gave one, the kernel's own sentence.

mod executor;
mod message;
mod names;
mod upper;

use crate::error::{Errno, Result, SysError};
use executor::Executor;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

pub use names::{random_mac, random_name, valid_name};
pub use upper::{IpVlanMode, IpvlanIsolation, MacVlanMode, UpperKind, UpperSpec};

/// Flags of a request that makes something and refuses to touch what exists.
const CREATE: u16 = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
/// Flags of a request that changes something that exists.
const CHANGE: u16 = NLM_F_REQUEST | NLM_F_ACK;
/// Flags of a request for one object.
const GET: u16 = NLM_F_REQUEST;
/// Flags of a request for all objects of a kind.
const DUMP: u16 = NLM_F_REQUEST | NLM_F_DUMP;
/// `NLM_F_DUMP_INTR`: the table changed while it was being listed.
const DUMP_INTERRUPTED: u16 = 0x10;
/// A table that changes under this many listings in a row is reported as busy.
const DUMP_ATTEMPTS: usize = 16;

/// One connection to the kernel's tables of network devices, addresses and routes.
pub struct Netlink {
    executor: Executor,
    handle: rtnetlink::Handle,
}

/// A network device as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The device's index in its namespace, from 1.
    pub index: u32,
    /// The device's name.
    pub name: String,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Whether this is a Linux bridge.
    pub is_bridge: bool,
    /// Whether the device is administratively up.
    pub up: bool,
    /// The hardware address, if the device has one.
    pub mac: Option<Vec<u8>>,
    /// Index of the bridge or bond the device is a port of.
    pub master: Option<u32>,
}

/// A pair of virtual Ethernet devices, one end here and one in another network namespace.
#[derive(Clone, Debug)]
pub struct VethSpec<'a> {
    /// Name of the end in this namespace.
    pub host_name: String,
    /// Hardware address of the end in this namespace; the kernel picks one if absent.
    pub host_mac: Option<[u8; 6]>,
    /// Name of the other end, in its namespace; a name with `%d` gets the next free number.
    pub peer_name: String,
    /// Hardware address of the other end; the kernel picks one if absent.
    pub peer_mac: Option<[u8; 6]>,
    /// Largest packet in bytes, for both ends; the kernel's default if absent.
    pub mtu: Option<u32>,
    /// Index of the bridge the end in this namespace becomes a port of.
    pub bridge: Option<u32>,
    /// Network namespace in which the other end is born.
    pub peer_netns: BorrowedFd<'a>,
    /// Whether the end in this namespace is up from birth; the other end is born down.
    pub up: bool,
}

/// What to change on a device; an absent field stays as it is.
///
/// The kernel applies the fields in the order address, MTU, name, master, up/down, all in one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkChange {
    /// New name; a name with `%d` gets the next free number.
    pub name: Option<String>,
    /// New hardware address.
    pub mac: Option<[u8; 6]>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
    /// Administratively up or down.
    pub up: Option<bool>,
    /// Index of the bridge or bond to join; 0 leaves the present one.
    pub master: Option<u32>,
}

/// An address of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of the device.
    pub index: u32,
    /// Name of the device.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// Length of the network part in bits.
    pub prefix: u8,
    /// `RT_SCOPE_*`: 0 everywhere, 253 on the link only, 254 on the host only.
    pub scope: u8,
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        let (executor, handle) = Executor::open()
            .map_err(|errno| SysError::new("socket", "AF_NETLINK, NETLINK_ROUTE", errno))?;
        Ok(Self { executor, handle })
    }

    /// The index of the device called `name`; `ENODEV` if there is none.
    pub fn link_index(&mut self, name: &str) -> Result<u32> {
        Ok(self.link(name)?.index)
    }

    /// The device called `name`; `ENODEV` if there is none.
    pub fn link(&mut self, name: &str) -> Result<Link> {
        check_name("RTM_GETLINK", name)?;
        let mut query = message::link_query();
        query
            .attributes
            .push(LinkAttribute::IfName(name.to_owned()));
        self.one_link(query, || format!("RTM_GETLINK {name}"))
    }

    /// The device with this index, for instance to learn a name that the kernel completed; `ENODEV` if there is none.
    pub fn link_by_index(&mut self, index: u32) -> Result<Link> {
        let mut query = message::link_query();
        query.header.index = index;
        self.one_link(query, || format!("RTM_GETLINK index {index}"))
    }

    /// All devices of the namespace as (index, name), in the kernel's order.
    pub fn links(&mut self) -> Result<Vec<(u32, String)>> {
        let query = RouteNetlinkMessage::GetLink(message::link_query());
        let replies = self.request(query, DUMP, || "RTM_GETLINK all".into())?;
        Ok(replies
            .iter()
            .filter_map(message::link_of)
            .map(|link| (link.index, link.name))
            .collect())
    }

    /// Makes a veth pair with one message: names, addresses, MTU, the peer's namespace, the bridge and the up flag.
    ///
    /// `EEXIST` if either name is taken; nothing is left behind on an error.
    pub fn create_veth(&mut self, veth: &VethSpec) -> Result<()> {
        check_name("RTM_NEWLINK", &veth.host_name)?;
        check_name("RTM_NEWLINK", &veth.peer_name)?;
        self.request(
            RouteNetlinkMessage::NewLink(message::veth(veth)),
            CREATE,
            || {
                let bridge = veth
                    .bridge
                    .map(|index| format!(" in bridge index {index}"))
                    .unwrap_or_default();
                format!(
                    "RTM_NEWLINK veth {} with peer {}{bridge}",
                    veth.host_name, veth.peer_name
                )
            },
        )?;
        Ok(())
    }

    /// Removes the device called `name` (a veth's peer goes with it); a device that does not exist is a success.
    pub fn delete_link(&mut self, name: &str) -> Result<()> {
        check_name("RTM_DELLINK", name)?;
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        match self.request(RouteNetlinkMessage::DelLink(link), CHANGE, || {
            format!("RTM_DELLINK {name}")
        }) {
            Err(error) if error.errno == Errno::NODEV => Ok(()),
            result => result.map(drop),
        }
    }

    /// Changes the device with this index; the kernel applies all fields of `change` with one message.
    pub fn set_link(&mut self, index: u32, change: &LinkChange) -> Result<()> {
        if let Some(name) = &change.name {
            check_name("RTM_SETLINK", name)?;
        }
        self.request(
            RouteNetlinkMessage::SetLink(message::link_change(index, change)),
            CHANGE,
            || format!("RTM_SETLINK index {index} {change:?}"),
        )?;
        Ok(())
    }

    /// Moves the device with this index into another network namespace, where it is called `name` and is down.
    pub fn move_link(&mut self, index: u32, netns: BorrowedFd, name: &str) -> Result<()> {
        check_name("RTM_SETLINK", name)?;
        self.request(
            RouteNetlinkMessage::SetLink(message::link_move(index, netns, name)),
            CHANGE,
            || {
                format!(
                    "RTM_SETLINK index {index} to network namespace {} as {name}",
                    crate::fd::describe(netns)
                )
            },
        )?;
        Ok(())
    }

    /// Gives a device an IPv4 address with a network part of `prefix` (0–32) bits and, if given, a broadcast address.
    ///
    /// `EEXIST` if the device has this address already.
    pub fn add_address_v4(
        &mut self,
        index: u32,
        ip: Ipv4Addr,
        prefix: u8,
        broadcast: Option<Ipv4Addr>,
    ) -> Result<()> {
        self.add_address(
            message::address(index, ip.into(), prefix, broadcast),
            || {
                let broadcast = broadcast
                    .map(|address| format!(" broadcast {address}"))
                    .unwrap_or_default();
                format!("RTM_NEWADDR {ip}/{prefix}{broadcast} on index {index}")
            },
        )
    }

    /// Gives a device an IPv6 address with a network part of `prefix` (0–128) bits; duplicates are detected by the
    /// kernel as usual, so a fresh address is tentative for a moment.
    ///
    /// `EEXIST` if the device has this address already.
    pub fn add_address_v6(&mut self, index: u32, ip: Ipv6Addr, prefix: u8) -> Result<()> {
        self.add_address(message::address(index, ip.into(), prefix, None), || {
            format!("RTM_NEWADDR {ip}/{prefix} on index {index}")
        })
    }

    /// Adds the IPv4 default route through the device, by the router `via` or, without one, straight onto the link.
    ///
    /// `EEXIST` if the namespace has such a default route, `ENETUNREACH` if `via` is not reachable on the link.
    pub fn add_default_route_v4(&mut self, index: u32, via: Option<Ipv4Addr>) -> Result<()> {
        self.add_route(
            message::default_route(
                index,
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                via.map(IpAddr::V4),
            ),
            || describe_route("default", via.map(IpAddr::V4), index),
        )
    }

    /// Adds the IPv6 default route through the device, by the router `via` or, without one, straight onto the link.
    ///
    /// `EEXIST` if the namespace has such a default route, `EHOSTUNREACH` if `via` is not reachable on the link.
    pub fn add_default_route_v6(&mut self, index: u32, via: Option<Ipv6Addr>) -> Result<()> {
        self.add_route(
            message::default_route(
                index,
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                via.map(IpAddr::V6),
            ),
            || describe_route("default v6", via.map(IpAddr::V6), index),
        )
    }

    /// Adds a route to the network `ip`/`prefix` (0–32 bits) straight onto the device's link.
    pub fn add_link_route_v4(&mut self, index: u32, ip: Ipv4Addr, prefix: u8) -> Result<()> {
        self.add_route(message::link_route(index, ip.into(), prefix), || {
            describe_route(&format!("{ip}/{prefix}"), None, index)
        })
    }

    /// Adds a route to the network `ip`/`prefix` (0–128 bits) straight onto the device's link.
    pub fn add_link_route_v6(&mut self, index: u32, ip: Ipv6Addr, prefix: u8) -> Result<()> {
        self.add_route(message::link_route(index, ip.into(), prefix), || {
            describe_route(&format!("{ip}/{prefix}"), None, index)
        })
    }

    /// All addresses of the namespace, or those of one device, with the devices' names.
    pub fn addresses(&mut self, index: Option<u32>) -> Result<Vec<Address>> {
        let links = self.links()?;
        let query = RouteNetlinkMessage::GetAddress(Default::default());
        let replies = self.request(query, DUMP, || "RTM_GETADDR all".into())?;
        let found = replies.iter().filter_map(message::address_of);
        Ok(found
            .filter(|address| index.is_none_or(|wanted| wanted == address.index))
            .filter_map(|address| {
                // A device that vanished between the two listings took its addresses with it.
                let (_, name) = links.iter().find(|(index, _)| *index == address.index)?;
                Some(Address {
                    name: name.clone(),
                    ..address
                })
            })
            .collect())
    }

    fn one_link(&mut self, query: LinkMessage, what: impl Fn() -> String) -> Result<Link> {
        let replies = self.request(RouteNetlinkMessage::GetLink(query), GET, &what)?;
        replies
            .iter()
            .find_map(message::link_of)
            .ok_or_else(|| failed(what(), Errno::NODEV))
    }

    fn add_address(
        &mut self,
        address: rtnetlink::packet_route::address::AddressMessage,
        what: impl Fn() -> String,
    ) -> Result<()> {
        self.request(RouteNetlinkMessage::NewAddress(address), CREATE, what)
            .map(drop)
    }

    fn add_route(
        &mut self,
        route: rtnetlink::packet_route::route::RouteMessage,
        what: impl Fn() -> String,
    ) -> Result<()> {
        self.request(RouteNetlinkMessage::NewRoute(route), CREATE, what)
            .map(drop)
    }

    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        for _ in 0..DUMP_ATTEMPTS {
            let stream = self
                .handle
                .request(request.clone())
                .map_err(|_| failed(what(), self.executor.closed_because()))?;
            let replies = self
                .executor
                .run(stream)
                .map_err(|errno| failed(what(), errno))?;
            if !replies
                .iter()
                .any(|reply| reply.header.flags & DUMP_INTERRUPTED != 0)
            {
                return contents(replies).map_err(|(errno, sentence)| match sentence {
                    Some(sentence) => failed(format!("{}: {sentence}", what()), errno),
                    None => failed(what(), errno),
                });
            }
        }
        Err(failed(
            format!("{}: the table kept changing while it was listed", what()),
            Errno::BUSY,
        ))
    }
}

fn failed(args: String, errno: Errno) -> SysError {
    SysError::new("rtnetlink", args, errno)
}

fn check_name(request: &str, name: &str) -> Result<()> {
    if valid_name(name) {
        return Ok(());
    }
    let rule = "an interface name has 1 to 15 bytes, is not \".\" or \"..\" and has no '/', ':', blank or control character";
    Err(failed(format!("{request} {name:?}: {rule}"), Errno::INVAL))
}

fn describe_route(target: &str, via: Option<IpAddr>, index: u32) -> String {
    match via {
        Some(via) => format!("RTM_NEWROUTE {target} via {via} on index {index}"),
        None => format!("RTM_NEWROUTE {target} on index {index}"),
    }
}

type Failure = (Errno, Option<String>);

fn contents(
    replies: Vec<NetlinkMessage<RouteNetlinkMessage>>,
) -> std::result::Result<Vec<RouteNetlinkMessage>, Failure> {
    let mut contents = Vec::with_capacity(replies.len());
    for reply in replies {
        match reply.payload {
            NetlinkPayload::InnerMessage(message) => contents.push(message),
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err((
                    errno_of(error.raw_code()),
                    message::kernel_sentence(&error.header),
                ));
            }
            NetlinkPayload::Done(done) if done.code != 0 => {
                return Err((errno_of(done.code), None));
            }
            NetlinkPayload::Overrun(_) => return Err((Errno::NOBUFS, None)),
            _ => {}
        }
    }
    Ok(contents)
}

fn errno_of(code: i32) -> Errno {
    Errno::from_raw_os_error(code.saturating_abs())
}

#[cfg(test)]
mod tests;
