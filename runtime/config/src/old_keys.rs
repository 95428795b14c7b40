//! The names keys had before LXC 3.0, and what became of them.

/// A name that LXC 3.0 dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldKey {
    /// The name of LXC 2.x; that of a family stands for everything below it.
    pub old: &'static str,
    /// The name it has now; `None` = nothing has taken its place.
    pub new: Option<&'static str>,
}

const fn renamed(old: &'static str, new: &'static str) -> OldKey {
    OldKey {
        old,
        new: Some(new),
    }
}

const fn gone(old: &'static str) -> OldKey {
    OldKey { old, new: None }
}

/// Every name of LXC 2.x that LXC 3.0 dropped.
///
/// Two need more than another name: the value of `lxc.rootfs.backend` now stands before the path in
/// `lxc.rootfs.path`, and `lxc.network.NAME` without a number means the device that the latest
/// `lxc.network.type` began.
pub const OLD_KEYS: &[OldKey] = &[
    renamed("lxc.aa_allow_incomplete", "lxc.apparmor.allow_incomplete"),
    renamed("lxc.aa_profile", "lxc.apparmor.profile"),
    renamed("lxc.console", "lxc.console.path"),
    renamed("lxc.devttydir", "lxc.tty.dir"),
    renamed("lxc.haltsignal", "lxc.signal.halt"),
    renamed("lxc.id_map", "lxc.idmap"),
    renamed("lxc.init_cmd", "lxc.init.cmd"),
    renamed("lxc.init_gid", "lxc.init.gid"),
    renamed("lxc.init_uid", "lxc.init.uid"),
    gone("lxc.kmsg"),
    renamed("lxc.limit", "lxc.prlimit"),
    renamed("lxc.logfile", "lxc.log.file"),
    renamed("lxc.loglevel", "lxc.log.level"),
    renamed("lxc.mount", "lxc.mount.fstab"),
    renamed("lxc.network", "lxc.net"),
    gone("lxc.pivotdir"),
    renamed("lxc.pts", "lxc.pty.max"),
    renamed("lxc.rebootsignal", "lxc.signal.reboot"),
    renamed("lxc.rootfs", "lxc.rootfs.path"),
    gone("lxc.rootfs.backend"),
    renamed("lxc.se_context", "lxc.selinux.context"),
    renamed("lxc.seccomp", "lxc.seccomp.profile"),
    renamed("lxc.stopsignal", "lxc.signal.stop"),
    renamed("lxc.syslog", "lxc.log.syslog"),
    renamed("lxc.tty", "lxc.tty.max"),
    renamed("lxc.utsname", "lxc.uts.name"),
];

/// What follows `lxc.network.N.`, where it is called differently behind `lxc.net.N.`.
pub const OLD_NETWORK_KEYS: &[OldKey] = &[
    renamed("ipv4", "ipv4.address"),
    renamed("ipv6", "ipv6.address"),
];
