//! Every kind of message, as a user reads it. The snapshots are the golden files: a change there
//! is a change of the interface.

use lxc_config::Config;

/// Compares with the golden file named after the test.
macro_rules! assert_golden {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

/// The message for each line, under the line.
fn messages(lines: &[&str]) -> String {
    let mut out = String::new();
    for line in lines {
        let error = Config::new().parse(line, "demo/config").expect_err(line);
        out.push_str(&format!("{}\n  {error}\n", line.escape_debug()));
    }
    out
}

#[test]
fn unknown_keys() {
    assert_golden!(messages(&[
        "lxc.uts.nmae = demo",
        "lxc.utsname = demo",
        "lxc.network.0.type = veth",
        "lxc.rootfs = /srv/rootfs",
        "lxc.limit.nofile = 1024",
        "lxc.kmsg = 0",
        "lxc.cgroup.use = memory",
        "lxc.nothing.like.any.other.key = 1",
        "lxc.net.0.hwadr = 00:16:3e:00:00:01",
        "lxc.net.eth0.link = lxcbr0",
        "lxc.cgroup2foo = 1",
        "lxc.cgroup2.a/b = 1",
        "lxc.cgroup2. = 1",
        "lxc. = 1",
        "lxc.uts.name\t\u{1b}[31m = red",
    ]));
}

#[test]
fn keys_that_are_not_implemented_yet() {
    assert_golden!(messages(&[
        "lxc.idmap = u 0 100000 65536",
        "lxc.prlimit.nofile = 1024",
        "lxc.namespace.share.net = other",
        "lxc.cgroup.dir.monitor = m",
        "lxc.net.0.l2proxy = 1",
        "lxc.mount.auto = proc shmounts:/srv/shared",
        "lxc.mount.entry = /srv srv none bind,idmap=container 0 0",
        "lxc.mount.entry = /srv srv none move 0 0",
    ]));
}

#[test]
fn bad_values() {
    assert_golden!(messages(&[
        "lxc.tty.max = abc",
        "lxc.tty.max = 3 # three",
        "lxc.tty.max = -1",
        "lxc.start.order = 9999999999",
        "lxc.start.auto = yes",
        "lxc.arch = vax",
        "lxc.arch =",
        "lxc.autodev.tmpfs.size = 4M",
        "lxc.cap.drop = mac_admin CAP_SYS_ADMIN",
        "lxc.cap.keep = chown nonsense",
        "lxc.cap.keep = chown\nlxc.cap.drop = kill",
        "lxc.cgroup2 = 1",
        "lxc.environment = =x",
        "lxc.environment = LXC_CONFIG_TEST_NO_SUCH_VARIABLE",
        "lxc.hook = /bin/true",
        "lxc.hook.version = 2",
        "lxc.init.cmd = /sbin/init 'a b",
        "lxc.log.level = LOUD",
        "lxc.mount.auto = proc:ro",
        "lxc.mount.entry = /srv srv",
        "lxc.mount.entry = /my data srv none bind 0 0",
        "lxc.mount.entry = /srv srv none create=link 0 0",
        "lxc.rootfs.path = floppy:/dev/fd0",
        "lxc.rootfs.path = dir:",
        "lxc.signal.stop = SIGNONE",
        "lxc.signal.stop = KILL",
        "lxc.tty.dir = ../lxc",
        "lxc.uts.name = a-host-name-of-more-than-sixty-four-bytes-which-linux-does-not-take",
    ]));
}

#[test]
fn bad_network_devices() {
    assert_golden!(messages(&[
        "lxc.net = veth",
        "lxc.net.0 = veth",
        "lxc.net.0.type = bridge",
        "lxc.net.0.flags = on",
        "lxc.net.0.link = a-name-of-16-byte",
        "lxc.net.0.name = a:b",
        "lxc.net.0.hwaddr = 00:16:3e",
        "lxc.net.0.mtu = big",
        "lxc.net.0.ipv4.address = 10.0.3.300/24",
        "lxc.net.0.ipv4.address = 10.0.3.2/33",
        "lxc.net.0.ipv4.address = 10.0.3.2/24 x",
        "lxc.net.0.ipv6.address = fd00::5/129",
        "lxc.net.0.ipv4.gateway = none",
        "lxc.net.0.link =",
        "lxc.net.0.veth.pair = vethdemo",
        "lxc.net.0.type = macvlan\nlxc.net.0.veth.pair = vethdemo",
        "lxc.net.2147483647.type = veth",
    ]));
}

#[test]
fn bad_lines() {
    assert_golden!(messages(&[
        "lxc.uts.name demo",
        "# comment\r\n\r\n  lxc.uts.name",
        "lxc.include = /nonexistent/file.conf",
        "lxc.include = /dev/null/",
    ]));
}

#[test]
fn callers_get_the_same_messages_without_a_place() {
    let mut config = Config::new();
    let mut out = String::new();
    for (key, value) in [
        ("lxc.tty.max", "abc"),
        ("lxc.utsname", "demo"),
        ("lxc.uts.name", "two\nlines"),
        ("lxc.uts.name", "nul\0"),
        ("lxc.prlimit.nofile", "1"),
        ("uts.name", "x"),
        ("", ""),
    ] {
        let error = config.set(key, value).expect_err(key);
        out.push_str(&format!("set {key:?} {value:?} -> {error}\n"));
    }
    for key in [
        "lxc.include",
        "lxc.hook",
        "lxc.net.0",
        "lxc.net.0.link",
        "lxc.nothing",
        "lxc.idmap",
    ] {
        let error = config.get(key).expect_err(key);
        out.push_str(&format!("get {key:?} -> errno {}: {error}\n", error.errno));
    }
    for prefix in ["lxc", "lxc.tty", "lxc.net", "lxc.net.0"] {
        let error = config.keys(Some(prefix)).expect_err(prefix);
        out.push_str(&format!("keys {prefix:?} -> {error}\n"));
    }
    assert_golden!(out);
}
