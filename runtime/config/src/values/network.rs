//! Network devices: `lxc.net.N.*`.

use super::Origin;

/// One `lxc.net.N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetDevice {
    /// N.
    pub index: u32,
    /// `type` with what belongs to it; `None` until it is set.
    pub kind: Option<NetKind>,
    /// Where `type` (or the first sub-key) was written.
    pub origin: Origin,
    /// `link`.
    pub link: Option<String>,
    /// `name` inside.
    pub name: Option<String>,
    /// `flags = up`.
    pub up: bool,
    /// `hwaddr`, random digits already drawn.
    pub hwaddr: Option<String>,
    /// `mtu`, as written.
    pub mtu: Option<String>,
    /// `ipv4.address`.
    pub ipv4: Vec<Ipv4Address>,
    /// `ipv6.address`.
    pub ipv6: Vec<Ipv6Address>,
    /// `ipv4.gateway`.
    pub ipv4_gateway: Option<Gateway<std::net::Ipv4Addr>>,
    /// `ipv6.gateway`.
    pub ipv6_gateway: Option<Gateway<std::net::Ipv6Addr>>,
    /// `l2proxy`: the host answers neighbour requests for the container's addresses.
    pub l2proxy: bool,
    /// `script.up`: command run on the host when the device is there.
    pub script_up: Option<String>,
    /// `script.down`: command run on the host before the device goes.
    pub script_down: Option<String>,
    /// `veth.pair`: host side name.
    pub veth_pair: Option<String>,
    /// `veth.mode`.
    pub veth_mode: VethMode,
    /// `veth.ipv4.route`: networks routed to the host's end.
    pub veth_ipv4_routes: Vec<Route<std::net::Ipv4Addr>>,
    /// `veth.ipv6.route`: networks routed to the host's end.
    pub veth_ipv6_routes: Vec<Route<std::net::Ipv6Addr>>,
    /// `veth.vlan.id`: VLAN of untagged packets; `None` = the bridge's default.
    pub veth_vlan: Option<UntaggedVlan>,
    /// `veth.vlan.tagged.id`: VLANs of tagged packets, each 0–4094.
    pub veth_tagged_vlans: Vec<u16>,
    /// `veth.n_rxqueues`: receive queues; `None` = the kernel's default.
    pub veth_rx_queues: Option<u32>,
    /// `veth.n_txqueues`: transmit queues; `None` = the kernel's default.
    pub veth_tx_queues: Option<u32>,
    /// `vlan.id`, 0–4094, default 0.
    pub vlan_id: u16,
    /// `macvlan.mode`.
    pub macvlan_mode: MacvlanMode,
    /// `ipvlan.mode`.
    pub ipvlan_mode: IpvlanMode,
    /// `ipvlan.isolation`.
    pub ipvlan_isolation: IpvlanIsolation,
}

impl NetDevice {
    /// Device `index` with nothing said about it yet.
    pub fn new(index: u32, origin: Origin) -> NetDevice {
        NetDevice {
            index,
            kind: None,
            origin,
            link: None,
            name: None,
            up: false,
            hwaddr: None,
            mtu: None,
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            ipv4_gateway: None,
            ipv6_gateway: None,
            l2proxy: false,
            script_up: None,
            script_down: None,
            veth_pair: None,
            veth_mode: VethMode::default(),
            veth_ipv4_routes: Vec::new(),
            veth_ipv6_routes: Vec::new(),
            veth_vlan: None,
            veth_tagged_vlans: Vec::new(),
            veth_rx_queues: None,
            veth_tx_queues: None,
            vlan_id: 0,
            macvlan_mode: MacvlanMode::default(),
            ipvlan_mode: IpvlanMode::default(),
            ipvlan_isolation: IpvlanIsolation::default(),
        }
    }
}

/// `lxc.net.N.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetKind {
    /// Share the host's network namespace (when all devices say so).
    None,
    /// Loopback only.
    Empty,
    /// A pair of virtual Ethernet devices, the host's end in the bridge `link`.
    Veth,
    /// A device with an address of its own on the host's device `link`.
    Macvlan,
    /// A device that shares the hardware address of the host's device `link`.
    Ipvlan,
    /// One VLAN of the host's device `link`.
    Vlan,
    /// The host's device `link` itself.
    Phys,
}

/// One IPv4 address of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Address {
    /// The address.
    pub addr: std::net::Ipv4Addr,
    /// Prefix length, 0–32.
    pub prefix: u8,
    /// Broadcast address; `None` for /31 and /32.
    pub broadcast: Option<std::net::Ipv4Addr>,
}

/// One IPv6 address of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Address {
    /// The address.
    pub addr: std::net::Ipv6Addr,
    /// Prefix length, 0–128.
    pub prefix: u8,
}

/// `ipv4.gateway`, `ipv6.gateway`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateway<A> {
    /// `auto`: the first address of the bridge.
    Auto,
    /// `dev`: a device route without address.
    Dev,
    /// An address.
    Addr(A),
}

/// One `ADDRESS/PREFIX` that is routed to the host's end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<A> {
    /// Address of the network.
    pub network: A,
    /// Prefix length, 0–32 or 0–128.
    pub prefix: u8,
}

/// `veth.vlan.id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UntaggedVlan {
    /// `none`: untagged packets belong to no VLAN.
    Nowhere,
    /// VLAN 0–4094.
    Id(u16),
}

/// `veth.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VethMode {
    /// The host's end is a port of the bridge `link`.
    #[default]
    Bridge,
    /// The host routes to its end and answers neighbour requests on it.
    Router,
}

/// `macvlan.mode`: what devices of one parent may send each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MacvlanMode {
    /// Nothing.
    #[default]
    Private,
    /// What the switch outside sends back.
    Vepa,
    /// Everything, directly.
    Bridge,
    /// There is only one, which takes the parent over.
    Passthru,
}

/// `ipvlan.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpvlanMode {
    /// The parent routes.
    #[default]
    L3,
    /// The parent routes, and its packet filter sees the packets.
    L3s,
    /// The parent switches.
    L2,
}

/// `ipvlan.isolation`: what devices of one parent may send each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpvlanIsolation {
    /// Everything, directly.
    #[default]
    Bridge,
    /// Nothing.
    Private,
    /// What the switch outside sends back.
    Vepa,
}
