//! The typed values that a configuration holds, as the rest of the house reads them.
//!
//! Plain data: every field is public and says its default. Filled only through the key table
//! (`table.rs`), so a value here has already been checked.

mod mounts;
mod network;

pub use mounts::*;
pub use network::*;

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
    /// `lxc.environment.runtime`: of init and attached programs only.
    pub environment_runtime: Vec<Located<EnvVar>>,
    /// `lxc.environment.hooks`: of hooks run inside only.
    pub environment_hooks: Vec<Located<EnvVar>>,
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
    /// `lxc.cgroup.dir*` and `lxc.cgroup.relative`.
    pub cgroup: CgroupPlace,
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
    /// `lxc.selinux.*`.
    pub selinux: Selinux,
    /// `lxc.seccomp.profile`.
    pub seccomp_profile: Option<Located<String>>,
    /// `lxc.seccomp.allow_nesting`: load the filter although one is active already.
    pub seccomp_allow_nesting: bool,
    /// `lxc.seccomp.notify.*`.
    pub seccomp_notify: SeccompNotify,
    /// `lxc.no_new_privs`.
    pub no_new_privs: bool,
    /// `lxc.namespace.clone` or `lxc.namespace.keep`.
    pub namespaces: Namespaces,
    /// Where that was written last.
    pub namespaces_origin: Option<Origin>,
    /// `lxc.namespace.share.*`, in the order of [`Namespace`], each at most once.
    pub shared_namespaces: Vec<Located<SharedNamespace>>,
    /// `lxc.idmap`, in order; not empty = a user namespace.
    pub idmap: Vec<Located<IdRange>>,
    /// `lxc.time.offset.*`.
    pub time: TimeOffsets,
    /// `lxc.prlimit.*`, each name at most once, in the order of their first mention.
    pub rlimits: Vec<Located<Rlimit>>,
    /// `lxc.sysctl.*`, in order; the last value of a name counts.
    pub sysctls: Vec<Located<NamedValue>>,
    /// `lxc.proc.*`, in order; a name may come more than once.
    pub proc_files: Vec<Located<NamedValue>>,
    /// `lxc.sched.core`: a core scheduling cookie of its own.
    pub sched_core: bool,
    /// `lxc.keyring.session`: **keep** the session keyring of whoever starts the container. LXC's
    /// manual says the opposite of what LXC does.
    pub keyring_session: bool,
    /// `lxc.ephemeral`: remove the container when it stops.
    pub ephemeral: bool,
    /// `lxc.monitor.*`.
    pub monitor: Monitor,
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
    /// `lxc.rootfs.options`.
    pub options: Option<RootfsOptions>,
}

/// `lxc.rootfs.options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootfsOptions {
    /// As written.
    pub text: String,
    /// Where it was written.
    pub origin: Origin,
    /// Sorted into what each option means.
    pub options: MountOptions,
}

impl Default for Rootfs {
    fn default() -> Self {
        Rootfs {
            path: None,
            storage: None,
            mount: None,
            managed: true,
            options: None,
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
    /// `lxc.init.groups`: supplementary groups.
    pub groups: Vec<u32>,
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
    /// `lxc.console.size`: largest log file in bytes, default 0 = unlimited.
    pub log_size: u64,
    /// `lxc.console.rotate`: rename a full log file instead of truncating it.
    pub rotate: bool,
    /// `lxc.console.buffer.size`: bytes kept in memory, a power of two; default 0 = none.
    pub buffer_size: u64,
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
    /// Size of that tmpfs in bytes; 0, the default, stands for [`Autodev::USUAL_SIZE`].
    pub tmpfs_size: u64,
}

impl Autodev {
    /// Bytes of the tmpfs when nothing else is said: LXC's own figure, which clients never see.
    pub const USUAL_SIZE: u64 = 500_000;
}

impl Default for Autodev {
    fn default() -> Self {
        Autodev {
            enabled: true,
            tmpfs_size: 0,
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

/// One `lxc.cgroup[2].FILE = VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupSetting {
    /// File name, e.g. `memory.max`: no `/`, not `.` or `..`.
    pub file: String,
    /// Value, written as it is.
    pub value: String,
}

/// `lxc.cgroup.dir*` and `lxc.cgroup.relative`. Directories are relative and contain no `..`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CgroupPlace {
    /// `lxc.cgroup.dir`: holds the cgroups of container and monitor.
    pub dir: Option<Located<String>>,
    /// `lxc.cgroup.dir.monitor`: exactly the monitor's.
    pub monitor: Option<Located<String>>,
    /// `lxc.cgroup.dir.monitor.pivot`: where the monitor moves before it removes its own.
    pub monitor_pivot: Option<Located<String>>,
    /// `lxc.cgroup.dir.container`: exactly the one with the limits.
    pub container: Option<Located<String>>,
    /// `lxc.cgroup.dir.container.inner`: name of the one below it that holds the processes.
    pub container_inner: Option<Located<String>>,
    /// `lxc.cgroup.relative`: all of them below the cgroup of whoever starts the container.
    pub relative: bool,
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
    /// `lxc.apparmor.raw`: lines added to the generated profile, in order.
    pub raw: Vec<String>,
}

/// `lxc.log.*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// `lxc.log.level`, 0 (TRACE) to 8 (FATAL); `None` = NOTSET.
    pub level: Option<u8>,
    /// `lxc.log.file`.
    pub file: Option<String>,
    /// `lxc.log.syslog`: facility, as written: `daemon` or `local0` to `local7` in any case.
    pub syslog: Option<String>,
}

/// `lxc.selinux.*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selinux {
    /// `lxc.selinux.context`: label of init.
    pub context: Option<String>,
    /// `lxc.selinux.context.keyring`: label of the session keyring.
    pub keyring: Option<String>,
}

/// `lxc.seccomp.notify.*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeccompNotify {
    /// `lxc.seccomp.notify.proxy`: socket that decides notified system calls.
    pub proxy: Option<NotifyProxy>,
    /// `lxc.seccomp.notify.cookie`: text sent along with each of them.
    pub cookie: Option<String>,
}

/// `lxc.seccomp.notify.proxy`, at most 107 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyProxy {
    /// `unix:/PATH`.
    Path(String),
    /// `unix:@NAME`, kept without the `@`.
    Abstract(String),
}

/// One kind of namespace, in LXC's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespace {
    /// `user`.
    User,
    /// `mnt`.
    Mount,
    /// `pid`.
    Pid,
    /// `uts`.
    Uts,
    /// `ipc`.
    Ipc,
    /// `net`.
    Net,
    /// `cgroup`.
    Cgroup,
    /// `time`.
    Time,
}

/// The namespaces asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Namespaces {
    /// Nothing said: those that LXC makes.
    #[default]
    Usual,
    /// `lxc.namespace.clone`: only these are made; sorted, never empty.
    Clone(Vec<Namespace>),
    /// `lxc.namespace.keep`: the usual ones but for these; sorted, never empty.
    Keep(Vec<Namespace>),
}

/// One `lxc.namespace.share.NS = SOURCE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedNamespace {
    /// Which one.
    pub namespace: Namespace,
    /// As written: a process id, the name of a container, or an absolute path (of a namespace file,
    /// or `LXCPATH/NAME`).
    pub source: String,
}

/// One `lxc.idmap = KIND INSIDE HOST COUNT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// Users or groups.
    pub kind: IdKind,
    /// First id inside.
    pub inside: u32,
    /// First id on the host.
    pub host: u32,
    /// How many; at least 1, and both ranges end below 4294967295.
    pub count: u32,
}

/// The first word of `lxc.idmap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// `u`.
    User,
    /// `g`.
    Group,
}

/// `lxc.time.offset.*`: how far the clocks inside are ahead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeOffsets {
    /// `lxc.time.offset.boot`.
    pub boot: TimeOffset,
    /// `lxc.time.offset.monotonic`.
    pub monotonic: TimeOffset,
}

/// What was said in hours, minutes and seconds, and what in smaller units: the offset is both
/// together. (LXC keeps both too, and uses only the seconds unless they are 0.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeOffset {
    /// Seconds, negative = behind.
    pub seconds: i64,
    /// Nanoseconds on top of them, negative = behind.
    pub nanoseconds: i64,
    /// Where it was written last.
    pub origin: Option<Origin>,
}

/// One `lxc.prlimit.NAME = SOFT[:HARD]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rlimit {
    /// A name of [`crate::rlimits::NAMES`], or a number.
    pub name: String,
    /// Soft limit; `None` = unlimited.
    pub soft: Option<u64>,
    /// Hard limit; `None` = unlimited.
    pub hard: Option<u64>,
}

/// One `lxc.sysctl.NAME = VALUE` or `lxc.proc.NAME = VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedValue {
    /// Name, dots where the file's path has a slash; no blanks.
    pub name: String,
    /// Value, written as it is.
    pub value: String,
}

/// `lxc.monitor.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monitor {
    /// `lxc.monitor.unshare`, as written: other than 0 = a mount namespace of its own.
    pub unshare: u32,
    /// `lxc.monitor.signal.pdeath`: the signal init gets when the monitor dies, default SIGKILL;
    /// 0 = none.
    pub pdeath: i32,
}

impl Default for Monitor {
    fn default() -> Self {
        Monitor {
            unshare: 0,
            pdeath: crate::signals::KILL,
        }
    }
}
