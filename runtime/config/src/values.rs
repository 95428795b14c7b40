//! The typed values that a configuration holds, as the rest of the house reads them.
//!
//! Plain data: every field is public and says its default. Filled only through the key table
//! (`table.rs`), so a value here has already been checked.

use std::fmt;

/// Where a value was written: what error messages point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Line `line` (from 1) of `file`.
    File {
        /// Path of the file as it was opened.
        file: std::sync::Arc<str>,
        /// Line number, from 1.
        line: u32,
    },
    /// Set through the library (`set_config_item`) or by an option of a tool.
    Api,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { file, line } => write!(f, "{file}:{line}"),
            Origin::Api => f.write_str("set by the caller"),
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

/// Everything a configuration says, checked and typed. `Default` is LXC's default for every key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// `lxc.arch`: personality of init; `None` leaves it unchanged.
    pub arch: Option<Arch>,
    /// `lxc.uts.name`: host name inside, at most 64 bytes.
    pub uts_name: Option<String>,
    /// `lxc.rootfs.*`.
    pub rootfs: Rootfs,
    /// `lxc.init.*` and `lxc.execute.cmd`.
    pub init: Init,
    /// `lxc.environment`, in order; the last duplicate wins.
    pub environment: Vec<Located<EnvVar>>,
    /// `lxc.group`, in order.
    pub groups: Vec<String>,
    /// `lxc.start.*`.
    pub start: StartPolicy,
    /// `lxc.signal.*`.
    pub signals: Signals,
    /// `lxc.console.*`.
    pub console: Console,
    /// `lxc.tty.max`: number of `/dev/ttyN`, default 0.
    pub tty_max: u32,
    /// `lxc.tty.dir`: sub-directory of `/dev` for console and ttys.
    pub tty_dir: Option<String>,
    /// `lxc.pty.max`: size of the private devpts, default 0 = none.
    pub pty_max: u32,
    /// `lxc.autodev`.
    pub autodev: Autodev,
    /// `lxc.cap.drop` or `lxc.cap.keep`.
    pub caps: Capabilities,
    /// `lxc.mount.auto`.
    pub mount_auto: MountAuto,
    /// `lxc.mount.entry`, in order.
    pub mount_entries: Vec<Located<MountEntry>>,
    /// `lxc.mount.fstab`: a file of further entries, read at start.
    pub mount_fstab: Option<Located<String>>,
    /// `lxc.cgroup.FILE` (cgroup v1), in order.
    pub cgroup1: Vec<Located<CgroupSetting>>,
    /// `lxc.cgroup2.FILE`, in order.
    pub cgroup2: Vec<Located<CgroupSetting>>,
    /// `lxc.net.N.*`, sorted by index.
    pub net: Vec<NetDevice>,
    /// `lxc.hook.*`.
    pub hooks: Hooks,
    /// `lxc.apparmor.*`.
    pub apparmor: Apparmor,
    /// `lxc.seccomp.profile`.
    pub seccomp_profile: Option<Located<String>>,
    /// `lxc.no_new_privs`.
    pub no_new_privs: bool,
    /// `lxc.log.*`.
    pub log: Log,
}

/// `lxc.arch`, reduced to what personality(2) can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// A 32-bit name such as i686; reported as `i686`.
    Bits32,
    /// A 64-bit name such as x86_64; reported as `x86_64`.
    Bits64,
}

/// `lxc.rootfs.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// `lxc.rootfs.path` without its type prefix.
    pub path: Option<Located<String>>,
    /// The type prefix of `lxc.rootfs.path` (`dir`, `overlay`, …), when one was written.
    pub storage: Option<String>,
    /// `lxc.rootfs.mount`: where the rootfs is mounted before the root switch; `None` = the
    /// installation's own mount point.
    pub mount: Option<String>,
    /// `lxc.rootfs.managed`, default true.
    pub managed: bool,
}

impl Default for Rootfs {
    fn default() -> Self {
        Rootfs {
            path: None,
            storage: None,
            mount: None,
            managed: true,
        }
    }
}

/// `lxc.init.*` and `lxc.execute.cmd`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Init {
    /// `lxc.init.cmd`, as written; split by [`crate::words`].
    pub cmd: Option<Located<String>>,
    /// `lxc.execute.cmd`, as written; split by [`crate::words`].
    pub execute_cmd: Option<Located<String>>,
    /// `lxc.init.cwd`.
    pub cwd: Option<Located<String>>,
    /// `lxc.init.uid`, default 0.
    pub uid: u32,
    /// `lxc.init.gid`, default 0.
    pub gid: u32,
}

/// One `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Name, never empty, without `=`.
    pub name: String,
    /// Value; for `lxc.environment = NAME` the reader's own value, copied when the line was read.
    pub value: String,
}

/// `lxc.start.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StartPolicy {
    /// `lxc.start.auto`.
    pub auto: bool,
    /// `lxc.start.delay`, seconds.
    pub delay: u32,
    /// `lxc.start.order`.
    pub order: i32,
}

/// `lxc.signal.*`: numbers, real-time signals included; `None` = LXC's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals {
    /// `lxc.signal.halt`; default SIGPWR, or SIGRTMIN+3 for an init that blocks it.
    pub halt: Option<i32>,
    /// `lxc.signal.reboot`; default SIGINT.
    pub reboot: Option<i32>,
    /// `lxc.signal.stop`; default SIGKILL.
    pub stop: Option<i32>,
}

/// `lxc.console.*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Console {
    /// `lxc.console.path`.
    pub path: ConsolePath,
    /// `lxc.console.logfile`.
    pub logfile: Option<Located<String>>,
}

/// `lxc.console.path`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConsolePath {
    /// Not set: the foreground terminal, nothing for a daemon.
    #[default]
    Default,
    /// `none`: no console at all.
    None,
    /// A file or terminal the console is copied to.
    Path(String),
}

/// `lxc.autodev`, `lxc.autodev.tmpfs.size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autodev {
    /// Whether `/dev` is a tmpfs of ours, default true.
    pub enabled: bool,
    /// Size of that tmpfs in bytes, default 500000.
    pub tmpfs_size: u64,
}

impl Default for Autodev {
    fn default() -> Self {
        Autodev {
            enabled: true,
            tmpfs_size: 500_000,
        }
    }
}

/// The capability bounding set asked for; numbers as in `linux/capability.h`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Capabilities {
    /// Nothing said: keep all.
    #[default]
    All,
    /// `lxc.cap.drop`: all but these; as written and as numbers.
    Drop(Vec<Capability>),
    /// `lxc.cap.keep`: only these (`none` alone = nothing kept).
    Keep(Vec<Capability>),
}

/// One capability as it was written and as the kernel numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Name or number as written.
    pub text: String,
    /// Kernel's number.
    pub number: u32,
}

/// `lxc.mount.auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountAuto {
    /// `proc…`.
    pub proc: Option<ProcMode>,
    /// `sys…`.
    pub sys: Option<SysMode>,
    /// `cgroup…`.
    pub cgroup: Option<CgroupMount>,
}

/// `proc:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcMode {
    /// `proc`, `proc:mixed`: /proc/sys and sysrq-trigger read-only, /proc/sys/net writable.
    Mixed,
    /// `proc:rw`.
    Rw,
}

/// `sys:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SysMode {
    /// `sys`, `sys:mixed`: read-only, /sys/devices/virtual/net writable.
    Mixed,
    /// `sys:ro`.
    Ro,
    /// `sys:rw`.
    Rw,
}

/// `cgroup…`, `cgroup-full…`, `cgroup2…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupMount {
    /// Which hierarchy view is mounted.
    pub kind: CgroupMountKind,
    /// Access; `None` = unspecified (rw when CAP_SYS_ADMIN is kept, else mixed).
    pub access: Option<CgroupAccess>,
    /// `:force` (implied by `cgroup2`).
    pub force: bool,
}

/// The word before the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupMountKind {
    /// `cgroup`.
    Own,
    /// `cgroup-full`.
    Full,
    /// `cgroup2`.
    Unified,
}

/// The word after the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupAccess {
    /// `ro`.
    Ro,
    /// `rw`.
    Rw,
    /// `mixed`.
    Mixed,
}

/// One fstab line, as written and split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// The line as written.
    pub line: String,
    /// First field, `\040` decoded.
    pub source: String,
    /// Second field, decoded.
    pub target: String,
    /// Third field.
    pub fstype: String,
    /// Fourth field, sorted into what each option means.
    pub options: MountOptions,
}

/// The fourth field of an fstab line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// `create=dir`, `create=file`.
    pub create: Option<Create>,
    /// `optional`: failures are skipped.
    pub optional: bool,
    /// `relative`: the source lies inside the rootfs.
    pub relative: bool,
    /// `bind` or `rbind`.
    pub bind: Option<Bind>,
    /// Attributes to set (`ro`, `nosuid`, …) as MOUNT_ATTR-like bits of [`attr`].
    pub set: u64,
    /// Attributes to clear (`rw`, `suid`, …).
    pub clear: u64,
    /// `private`, `rslave`, …
    pub propagation: Option<(Propagation, bool)>,
    /// Everything else, in order: data for the filesystem.
    pub data: Vec<String>,
}

/// Mount attributes, with the bit values of `MOUNT_ATTR_*` in `linux/mount.h`.
pub mod attr {
    /// `ro`.
    pub const RDONLY: u64 = 0x1;
    /// `nosuid`.
    pub const NOSUID: u64 = 0x2;
    /// `nodev`.
    pub const NODEV: u64 = 0x4;
    /// `noexec`.
    pub const NOEXEC: u64 = 0x8;
    /// `noatime`.
    pub const NOATIME: u64 = 0x10;
    /// `strictatime`.
    pub const STRICTATIME: u64 = 0x20;
    /// `nodiratime`.
    pub const NODIRATIME: u64 = 0x80;
    /// `nosymfollow` (Linux 5.10 for mounts, 5.14 for mount_setattr).
    pub const NOSYMFOLLOW: u64 = 0x20_0000;
    /// The three bits of the access-time choice; `relatime` is 0 within them.
    pub const ATIME_MASK: u64 = 0x70;
}

/// `create=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Directory, mode 0755, with parents.
    Dir,
    /// Empty file, mode 0000, with parents.
    File,
}

/// `bind`, `rbind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// The mount alone.
    Plain,
    /// With everything mounted below it.
    Recursive,
}

/// Propagation words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// `private`.
    Private,
    /// `shared`.
    Shared,
    /// `slave`.
    Slave,
    /// `unbindable`.
    Unbindable,
}

/// One `lxc.cgroup[2].FILE = VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupSetting {
    /// File name, e.g. `memory.max`: no `/`, not `.` or `..`.
    pub file: String,
    /// Value, written as it is.
    pub value: String,
}

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
    /// `veth.pair`: host side name.
    pub veth_pair: Option<String>,
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
            veth_pair: None,
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
    /// macvlan: not implemented yet, refused at start.
    Macvlan,
    /// ipvlan: not implemented yet, refused at start.
    Ipvlan,
    /// vlan: not implemented yet, refused at start.
    Vlan,
    /// phys: not implemented yet, refused at start.
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

/// `lxc.hook.*`: command lines in order, run by `/bin/sh -c`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// `lxc.hook.version`, 0 or 1.
    pub version: u8,
    /// `lxc.hook.pre-start`.
    pub pre_start: Vec<Located<String>>,
    /// `lxc.hook.pre-mount`.
    pub pre_mount: Vec<Located<String>>,
    /// `lxc.hook.mount`.
    pub mount: Vec<Located<String>>,
    /// `lxc.hook.autodev`.
    pub autodev: Vec<Located<String>>,
    /// `lxc.hook.start-host`.
    pub start_host: Vec<Located<String>>,
    /// `lxc.hook.start`.
    pub start: Vec<Located<String>>,
    /// `lxc.hook.stop`.
    pub stop: Vec<Located<String>>,
    /// `lxc.hook.post-stop`.
    pub post_stop: Vec<Located<String>>,
    /// `lxc.hook.clone`: run by copies, not by a start.
    pub clone: Vec<Located<String>>,
    /// `lxc.hook.destroy`: run by destroy.
    pub destroy: Vec<Located<String>>,
}

/// `lxc.apparmor.*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Apparmor {
    /// `lxc.apparmor.profile`.
    pub profile: Option<Located<String>>,
    /// `lxc.apparmor.allow_nesting`.
    pub allow_nesting: bool,
    /// `lxc.apparmor.allow_incomplete`.
    pub allow_incomplete: bool,
}

/// `lxc.log.*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// `lxc.log.level`, 0 (TRACE) to 8 (FATAL); `None` = NOTSET.
    pub level: Option<u8>,
    /// `lxc.log.file`.
    pub file: Option<String>,
}
