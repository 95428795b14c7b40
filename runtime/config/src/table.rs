//! The table of keys. A key is one row; every operation on it starts from here.

use crate::grammar;
use crate::row::Row;
use crate::rows::{
    capabilities, cgroups, devices, general, hooks, idmap, limits, mounts, named, namespaces, net,
    rootfs, seccomp, time,
};
use crate::setting::{List, Scalar, field, show};

macro_rules! hook {
    ($name:literal, $list:ident, $doc:literal) => {
        Row::new(
            concat!("lxc.hook.", $name),
            $doc,
            &List {
                field: field!(hooks.$list),
                parse: grammar::located_lines,
                show: show::located_lines,
            },
        )
        .takes(&[(
            "/usr/bin/hook --with 'an argument'",
            "/usr/bin/hook --with 'an argument'\n",
        )])
    };
}

/// Every key of LXC, in the order get_keys lists them.
pub(crate) static TABLE: &[Row] = &[
    Row::new(
        "lxc.arch",
        "Architecture that programs inside see.",
        &general::ArchKey,
    )
    .takes(&[
        ("x86_64", "x86_64"),
        ("aarch64", "x86_64"),
        ("armhf", "i686"),
        ("i386", "i686"),
    ])
    .refuses(&["vax", "X86_64"]),
    Row::new(
        "lxc.apparmor.profile",
        "AppArmor profile: a name, `generated`, `unconfined` or `unchanged`.",
        &Scalar {
            field: field!(apparmor.profile),
            parse: grammar::located_text,
            show: show::located,
        },
    )
    .text_form()
    .takes(&[("generated", "generated"), ("unconfined", "unconfined")]),
    Row::new(
        "lxc.apparmor.allow_incomplete",
        "1 starts although the kernel's AppArmor lacks mount rules.",
        &Scalar {
            field: field!(apparmor.allow_incomplete),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "yes"]),
    Row::new(
        "lxc.apparmor.allow_nesting",
        "1 lets the generated profile run containers inside.",
        &Scalar {
            field: field!(apparmor.allow_nesting),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2"]),
    Row::new(
        "lxc.apparmor.raw",
        "A line added to the generated AppArmor profile.",
        &List {
            field: field!(apparmor.raw),
            parse: general::raw_line,
            show: general::show_lines,
        },
    )
    .takes(&[("mount options=(rw),", "mount options=(rw),\n")]),
    Row::new(
        "lxc.autodev.tmpfs.size",
        "Size of the tmpfs on /dev, in bytes; 0 for the usual 500000.",
        &Scalar {
            field: field!(autodev.tmpfs_size),
            parse: devices::tmpfs_size,
            show: show::number,
        },
    )
    .takes(&[("1000000", "1000000"), ("0", "0")])
    .refuses(&["1M", "-1", "2147483648"]),
    Row::new(
        "lxc.autodev",
        "1 gives the container a /dev of its own on a tmpfs.",
        &devices::AutodevKey,
    )
    .takes(&[("0", "0"), ("1", "1")])
    .refuses(&["2", "no"]),
    Row::new(
        "lxc.cap.drop",
        "Capabilities that no program inside can have.",
        &capabilities::DropKey,
    )
    .also_clears(capabilities::is_either)
    .takes(&[("mac_admin sys_time", "mac_admin\nsys_time\n")])
    .also_takes(&[("25\t sys_time", "25\nsys_time\n")])
    .refuses(&[
        "CAP_SYS_ADMIN",
        "sys_admim",
        "64",
        "none",
        "mac_admin nonsense",
    ]),
    Row::new(
        "lxc.cap.keep",
        "The only capabilities that programs inside can have.",
        &capabilities::KeepKey,
    )
    .also_clears(capabilities::is_either)
    .takes(&[
        ("chown kill", "chown\nkill\n"),
        ("chown none kill", "kill\n"),
    ])
    .refuses(&["CAP_CHOWN", "chown nonsense"]),
    Row::family(
        "lxc.cgroup2",
        "Value written to a file of the container's cgroup on hosts with cgroup v2.",
        &cgroups::CgroupFiles {
            key: "lxc.cgroup2",
            field: field!(cgroup2),
        },
    )
    .since("4.5")
    .member(".FILE", ".memory.max")
    .takes(&[("1G", "1G\n"), ("max", "max\n")]),
    Row::new(
        "lxc.cgroup.dir.monitor.pivot",
        "Cgroup the monitor moves to before it removes its own.",
        &Scalar {
            field: field!(cgroup.monitor_pivot),
            parse: cgroups::directory,
            show: cgroups::show_directory,
        },
    )
    .takes(&[("tenants/a", "tenants/a")])
    .also_takes(&[("./a//b/", "a/b")])
    .refuses(&["/a", "a/../b", ".."]),
    Row::new(
        "lxc.cgroup.dir.monitor",
        "Cgroup of the monitor.",
        &Scalar {
            field: field!(cgroup.monitor),
            parse: cgroups::directory,
            show: cgroups::show_directory,
        },
    )
    .takes(&[("tenants/a", "tenants/a")])
    .also_takes(&[("./a//b/", "a/b")])
    .refuses(&["/a", "a/../b", ".."]),
    Row::new(
        "lxc.cgroup.dir.container.inner",
        "Cgroup of the processes, below the one with the limits.",
        &Scalar {
            field: field!(cgroup.container_inner),
            parse: cgroups::inner,
            show: cgroups::show_directory,
        },
    )
    .takes(&[("init", "init")])
    .refuses(&["a/b", "a/", ".", ".."]),
    Row::new(
        "lxc.cgroup.dir.container",
        "Cgroup of the container.",
        &Scalar {
            field: field!(cgroup.container),
            parse: cgroups::directory,
            show: cgroups::show_directory,
        },
    )
    .takes(&[("tenants/a", "tenants/a")])
    .also_takes(&[("./a//b/", "a/b")])
    .refuses(&["/a", "a/../b", ".."]),
    Row::new(
        "lxc.cgroup.dir",
        "Cgroup that holds those of container and monitor.",
        &Scalar {
            field: field!(cgroup.dir),
            parse: cgroups::directory,
            show: cgroups::show_directory,
        },
    )
    .takes(&[("tenants/a", "tenants/a")])
    .also_takes(&[("./a//b/", "a/b")])
    .refuses(&["/a", "a/../b", ".."]),
    Row::new(
        "lxc.cgroup.relative",
        "1 stays below the cgroup of whoever starts the container.",
        &Scalar {
            field: field!(cgroup.relative),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "yes"]),
    Row::family(
        "lxc.cgroup",
        "Value written to a file of the container's cgroup on hosts with cgroup v1.",
        &cgroups::CgroupFiles {
            key: "lxc.cgroup",
            field: field!(cgroup1),
        },
    )
    .member(".FILE", ".memory.limit_in_bytes")
    .takes(&[("1G", "1G\n"), ("-1", "-1\n")]),
    Row::new(
        "lxc.console.buffer.size",
        "Size of the buffer that keeps the last console output.",
        &Scalar {
            field: field!(console.buffer_size),
            parse: devices::size,
            show: show::number,
        },
    )
    .takes(&[
        ("auto", "131072"),
        ("1", "4096"),
        ("5000", "8192"),
        ("4MB", "4194304"),
        ("64 kB", "65536"),
    ])
    .refuses(&["4TB", "-1", "MB", "big", "99999999999GB"]),
    Row::new(
        "lxc.console.logfile",
        "File that console output is appended to.",
        &Scalar {
            field: field!(console.logfile),
            parse: grammar::located_path,
            show: show::located,
        },
    )
    .text_form()
    .takes(&[("/var/log/c1.console", "/var/log/c1.console")])
    .also_takes(&[("/var//log/c1.console", "/var/log/c1.console")]),
    Row::new(
        "lxc.console.path",
        "File or terminal the console is copied to; `none` for no console at all.",
        &Scalar {
            field: field!(console.path),
            parse: devices::console_path,
            show: devices::show_console_path,
        },
    )
    .text_form()
    .takes(&[("none", "none"), ("/dev/tty9", "/dev/tty9")]),
    Row::new(
        "lxc.console.rotate",
        "1 renames a full console log instead of truncating it.",
        &Scalar {
            field: field!(console.rotate),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "yes"]),
    Row::new(
        "lxc.console.size",
        "Largest size of the console log.",
        &Scalar {
            field: field!(console.log_size),
            parse: devices::size,
            show: show::number,
        },
    )
    .takes(&[("auto", "131072"), ("1MB", "1048576")])
    .also_takes(&[("1gb", "1073741824")])
    .refuses(&["1 T", "-1"]),
    Row::new(
        "lxc.sched.core",
        "1 keeps other tenants off the sibling threads of a core.",
        &Scalar {
            field: field!(sched_core),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .since("5.14")
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "yes"]),
    Row::new(
        "lxc.environment.runtime",
        "Environment variable of init and attached programs only.",
        &general::Environment(field!(environment_runtime)),
    )
    .takes(&[("A=b c", "A=b c\n")])
    .refuses(&["=b"]),
    Row::new(
        "lxc.environment.hooks",
        "Environment variable of hooks run inside only.",
        &general::Environment(field!(environment_hooks)),
    )
    .takes(&[("A=b c", "A=b c\n")])
    .refuses(&["=b"]),
    Row::new(
        "lxc.environment",
        "Environment variable of init, attached programs and hooks run inside.",
        &general::Environment(field!(environment)),
    )
    .takes(&[("A=b c", "A=b c\n"), ("A=", "A=\n"), ("A=b=c", "A=b=c\n")])
    .refuses(&["=b", "LXC_CONFIG_TEST_NO_SUCH_VARIABLE"]),
    Row::new(
        "lxc.ephemeral",
        "1 removes the container when it stops.",
        &Scalar {
            field: field!(ephemeral),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "yes"]),
    Row::new(
        "lxc.execute.cmd",
        "Program that lxc-execute runs.",
        &Scalar {
            field: field!(init.execute_cmd),
            parse: grammar::command,
            show: show::located,
        },
    )
    .text_form()
    .takes(&[("/bin/true 'a b'", "/bin/true 'a b'")])
    .refuses(&["/bin/true 'a b"]),
    Row::new(
        "lxc.group",
        "Groups of containers this one belongs to, for lxc-autostart.",
        &List {
            field: field!(groups),
            parse: general::groups,
            show: general::show_lines,
        },
    )
    .takes(&[("web db", "web\ndb\n")]),
    hook!(
        "autodev",
        autodev,
        "Command run after /dev was filled, in the container's mount namespace."
    ),
    hook!("clone", clone, "Command run when the container is copied."),
    hook!(
        "destroy",
        destroy,
        "Command run when the container is destroyed."
    ),
    hook!(
        "mount",
        mount,
        "Command run after the mounts, before the root is switched."
    ),
    hook!(
        "post-stop",
        post_stop,
        "Command run on the host after the container has stopped."
    ),
    hook!(
        "pre-mount",
        pre_mount,
        "Command run in the container's mount namespace before the rootfs is mounted."
    ),
    hook!(
        "pre-start",
        pre_start,
        "Command run on the host before anything is made."
    ),
    hook!(
        "start",
        start,
        "Command run inside, immediately before init."
    ),
    hook!(
        "start-host",
        start_host,
        "Command run on the host when the container is ready to start init."
    ),
    hook!(
        "stop",
        stop,
        "Command run on the host when init has ended, with the namespaces still there."
    ),
    Row::new(
        "lxc.hook.version",
        "How hooks get their arguments: 0 as arguments, 1 in the environment.",
        &Scalar {
            field: field!(hooks.version),
            parse: hooks::version,
            show: show::number,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "new"]),
    Row::group(
        "lxc.hook",
        "All hooks together; can only be cleared.",
        &hooks::AllHooks,
    )
    .also_clears(hooks::is_hook)
    .refuses(&["/bin/true"]),
    Row::new(
        "lxc.idmap",
        "Range of user or group ids inside and what they are on the host.",
        &List {
            field: field!(idmap),
            parse: idmap::range,
            show: idmap::show_ranges,
        },
    )
    .takes(&[
        ("u 0 100000 65536", "u 0 100000 65536"),
        ("g 0 100000 65536", "g 0 100000 65536"),
    ])
    .also_takes(&[("g\t0  0x10 010", "g 0 16 8")])
    .refuses(&[
        "b 0 1 1",
        "u 0 100000",
        "u 0 100000 65536 x",
        "u0 1 1",
        "u 0 -5 7",
        "u 0 1 0",
        "u 0 4294967295 1",
    ]),
    Row::include("File, or directory of *.conf files, read in this place."),
    Row::new(
        "lxc.init.cmd",
        "Program that becomes init; /sbin/init when unset.",
        &Scalar {
            field: field!(init.cmd),
            parse: grammar::command,
            show: show::located,
        },
    )
    .text_form()
    .takes(&[("/sbin/init splash", "/sbin/init splash")])
    .refuses(&["/sbin/init \"splash"]),
    Row::new(
        "lxc.init.gid",
        "Group id of init and, by default, of attached programs.",
        &Scalar {
            field: field!(init.gid),
            parse: grammar::uint,
            show: show::number,
        },
    )
    .takes(&[("1000", "1000")])
    .refuses(&["-3", "root"]),
    Row::new(
        "lxc.init.groups",
        "Supplementary groups of init.",
        &List {
            field: field!(init.groups),
            parse: general::group_ids,
            show: general::show_group_ids,
        },
    )
    .takes(&[("1,2,3", "1,2,3"), ("5", "5")])
    .also_takes(&[(",4,, 0x10,", "4,16")])
    .refuses(&[",", "a", "1,-1", "4294967296"]),
    Row::new(
        "lxc.init.uid",
        "User id of init and, by default, of attached programs.",
        &Scalar {
            field: field!(init.uid),
            parse: grammar::uint,
            show: show::number,
        },
    )
    .takes(&[("1000", "1000")])
    .also_takes(&[("0x10", "16"), ("010", "8")])
    .refuses(&["-3", "root", "4294967296", "08"]),
    Row::new(
        "lxc.init.cwd",
        "Working directory of init.",
        &Scalar {
            field: field!(init.cwd),
            parse: grammar::located_path,
            show: show::located,
        },
    )
    .text_form()
    .takes(&[("/srv/app", "/srv/app")])
    .also_takes(&[("/srv//app/", "/srv/app")]),
    Row::new(
        "lxc.keyring.session",
        "1 keeps the session keyring of whoever starts the container.",
        &Scalar {
            field: field!(keyring_session),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "yes"]),
    Row::new(
        "lxc.log.file",
        "File that LXC's own messages are appended to.",
        &Scalar {
            field: field!(log.file),
            parse: grammar::path,
            show: show::text,
        },
    )
    .text_form()
    .takes(&[("/var/log/c1.log", "/var/log/c1.log")])
    .also_takes(&[("/var/log//c1.log", "/var/log/c1.log")]),
    Row::new(
        "lxc.log.level",
        "Least urgent of LXC's own messages that is logged.",
        &Scalar {
            field: field!(log.level),
            parse: general::log_level,
            show: general::show_log_level,
        },
    )
    .text_form()
    .takes(&[
        ("0", "TRACE"),
        ("ERROR", "ERROR"),
        ("8", "FATAL"),
        ("DEBUG", "DEBUG"),
    ])
    .also_takes(&[("debug", "DEBUG")])
    .refuses(&["9", "LOUD", "-1"]),
    Row::new(
        "lxc.log.syslog",
        "Syslog facility that LXC's own messages go to.",
        &Scalar {
            field: field!(log.syslog),
            parse: general::facility,
            show: show::text,
        },
    )
    .text_form()
    .not_carried_out_yet()
    .takes(&[("daemon", "daemon"), ("local7", "local7")])
    .refuses(&["user", "local8", "local"]),
    Row::new(
        "lxc.monitor.unshare",
        "1 gives the monitor a mount namespace of its own.",
        &Scalar {
            field: field!(monitor.unshare),
            parse: grammar::uint,
            show: show::number,
        },
    )
    .takes(&[("1", "1")])
    .also_takes(&[("7", "7")])
    .refuses(&["-1", "yes"]),
    Row::new(
        "lxc.monitor.signal.pdeath",
        "Signal that init gets when the monitor dies.",
        &general::ParentDeathSignal,
    )
    .takes(&[("SIGTERM", "15"), ("0", "0")])
    .refuses(&["TERM", "65"]),
    Row::new(
        "lxc.mount.auto",
        "Kernel filesystems mounted without being listed.",
        &mounts::MountAutoKey,
    )
    .takes(&[
        (
            "cgroup:mixed proc:mixed sys:mixed",
            "proc:mixed sys:mixed cgroup:mixed",
        ),
        ("proc sys cgroup", "proc:mixed sys:mixed cgroup"),
        (
            "proc:rw sys:ro cgroup-full:rw:force",
            "proc:rw sys:ro cgroup-full:rw",
        ),
        ("sys:rw cgroup2:ro", "sys:rw"),
        ("sys:ro sys:rw", "sys:rw"),
        ("proc shmounts:/srv/shared", "proc:mixed"),
        ("sys shmounts:/srv/shared:/run/shared", "sys:mixed"),
    ])
    .refuses(&[
        "proc:ro",
        "dev",
        "cgroup:none",
        "cgroup2:mixed",
        "sys nonsense",
        "shmounts:",
        "shmounts::/a",
    ]),
    Row::new(
        "lxc.mount.entry",
        "Mount inside the container, as a line of fstab(5).",
        &List {
            field: field!(mount_entries),
            parse: mounts::entry,
            show: mounts::show_entries,
        },
    )
    .takes(&[
        (
            "/srv/my\\040data srv/data none bind,create=dir 0 0",
            "/srv/my\\040data srv/data none bind,create=dir 0 0\n",
        ),
        (
            "/srv srv none rbind,idmap=container 0 0",
            "/srv srv none rbind,idmap=container 0 0\n",
        ),
        ("/srv srv none move", "/srv srv none move\n"),
    ])
    .refuses(&[
        "/srv",
        "/srv mnt none create=link",
        "# comment",
        "/my data mnt none bind",
        "a b none bind,idmap=x",
    ]),
    Row::new(
        "lxc.mount.fstab",
        "File of further mounts, read at start.",
        &Scalar {
            field: field!(mount_fstab),
            parse: grammar::located_path,
            show: show::located,
        },
    )
    .text_form()
    .takes(&[("/var/lib/lxc/c1/fstab", "/var/lib/lxc/c1/fstab")])
    .also_takes(&[("/var/lib/lxc//c1/fstab", "/var/lib/lxc/c1/fstab")]),
    Row::new(
        "lxc.namespace.clone",
        "The only namespaces that are made.",
        &namespaces::CloneKey,
    )
    .takes(&[("net user", "user\nnet\n")])
    .also_takes(&[("MNT\ttime pid", "mnt\npid\ntime\n")])
    .refuses(&["mount", "net bogus"]),
    Row::new(
        "lxc.namespace.keep",
        "Namespaces that are kept from whoever starts the container.",
        &namespaces::KeepKey,
    )
    .takes(&[("net ipc", "ipc\nnet\n")])
    .refuses(&["mount", "all"]),
    Row::family(
        "lxc.namespace.share.",
        "Namespace taken from a process, a file or another container.",
        &namespaces::Shared,
    )
    .member("NS", "net")
    .takes(&[
        ("1234", "1234"),
        ("other", "other"),
        ("/proc/1234/ns/net", "/proc/1234/ns/net"),
    ]),
    Row::new(
        "lxc.time.offset.boot",
        "How far the boot time clock is ahead inside.",
        &time::Offset(field!(time.boot)),
    )
    .since("5.6")
    .takes(&[
        ("10h", "36000s"),
        ("-3 s", "-3s"),
        ("5m", "300s"),
        ("7us", "7000ns"),
        ("0s", "0ns"),
    ])
    .refuses(&["7", "7d", "s", "1.5s", "9223372036854775807h", "7 s x"]),
    Row::new(
        "lxc.time.offset.monotonic",
        "How far the monotonic clock is ahead inside.",
        &time::Offset(field!(time.monotonic)),
    )
    .since("5.6")
    .takes(&[
        ("10h", "36000s"),
        ("-3 s", "-3s"),
        ("5m", "300s"),
        ("7us", "7000ns"),
        ("0s", "0ns"),
    ])
    .refuses(&["7", "7d", "s", "1.5s", "9223372036854775807h", "7 s x"]),
    Row::family("lxc.net.", "Network device.", &net::Devices).member("N", "0"),
    Row::new(
        "lxc.net",
        "All network devices together; can be read and cleared.",
        &net::AllDevices,
    )
    .also_clears(net::is_device_key)
    .refuses(&["veth"]),
    Row::new(
        "lxc.no_new_privs",
        "1 keeps programs inside from gaining privileges by execve.",
        &Scalar {
            field: field!(no_new_privs),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2"]),
    Row::family("lxc.prlimit", "Resource limit of init.", &limits::Rlimits)
        .member(".NAME", ".nofile")
        .takes(&[
            ("30000:32768", "30000:32768"),
            ("unlimited", "unlimited"),
            ("8:unlimited", "8:unlimited"),
        ])
        .also_takes(&[
            ("8 : unlimited", "8:unlimited"),
            ("5:", "5"),
            (":2", "0:2"),
            ("-1", "unlimited"),
        ])
        .refuses(&["abc", "1 2", "9:3", "0x10", "1:2:3", "18446744073709551616"]),
    Row::new(
        "lxc.pty.max",
        "Size of the container's own devpts; 0 for none.",
        &Scalar {
            field: field!(pty_max),
            parse: grammar::uint,
            show: show::number,
        },
    )
    .takes(&[("1024", "1024")])
    .refuses(&["-1", "many"]),
    Row::new(
        "lxc.rootfs.managed",
        "0 leaves the rootfs alone when the container is destroyed.",
        &Scalar {
            field: field!(rootfs.managed),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("0", "0"), ("1", "1")])
    .refuses(&["2"]),
    Row::new(
        "lxc.rootfs.mount",
        "Directory of the host on which the rootfs is mounted.",
        &Scalar {
            field: field!(rootfs.mount),
            parse: grammar::path,
            show: show::text,
        },
    )
    .text_form()
    .takes(&[("/mnt/root", "/mnt/root")])
    .also_takes(&[("/mnt//root/", "/mnt/root")]),
    Row::new(
        "lxc.rootfs.options",
        "Mount options of the rootfs.",
        &Scalar {
            field: field!(rootfs.options),
            parse: rootfs::options,
            show: rootfs::show_options,
        },
    )
    .text_form()
    .takes(&[
        ("ro,noatime,rslave", "ro,noatime,rslave"),
        ("idmap=container", "idmap=container"),
    ])
    .refuses(&["create=dir", "ro,optional", "relative", "idmap=", "idmap=x"]),
    Row::new(
        "lxc.rootfs.path",
        "Root filesystem, as [TYPE:]PATH.",
        &rootfs::RootfsPath,
    )
    .text_form()
    .takes(&[
        ("/srv/rootfs", "/srv/rootfs"),
        ("dir:/srv/rootfs", "/srv/rootfs"),
        ("overlay:/lower:/upper", "/lower:/upper"),
        ("/srv/a:b", "/srv/a:b"),
    ])
    .refuses(&["floppy:/dev/fd0", "dir:"]),
    Row::new(
        "lxc.seccomp.allow_nesting",
        "1 loads the filter although one is active already.",
        &Scalar {
            field: field!(seccomp_allow_nesting),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "yes"]),
    Row::new(
        "lxc.seccomp.notify.cookie",
        "Text sent along with each notified system call.",
        &Scalar {
            field: field!(seccomp_notify.cookie),
            parse: grammar::text,
            show: show::text,
        },
    )
    .since("5.0")
    .text_form()
    .not_carried_out_yet()
    .takes(&[("tenant-7", "tenant-7")]),
    Row::new(
        "lxc.seccomp.notify.proxy",
        "Socket that decides notified system calls.",
        &Scalar {
            field: field!(seccomp_notify.proxy),
            parse: seccomp::proxy,
            show: seccomp::show_proxy,
        },
    )
    .since("5.0")
    .text_form()
    .not_carried_out_yet()
    .takes(&[("unix:/run/proxy", "/run/proxy"), ("unix:@proxy", "proxy")])
    .refuses(&["/run/proxy", "unix:proxy", "unix:", "unix:/", "unix:@"]),
    Row::new(
        "lxc.seccomp.profile",
        "File with the system call policy.",
        &Scalar {
            field: field!(seccomp_profile),
            parse: grammar::located_path,
            show: show::located,
        },
    )
    .text_form()
    .takes(&[(
        "/usr/share/lxc/config/common.seccomp",
        "/usr/share/lxc/config/common.seccomp",
    )]),
    Row::new(
        "lxc.selinux.context.keyring",
        "SELinux label of the session keyring.",
        &Scalar {
            field: field!(selinux.keyring),
            parse: grammar::text,
            show: show::text,
        },
    )
    .text_form()
    .takes(&[("system_u:system_r:lxc_t:s0", "system_u:system_r:lxc_t:s0")]),
    Row::new(
        "lxc.selinux.context",
        "SELinux label of init.",
        &Scalar {
            field: field!(selinux.context),
            parse: grammar::text,
            show: show::text,
        },
    )
    .text_form()
    .takes(&[("system_u:system_r:lxc_t:s0", "system_u:system_r:lxc_t:s0")]),
    Row::new(
        "lxc.signal.halt",
        "Signal that asks init to shut down.",
        &Scalar {
            field: field!(signals.halt),
            parse: general::signal,
            show: show::number_or_zero,
        },
    )
    .takes(&[
        ("SIGUSR1", "10"),
        ("SIGRTMIN+3", "37"),
        ("30", "30"),
        ("0", "0"),
    ])
    .refuses(&["USR1", "SIGNONE", "65"]),
    Row::new(
        "lxc.signal.reboot",
        "Signal that asks init to reboot.",
        &Scalar {
            field: field!(signals.reboot),
            parse: general::signal,
            show: show::number_or_zero,
        },
    )
    .takes(&[("sigterm", "15")])
    .refuses(&["TERM"]),
    Row::new(
        "lxc.signal.stop",
        "Signal that ends init without asking.",
        &Scalar {
            field: field!(signals.stop),
            parse: general::signal,
            show: show::number_or_zero,
        },
    )
    .takes(&[("SIGRTMAX-14", "50")])
    .refuses(&["SIGRTMAX-31"]),
    Row::new(
        "lxc.start.auto",
        "1 starts the container with the host.",
        &Scalar {
            field: field!(start.auto),
            parse: grammar::flag,
            show: show::flag,
        },
    )
    .takes(&[("1", "1"), ("0", "0")])
    .refuses(&["2", "yes"]),
    Row::new(
        "lxc.start.delay",
        "Seconds to wait after this container before the next is started with the host.",
        &Scalar {
            field: field!(start.delay),
            parse: grammar::uint,
            show: show::number,
        },
    )
    .takes(&[("5", "5")])
    .refuses(&["-5", "5s"]),
    Row::new(
        "lxc.start.order",
        "Place in the order of starting with the host; higher is earlier.",
        &Scalar {
            field: field!(start.order),
            parse: grammar::int,
            show: show::number,
        },
    )
    .takes(&[("-7", "-7"), ("7", "7")])
    .refuses(&["2147483648", "first"]),
    Row::new(
        "lxc.tty.dir",
        "Sub-directory of /dev that holds console and ttys.",
        &Scalar {
            field: field!(tty_dir),
            parse: devices::tty_dir,
            show: show::text,
        },
    )
    .text_form()
    .takes(&[("lxc", "lxc")])
    .refuses(&["../lxc"]),
    Row::new(
        "lxc.tty.max",
        "Number of terminals, from /dev/tty1 on.",
        &Scalar {
            field: field!(tty_max),
            parse: grammar::uint,
            show: show::number,
        },
    )
    .takes(&[("4", "4"), ("0", "0")])
    .refuses(&["abc", "3 # three"]),
    Row::new(
        "lxc.uts.name",
        "Host name inside.",
        &Scalar {
            field: field!(uts_name),
            parse: general::host_name,
            show: show::text,
        },
    )
    .text_form()
    .takes(&[("demo", "demo")])
    .refuses(&["a-host-name-of-more-than-sixty-four-bytes-which-linux-does-not-take"]),
    Row::family(
        "lxc.sysctl",
        "Kernel parameter set inside.",
        &named::Sysctls,
    )
    .member(".NAME", ".net.ipv4.ip_forward")
    .takes(&[("1", "1"), ("32768 60999", "32768 60999")]),
    Row::family(
        "lxc.proc",
        "File of init's /proc directory written at start.",
        &named::ProcFiles,
    )
    .member(".NAME", ".oom_score_adj")
    .takes(&[("10", "10"), ("-17", "-17")]),
];
