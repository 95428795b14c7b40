//! The host's steps, one function each.

use super::birth::{self, Birth};
use super::{HostWorld, Joined, tell_guest};
use crate::failure::{Failure, FailureKind};
use crate::guest::{self, GuestWorld};
use crate::message::{self, Shift, ToGuest};
use crate::monitor::{Init, Live, Monitor};
use crate::sharing;
use crate::step::mounts::io;
use crate::step::{idmap, idmapped_mount, network};
use crate::undo::UndoStack;
use lxc_config::IdmapSource;
use lxc_kernel::netlink::Netlink;
use lxc_kernel::seccomp::{self, Filter};
use lxc_kernel::{Errno, Result, SysError, core_scheduling, fd, file, procfs, rlimit, users};
use lxc_plan::{IdmapPlan, JoinedNamespace, Namespaces, NicPlan, ResourceLimit, StartPlan, Step};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Largest seccomp policy read.
const POLICY_MAX: usize = 1024 * 1024;

/// Reads and compiles a policy; its own mistakes are told with their line.
pub(super) fn compile(path: &str) -> std::result::Result<Filter, guest::Problem> {
    let text = file::read_path(Path::new(path), POLICY_MAX)?;
    let text = String::from_utf8_lossy(&text);
    let compiled = seccomp::parse(&text).and_then(|policy| seccomp::compile(&policy));
    compiled.map_err(|error| {
        let sentence = format!(
            "cannot use the seccomp profile {path}:{}: {}",
            error.line, error.message
        );
        let failure = Failure::new(FailureKind::Step, sentence);
        guest::Problem::Told(failure.hint("correct the line; the format is LXC's version 1 or 2"))
    })
}

/// A file in the rootfs held open for writing, without a name where the filesystem can do that. A
/// rootfs that is read-only anyway needs no pin.
pub(super) fn pin(path: &str) -> Result<Option<OwnedFd>> {
    const NAME: &str = ".lxc_keep";
    let directory = file::open_dir(Path::new(path))?;
    let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    match rustix::fs::openat(&directory, ".", nameless, mode) {
        Ok(pin) => return Ok(Some(pin)),
        Err(Errno::ROFS) => return Ok(None),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
        Err(error) => return Err(SysError::new("openat", format!("{path}, O_TMPFILE"), error)),
    }
    // Made anew: what has that name already is the rootfs author's, and to open a device is to act upon
    // it.
    let named = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let make = || rustix::fs::openat(&directory, NAME, named, mode);
    let made = match make() {
        Err(Errno::EXIST) => {
            // One that cannot be removed is the error of the second attempt.
            let _ = rustix::fs::unlinkat(&directory, NAME, rustix::fs::AtFlags::empty());
            make()
        }
        made => made,
    };
    let pin = match made {
        Ok(pin) => pin,
        Err(Errno::ROFS) => return Ok(None),
        Err(error) => return Err(SysError::new("openat", format!("{path}/{NAME}"), error)),
    };
    // It stays as long as it is open.
    let _ = rustix::fs::unlinkat(&directory, NAME, rustix::fs::AtFlags::empty());
    Ok(Some(pin))
}

/// Opens a namespace that the guest will join.
pub(super) fn open_namespace(
    joined: &JoinedNamespace,
    monitor: &Monitor,
    world: &mut HostWorld,
) -> std::result::Result<(), guest::Problem> {
    let fd = sharing::open(joined, &monitor.request)
        .map_err(|sentence| guest::Problem::Told(Failure::new(FailureKind::Step, sentence)))?;
    world.joined.push(Joined {
        namespace: joined.namespace,
        what: format!("{} namespace of {}", joined.name, joined.source),
        origin: format!("lxc.namespace.share.{}", joined.name),
        fd,
    });
    Ok(())
}

/// Forks the guest into its namespaces and, on v2, into its cgroup: there is no moment in which it
/// runs outside its limits.
pub(super) fn clone_guest(
    plan: &StartPlan,
    monitor: &mut Monitor,
    world: &HostWorld,
) -> std::result::Result<(), guest::Problem> {
    let (ours, theirs) = fd::pair()?;
    let namespaces = plan.namespaces.without(plan.unshared);
    let into_cgroup = monitor.live.cgroups.payload_unified();
    match birth::give_birth(namespaces, into_cgroup, &world.joined)? {
        Birth::Guest { in_cgroup } => {
            // The monitor's end: held here it would hide the monitor's death.
            drop(ours);
            let guest = GuestWorld {
                socket: theirs,
                cgroups: &monitor.live.cgroups,
                born_in_cgroup: in_cgroup,
                late_cgroup_namespace: !in_cgroup
                    && into_cgroup.is_some()
                    && namespaces.has(Namespaces::CGROUP),
                root: None,
                own_root: plan.rootfs.is_some(),
                dev: None,
                proc: None,
                settings: None,
                devpts: None,
                console: world.console.as_ref(),
                stdio: None,
                stdio_only_terminals: false,
                tty_names: Vec::new(),
                label: None,
                filter: world.filter.as_ref(),
                hooks: &monitor.hooks,
                last_kept_fd: crate::launch::last_kept_fd(),
                own_program: None,
                inbox: Vec::new(),
            };
            guest::run(plan, guest)
        }
        Birth::Monitor { pid, pidfd } => {
            monitor.live.init = Some(Init { pid, pidfd });
            monitor.guest_socket = Some(ours);
            monitor.hooks.set("LXC_PID", pid.to_string());
            keep_namespaces(namespaces, monitor)?;
            if plan.namespaces.has(Namespaces::USER) && users::euid() != 0 {
                let owner = procfs::Proc::host()?.open_ns(pid, "user")?;
                monitor.live.cgroups.owner = Some(owner);
            }
            Ok(monitor.watch_guest()?)
        }
    }
}

/// Writes the guest's id maps and tells it.
pub(super) fn write_idmap(
    map: &IdmapPlan,
    monitor: &Monitor,
) -> std::result::Result<(), guest::Problem> {
    idmap::write(map, guest_pid(monitor)?)?;
    tell_guest(monitor, &ToGuest::Mapped).map_err(guest::Problem::Told)
}

/// Prepares the rootfs with its ids shifted and hands it to the guest.
pub(super) fn shift_rootfs(source: &str, ids: &IdmapSource, monitor: &Monitor) -> Result<()> {
    let tree = idmapped_mount::rootfs(source, ids, guest_pid(monitor)?)?;
    say(monitor, &ToGuest::Rootfs, &[tree.as_fd()])
}

/// Shifts the ids of an entry's mount for the guest and tells it how that went.
pub(super) fn shift_entry(asked: &Shift, tree: &OwnedFd, monitor: &Monitor) -> Result<()> {
    let done = idmapped_mount::shift(asked, tree.as_fd(), guest_pid(monitor)?);
    if let Err(error) = &done {
        log::info!("the ids of a mount cannot be shifted: {error}");
    }
    let errno = done.err().map(|error| error.errno.raw_os_error());
    say(monitor, &ToGuest::Shifted(errno), &[])
}

fn say(monitor: &Monitor, word: &ToGuest, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let Some(socket) = &monitor.guest_socket else {
        return Ok(());
    };
    match message::send(socket.as_fd(), word, fds) {
        // A guest that has died is told of by its own last word, or by its silence.
        Err(error) if error.is(Errno::PIPE) => Ok(()),
        sent => sent,
    }
}

fn guest_pid(monitor: &Monitor) -> Result<i32> {
    let init = monitor.live.init.as_ref();
    init.map(|init| init.pid)
        .ok_or_else(|| SysError::new("open", "/proc of the guest", Errno::SRCH))
}

/// Stop hooks get paths to the namespaces, which must then outlive init; what runs after them finds
/// the same variables.
pub(super) fn keep_namespaces(namespaces: Namespaces, monitor: &mut Monitor) -> Result<()> {
    let hooks = &monitor.live.config.values().hooks;
    let told = !hooks.stop.is_empty() || !hooks.post_stop.is_empty();
    if !told || namespaces == Namespaces::default() {
        return Ok(());
    }
    let Some(init) = &monitor.live.init else {
        return Ok(());
    };
    let proc = procfs::Proc::host()?;
    for name in namespaces.names() {
        let fd = proc.open_ns(init.pid, name)?;
        monitor.live.namespace_fds.push((name, fd));
    }
    // Hooks get them in LXC's order, whenever they were made.
    let place = |name: &str| Namespaces::ALL.iter().position(|(known, _)| *known == name);
    monitor
        .live
        .namespace_fds
        .sort_by_key(|(name, _)| place(name));
    Ok(())
}

/// Looks whether the guest runs under its label.
pub(super) fn confirm_label(label: &lxc_plan::Label, live: &Live) -> Result<()> {
    match &live.init {
        Some(init) => crate::step::label::confirm(label, init.pid),
        None => Err(SysError::new("open", "/proc/PID/attr", Errno::SRCH)),
    }
}

pub(super) fn create_veth(
    veth: &lxc_plan::VethPlan,
    plan: &StartPlan,
    monitor: &mut Monitor,
    world: &mut HostWorld,
    undo: &mut UndoStack<Monitor>,
) -> Result<()> {
    let netns = match &world.network {
        Some(made_later) => made_later.try_clone().map_err(|e| io("dup", &e))?,
        None => procfs::Proc::host()?.open_ns(guest_pid(monitor)?, "net")?,
    };
    let mut netlink = Netlink::open()?;
    let none: Vec<NicPlan> = Vec::new();
    let nics = plan.steps.iter().find_map(|p| match &p.step {
        Step::ConfigureNetwork(nics) => Some(nics),
        _ => None,
    });
    let nics = nics.unwrap_or(&none);
    let (name, nic) = network::create_veth(veth, nics, &mut netlink, netns.as_fd())?;
    let gone = name.clone();
    undo.push(format!("interface {name}"), move |_: &mut Monitor| {
        Netlink::open()?.delete_link(&gone)
    });
    let key = format!("lxc.net.{}.veth.pair", veth.index);
    if let Err(diagnostic) = monitor.live.config.set(&key, &name) {
        log::warn!("{diagnostic}");
    }
    monitor.live.veths.push((veth.index, name));
    world.nics.push(nic);
    Ok(())
}

/// The guest's cores are its own from here on. On a processor whose cores run one task at a time
/// there is nobody to keep off, and clients read that nothing is done.
pub(super) fn new_scheduling_cookie(monitor: &mut Monitor) -> Result<()> {
    match core_scheduling::create(guest_pid(monitor)?) {
        Err(error) if error.errno == Errno::NODEV => {
            log::info!("no core scheduling: {error}");
            if let Err(diagnostic) = monitor.live.config.set("lxc.sched.core", "0") {
                log::warn!("{diagnostic}");
            }
            Ok(())
        }
        done => done,
    }
}

/// By pid: a child that has not been reaped keeps its number.
pub(super) fn write_proc_file(path: &str, value: &str, monitor: &Monitor) -> Result<()> {
    let path = format!("{}/{path}", guest_pid(monitor)?);
    procfs::Proc::host()?.write(&path, value.as_bytes())
}

pub(super) fn limit_resource(limit: &ResourceLimit, monitor: &Monitor) -> Result<()> {
    rlimit::set(
        Some(guest_pid(monitor)?),
        limit.number,
        limit.soft,
        limit.hard,
    )
}

/// One device rule of v1. What the kernel refuses there, LXC goes without: a container within another
/// cannot allow what that one does not have.
pub(super) fn limit_device(file: &str, value: &str, live: &Live) -> Result<()> {
    match live.cgroups.limit(false, file, value.as_bytes()) {
        Err(error) if matches!(error.errno, Errno::ACCESS | Errno::PERM) => {
            log::warn!("the device rule '{value}' is not in force: {error}");
            Ok(())
        }
        done => done,
    }
}

/// The device rules of v2. In a user namespace the kernel takes no program from anybody, and LXC goes
/// without.
pub(super) fn attach_device_program(rules: &[(String, String)], live: &mut Live) -> Result<()> {
    let missing = || SysError::new("bpf", "no cgroup v2 directory", Errno::NOENT);
    let directory = live.cgroups.limit_unified().ok_or_else(missing)?;
    match live.devices.begin(rules, directory) {
        Err(error) if error.errno == Errno::PERM && in_user_namespace() => {
            log::warn!("the device rules are not in force: {error}");
            Ok(())
        }
        done => done,
    }
}

fn in_user_namespace() -> bool {
    let map = file::read_path(Path::new("/proc/self/uid_map"), 4096).unwrap_or_default();
    let map = String::from_utf8_lossy(&map).into_owned();
    let whole: Vec<&str> = map.split_whitespace().collect();
    !map.is_empty() && whole != ["0", "0", "4294967295"]
}
