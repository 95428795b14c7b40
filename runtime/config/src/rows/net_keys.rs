//! The sub-keys of a network device: `lxc.net.N.type`, `lxc.net.N.link`, …

use super::net_address::{
    draw_hwaddr, gateway, hwaddr, ipv4, ipv6, route, show_gateway, show_ipv4, show_ipv6,
    show_routes,
};
use super::net_modes::{
    IPVLAN_ISOLATIONS, IPVLAN_MODES, MACVLAN_MODES, VETH_MODES, Word, queues, show_untagged_vlan,
    tagged_vlan, untagged_vlan, vlan,
};
use crate::grammar;
use crate::row::CarriedOut;
use crate::setting::{Fault, Field, Input, List, Resolved, Scalar, Setting, nic, show};
use crate::values::{NetDevice, NetKind};
use std::net::{Ipv4Addr, Ipv6Addr};

/// One sub-key of a device. LXC prints them all into a zeroed buffer
/// ([`Form::Printed`](crate::Form::Printed)).
pub(crate) struct SubKey {
    /// What follows `lxc.net.N.`.
    pub name: &'static str,
    /// What it is for, one sentence.
    pub doc: &'static str,
    pub setting: &'static dyn Setting<NetDevice>,
    /// The only type that has it; `None` = all.
    pub only: Option<NetKind>,
    /// Oldest kernel that can do it; `None` = no kernel is too old.
    pub since: Option<&'static str>,
    pub carried_out: CarriedOut,
    /// Values, and the text each is read back as.
    pub takes: &'static [(&'static str, &'static str)],
    /// Values that are refused.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "rows carry their own test data")
    )]
    pub refuses: &'static [&'static str],
}

impl SubKey {
    const fn new(
        name: &'static str,
        doc: &'static str,
        setting: &'static dyn Setting<NetDevice>,
    ) -> SubKey {
        SubKey {
            name,
            doc,
            setting,
            only: None,
            since: None,
            carried_out: CarriedOut::Wholly,
            takes: &[],
            refuses: &[],
        }
    }

    const fn only(self, kind: NetKind) -> SubKey {
        SubKey {
            only: Some(kind),
            ..self
        }
    }

    const fn since(self, kernel: &'static str) -> SubKey {
        SubKey {
            since: Some(kernel),
            ..self
        }
    }

    const fn not_carried_out_yet(self) -> SubKey {
        SubKey {
            carried_out: CarriedOut::NotYet,
            ..self
        }
    }

    const fn carried_out_but(self, found: fn(&str) -> Option<&str>) -> SubKey {
        SubKey {
            carried_out: CarriedOut::AllBut(found),
            ..self
        }
    }

    const fn takes(self, takes: &'static [(&'static str, &'static str)]) -> SubKey {
        SubKey { takes, ..self }
    }

    const fn refuses(self, refuses: &'static [&'static str]) -> SubKey {
        SubKey { refuses, ..self }
    }
}

/// Every sub-key, in the order of LXC's manual.
pub(crate) static SUB_KEYS: &[SubKey] = &[
    SubKey::new(
        "type",
        "Kind of device; forgets what was said about the device before.",
        &NetType,
    )
    .carried_out_but(kind_not_carried_out)
    .takes(&[
        ("veth", "veth"),
        ("empty", "empty"),
        ("none", "none"),
        ("phys", "phys"),
        ("macvlan", "macvlan"),
        ("ipvlan", "ipvlan"),
        ("vlan", "vlan"),
    ])
    .refuses(&["bridge", "Veth"]),
    SubKey::new(
        "flags",
        "`up` brings the device up.",
        &Scalar {
            field: nic!(up),
            parse: flags,
            show: show_flags,
        },
    )
    .takes(&[("up", "up")])
    .refuses(&["1", "on"]),
    SubKey::new(
        "link",
        "Bridge (veth), parent (macvlan, ipvlan, vlan) or device (phys) on the host.",
        &Scalar {
            field: nic!(link),
            parse: interface_name,
            show: show::text,
        },
    )
    .takes(&[("lxcbr0", "lxcbr0")])
    .refuses(&["a-name-of-16-byte", "a/b", "a b", ".."]),
    SubKey::new("name", "Name inside.", &DeviceName)
        .takes(&[("eth0", "eth0"), ("eth%d", "eth%d")])
        .refuses(&["a-name-of-16-byte", "a:b"]),
    SubKey::new(
        "hwaddr",
        "Hardware address inside; each `x` becomes a random digit.",
        &HardwareAddress(nic!(hwaddr)),
    )
    .takes(&[
        ("00:16:3e:12:34:56", "00:16:3e:12:34:56"),
        ("4a:0:0:0:0:1", "4a:0:0:0:0:1"),
    ])
    .refuses(&["00:16:3e", "00:16:3e:12:34:5g", "00:16:3e:12:34:567"]),
    SubKey::new(
        "mtu",
        "Largest packet, in bytes.",
        &Scalar {
            field: nic!(mtu),
            parse: mtu,
            show: show::text,
        },
    )
    .takes(&[("1500", "1500")])
    .refuses(&["big", "-1"]),
    SubKey::new(
        "ipv4.address",
        "IPv4 address inside, A.B.C.D/PREFIX and optionally the broadcast address.",
        &List {
            field: nic!(ipv4),
            parse: ipv4,
            show: show_ipv4,
        },
    )
    .takes(&[
        ("10.2.3.4/24", "10.2.3.4/24"),
        ("10.2.3.5", "10.2.3.5/8"),
        ("192.0.2.1/24 192.0.2.7", "192.0.2.1/24"),
    ])
    .refuses(&[
        "10.2.3",
        "10.2.3.4/33",
        "10.2.3.4/",
        "10.2.3.4/+8",
        "10.2.3.4/24 x",
        "10.2.3.4/8 10.2.3.5 x",
    ]),
    SubKey::new(
        "ipv4.gateway",
        "IPv4 default route: an address, `auto` (that of `link`) or `dev`.",
        &Scalar {
            field: nic!(ipv4_gateway),
            parse: gateway,
            show: show_gateway,
        },
    )
    .takes(&[("10.2.3.1", "10.2.3.1"), ("auto", "auto"), ("dev", "dev")])
    .refuses(&["10.2.3.1/24", "::1", "none"]),
    SubKey::new(
        "ipv6.address",
        "IPv6 address inside, ADDRESS/PREFIX.",
        &List {
            field: nic!(ipv6),
            parse: ipv6,
            show: show_ipv6,
        },
    )
    .takes(&[("fd00::5/48", "fd00::5/48"), ("fd00::6", "fd00::6/64")])
    .refuses(&["10.2.3.4", "fd00::5/129", "fd00:5"]),
    SubKey::new(
        "ipv6.gateway",
        "IPv6 default route: an address, `auto` (that of `link`) or `dev`.",
        &Scalar {
            field: nic!(ipv6_gateway),
            parse: gateway,
            show: show_gateway,
        },
    )
    .takes(&[("fe80::1", "fe80::1"), ("auto", "auto"), ("dev", "dev")])
    .refuses(&["10.2.3.1"]),
    SubKey::new(
        "l2proxy",
        "1 answers ARP and neighbour requests for the container on the host's device.",
        &Scalar {
            field: nic!(l2proxy),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .not_carried_out_yet()
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2"]),
    SubKey::new(
        "script.up",
        "Program run on the host when the device has been made.",
        &Scalar {
            field: nic!(script_up),
            parse: grammar::text,
            show: show::text,
        },
    )
    .not_carried_out_yet()
    .takes(&[("/usr/bin/script a", "/usr/bin/script a")]),
    SubKey::new(
        "script.down",
        "Program run on the host before the device goes.",
        &Scalar {
            field: nic!(script_down),
            parse: grammar::text,
            show: show::text,
        },
    )
    .not_carried_out_yet()
    .takes(&[("/usr/bin/script a", "/usr/bin/script a")]),
    SubKey::new(
        "veth.pair",
        "Name of the host's end; random when unset.",
        &Scalar {
            field: nic!(veth_pair),
            parse: interface_name,
            show: show::text,
        },
    )
    .only(NetKind::Veth)
    .takes(&[("vethdemo", "vethdemo")])
    .refuses(&["a-name-of-16-byte"]),
    SubKey::new(
        "veth.mode",
        "`bridge`, or `router` for routed packets.",
        &Word {
            field: nic!(veth_mode),
            words: VETH_MODES,
        },
    )
    .only(NetKind::Veth)
    .not_carried_out_yet()
    .takes(&[("router", "router"), ("bridge", "bridge")])
    .refuses(&["routed", "l2"]),
    SubKey::new(
        "veth.ipv4.route",
        "IPv4 network routed to the host's end.",
        &List {
            field: nic!(veth_ipv4_routes),
            parse: route::<Ipv4Addr>,
            show: show_routes,
        },
    )
    .only(NetKind::Veth)
    .not_carried_out_yet()
    .takes(&[("192.0.2.0/24", "192.0.2.0/24"), ("0.0.0.0/0", "0.0.0.0/0")])
    .refuses(&["192.0.2.0", "192.0.2.0/33", "fd00::/64", "192.0.2.0/24 x"]),
    SubKey::new(
        "veth.ipv6.route",
        "IPv6 network routed to the host's end.",
        &List {
            field: nic!(veth_ipv6_routes),
            parse: route::<Ipv6Addr>,
            show: show_routes,
        },
    )
    .only(NetKind::Veth)
    .not_carried_out_yet()
    .takes(&[("2001:db8:1::/64", "2001:db8:1::/64")])
    .refuses(&["2001:db8::", "fd00::/129", "192.0.2.0/24"]),
    SubKey::new(
        "veth.vlan.id",
        "VLAN of untagged packets on the bridge port.",
        &Scalar {
            field: nic!(veth_vlan),
            parse: untagged_vlan,
            show: show_untagged_vlan,
        },
    )
    .only(NetKind::Veth)
    .not_carried_out_yet()
    .takes(&[("100", "100"), ("0", "0"), ("none", "-1")])
    .refuses(&["4095", "-1", "all"]),
    SubKey::new(
        "veth.vlan.tagged.id",
        "VLAN of tagged packets on the bridge port.",
        &List {
            field: nic!(veth_tagged_vlans),
            parse: tagged_vlan,
            show: show::joined,
        },
    )
    .only(NetKind::Veth)
    .not_carried_out_yet()
    .takes(&[("20", "20")])
    .refuses(&["4095", "none", "1 2"]),
    SubKey::new(
        "veth.n_rxqueues",
        "Number of receive queues.",
        &Scalar {
            field: nic!(veth_rx_queues),
            parse: queues,
            show: show::number_if_any,
        },
    )
    .only(NetKind::Veth)
    .not_carried_out_yet()
    .takes(&[("4", "4")])
    .refuses(&["0", "-1", "many"]),
    SubKey::new(
        "veth.n_txqueues",
        "Number of transmit queues.",
        &Scalar {
            field: nic!(veth_tx_queues),
            parse: queues,
            show: show::number_if_any,
        },
    )
    .only(NetKind::Veth)
    .not_carried_out_yet()
    .takes(&[("4", "4")])
    .refuses(&["0", "2147483648"]),
    SubKey::new(
        "vlan.id",
        "VLAN.",
        &Scalar {
            field: nic!(vlan_id),
            parse: vlan,
            show: show::number,
        },
    )
    .only(NetKind::Vlan)
    .not_carried_out_yet()
    .takes(&[("100", "100"), ("0", "0")])
    .refuses(&["4095", "70000", "-1", "none"]),
    SubKey::new(
        "macvlan.mode",
        "`private`, `vepa`, `bridge` or `passthru`.",
        &Word {
            field: nic!(macvlan_mode),
            words: MACVLAN_MODES,
        },
    )
    .only(NetKind::Macvlan)
    .not_carried_out_yet()
    .takes(&[("bridge", "bridge"), ("passthru", "passthru")])
    .refuses(&["passthrough"]),
    SubKey::new(
        "ipvlan.mode",
        "`l3`, `l3s` or `l2`.",
        &Word {
            field: nic!(ipvlan_mode),
            words: IPVLAN_MODES,
        },
    )
    .only(NetKind::Ipvlan)
    .since("4.9")
    .not_carried_out_yet()
    .takes(&[("l2", "l2"), ("l3s", "l3s")])
    .refuses(&["L3", "l4"]),
    SubKey::new(
        "ipvlan.isolation",
        "`bridge`, `private` or `vepa`.",
        &Word {
            field: nic!(ipvlan_isolation),
            words: IPVLAN_ISOLATIONS,
        },
    )
    .only(NetKind::Ipvlan)
    .since("4.16")
    .not_carried_out_yet()
    .takes(&[("private", "private"), ("vepa", "vepa")])
    .refuses(&["none"]),
];

const KINDS: &[(&str, NetKind)] = &[
    ("none", NetKind::None),
    ("empty", NetKind::Empty),
    ("veth", NetKind::Veth),
    ("macvlan", NetKind::Macvlan),
    ("ipvlan", NetKind::Ipvlan),
    ("vlan", NetKind::Vlan),
    ("phys", NetKind::Phys),
];

/// The types that are only remembered.
fn kind_not_carried_out(word: &str) -> Option<&str> {
    Some(word).filter(|word| matches!(*word, "macvlan" | "ipvlan" | "vlan" | "phys"))
}

/// The word for a device's type; LXC calls a device whose type was not set `empty`.
pub(crate) fn type_word(kind: Option<NetKind>) -> &'static str {
    let kind = kind.unwrap_or(NetKind::Empty);
    KINDS
        .iter()
        .find(|(_, known)| *known == kind)
        .map_or("empty", |(word, _)| word)
}

/// `type`: setting it, even to the same value, starts the device afresh.
struct NetType;

impl Setting<NetDevice> for NetType {
    fn set(&self, device: &mut NetDevice, input: &Input) -> Result<(), Fault> {
        let found = KINDS
            .iter()
            .find(|(word, _)| *word == input.value)
            .map(|(_, kind)| *kind);
        let kind = found.ok_or_else(|| {
            let words: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
            Fault::bad(
                "not a network type",
                format!("one of {} is expected", words.join(", ")),
            )
        })?;
        *device = NetDevice::new(device.index, input.origin.clone());
        device.kind = Some(kind);
        device.name = given_name(device.kind);
        Ok(())
    }

    fn clear(&self, device: &mut NetDevice) {
        *device = NetDevice::new(device.index, device.origin.clone());
    }

    fn get(&self, device: &NetDevice) -> Option<String> {
        Some(type_word(device.kind).to_owned())
    }
}

/// The name that a device has by its type.
fn given_name(kind: Option<NetKind>) -> Option<String> {
    (kind == Some(NetKind::Empty)).then(|| "lo".to_owned())
}

/// `name`: without one the device has that of its type.
struct DeviceName;

impl Setting<NetDevice> for DeviceName {
    fn set(&self, device: &mut NetDevice, input: &Input) -> Result<(), Fault> {
        device.name = interface_name(input)?;
        Ok(())
    }

    fn clear(&self, device: &mut NetDevice) {
        device.name = given_name(device.kind);
    }

    fn get(&self, device: &NetDevice) -> Option<String> {
        device.name.clone()
    }
}

fn flags(input: &Input) -> Result<bool, Fault> {
    match input.value {
        "up" => Ok(true),
        // LXC takes this word, too, for `up`.
        "down" => Ok(false),
        _ => Err(Fault::bad(
            "not a flag of a device",
            "up is expected, or nothing to leave the device down",
        )),
    }
}

fn show_flags(up: &bool) -> Option<String> {
    up.then(|| "up".to_owned())
}

/// Longest name of a network interface.
const LONGEST_NAME: usize = 15;

fn interface_name(input: &Input) -> Result<Option<String>, Fault> {
    let name = input.value;
    let hint = format!("a name of at most {LONGEST_NAME} bytes without blank, / and : is expected");
    if name.len() > LONGEST_NAME {
        return Err(Fault::bad(format!("a name of {} bytes", name.len()), hint));
    }
    if matches!(name, "." | "..")
        || name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
    {
        return Err(Fault::bad("not a name of a network interface", hint));
    }
    Ok(Some(name.to_owned()))
}

fn mtu(input: &Input) -> Result<Option<String>, Fault> {
    grammar::uint(input).map(|_| Some(input.value.to_owned()))
}

/// `hwaddr`.
struct HardwareAddress(Field<NetDevice, Option<String>>);

impl Setting<NetDevice> for HardwareAddress {
    fn resolve(&self, value: &str) -> Result<Resolved, Fault> {
        Ok(draw_hwaddr(value))
    }

    fn set(&self, device: &mut NetDevice, input: &Input) -> Result<(), Fault> {
        *(self.0.of_mut)(device) = hwaddr(input)?;
        Ok(())
    }

    fn clear(&self, device: &mut NetDevice) {
        *(self.0.of_mut)(device) = None;
    }

    fn get(&self, device: &NetDevice) -> Option<String> {
        (self.0.of)(device).clone()
    }
}
