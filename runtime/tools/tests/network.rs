//! Networks of containers, each test in a network namespace of its own as the host.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use support::{Call, Lab, Ran, could_not_run, within};

const OWNER: &str = "t2";

/// Busybox' init asks for addresses by DHCP; this one leaves the network as it is.
const QUIET: &str = "lxc.init.cmd = /bin/sleep 1000";

/// A network namespace that plays the host: with the bridge br0, 10.77.0.1/24 and fd77::1/64.
struct Host {
    name: String,
}

impl Host {
    /// A new one; `None`, and a line about `test`, where it cannot be made.
    #[track_caller]
    fn new(lab: &Lab, test: &str) -> Option<Host> {
        if !PathBuf::from("/usr/sbin/ip").exists() && !PathBuf::from("/sbin/ip").exists() {
            could_not_run(test, "iproute2 is not installed");
            return None;
        }
        let name = lab.name("host");
        Call::new("ip").args(["netns", "add", &name]).run().exits(0);
        let host = Host { name };
        for line in [
            "link set lo up",
            "link add br0 type bridge",
            "address add 10.77.0.1/24 dev br0",
            "address add fd77::1/64 dev br0 nodad",
            "link set br0 mtu 1400 up",
        ] {
            host.ip(line);
        }
        Some(host)
    }

    /// Runs ip(8) there.
    #[track_caller]
    fn ip(&self, line: &str) -> String {
        self.call("ip").args(line.split(' ')).run().exits(0).stdout
    }

    /// A call of `program` there. Not through `ip netns exec`, which hides the cgroups.
    fn call(&self, program: impl AsRef<std::ffi::OsStr>) -> Call {
        let net = format!("--net=/run/netns/{}", self.name);
        Call::new("nsenter").arg(net).arg("--").arg(program)
    }

    /// A call of our `tool` there.
    fn tool(&self, lab: &Lab, tool: &str, words: &[&str]) -> Call {
        let call = self.call(lab.prefix().join("bin").join(tool));
        call.arg("-P").arg(lab.lxcpath()).args(words)
    }

    #[track_caller]
    fn start(&self, lab: &Lab, name: &str) {
        self.tool(lab, "lxc-start", &["-n", name]).run().exits(0);
    }

    #[track_caller]
    fn kill(&self, lab: &Lab, name: &str) {
        self.tool(lab, "lxc-stop", &["-n", name, "-k"])
            .run()
            .exits(0);
    }

    #[track_caller]
    fn inside(&self, lab: &Lab, name: &str, script: &str) -> Ran {
        let words = ["-n", name, "--", "sh", "-c", script];
        self.tool(lab, "lxc-attach", &words).run()
    }

    /// Its interfaces, a line each.
    #[track_caller]
    fn links(&self) -> Vec<String> {
        let listing = self.ip("-o link");
        let names = listing.lines().filter_map(|line| line.split(": ").nth(1));
        names
            .map(|name| name.split('@').next().unwrap_or(name).to_owned())
            .collect()
    }

    /// Fails unless its interfaces are lo and the bridge, at the latest after three seconds.
    #[track_caller]
    fn is_bare(&self) {
        let bare = within(Duration::from_secs(3), || self.links() == ["lo", "br0"]);
        assert!(bare, "interfaces left behind: {:?}", self.links());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // What still runs there keeps it until the laboratory has ended it.
        let _ = std::process::Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

/// Fails unless each of `expected` is in the text.
#[track_caller]
fn shows(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "expected {part:?} in\n{text}");
    }
}

const TWO_NICS: &str = "
lxc.net.0.type = veth
lxc.net.0.link = br0
lxc.net.0.flags = up
lxc.net.0.name = lan0
lxc.net.0.hwaddr = 02:11:22:33:44:55
lxc.net.0.mtu = 1300
lxc.net.0.ipv4.address = 10.77.0.5/24
lxc.net.0.ipv4.gateway = auto
lxc.net.0.ipv6.address = fd77::5/64
lxc.net.0.ipv6.gateway = auto
lxc.net.1.type = veth
lxc.net.1.link = br0
lxc.net.1.flags = up
lxc.net.1.veth.pair = t2pair1
lxc.net.1.ipv4.address = 10.78.0.6/24 10.78.0.255
";

#[test]
fn two_veths_on_a_bridge_work_until_the_stop() {
    const TEST: &str = "two_veths_on_a_bridge_work_until_the_stop";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(host) = Host::new(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", &format!("{QUIET}{TWO_NICS}"));
    host.start(&lab, &name);

    let inside = host
        .inside(&lab, &name, "ip address; ip route; ip -6 route")
        .exits(0)
        .stdout;
    shows(
        &inside,
        &[
            "lan0@",
            "mtu 1300",
            "link/ether 02:11:22:33:44:55",
            "inet 10.77.0.5/24 brd 10.77.0.255",
            "inet6 fd77::5/64",
            "eth0@",
            "mtu 1400",
            "inet 10.78.0.6/24 brd 10.78.0.255",
            "inet 127.0.0.1/8",
            "default via 10.77.0.1 dev lan0",
            "default via fd77::1 dev lan0",
        ],
    );
    host.inside(&lab, &name, "ping -c 1 -W 2 10.77.0.1")
        .exits(0);
    host.call("busybox")
        .args(["ping", "-c", "1", "-W", "2", "10.77.0.5"])
        .run()
        .exits(0);

    // The host's ends: one named, one drawn; in the bridge, with an address no bridge takes over.
    let ports = host.ip("-o link show master br0");
    assert_eq!(ports.lines().count(), 2, "{ports}");
    shows(
        &ports,
        &["t2pair1@", "mtu 1300", "mtu 1400", "link/ether fe:"],
    );
    let drawn = host
        .links()
        .into_iter()
        .find(|link| link.starts_with("veth"));
    let drawn = drawn.expect("a drawn name begins with veth");
    // Here `ip netns exec` for its own /sys, where the counters of the links are.
    let info = Call::new("ip").args(["netns", "exec", &host.name]);
    let info = info
        .arg(lab.prefix().join("bin/lxc-info"))
        .arg("-P")
        .arg(lab.lxcpath());
    let info = info.args(["-n", &name]).run().exits(0);
    shows(
        &info.stdout,
        &[
            "IP:             10.77.0.5",
            "IP:             10.78.0.6",
            "IP:             fd77::5",
        ],
    );
    shows(
        &info.stdout,
        &[
            &format!("Link:           {drawn}"),
            "Link:           t2pair1",
        ],
    );
    let columns = ["-f", "-F", "INTERFACE,IPV4,IPV6"];
    let listing = host.tool(&lab, "lxc-ls", &columns).run().exits(0);
    shows(
        &listing.stdout,
        &["eth0, lan0, lo 10.77.0.5, 10.78.0.6 fd77::5"],
    );

    host.kill(&lab, &name);
    host.is_bare();
}

#[test]
fn a_reboot_makes_the_network_anew() {
    const TEST: &str = "a_reboot_makes_the_network_anew";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(host) = Host::new(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", &format!("{QUIET}{TWO_NICS}"));
    host.start(&lab, &name);
    let pid = || {
        host.tool(&lab, "lxc-info", &["-n", &name, "-pH"])
            .run()
            .stdout
    };
    let first = pid();
    host.inside(&lab, &name, "reboot -f");
    let again = within(Duration::from_secs(5), || {
        !pid().is_empty() && pid() != first
    });
    assert!(again, "it did not start again");
    let words = ["-n", &name, "-s", "RUNNING", "-t", "5"];
    host.tool(&lab, "lxc-wait", &words).run().exits(0);
    host.inside(&lab, &name, "ping -c 1 -W 2 10.77.0.1")
        .exits(0);
    let ports = host.ip("-o link show master br0");
    assert_eq!(ports.lines().count(), 2, "{ports}");
    host.kill(&lab, &name);
    host.is_bare();
}

/// Configuration, a script inside that must succeed.
const VARIANTS: &[(&str, &str)] = &[
    // Without a bridge: the pair is there, up, and the host may route to it.
    (
        "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.2/24",
        "ip address show eth0 | grep -q 'inet 10.9.0.2/24'",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.link = br0",
        "ip link show eth0 | grep -qv UP && ! ip link show lo | grep -q LOWER_UP",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\n\
         lxc.net.0.ipv4.address = 10.77.0.9/24\nlxc.net.0.ipv4.gateway = dev\n\
         lxc.net.0.ipv6.address = fd77::9/64\nlxc.net.0.ipv6.gateway = dev",
        "ip route | grep -q '^default dev eth0' && ip -6 route | grep -q '^default dev eth0'",
    ),
    // A gateway outside every prefix is made reachable first.
    (
        "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\n\
         lxc.net.0.ipv4.address = 10.88.0.9/32\nlxc.net.0.ipv4.gateway = 10.77.0.1",
        "ip route | grep -q '^10.77.0.1 dev eth0' && ip route | grep -q '^default via 10.77.0.1'",
    ),
    // Names given first, numbers fill the gaps, whatever the order of the configuration.
    (
        "lxc.net.0.type = veth\nlxc.net.1.type = veth\nlxc.net.1.name = eth0\nlxc.net.7.type = veth",
        "test \"$(ls /sys/class/net | sort | tr '\\n' ' ')\" = 'eth0 eth1 eth2 lo '",
    ),
    (
        "lxc.net.0.type = empty\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.1.2.3/32",
        "ip address show lo | grep -q 10.1.2.3/32 && ip link show lo | grep -q LOWER_UP",
    ),
    (
        "lxc.net.0.type = empty",
        "test \"$(ls /sys/class/net)\" = lo && ! ip link show lo | grep -q LOWER_UP",
    ),
    // No network at all is a network of its own.
    ("", "test \"$(ls /sys/class/net)\" = lo"),
    // none beside others is ignored.
    (
        "lxc.net.0.type = none\nlxc.net.1.type = empty",
        "test \"$(ls /sys/class/net)\" = lo",
    ),
    // The host's own.
    (
        "lxc.net.0.type = none",
        "ip address show br0 | grep -q 10.77.0.1",
    ),
];

/// The configuration of `name` with another network.
fn with_network(base: &str, network: &str) -> String {
    let others = base.lines().filter(|line| !line.starts_with("lxc.net."));
    format!(
        "{}\n{QUIET}\n{network}\n",
        others.collect::<Vec<_>>().join("\n")
    )
}

#[test]
fn each_kind_of_network_is_what_it_should_be() {
    const TEST: &str = "each_kind_of_network_is_what_it_should_be";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(host) = Host::new(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let config = lab.directory(&name).join("config");
    let base = std::fs::read_to_string(&config).expect("it has a configuration");
    for (network, script) in VARIANTS {
        std::fs::write(&config, with_network(&base, network)).expect("the configuration is ours");
        host.start(&lab, &name);
        let ran = host.inside(&lab, &name, script);
        let scene = host.inside(&lab, &name, "ip address; ip route; ip -6 route");
        assert!(ran.code() == 0, "{network}\n{ran}\n{scene}");
        host.kill(&lab, &name);
        host.is_bare();
    }
}

/// Configuration, what the first line of the message must contain, what the rest must.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "lxc.net.0.type = macvlan\nlxc.net.0.link = br0",
        "lxc.net.0.type = macvlan: not implemented yet",
        "remove it",
    ),
    (
        "lxc.net.0.type = ipvlan\nlxc.net.0.link = br0",
        "lxc.net.0.type = ipvlan: not implemented yet",
        "remove it",
    ),
    (
        "lxc.net.0.type = vlan\nlxc.net.0.link = br0",
        "lxc.net.0.type = vlan: not implemented yet",
        "remove it",
    ),
    (
        "lxc.net.0.type = phys\nlxc.net.0.link = br0",
        "lxc.net.0.type = phys: not implemented yet",
        "remove it",
    ),
    ("lxc.net.0.type = tunnel", "lxc.net.0.type = tunnel", ""),
    (
        "lxc.net.0.type = veth\nlxc.net.0.link = nobr",
        "in the bridge nobr",
        "ip link add nobr type bridge",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.link = lo",
        "in the bridge lo",
        "lo is not a bridge",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.veth.pair = br0",
        "lxc.net.0",
        "an interface of that name exists already",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.1.type = veth\nlxc.net.1.link = nobr",
        "lxc.net.1 in the bridge nobr",
        "ip link add nobr type bridge",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\n\
         lxc.net.0.ipv4.gateway = 10.77.0.1",
        "lxc.net.0 has an IPv4 gateway but no address",
        "address",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.2/24\n\
         lxc.net.0.ipv4.gateway = auto",
        "lxc.net.0",
        "",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.mtu = 10",
        "mtu = 10",
        "68",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.hwaddr = 01:00:00:00:00:00",
        "hwaddr",
        "even",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.9.0.2/33",
        "10.9.0.2/33",
        "",
    ),
    // Found out inside, when the host's half is done already.
    (
        "lxc.net.0.type = veth\nlxc.net.0.name = same\nlxc.net.1.type = veth\nlxc.net.1.name = same",
        "lxc.net",
        "EEXIST",
    ),
    (
        "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\n\
         lxc.net.0.ipv4.address = 10.77.0.5/24\nlxc.net.0.ipv4.gateway = 10.77.0.1\n\
         lxc.net.1.type = veth\nlxc.net.1.link = br0\nlxc.net.1.flags = up\n\
         lxc.net.1.ipv4.address = 10.77.0.6/24\nlxc.net.1.ipv4.gateway = 10.77.0.1",
        "lxc.net",
        "EEXIST",
    ),
];

#[test]
fn what_cannot_be_is_refused_with_a_sentence_and_leaves_nothing() {
    const TEST: &str = "what_cannot_be_is_refused_with_a_sentence_and_leaves_nothing";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let Some(host) = Host::new(&lab, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let config = lab.directory(&name).join("config");
    let base = std::fs::read_to_string(&config).expect("it has a configuration");
    let before = lab.census();
    for (network, first, rest) in REFUSED {
        std::fs::write(&config, with_network(&base, network)).expect("the configuration is ours");
        let ran = host.tool(&lab, "lxc-start", &["-n", &name]).run().exits(1);
        let (line, others) = ran.stderr.split_once('\n').unwrap_or((&ran.stderr, ""));
        assert!(
            line.contains(first) && (line.contains(rest) || others.contains(rest)),
            "expected {first:?}, then {rest:?}\n{network}\n{ran}"
        );
        host.is_bare();
        lab.is_as(&before);
    }
}
