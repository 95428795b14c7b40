//! The host's steps, one function each.

use super::{HostWorld, tell_guest};
use crate::failure::{Failure, FailureKind};
use crate::guest::{self, GuestWorld};
use crate::message::{self, Shift, ToGuest};
use crate::monitor::{Init, Live, Monitor};
use crate::step::mounts::io;
use crate::step::{idmap, idmapped_mount, network};
use crate::undo::UndoStack;
use lxc_config::IdmapSource;
use lxc_kernel::netlink::Netlink;
use lxc_kernel::process::{self, CloneSpec, Cloned};
use lxc_kernel::seccomp::{self, Filter};
use lxc_kernel::{Errno, Result, SysError, fd, file, procfs};
use lxc_plan::{IdmapPlan, Namespaces, NicPlan, StartPlan, Step};
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
    let named =
        OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pin = match rustix::fs::openat(&directory, NAME, named, mode) {
        Ok(pin) => pin,
        Err(Errno::ROFS) => return Ok(None),
        Err(error) => return Err(SysError::new("openat", format!("{path}/{NAME}"), error)),
    };
    // It stays as long as it is open.
    let _ = rustix::fs::unlinkat(&directory, NAME, rustix::fs::AtFlags::empty());
    Ok(Some(pin))
}

/// Forks the guest into its namespaces and, on v2, into its cgroup: there is no moment in which it
/// runs outside its limits.
pub(super) fn clone_guest(
    plan: &StartPlan,
    monitor: &mut Monitor,
    world: &HostWorld,
) -> Result<()> {
    let (ours, theirs) = fd::pair()?;
    let live = &monitor.live;
    let namespaces = plan.namespaces.without(plan.unshared);
    let mut spec = CloneSpec {
        namespaces: namespaces.0,
        into_cgroup: live.cgroups.payload_unified(),
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    let mut cloned = process::clone_process(&spec);
    if let Err(error) = &cloned
        && spec.into_cgroup.is_some()
    {
        log::info!("no CLONE_INTO_CGROUP: {error}");
        // A cgroup namespace made now would have the monitor's cgroup as its root.
        spec.into_cgroup = None;
        spec.namespaces = namespaces.without(Namespaces::CGROUP).0;
        cloned = process::clone_process(&spec);
    }
    match cloned? {
        Cloned::Child => {
            // The monitor's end: held here it would hide the monitor's death.
            drop(ours);
            let guest = GuestWorld {
                socket: theirs,
                cgroups: &monitor.live.cgroups,
                born_in_cgroup: spec.into_cgroup.is_some(),
                late_cgroup_namespace: spec.namespaces != namespaces.0,
                root: None,
                own_root: plan.rootfs.is_some(),
                dev: None,
                proc: None,
                devpts: None,
                console: world.console.as_ref(),
                stdio: None,
                stdio_only_terminals: false,
                tty_names: Vec::new(),
                filter: world.filter.as_ref(),
                hooks: &monitor.hooks,
                last_kept_fd: crate::launch::last_kept_fd(),
                inbox: Vec::new(),
            };
            guest::run(plan, guest)
        }
        Cloned::Parent { pid, pidfd } => {
            monitor.live.init = Some(Init { pid, pidfd });
            monitor.guest_socket = Some(ours);
            monitor.hooks.set("LXC_PID", pid.to_string());
            keep_namespaces(plan.namespaces.without(plan.unshared), monitor)?;
            monitor.watch_guest()
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

/// Stop hooks get paths to the namespaces, which must then outlive init.
fn keep_namespaces(namespaces: Namespaces, monitor: &mut Monitor) -> Result<()> {
    if monitor.live.config.values().hooks.stop.is_empty() {
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
    Ok(())
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
