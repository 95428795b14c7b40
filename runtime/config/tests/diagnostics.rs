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

/// What a start refuses, under the lines that say it; a dash for nothing.
fn refusals(texts: &[&str]) -> String {
    let mut out = String::new();
    for text in texts {
        let mut config = Config::new();
        config.parse(text, "demo/config").expect(text);
        out.push_str(&format!("{}\n", text.escape_debug()));
        let refused = config.not_carried_out();
        if refused.is_empty() {
            out.push_str("  -\n");
        }
        for error in refused {
            out.push_str(&format!("  {error}\n"));
        }
    }
    out
}

#[test]
fn what_is_not_carried_out_yet() {
    assert_golden!(refusals(&[
        // The first of a list, the last of a single value.
        "lxc.log.syslog = daemon\nlxc.log.syslog = local0",
        "lxc.prlimit.nofile = 1024\nlxc.sysctl.kernel.msgmax = 1",
        "lxc.namespace.share.net = other",
        "lxc.net.0.l2proxy = 1",
        "lxc.net.0.type = macvlan\nlxc.net.0.macvlan.mode = bridge",
        "lxc.mount.auto = proc\nlxc.mount.auto = sys shmounts:/srv/shared",
        "lxc.mount.entry = /a a none bind\nlxc.mount.entry = /srv srv none move 0 0",
        "lxc.apparmor.raw = mount,\nlxc.selinux.context = a_t",
        // Empty it is 0, which is no default.
        "lxc.monitor.signal.pdeath =",
    ]));
}

#[test]
fn what_says_nothing_else_than_the_default_is_carried_out() {
    assert_golden!(refusals(&[
        "lxc.ephemeral = 0\nlxc.keyring.session = 0",
        "lxc.ephemeral = 1\nlxc.ephemeral = 0",
        "lxc.prlimit.nofile = 1\nlxc.prlimit.core = 1\nlxc.prlimit =",
        "lxc.sysctl.a.b = 1\nlxc.sysctl.a.b =",
        "lxc.net.0.l2proxy = 1\nlxc.net.0.type = veth",
        "lxc.net.0.type = phys\nlxc.net.0.type = veth",
        "lxc.net.0.type = phys\nlxc.net.0 =",
        "lxc.net.0.type = phys\nlxc.net =",
        "lxc.net.0.type = veth\nlxc.net.0.veth.mode = bridge",
        "lxc.time.offset.boot = 0s\nlxc.monitor.signal.pdeath = SIGKILL",
        "lxc.mount.auto = shmounts:/srv/shared\nlxc.mount.auto =",
        "lxc.namespace.share.net = other\nlxc.namespace.share.net =",
    ]));
}

#[test]
fn what_is_cleared_takes_back_no_more_than_itself() {
    assert_golden!(refusals(&[
        "lxc.sysctl.kernel.msgmax = 1\nlxc.sysctl.kernel =",
        "lxc.selinux.context.keyring = a_t\nlxc.selinux.context =",
        "lxc.net.1.type = phys\nlxc.net.10.type = phys\nlxc.net.1 =",
        "lxc.net.0.type = veth\nlxc.net.0.veth.ipv4.route = 10.0.0.0/8\n\
         lxc.net.0.type = veth\nlxc.net.0.veth.ipv4.route = 10.0.0.0/8",
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
        "lxc.cgroup.dir = /lxc",
        "lxc.cgroup.dir.container.inner = a/b",
        "lxc.console.buffer.size = 4TB",
        "lxc.console.buffer.size = 99999999999GB",
        "lxc.environment.runtime = =x",
        "lxc.idmap = b 0 100000 65536",
        "lxc.idmap = u 0 100000",
        "lxc.idmap = u 0 x 65536",
        "lxc.idmap = u 0 4294967295 1",
        "lxc.init.groups = ,",
        "lxc.init.groups = 5,audio",
        "lxc.log.syslog = user",
        "lxc.monitor.signal.pdeath = TERM",
        "lxc.mount.auto = shmounts:",
        "lxc.mount.entry = /srv srv none bind,idmap=me 0 0",
        "lxc.namespace.clone = net mount",
        "lxc.namespace.clone = net\nlxc.namespace.keep = ipc",
        "lxc.namespace.share.NET = other",
        "lxc.time.offset.boot = 7",
        "lxc.time.offset.boot = 7d",
        "lxc.time.offset.boot = 9223372036854775807h",
        "lxc.prlimit = 1",
        "lxc.prlimit.nofiles = 1",
        "lxc.prlimit.nofile = many",
        "lxc.prlimit.nofile = 9:3",
        "lxc.rootfs.options = ro,optional",
        "lxc.rootfs.options = idmap=",
        "lxc.seccomp.notify.proxy = /run/proxy",
        "lxc.sysctl = 1",
        "lxc.sysctl. = 1",
        "lxc.proc.a b = 1",
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
        "lxc.net.0.veth.pair = vethdemo",
        "lxc.net.0.type = macvlan\nlxc.net.0.veth.pair = vethdemo",
        "lxc.net.2147483647.type = veth",
        "lxc.net.0.type = veth\nlxc.net.0.l2proxy = yes",
        "lxc.net.0.type = veth\nlxc.net.0.veth.mode = l2",
        "lxc.net.0.type = veth\nlxc.net.0.veth.ipv4.route = 192.0.2.0",
        "lxc.net.0.type = veth\nlxc.net.0.veth.ipv6.route = fd00::/129",
        "lxc.net.0.type = veth\nlxc.net.0.veth.vlan.id = 4095",
        "lxc.net.0.type = veth\nlxc.net.0.veth.vlan.tagged.id = none",
        "lxc.net.0.type = veth\nlxc.net.0.veth.n_rxqueues = 0",
        "lxc.net.0.type = vlan\nlxc.net.0.vlan.id = 70000",
        "lxc.net.0.type = ipvlan\nlxc.net.0.ipvlan.mode = l4",
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
        ("lxc.idmap", "u 0 0"),
        ("uts.name", "x"),
        ("", ""),
    ] {
        let error = config.set(key, value).expect_err(key);
        out.push_str(&format!("set {key:?} {value:?} -> {error}\n"));
    }
    config.set("lxc.net.0.type", "veth").expect("good value");
    let error = config.clear("lxc.net.7.link").expect_err("no such device");
    out.push_str(&format!("clear \"lxc.net.7.link\" -> {error}\n"));
    let error = config
        .set("lxc.net.7.link", "")
        .expect_err("no such device");
    out.push_str(&format!("set \"lxc.net.7.link\" \"\" -> {error}\n"));
    for key in [
        "lxc.include",
        "lxc.hook",
        "lxc.net.0",
        "lxc.net.7",
        "lxc.net.0.nothing",
        "lxc.net.0.vlan.id",
        "lxc.net.7.link",
        "lxc.net.2147483647.link",
        "lxc.net.",
        "lxc.nothing",
        "lxc.prlimitx",
        "lxc.namespace.share.nothing",
    ] {
        let error = config.get(key).expect_err(key);
        out.push_str(&format!("get {key:?} -> errno {}: {error}\n", error.errno));
    }
    for prefix in ["lxc", "lxc.tty", "lxc.net", "lxc.net.7"] {
        let error = config.keys(Some(prefix)).expect_err(prefix);
        out.push_str(&format!("keys {prefix:?} -> {error}\n"));
    }
    assert_golden!(out);
}
