//! The steps of a start: what is done, on which side, said in the same words everywhere
//! (`--plan`, log, errors, fault tests).

use crate::{
    GeneratedProfile, HookRun, IdmapPlan, JoinedNamespace, Label, Namespaces, NicPlan,
    PlannedMount, RootfsMountOptions, SecurityModule, VethPlan,
};
use lxc_config::{IdmapSource, ProcMode, SysMode};
use std::fmt;

/// Who carries a step out, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The monitor, before the guest exists.
    Host,
    /// The monitor, while the guest sets itself up.
    HostBeside,
    /// The future init.
    Guest,
    /// The monitor, when the guest has set itself up and waits for the word to go.
    HostAtReady,
}

/// A step and where the configuration asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Who and when.
    pub side: Side,
    /// What.
    pub step: Step,
    /// `key, file:line`, when a line of the configuration is behind it.
    pub origin: Option<String>,
}

/// One act. Its `Display` completes the sentence "cannot …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Run a hook (host or guest side by its kind).
    RunHook(HookRun),
    /// Create the container's cgroup in every hierarchy, under the first free suffix.
    CreateCgroup {
        /// Path below each base, without suffix.
        path: String,
    },
    /// Write one limit.
    LimitCgroup {
        /// v2 file.
        unified: bool,
        /// File name.
        file: String,
        /// Value.
        value: String,
    },
    /// Create the cgroup for the processes below the one with the limits.
    CreateInnerCgroup {
        /// Its name.
        name: String,
    },
    /// Allocate the console from the host's devpts.
    OpenConsole,
    /// Open the log the console is copied to.
    OpenConsoleLog {
        /// Path on the host.
        path: String,
        /// Most bytes it may have; 0 = no limit.
        limit: u64,
        /// What is full is renamed, not cut.
        rotate: bool,
    },
    /// Keep the last things the console says in memory.
    KeepConsole {
        /// How many of them.
        bytes: u64,
    },
    /// Keep a file in the rootfs open for writing, so that it cannot be made read-only meanwhile.
    PinRootfs {
        /// Rootfs directory.
        path: String,
    },
    /// Translate the seccomp policy into a filter.
    CompileSeccomp {
        /// Policy file.
        path: String,
    },
    /// Open a namespace that the guest will join.
    OpenNamespace(JoinedNamespace),
    /// Load a profile of the container's own.
    LoadProfile(GeneratedProfile),
    /// Create the guest process in its namespaces.
    CloneGuest {
        /// What it gets of its own.
        namespaces: Namespaces,
    },
    /// Write the id maps of the guest's user namespace.
    WriteIdmap(
        /// The maps.
        IdmapPlan,
    ),
    /// Copy the rootfs' mounts with their ids shifted.
    ShiftRootfs {
        /// Directory on the host.
        source: String,
        /// Whose ids the files show.
        ids: IdmapSource,
    },
    /// Make the container's root a manager of its cgroup.
    GiveCgroup {
        /// The host's id of the group that gets it.
        group: u32,
    },
    /// Wait for the id maps and become somebody in them.
    TakeIds {
        /// User and group inside.
        ids: (u32, u32),
        /// Make the network namespace now: made before the maps, its files would belong to nobody.
        new_network: bool,
    },
    /// Create a veth pair, one end on the host, one in the guest.
    CreateVeth(VethPlan),
    /// Keep others off the sibling threads of the cores that the guest runs on.
    NewSchedulingCookie,
    /// Write a file of the guest's directory in /proc.
    WriteProcFile {
        /// Path below /proc/PID.
        path: String,
        /// Value.
        value: String,
    },
    /// Enter the container's cgroups.
    EnterCgroup {
        /// Make a cgroup namespace there.
        new_namespace: bool,
    },
    /// Make a time namespace and set its clocks apart.
    NewTimeNamespace(
        /// By how much.
        Vec<ClockOffset>,
    ),
    /// Cut the new mount namespace off from the host's.
    IsolateMounts,
    /// Open the file by which the guest's label is set, while /proc is the host's.
    OpenLabelFile(SecurityModule),
    /// Mount the rootfs.
    MountRootfs {
        /// Directory on the host.
        source: String,
        /// Where it is mounted; equal to `source` when the installation has no mount point.
        target: String,
        /// How.
        options: RootfsMountOptions,
    },
    /// Set the host name.
    SetHostname(
        /// Name.
        String,
    ),
    /// Have the next keyring get this label.
    LabelKeyring(
        /// SELinux context.
        String,
    ),
    /// Start a session keyring of its own.
    NewKeyring,
    /// Wait for the network devices and configure them.
    ConfigureNetwork(
        /// Devices in order.
        Vec<NicPlan>,
    ),
    /// Mount a tmpfs on /dev.
    MountDev {
        /// Bytes.
        size: u64,
    },
    /// Mount proc on /proc.
    MountProc {
        /// Protection.
        mode: ProcMode,
        /// Keep /proc/sys/net writable (the guest keeps CAP_NET_ADMIN).
        writable_net: bool,
    },
    /// Mount sysfs on /sys.
    MountSys(
        /// Protection.
        SysMode,
    ),
    /// Mount what `lxc.mount.entry` or the fstab names.
    Mount(PlannedMount),
    /// Mount cgroups on /sys/fs/cgroup.
    MountCgroups(CgroupView),
    /// Make the device nodes.
    PopulateDev,
    /// Mount a devpts instance of its own.
    MountDevpts {
        /// Highest number of terminals.
        max: u32,
        /// Put its ptmx on /dev/ptmx.
        ptmx: bool,
    },
    /// Allocate terminals and put them where init expects them.
    SetUpTerminals(TtyPlan),
    /// Make /dev/fd, /dev/stdin, /dev/stdout, /dev/stderr.
    LinkDev,
    /// Write a kernel parameter, in the container's namespaces.
    WriteSysctl {
        /// Path below /proc/sys.
        path: String,
        /// Value.
        value: String,
    },
    /// Make the rootfs the root and drop the host's.
    SwitchRoot,
    /// Let mounts arrive that are made on the host, and none go back.
    ReceiveMounts {
        /// Directory inside, without a leading slash.
        target: String,
    },
    /// Give the container a boot id of its own.
    NewBootId,
    /// Set the personality of `lxc.arch`.
    SetPersonality {
        /// 32-bit.
        bits32: bool,
    },
    /// Take capabilities out of the bounding set.
    DropCapabilities(
        /// Kernel's numbers.
        Vec<u32>,
    ),
    /// Take the security label: at once, or with the exec.
    SetLabel(Label),
    /// Forbid gaining privileges by exec.
    NoNewPrivs,
    /// Put the seccomp filter in force.
    LoadSeccomp,
    /// See from outside that the guest has its label.
    ConfirmLabel(Label),
    /// Write one device rule (v1).
    LimitDevice {
        /// `devices.allow`, `devices.deny`.
        file: String,
        /// Rule.
        value: String,
    },
    /// Attach the device program (v2).
    AttachDeviceProgram(
        /// `(file, value)` in order.
        Vec<(String, String)>,
    ),
    /// Limit a resource of the guest.
    LimitResource(ResourceLimit),
    /// Hand over to the program.
    Exec(Program),
}

/// How far one clock of a time namespace is ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockOffset {
    /// `monotonic` or `boottime`, as /proc/PID/timens_offsets calls it.
    pub clock: &'static str,
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest, less than a second.
    pub nanoseconds: u32,
}

impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.clock, self.seconds, self.nanoseconds)
    }
}

/// A limit of one resource; `None` = unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLimit {
    /// As it was written.
    pub name: String,
    /// The kernel's number, as x86 counts.
    pub number: u32,
    /// What counts.
    pub soft: Option<u64>,
    /// What it may be raised to.
    pub hard: Option<u64>,
}

impl fmt::Display for ResourceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
        write!(
            f,
            "{} to {}:{}",
            self.name,
            shown(self.soft),
            shown(self.hard)
        )
    }
}

/// What becomes pid 1, or its child under a minimal init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Program and arguments, never empty.
    pub argv: Vec<String>,
    /// Environment, complete.
    pub env: Vec<(String, String)>,
    /// Working directory inside.
    pub cwd: Option<String>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups; `None` = none, where the kernel lets them be dropped.
    pub groups: Option<Vec<u32>>,
    /// The signal it gets when the monitor dies; 0 = none.
    pub death_signal: i32,
    /// Run as a child of a minimal init.
    pub mini_init: bool,
}

/// Console and ttys inside the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TtyPlan {
    /// There is a console.
    pub console: bool,
    /// The console comes from the container's own devpts (`lxc.pty.max` > 1), not the host's.
    pub console_from_guest: bool,
    /// The console becomes init's standard input and outputs.
    pub console_is_stdio: bool,
    /// Of the standard streams, replace only those that are terminals.
    pub only_terminals: bool,
    /// Number of /dev/ttyN.
    pub ttys: u32,
    /// Sub-directory of /dev.
    pub dir: Option<String>,
    /// Keep the devpts mounted afterwards.
    pub keep_devpts: bool,
}

/// One hierarchy of a [`CgroupView::Legacy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HierarchyMount {
    /// Name of its directory.
    pub directory: String,
    /// cgroup v2.
    pub unified: bool,
    /// Controllers, named ones with `name=`.
    pub controllers: Vec<String>,
    /// Where the host has it: a copy of that mount is what a container sees that shares the host's
    /// cgroup namespace. Mounted anew, it would take its options (`nsdelegate`) from the host's too.
    /// Without: mounted anew, for a namespace of its own.
    pub copy_of: Option<String>,
}

/// What is mounted on /sys/fs/cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CgroupView {
    /// The v2 hierarchy itself.
    Unified {
        /// Read-only.
        read_only: bool,
    },
    /// A tmpfs with one mount per hierarchy.
    Legacy {
        /// The hierarchies.
        mounts: Vec<HierarchyMount>,
        /// Read-only.
        read_only: bool,
    },
    /// A tmpfs with, for each hierarchy, the directories down to the container's own cgroup: what a
    /// container gets that shares its cgroup namespace with the host. Nobody else's are in it.
    Bound {
        /// The directories above the container's cgroup are read-only.
        above_read_only: bool,
        /// The container's cgroup too.
        read_only: bool,
    },
}

impl Step {
    /// A short fixed name: the key of log lines, benches and fault tests.
    pub fn name(&self) -> &'static str {
        match self {
            Step::RunHook(_) => "run-hook",
            Step::CreateCgroup { .. } => "create-cgroup",
            Step::LimitCgroup { .. } => "limit-cgroup",
            Step::CreateInnerCgroup { .. } => "create-inner-cgroup",
            Step::OpenConsole => "open-console",
            Step::OpenConsoleLog { .. } => "open-console-log",
            Step::KeepConsole { .. } => "keep-console",
            Step::PinRootfs { .. } => "pin-rootfs",
            Step::CompileSeccomp { .. } => "compile-seccomp",
            Step::OpenNamespace(_) => "open-namespace",
            Step::LoadProfile(_) => "load-profile",
            Step::CloneGuest { .. } => "clone-guest",
            Step::WriteIdmap(_) => "write-idmap",
            Step::ShiftRootfs { .. } => "shift-rootfs",
            Step::GiveCgroup { .. } => "give-cgroup",
            Step::TakeIds { .. } => "take-ids",
            Step::CreateVeth(_) => "create-veth",
            Step::NewSchedulingCookie => "new-scheduling-cookie",
            Step::WriteProcFile { .. } => "write-proc-file",
            Step::EnterCgroup { .. } => "enter-cgroup",
            Step::NewTimeNamespace(_) => "new-time-namespace",
            Step::IsolateMounts => "isolate-mounts",
            Step::OpenLabelFile(_) => "open-label-file",
            Step::MountRootfs { .. } => "mount-rootfs",
            Step::SetHostname(_) => "set-hostname",
            Step::LabelKeyring(_) => "label-keyring",
            Step::NewKeyring => "new-keyring",
            Step::ConfigureNetwork(_) => "configure-network",
            Step::MountDev { .. } => "mount-dev",
            Step::MountProc { .. } => "mount-proc",
            Step::MountSys(_) => "mount-sys",
            Step::Mount(_) => "mount-entry",
            Step::MountCgroups(_) => "mount-cgroups",
            Step::PopulateDev => "populate-dev",
            Step::MountDevpts { .. } => "mount-devpts",
            Step::SetUpTerminals(_) => "set-up-terminals",
            Step::LinkDev => "link-dev",
            Step::WriteSysctl { .. } => "write-sysctl",
            Step::SwitchRoot => "switch-root",
            Step::ReceiveMounts { .. } => "receive-mounts",
            Step::NewBootId => "new-boot-id",
            Step::SetPersonality { .. } => "set-personality",
            Step::DropCapabilities(_) => "drop-capabilities",
            Step::SetLabel(_) => "set-label",
            Step::NoNewPrivs => "no-new-privs",
            Step::LoadSeccomp => "load-seccomp",
            Step::ConfirmLabel(_) => "confirm-label",
            Step::LimitDevice { .. } => "limit-device",
            Step::AttachDeviceProgram(_) => "attach-device-program",
            Step::LimitResource(_) => "limit-resource",
            Step::Exec(_) => "exec",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::RunHook(h) => write!(f, "run the {} hook '{}'", h.kind.name(), h.command),
            Step::CreateCgroup { path } => write!(f, "create the cgroup {path}"),
            Step::CreateInnerCgroup { name } => {
                write!(
                    f,
                    "create the cgroup {name} for the processes, below the one with the limits"
                )
            }
            Step::LimitCgroup { file, value, .. } => {
                write!(f, "write {value} to the cgroup's {file}")
            }
            Step::OpenConsole => f.write_str("allocate the console from the host's devpts"),
            Step::OpenConsoleLog { path, limit: 0, .. } => {
                write!(f, "open the console log {path}")
            }
            Step::OpenConsoleLog {
                path,
                limit,
                rotate,
            } => {
                let full = if *rotate { "set aside" } else { "cut" };
                write!(f, "open the console log {path}, {full} at {limit} bytes")
            }
            Step::KeepConsole { bytes } => {
                write!(f, "keep the last {bytes} bytes the console says in memory")
            }
            Step::PinRootfs { path } => write!(f, "keep the rootfs {path} writable"),
            Step::CompileSeccomp { path } => write!(f, "compile the seccomp profile {path}"),
            Step::OpenNamespace(joined) => {
                write!(f, "open the {} namespace of {}", joined.name, joined.source)
            }
            Step::LoadProfile(profile) => {
                write!(f, "load the AppArmor profile '{}'", profile.name)
            }
            Step::CloneGuest { namespaces } => {
                write!(
                    f,
                    "create the guest process with new namespaces ({namespaces})"
                )
            }
            Step::WriteIdmap(map) => write!(f, "map the ids {map} of the user namespace"),
            Step::ShiftRootfs { source, ids } => match ids {
                IdmapSource::Container => {
                    write!(f, "show the files of {source} with the container's ids")
                }
                IdmapSource::Namespace(path) => {
                    write!(f, "show the files of {source} with the ids of {path}")
                }
            },
            Step::GiveCgroup { group } => {
                write!(f, "give the container's cgroup to the group {group}")
            }
            Step::TakeIds { ids, .. } => {
                write!(
                    f,
                    "become user {}, group {} of the user namespace",
                    ids.0, ids.1
                )
            }
            Step::CreateVeth(veth) => write!(f, "{veth}"),
            Step::NewSchedulingCookie => f.write_str("give the guest cores of its own"),
            Step::WriteProcFile { path, value } => {
                write!(f, "write {value} to the guest's /proc/PID/{path}")
            }
            Step::NewTimeNamespace(offsets) if offsets.is_empty() => {
                f.write_str("make a time namespace")
            }
            Step::NewTimeNamespace(offsets) => {
                let offsets: Vec<_> = offsets.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "make a time namespace with the offsets {}",
                    offsets.join(", ")
                )
            }
            Step::EnterCgroup {
                new_namespace: true,
            } => f.write_str("enter the container's cgroups and make a cgroup namespace there"),
            Step::EnterCgroup { .. } => f.write_str("enter the container's cgroups"),
            Step::IsolateMounts => f.write_str("cut the mounts off from the host's"),
            Step::OpenLabelFile(module) => write!(f, "open the file of its {module} label"),
            Step::MountRootfs {
                source,
                target,
                options,
            } if source == target => write!(f, "mount the rootfs {source}{options}"),
            Step::MountRootfs {
                source,
                target,
                options,
            } => write!(f, "mount the rootfs {source} on {target}{options}"),
            Step::SetHostname(name) => write!(f, "set the host name to {name}"),
            Step::LabelKeyring(label) => write!(f, "label the session keyring {label}"),
            Step::NewKeyring => f.write_str("start a session keyring"),
            Step::ConfigureNetwork(nics) if nics.len() == 1 => {
                write!(f, "configure the network device {}", nics[0])
            }
            Step::ConfigureNetwork(nics) => {
                let names: Vec<_> = nics.iter().map(ToString::to_string).collect();
                write!(f, "configure the network devices {}", names.join(", "))
            }
            Step::MountDev { size } => write!(f, "mount a tmpfs of {size} bytes on /dev"),
            Step::MountProc {
                mode: ProcMode::Rw, ..
            } => f.write_str("mount proc on /proc"),
            Step::MountProc { .. } => f.write_str("mount proc on /proc, /proc/sys read-only"),
            Step::MountSys(SysMode::Rw) => f.write_str("mount sysfs on /sys"),
            Step::MountSys(SysMode::Ro) => f.write_str("mount sysfs on /sys, read-only"),
            Step::MountSys(SysMode::Mixed) => {
                f.write_str("mount sysfs on /sys, read-only except devices/virtual/net")
            }
            Step::Mount(mount) => write!(f, "mount {} on {}", mount.entry.source, mount.shown()),
            Step::MountCgroups(_) => f.write_str("mount cgroups on /sys/fs/cgroup"),
            Step::PopulateDev => f.write_str("make the device nodes in /dev"),
            Step::MountDevpts { max, .. } => {
                write!(f, "mount a devpts of {max} terminals on /dev/pts")
            }
            Step::SetUpTerminals(t) if t.ttys > 0 => {
                write!(f, "set up the console and {} ttys", t.ttys)
            }
            Step::SetUpTerminals(_) => f.write_str("set up the console"),
            Step::LinkDev => f.write_str("link /dev/fd and the standard streams"),
            Step::WriteSysctl { path, value } => write!(f, "write {value} to /proc/sys/{path}"),
            Step::SwitchRoot => f.write_str("make the rootfs the root"),
            Step::ReceiveMounts { target } => {
                write!(f, "let mounts of the host arrive below /{target}")
            }
            Step::NewBootId => f.write_str("give the container a boot id"),
            Step::SetPersonality { bits32 } => {
                write!(f, "set a {}-bit personality", if *bits32 { 32 } else { 64 })
            }
            Step::DropCapabilities(caps) => {
                let name = |c: &u32| {
                    lxc_config::capabilities::name(*c).map_or_else(|| c.to_string(), str::to_string)
                };
                let names: Vec<String> = caps.iter().map(name).collect();
                write!(f, "drop the capabilities {}", names.join(" "))
            }
            Step::SetLabel(label) => write!(f, "take the {} label '{}'", label.module, label.text),
            Step::NoNewPrivs => f.write_str("forbid new privileges"),
            Step::LoadSeccomp => f.write_str("load the seccomp filter"),
            Step::ConfirmLabel(label) => {
                write!(
                    f,
                    "see the guest under the {} label '{}'",
                    label.module, label.text
                )
            }
            Step::LimitDevice { file, value } => {
                write!(f, "write {value} to the cgroup's {file}")
            }
            Step::AttachDeviceProgram(rules) => {
                write!(f, "attach a device program of {} rules", rules.len())
            }
            Step::LimitResource(limit) => write!(f, "limit {limit}"),
            Step::Exec(p) if p.mini_init => write!(f, "run {} under a minimal init", p.argv[0]),
            Step::Exec(p) => write!(f, "execute {}", p.argv[0]),
        }
    }
}
