//! Against the kernel, in network namespaces of their own. They need root.

use super::*;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::{InfoKind, LinkInfo};
use rtnetlink::packet_route::neighbour::{NeighbourFlags, NeighbourMessage};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

/// A network namespace with nothing in it but a loopback device that is down.
fn new_netns() -> OwnedFd {
    let made = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
            .expect("could not run: a network namespace needs root");
        File::open("/proc/thread-self/ns/net")
            .expect("this thread's network namespace")
            .into()
    });
    made.join()
        .expect("the thread that makes a network namespace")
}

/// Runs `body` in a thread that lives in `netns`.
fn inside<T: Send>(netns: &OwnedFd, body: impl FnOnce(&mut Netlink) -> T + Send) -> T {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            nix::sched::setns(netns, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("enter the network namespace");
            body(&mut Netlink::open().expect("a netlink socket"))
        });
        run.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn add_bridge(netlink: &mut Netlink, name: &str) -> u32 {
    let mut bridge = LinkMessage::default();
    bridge
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
    bridge
        .attributes
        .push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(
            InfoKind::Bridge,
        )]));
    netlink
        .request(RouteNetlinkMessage::NewLink(bridge), CREATE, || {
            "bridge".into()
        })
        .expect("a bridge");
    netlink.link_index(name).expect("the new bridge")
}

fn veth<'a>(host_name: &str, peer_name: &str, peer_netns: BorrowedFd<'a>) -> VethSpec<'a> {
    VethSpec {
        host_name: host_name.into(),
        host_mac: None,
        peer_name: peer_name.into(),
        peer_mac: None,
        mtu: None,
        bridge: None,
        peer_netns,
        up: false,
    }
}

/// The namespace's IPv4 routes as (device, destination, gateway, prefix mask) in the kernel's hexadecimal.
fn routes_v4() -> Vec<[String; 4]> {
    let table = std::fs::read_to_string("/proc/thread-self/net/route").expect("the routing table");
    let fields =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    table
        .lines()
        .skip(1)
        .map(fields)
        .map(|f| [f[0].clone(), f[1].clone(), f[2].clone(), f[7].clone()])
        .collect()
}

#[test]
fn a_veth_pair_is_born_complete_with_one_message() {
    let (host, guest) = (new_netns(), new_netns());
    inside(&host, |netlink| {
        let bridge = add_bridge(netlink, "br0");
        let spec = VethSpec {
            host_mac: Some([0xfe, 1, 2, 3, 4, 5]),
            peer_mac: Some([2, 1, 2, 3, 4, 6]),
            mtu: Some(1400),
            bridge: Some(bridge),
            up: true,
            ..veth("vethHost", "eth%d", guest.as_fd())
        };
        netlink.create_veth(&spec).expect("a veth pair");

        let end = netlink.link("vethHost").expect("our end");
        assert_eq!(
            (end.mtu, end.up, end.is_bridge, end.master),
            (1400, true, false, Some(bridge))
        );
        assert_eq!(end.mac.as_deref(), Some(&[0xfe, 1, 2, 3, 4, 5][..]));
        assert!(netlink.link("br0").expect("the bridge").is_bridge);
        let names: Vec<_> = netlink
            .links()
            .expect("all links")
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        assert_eq!(names, ["lo", "br0", "vethHost"]);
    });
    inside(&guest, |netlink| {
        let end = netlink.link("eth0").expect("the other end");
        assert_eq!((end.mtu, end.up, end.master), (1400, false, None));
        assert_eq!(end.mac.as_deref(), Some(&[2, 1, 2, 3, 4, 6][..]));
    });
    inside(&host, |netlink| {
        netlink.delete_link("vethHost").expect("delete the pair");
        netlink
            .delete_link("vethHost")
            .expect("deleting what is gone is a success");
    });
    inside(&guest, |netlink| {
        assert_eq!(netlink.link_index("eth0").unwrap_err().errno, Errno::NODEV)
    });
}

#[test]
fn a_guest_configures_its_end() {
    let (host, guest) = (new_netns(), new_netns());
    inside(&host, |netlink| {
        netlink
            .create_veth(&veth("a", "veth1", guest.as_fd()))
            .expect("a veth pair")
    });
    inside(&host, |netlink| {
        let index = netlink.link_index("a").expect("our end");
        netlink
            .set_link(
                index,
                &LinkChange {
                    up: Some(true),
                    ..Default::default()
                },
            )
            .expect("our end up");
    });
    inside(&guest, |netlink| {
        let index = netlink.link_index("veth1").expect("the guest's end");
        let mac = random_mac(None);
        let change = LinkChange {
            name: Some("eth%d".into()),
            mac: Some(mac),
            mtu: Some(1300),
            up: Some(true),
            master: None,
        };
        netlink
            .set_link(index, &change)
            .expect("all changes at once");
        let link = netlink.link_by_index(index).expect("the changed device");
        assert_eq!(
            (link.name.as_str(), link.mtu, link.up),
            ("eth0", 1300, true)
        );
        assert_eq!(link.mac.as_deref(), Some(&mac[..]));

        let v4 = |text: &str| -> Ipv4Addr { text.parse().expect(text) };
        let v6 = |text: &str| -> Ipv6Addr { text.parse().expect(text) };
        netlink
            .add_address_v4(index, v4("10.0.3.5"), 24, Some(v4("10.0.3.255")))
            .expect("an address");
        netlink
            .add_address_v6(index, v6("2001:db8::5"), 64)
            .expect("an address");
        let addresses = netlink.addresses(Some(index)).expect("its addresses");
        let found = |ip: &str| {
            addresses
                .iter()
                .find(|address| address.ip.to_string() == ip)
        };
        let first = found("10.0.3.5").expect("the IPv4 address");
        assert_eq!(
            (first.name.as_str(), first.prefix, first.scope),
            ("eth0", 24, 0)
        );
        assert_eq!(found("2001:db8::5").expect("the IPv6 address").prefix, 64);
        assert!(netlink.addresses(None).expect("all addresses").len() >= 2);

        netlink
            .add_default_route_v4(index, Some(v4("10.0.3.1")))
            .expect("a default route");
        netlink
            .add_default_route_v6(index, Some(v6("2001:db8::1")))
            .expect("a default route");
        netlink
            .add_link_route_v4(index, v4("203.0.113.0"), 24)
            .expect("a route");
        netlink
            .add_link_route_v6(index, v6("2001:db8:1::"), 64)
            .expect("a route");
        let routes = routes_v4();
        let has = |destination: &str, gateway: &str, mask: &str| {
            let wanted = ["eth0", destination, gateway, mask].map(str::to_owned);
            assert!(routes.contains(&wanted), "{wanted:?} is not in {routes:?}");
        };
        // The table prints addresses as little-endian words on this machine and big-endian ones elsewhere.
        let word = |text: &str| format!("{:08X}", u32::from_ne_bytes(v4(text).octets()));
        has(&word("0.0.0.0"), &word("10.0.3.1"), &word("0.0.0.0"));
        has(
            &word("203.0.113.0"),
            &word("0.0.0.0"),
            &word("255.255.255.0"),
        );
        let table =
            std::fs::read_to_string("/proc/thread-self/net/ipv6_route").expect("the routing table");
        let default = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                       20010db8000000000000000000000001 ";
        assert!(table.contains(default), "{table}");

        let again = netlink
            .add_default_route_v4(index, Some(v4("10.0.3.2")))
            .unwrap_err();
        assert_eq!(again.errno, Errno::EXIST, "{again}");
    });
}

#[test]
fn a_default_route_may_go_straight_onto_the_link() {
    let (host, guest) = (new_netns(), new_netns());
    inside(&host, |netlink| {
        netlink
            .create_veth(&veth("a", "eth0", guest.as_fd()))
            .expect("a veth pair")
    });
    inside(&guest, |netlink| {
        let index = netlink.link_index("eth0").expect("the guest's end");
        netlink
            .set_link(
                index,
                &LinkChange {
                    up: Some(true),
                    ..Default::default()
                },
            )
            .expect("up");
        netlink
            .add_address_v4(index, Ipv4Addr::new(192, 0, 2, 1), 32, None)
            .expect("an address");
        let unreachable = netlink
            .add_default_route_v4(index, Some(Ipv4Addr::new(192, 0, 2, 9)))
            .unwrap_err();
        assert_eq!(unreachable.errno, Errno::NETUNREACH, "{unreachable}");
        netlink
            .add_default_route_v4(index, None)
            .expect("a default route without a router");
        netlink
            .add_default_route_v6(index, None)
            .expect("a default route without a router");
        let zero = "00000000".to_owned();
        assert_eq!(
            routes_v4(),
            [["eth0".into(), zero.clone(), zero.clone(), zero]]
        );
    });
}

#[test]
fn a_device_moves_to_another_namespace() {
    let (host, guest) = (new_netns(), new_netns());
    inside(&host, |netlink| {
        netlink
            .create_veth(&veth("a", "b", host.as_fd()))
            .expect("a veth pair");
        let index = netlink.link_index("b").expect("the other end");
        netlink
            .move_link(index, guest.as_fd(), "moved")
            .expect("move it");
        assert_eq!(netlink.link_index("b").unwrap_err().errno, Errno::NODEV);
    });
    inside(&guest, |netlink| {
        assert!(!netlink.link("moved").expect("the moved device").up)
    });
}

#[test]
fn errors_name_the_message_the_object_and_the_kernels_reason() {
    let netns = new_netns();
    inside(&netns, |netlink| {
        let shown = |result: Result<()>| result.expect_err("this must fail").to_string();
        assert_eq!(
            shown(netlink.link("nope").map(drop)),
            "rtnetlink(RTM_GETLINK nope) = ENODEV (No such device)"
        );
        let bad = shown(netlink.link("a/b").map(drop));
        assert!(
            bad.starts_with("rtnetlink(RTM_GETLINK \"a/b\": an interface name has 1 to 15 bytes"),
            "{bad}"
        );
        netlink
            .create_veth(&veth("a", "b", netns.as_fd()))
            .expect("a veth pair");
        let taken = shown(netlink.create_veth(&veth("a", "c", netns.as_fd())));
        assert!(
            taken.starts_with("rtnetlink(RTM_NEWLINK veth a with peer c"),
            "{taken}"
        );
        assert!(taken.contains("EEXIST"), "{taken}");
        assert_eq!(
            netlink.link_index("c").unwrap_err().errno,
            Errno::NODEV,
            "a half made pair was left behind"
        );
        let index = netlink.link_index("a").expect("our end");
        let prefix = shown(netlink.add_address_v4(index, Ipv4Addr::LOCALHOST, 33, None));
        assert!(
            prefix.starts_with(&format!(
                "rtnetlink(RTM_NEWADDR 127.0.0.1/33 on index {index}"
            )),
            "{prefix}"
        );
        assert!(prefix.contains("EINVAL"), "{prefix}");
        // The kernel explains this one since 4.15.
        assert!(
            shown(netlink.set_link(
                index,
                &LinkChange {
                    mtu: Some(1),
                    ..Default::default()
                }
            ))
            .contains("mtu less than")
        );
    });
}

#[test]
fn a_macvlan_is_made_on_a_parent_and_a_missing_kind_is_said() {
    let netns = new_netns();
    inside(&netns, |netlink| {
        netlink
            .create_veth(&veth("a", "b", netns.as_fd()))
            .expect("a veth pair");
        let parent = netlink.link_index("a").expect("the parent");
        let upper = |name: &str, kind| UpperSpec {
            name: name.into(),
            parent,
            kind,
            mtu: Some(1400),
        };
        let kinds = [
            upper("mc0", UpperKind::Macvlan(MacVlanMode::Private)),
            upper(
                "ip0",
                UpperKind::Ipvlan(IpVlanMode::L3, IpvlanIsolation::Private),
            ),
            upper("vlan0", UpperKind::Vlan(7)),
        ];
        for spec in kinds {
            match netlink.create_upper(&spec) {
                Ok(()) => {
                    assert_eq!(netlink.link(&spec.name).expect("the new device").mtu, 1400);
                    netlink.delete_link(&spec.name).expect("delete it");
                }
                Err(error) => {
                    assert_eq!(error.errno, Errno::OPNOTSUPP, "{error}");
                    eprintln!("could not run {}: {error}", spec.name);
                }
            }
        }
    });
}

/// How many addresses the namespace answers for on somebody's behalf.
fn proxy_neighbours(netlink: &mut Netlink, family: AddressFamily) -> usize {
    let mut query = NeighbourMessage::default();
    query.header.family = family;
    query.header.flags = NeighbourFlags::Proxy;
    let query = RouteNetlinkMessage::GetNeighbour(query);
    netlink
        .request(query, DUMP, || "RTM_GETNEIGH".into())
        .expect("the proxy neighbours")
        .len()
}

#[test]
fn proxy_neighbours_come_and_go() {
    let netns = new_netns();
    inside(&netns, |netlink| {
        netlink
            .create_veth(&veth("a", "b", netns.as_fd()))
            .expect("a veth pair");
        let index = netlink.link_index("a").expect("our end");
        for (ip, family) in [
            ("192.0.2.1", AddressFamily::Inet),
            ("2001:db8::1", AddressFamily::Inet6),
        ] {
            let ip: IpAddr = ip.parse().expect(ip);
            for _ in 0..2 {
                netlink
                    .add_proxy_neighbour(index, ip)
                    .expect("answer for an address");
                assert_eq!(proxy_neighbours(netlink, family), 1, "{ip}");
            }
            for _ in 0..2 {
                netlink
                    .delete_proxy_neighbour(index, ip)
                    .expect("stop answering");
                assert_eq!(proxy_neighbours(netlink, family), 0, "{ip}");
            }
        }
    });
}
