//! The table of keys. A key is one row; every operation on it starts from here.

use crate::grammar;
use crate::rows::{capabilities, cgroups, devices, general, hooks, mounts, net, rootfs};
use crate::setting::{Family, Fault, List, Scalar, Setting, field, show};
use crate::values::Values;

/// The key that reads another file, which only the file reader can do.
pub(crate) const INCLUDE: &str = "lxc.include";

/// What a caller can do about a key that is known by name only.
pub(crate) const KNOWN_ONLY: &str = "this key of LXC is known by name only; remove it to go on";

/// One key, or one prefix of keys.
pub(crate) struct Row {
    /// The key; one that ends in `.` is a prefix and not listed.
    pub key: &'static str,
    /// What it is for, one sentence.
    pub doc: &'static str,
    /// Oldest kernel that can do it; `None` = no kernel is too old.
    pub since: Option<&'static str>,
    pub how: How,
    /// Other keys whose lines are removed from the text when this one is cleared.
    pub also_clears: fn(&str) -> bool,
    /// Values, and the text each is read back as.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "rows carry their own test data")
    )]
    pub takes: &'static [(&'static str, &'static str)],
    /// Values that are refused.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "rows carry their own test data")
    )]
    pub refuses: &'static [&'static str],
}

/// What stands behind a row.
#[derive(Clone, Copy)]
pub(crate) enum How {
    /// A value or a list.
    Item(&'static dyn Setting<Values>),
    /// A name for several keys, which can be cleared but not read.
    Group(&'static dyn Setting<Values>),
    /// A prefix.
    Family(&'static dyn Family),
    Include,
    /// Refused by name.
    NotYet {
        is_family: bool,
    },
}

impl Row {
    const fn with(key: &'static str, doc: &'static str, how: How) -> Row {
        Row {
            key,
            doc,
            since: None,
            how,
            also_clears: |_| false,
            takes: &[],
            refuses: &[],
        }
    }

    const fn new(key: &'static str, doc: &'static str, item: &'static dyn Setting<Values>) -> Row {
        Row::with(key, doc, How::Item(item))
    }

    const fn group(
        key: &'static str,
        doc: &'static str,
        item: &'static dyn Setting<Values>,
    ) -> Row {
        Row::with(key, doc, How::Group(item))
    }

    const fn family(key: &'static str, doc: &'static str, family: &'static dyn Family) -> Row {
        Row::with(key, doc, How::Family(family))
    }

    const fn not_yet(key: &'static str, doc: &'static str) -> Row {
        Row::with(key, doc, How::NotYet { is_family: false })
    }

    const fn family_not_yet(key: &'static str, doc: &'static str) -> Row {
        Row::with(key, doc, How::NotYet { is_family: true })
    }

    const fn since(self, kernel: &'static str) -> Row {
        Row {
            since: Some(kernel),
            ..self
        }
    }

    const fn also_clears(self, also_clears: fn(&str) -> bool) -> Row {
        Row {
            also_clears,
            ..self
        }
    }

    const fn takes(self, takes: &'static [(&'static str, &'static str)]) -> Row {
        Row { takes, ..self }
    }

    const fn refuses(self, refuses: &'static [&'static str]) -> Row {
        Row { refuses, ..self }
    }

    pub(crate) fn is_readable(&self) -> bool {
        !matches!(self.how, How::Group(_))
    }

    /// What follows this row's name in `key`; `None` when the row is not about `key`.
    fn rest<'k>(&self, key: &'k str) -> Option<&'k str> {
        let rest = key.strip_prefix(self.key)?;
        let is_family = matches!(self.how, How::Family(_) | How::NotYet { is_family: true });
        let below = is_family && (rest.starts_with('.') || self.key.ends_with('.'));
        (rest.is_empty() || below).then_some(rest)
    }
}

/// What a key leads to.
pub(crate) enum Found<'k> {
    /// A row of its own.
    Item(&'static Row, &'static dyn Setting<Values>),
    /// A member of a family, with what follows the family's name.
    Member(&'static dyn Family, &'k str),
    Include,
}

/// The first row that `key` matches.
pub(crate) fn find(key: &str) -> Result<Found<'_>, Fault> {
    let found = TABLE.iter().find_map(|row| Some((row, row.rest(key)?)));
    let (row, rest) = found.ok_or_else(|| Fault::unknown("unknown key", ""))?;
    match row.how {
        How::Item(item) | How::Group(item) => Ok(Found::Item(row, item)),
        How::Family(family) => Ok(Found::Member(family, rest)),
        How::Include => Ok(Found::Include),
        How::NotYet { .. } => Err(Fault::not_yet(KNOWN_ONLY)),
    }
}

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
    Row::not_yet(
        "lxc.apparmor.raw",
        "A line added to the generated AppArmor profile.",
    ),
    Row::new(
        "lxc.autodev.tmpfs.size",
        "Size of the tmpfs on /dev, in bytes.",
        &Scalar {
            field: field!(autodev.tmpfs_size),
            parse: devices::tmpfs_size,
            show: show::number,
        },
    )
    .takes(&[("1000000", "1000000"), ("0", "500000")])
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
    .takes(&[
        ("mac_admin sys_time", "mac_admin\nsys_time\n"),
        ("25\t sys_time", "25\nsys_time\n"),
    ])
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
    .since("4.5"),
    Row::not_yet(
        "lxc.cgroup.dir.monitor.pivot",
        "Cgroup the monitor moves to before it removes its own.",
    ),
    Row::not_yet("lxc.cgroup.dir.monitor", "Cgroup of the monitor."),
    Row::not_yet(
        "lxc.cgroup.dir.container.inner",
        "Cgroup of the processes, below the one with the limits.",
    ),
    Row::not_yet("lxc.cgroup.dir.container", "Cgroup of the container."),
    Row::not_yet(
        "lxc.cgroup.dir",
        "Cgroup that holds those of container and monitor.",
    ),
    Row::not_yet(
        "lxc.cgroup.relative",
        "1 stays below the cgroup of whoever starts the container.",
    ),
    Row::family(
        "lxc.cgroup",
        "Value written to a file of the container's cgroup on hosts with cgroup v1.",
        &cgroups::CgroupFiles {
            key: "lxc.cgroup",
            field: field!(cgroup1),
        },
    ),
    Row::not_yet(
        "lxc.console.buffer.size",
        "Size of the buffer that keeps the last console output.",
    ),
    Row::new(
        "lxc.console.logfile",
        "File that console output is appended to.",
        &Scalar {
            field: field!(console.logfile),
            parse: grammar::located_path,
            show: show::located,
        },
    )
    .takes(&[("/var//log/c1.console", "/var/log/c1.console")]),
    Row::new(
        "lxc.console.path",
        "File or terminal the console is copied to; `none` for no console at all.",
        &Scalar {
            field: field!(console.path),
            parse: devices::console_path,
            show: devices::show_console_path,
        },
    )
    .takes(&[("none", "none"), ("/dev/tty9", "/dev/tty9")]),
    Row::not_yet(
        "lxc.console.rotate",
        "1 renames a full console log instead of truncating it.",
    ),
    Row::not_yet("lxc.console.size", "Largest size of the console log."),
    Row::not_yet(
        "lxc.sched.core",
        "1 keeps other tenants off the sibling threads of a core.",
    )
    .since("5.14"),
    Row::not_yet(
        "lxc.environment.runtime",
        "Environment variable of init and attached programs only.",
    ),
    Row::not_yet(
        "lxc.environment.hooks",
        "Environment variable of hooks run inside only.",
    ),
    Row::new(
        "lxc.environment",
        "Environment variable of init, attached programs and hooks run inside.",
        &general::Environment(field!(environment)),
    )
    .takes(&[("A=b c", "A=b c\n"), ("A=", "A=\n"), ("A=b=c", "A=b=c\n")])
    .refuses(&["=b", "LXC_CONFIG_TEST_NO_SUCH_VARIABLE"]),
    Row::not_yet("lxc.ephemeral", "1 removes the container when it stops."),
    Row::new(
        "lxc.execute.cmd",
        "Program that lxc-execute runs.",
        &Scalar {
            field: field!(init.execute_cmd),
            parse: grammar::command,
            show: show::located,
        },
    )
    .takes(&[("/bin/true 'a b'", "/bin/true 'a b'")])
    .refuses(&["/bin/true 'a b"]),
    Row::new(
        "lxc.group",
        "Groups of containers this one belongs to, for lxc-autostart.",
        &List {
            field: field!(groups),
            parse: general::groups,
            show: general::show_groups,
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
    Row::not_yet(
        "lxc.idmap",
        "Range of user or group ids inside and what they are on the host.",
    ),
    Row::with(
        INCLUDE,
        "File, or directory of *.conf files, read in this place.",
        How::Include,
    ),
    Row::new(
        "lxc.init.cmd",
        "Program that becomes init; /sbin/init when unset.",
        &Scalar {
            field: field!(init.cmd),
            parse: grammar::command,
            show: show::located,
        },
    )
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
    Row::not_yet("lxc.init.groups", "Supplementary groups of init."),
    Row::new(
        "lxc.init.uid",
        "User id of init and, by default, of attached programs.",
        &Scalar {
            field: field!(init.uid),
            parse: grammar::uint,
            show: show::number,
        },
    )
    .takes(&[("1000", "1000"), ("0x10", "16"), ("010", "8")])
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
    .takes(&[("/srv//app/", "/srv/app")]),
    Row::not_yet(
        "lxc.keyring.session",
        "1 keeps the session keyring of whoever starts the container.",
    ),
    Row::new(
        "lxc.log.file",
        "File that LXC's own messages are appended to.",
        &Scalar {
            field: field!(log.file),
            parse: grammar::path,
            show: show::text,
        },
    )
    .takes(&[("/var/log//c1.log", "/var/log/c1.log")]),
    Row::new(
        "lxc.log.level",
        "Least urgent of LXC's own messages that is logged.",
        &Scalar {
            field: field!(log.level),
            parse: general::log_level,
            show: general::show_log_level,
        },
    )
    .takes(&[
        ("0", "TRACE"),
        ("debug", "DEBUG"),
        ("ERROR", "ERROR"),
        ("8", "FATAL"),
    ])
    .refuses(&["9", "LOUD", "-1"]),
    Row::not_yet(
        "lxc.log.syslog",
        "Syslog facility that LXC's own messages go to.",
    ),
    Row::not_yet(
        "lxc.monitor.unshare",
        "1 gives the monitor a mount namespace of its own.",
    ),
    Row::not_yet(
        "lxc.monitor.signal.pdeath",
        "Signal that init gets when the monitor dies.",
    ),
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
    ])
    .refuses(&[
        "proc:ro",
        "dev",
        "cgroup:none",
        "cgroup2:mixed",
        "sys nonsense",
        "shmounts:/a",
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
    .takes(&[(
        "/srv/my\\040data srv/data none bind,create=dir 0 0",
        "/srv/my\\040data srv/data none bind,create=dir 0 0\n",
    )])
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
    .takes(&[("/var/lib/lxc//c1/fstab", "/var/lib/lxc/c1/fstab")]),
    Row::not_yet("lxc.namespace.clone", "The only namespaces that are made."),
    Row::not_yet(
        "lxc.namespace.keep",
        "Namespaces that are kept from whoever starts the container.",
    ),
    Row::family_not_yet(
        "lxc.namespace.share.",
        "Namespace taken from a process, a file or another container.",
    ),
    Row::not_yet(
        "lxc.time.offset.boot",
        "How far the boot time clock is ahead inside.",
    )
    .since("5.6"),
    Row::not_yet(
        "lxc.time.offset.monotonic",
        "How far the monotonic clock is ahead inside.",
    )
    .since("5.6"),
    Row::family("lxc.net.", "Network device.", &net::Devices),
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
    Row::family_not_yet("lxc.prlimit", "Resource limit of init."),
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
    .takes(&[("/mnt//root/", "/mnt/root")]),
    Row::not_yet("lxc.rootfs.options", "Mount options of the rootfs."),
    Row::new(
        "lxc.rootfs.path",
        "Root filesystem, as [TYPE:]PATH.",
        &rootfs::RootfsPath,
    )
    .takes(&[
        ("/srv/rootfs", "/srv/rootfs"),
        ("dir:/srv/rootfs", "/srv/rootfs"),
        ("overlay:/lower:/upper", "/lower:/upper"),
        ("/srv/a:b", "/srv/a:b"),
    ])
    .refuses(&["floppy:/dev/fd0", "dir:"]),
    Row::not_yet(
        "lxc.seccomp.allow_nesting",
        "1 loads the filter although one is active already.",
    ),
    Row::not_yet(
        "lxc.seccomp.notify.cookie",
        "Text sent along with each notified system call.",
    )
    .since("5.0"),
    Row::not_yet(
        "lxc.seccomp.notify.proxy",
        "Socket that decides notified system calls.",
    )
    .since("5.0"),
    Row::new(
        "lxc.seccomp.profile",
        "File with the system call policy.",
        &Scalar {
            field: field!(seccomp_profile),
            parse: grammar::located_path,
            show: show::located,
        },
    )
    .takes(&[(
        "/usr/share/lxc/config/common.seccomp",
        "/usr/share/lxc/config/common.seccomp",
    )]),
    Row::not_yet(
        "lxc.selinux.context.keyring",
        "SELinux label of the session keyring.",
    ),
    Row::not_yet("lxc.selinux.context", "SELinux label of init."),
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
    .takes(&[("demo", "demo")])
    .refuses(&["a-host-name-of-more-than-sixty-four-bytes-which-linux-does-not-take"]),
    Row::family_not_yet("lxc.sysctl", "Kernel parameter set inside."),
    Row::family_not_yet(
        "lxc.proc",
        "File of init's /proc directory written at start.",
    ),
];
