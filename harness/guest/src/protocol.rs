//! What the harness asks and the agent answers: one reply to each request, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of the virtio port on which the two talk: /dev/virtio-ports/ has no udev here, so the
/// agent finds it by this name in /sys/class/virtio-ports.
pub const PORT: &str = "lxc.harness";

/// The kernel parameter that says how cgroups are mounted: `lxc.cgroup=v1|hybrid|v2`.
pub const LAYOUT_PARAMETER: &str = "lxc.cgroup";

/// The kernel parameter that takes away system calls: `lxc.table=5.4` leaves those that Linux 5.4 has.
pub const TABLE_PARAMETER: &str = "lxc.table";

/// The kernel parameter that names the serial line on which the harness talks to the agent, where
/// there is no virtio: `lxc.port=/dev/ttyS0`.
pub const SERIAL_PARAMETER: &str = "lxc.port";

/// What the agent says first on a serial line, once that passes bytes on as they are. Whatever came
/// before would have been taken for somebody's typing, and echoed.
pub const SERIAL_READY: u8 = 0x06;

/// Directory of all containers in the machine.
pub const LXCPATH: &str = "/var/lib/lxc";

/// Where the modules lie and in which order they are loaded; see [`Request`] and the image.
///
/// Lines: `module NAME PATH NAME,NAME…` (after what it needs first, soft needs included; `-` for
/// none) and `alias PATTERN NAME` (as modprobe matches them: `*`, `?`, `[…]`).
pub const MODULES_INDEX: &str = "/lib/modules/index";

/// How cgroups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One hierarchy a controller, and a named one.
    V1,
    /// That, and v2 beside them on /sys/fs/cgroup/unified.
    Hybrid,
    /// Nothing but v2.
    V2,
}

/// Who does something in the machine.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum User {
    /// Everything is root's.
    #[default]
    Root,
    /// She has ids for containers in /etc/subuid and /etc/subgid, and in every hierarchy a cgroup
    /// that is given to her.
    Alice,
    /// He has neither.
    Bob,
}

impl User {
    /// All of them.
    pub const ALL: [User; 3] = [User::Root, User::Alice, User::Bob];

    /// As /etc/passwd has it.
    pub fn name(self) -> &'static str {
        match self {
            User::Root => "root",
            User::Alice => "alice",
            User::Bob => "bob",
        }
    }

    /// The user's number, and the number of the user's only group.
    pub fn id(self) -> u32 {
        match self {
            User::Root => 0,
            User::Alice => 1000,
            User::Bob => 1001,
        }
    }

    /// Where the user is at home.
    pub fn home(self) -> &'static str {
        match self {
            User::Root => "/root",
            User::Alice => "/home/alice",
            User::Bob => "/home/bob",
        }
    }

    /// Where LXC keeps this user's containers.
    pub fn lxcpath(self) -> &'static str {
        match self {
            User::Root => LXCPATH,
            User::Alice => "/home/alice/.local/share/lxc",
            User::Bob => "/home/bob/.local/share/lxc",
        }
    }

    /// What a session of an ordinary user calls `XDG_RUNTIME_DIR`.
    pub fn runtime_directory(self) -> Option<&'static str> {
        match self {
            User::Root => None,
            User::Alice => Some("/run/user/1000"),
            User::Bob => Some("/run/user/1001"),
        }
    }
}

/// What the agent is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Say who you are. Answered by [`Reply::Hello`].
    Hello,
    /// Make a container's directory, config and rootfs. Answered by [`Reply::Done`].
    Prepare(Container),
    /// Write a file outside of containers. Answered by [`Reply::Done`].
    Place(Placed),
    /// Run a program to its end. Answered by [`Reply::Ran`].
    Run(Run),
    /// Does the kernel have these? Answered by [`Reply::Probed`], in their order.
    Probe(Vec<Feature>),
    /// Count what there is. Answered by [`Reply::Census`].
    Census,
    /// Count until it equals `before` or `within_ms` have passed; the last count is the answer.
    Settle {
        /// What should be there again.
        before: Box<Census>,
        /// Milliseconds.
        within_ms: u64,
    },
    /// Never answer again: the harness's own tests.
    Hang,
}

impl fmt::Display for Request {
    /// What it is called in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Hello => f.write_str("Hello"),
            Request::Prepare(container) => write!(f, "Prepare ({})", container.name),
            Request::Place(placed) => write!(f, "Place ({})", placed.path),
            Request::Run(run) => write!(f, "Run ({})", run.argv.join(" ")),
            Request::Probe(_) => f.write_str("Probe"),
            Request::Census => f.write_str("Census"),
            Request::Settle { .. } => f.write_str("Settle"),
            Request::Hang => f.write_str("Hang"),
        }
    }
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello(Hello),
    /// It is done.
    Done,
    /// To [`Request::Run`].
    Ran(Ran),
    /// To [`Request::Probe`]: `None` = the kernel has it, else why not, as a sentence's end
    /// (`mount_setattr: ENOSYS`).
    Probed(Vec<Option<String>>),
    /// To [`Request::Census`] and [`Request::Settle`].
    Census(Box<Census>),
    /// It could not be done: call, object, errno.
    Failed(String),
}

/// What the machine is, when it has come up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// As uname -r says.
    pub kernel: String,
    /// How cgroups were mounted.
    pub layout: Layout,
    /// Milliseconds from the kernel's start to the agent's first instruction.
    pub init_at_ms: u64,
    /// Milliseconds from the kernel's start to readiness.
    pub ready_at_ms: u64,
}

/// A file of the machine itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Absolute. Directories that are missing above it are made.
    pub path: String,
    /// All of it. Executable when it begins `#!`.
    pub content: String,
    /// Whose it is; the directories made for it too.
    pub owner: User,
}

/// One container to be made below its owner's [`lxcpath`](User::lxcpath).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name; one path component.
    pub name: String,
    /// Its whole config file.
    pub config: String,
    /// What its rootfs holds.
    pub rootfs: Rootfs,
    /// More files: path below the container's directory → content. Executable when it begins `#!`.
    pub files: BTreeMap<String, String>,
    /// Whose it is.
    pub owner: User,
    /// Added to the owners of all that is in the rootfs: the first id of the container's map.
    /// With 0 the rootfs belongs to `owner`.
    pub shift: u32,
}

/// What a container's rootfs holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rootfs {
    /// busybox under all its names, with an init that idles, a passwd and a group file.
    #[default]
    Busybox,
    /// An empty directory.
    Empty,
    /// There is no directory.
    None,
}

/// One program to run to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its words; the first is looked up in `environment`'s PATH.
    pub argv: Vec<String>,
    /// As whom: with that user's ids and no other groups, at home, in that user's cgroup.
    pub user: User,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// What it reads; nothing = /dev/null.
    pub stdin: String,
    /// Milliseconds after which its session is killed.
    pub limit_ms: u64,
}

/// How a program ended and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// How it ended.
    pub ended: Ended,
    /// Its first 256 KiB of output, made valid UTF-8.
    pub stdout: String,
    /// The same of its errors.
    pub stderr: String,
    /// Microseconds that it took.
    pub took_us: u64,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It had not when its time was up, and was killed.
    TimedOut,
}

/// What there is on the machine, outside the agent itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// `PID COMMAND LINE`; kernel threads and the agent left out.
    pub processes: BTreeSet<String>,
    /// Every cgroup directory of every hierarchy.
    pub cgroups: BTreeSet<String>,
    /// Mount point, root, type, options and propagation, as the agent sees them, one line each.
    pub mounts: BTreeSet<String>,
    /// Network interfaces of the machine's own network namespace.
    pub links: BTreeSet<String>,
    /// Path, kind, mode, owner, and of regular files size and time of change; /proc, /sys,
    /// cgroups and the inside of containers' rootfs left out.
    pub files: BTreeSet<String>,
    /// Complaints of the kernel since it started: WARNING, BUG, Oops, hung tasks, leaked devices.
    pub kernel: BTreeSet<String>,
}

/// A kernel feature that scenarios may need, each with one probe in the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// mount_setattr with MOUNT_ATTR_IDMAP.
    IdmappedMounts,
    /// openat2.
    Openat2,
    /// clone3 with CLONE_INTO_CGROUP.
    CloneIntoCgroup,
    /// pidfd_open and pidfd_send_signal.
    Pidfd,
    /// A v2 hierarchy is mounted.
    Cgroup2,
    /// v1 hierarchies are mounted.
    CgroupV1,
    /// The memory controller, in either version.
    MemoryController,
    /// The memory controller of a v1 hierarchy: kernels from 6.12 on come without.
    MemoryControllerV1,
    /// The pids controller, in either version.
    PidsController,
    /// cgroup.kill of a v2 cgroup.
    CgroupKill,
    /// The freezer, in either version.
    Freezer,
    /// veth pairs.
    Veth,
    /// Bridges.
    Bridge,
    /// Overlay mounts.
    Overlay,
    /// Overlay mounts inside a user namespace.
    OverlayInUserns,
    /// An id-mapped mount of a tmpfs, which is what everything in a machine lies on.
    IdmappedTmpfs,
    /// Time namespaces.
    TimeNamespace,
    /// User namespaces.
    UserNamespace,
    /// User namespaces that ordinary users may make.
    UnprivilegedUserNamespace,
    /// newuidmap and newgidmap.
    Uidmap,
    /// useradd, usermod and userdel.
    Useradd,
    /// Debian's test scripts for LXC.
    LxcTests,
    /// The shell that most of those are written for.
    Bash,
    /// GNU's programs below /opt/gnu, where those ask for more than busybox can.
    GnuCoreutils,
    /// AppArmor, switched on.
    Apparmor,
    /// The program that loads AppArmor's profiles.
    ApparmorParser,
    /// Seccomp filters.
    Seccomp,
}
