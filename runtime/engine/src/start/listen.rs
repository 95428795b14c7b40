//! What the guest says while it sets itself up, and what its silence means.

use super::{HostWorld, act, each, host, tell_guest};
use crate::console::Console;
use crate::failure::{Failure, FailureKind};
use crate::message::{self, FromGuest, ToGuest};
use crate::monitor::{Monitor, Tty, Wake};
use crate::step::mounts::io;
use crate::undo::UndoStack;
use lxc_kernel::{Errno, Result, SysError, process, procfs};
use lxc_plan::{Side, StartPlan, Step};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// A guest that says nothing for so long, while no user's code runs in it, hangs.
const GUEST_DEADLINE: Duration = Duration::from_secs(120);
/// `PF_FORKNOEXEC` (`linux/sched.h`): the task has not executed anything since it was forked.
const FORKED_NO_EXEC: u32 = 0x40;

/// Listens until the guest has executed its program or died.
pub(super) fn listen_to_guest(
    monitor: &mut Monitor,
    plan: &StartPlan,
    world: &mut HostWorld,
    undo: &mut UndoStack<Monitor>,
) -> std::result::Result<(), Failure> {
    let patient = plan
        .steps
        .iter()
        .any(|p| p.side == Side::Guest && matches!(p.step, Step::RunHook(_)));
    let mut ready = false;
    let lost = |error: SysError| {
        Failure::new(FailureKind::Monitor, "the monitor lost the guest").caused_by(&error)
    };
    loop {
        let deadline = (!patient).then(|| Instant::now() + GUEST_DEADLINE);
        let wakes = monitor.turn(deadline).map_err(lost)?;
        // What the guest said comes before what became of it.
        if wakes.contains(&Wake::Guest) || wakes.contains(&Wake::InitEnded) {
            match hear(monitor, world).map_err(lost)? {
                Heard::Nothing => {}
                Heard::Ready => {
                    // What the guest made itself exists only now.
                    host::keep_namespaces(plan.unshared, monitor).map_err(lost)?;
                    each(plan, Side::HostAtReady, |step| {
                        act(step, plan, monitor, world, undo)
                    })?;
                    ready = true;
                    tell_guest(monitor, &ToGuest::Go)?;
                }
                Heard::Runs => return monitor.close_guest_socket().map_err(lost),
                Heard::Failed(failure) => return Err(failure),
                Heard::Closed
                    if ready && !plan_has_mini_init(plan) && executed(monitor).map_err(lost)? =>
                {
                    return monitor.close_guest_socket().map_err(lost);
                }
                Heard::Closed => return Err(guest_died(monitor, ready)),
            }
        } else if wakes.contains(&Wake::Deadline) {
            return Err(silent());
        }
    }
}

/// Listens until the guest has made its network namespace; what else it says by then is dealt with.
pub(super) fn await_network(
    monitor: &mut Monitor,
    world: &mut HostWorld,
) -> std::result::Result<(), Failure> {
    let lost = |error: SysError| {
        Failure::new(FailureKind::Monitor, "the monitor lost the guest").caused_by(&error)
    };
    while world.network.is_none() {
        let wakes = monitor
            .turn(Some(Instant::now() + GUEST_DEADLINE))
            .map_err(lost)?;
        if wakes.contains(&Wake::Guest) || wakes.contains(&Wake::InitEnded) {
            match hear(monitor, world).map_err(lost)? {
                Heard::Failed(failure) => return Err(failure),
                Heard::Closed => return Err(guest_died(monitor, false)),
                Heard::Nothing | Heard::Ready | Heard::Runs => {}
            }
        } else if wakes.contains(&Wake::Deadline) {
            return Err(silent());
        }
    }
    Ok(())
}

fn silent() -> Failure {
    let sentence = format!("the guest said nothing for {} s", GUEST_DEADLINE.as_secs());
    Failure::new(FailureKind::GuestDied, sentence)
        .hint("a mount of its may hang; see the log (-l DEBUG -o FILE)")
}

/// Stop hooks get a path to it, as to those made at the clone.
fn keep_network(monitor: &mut Monitor, world: &HostWorld) -> Result<()> {
    if monitor.live.config.values().hooks.stop.is_empty() {
        return Ok(());
    }
    if let Some(network) = &world.network {
        let kept = network.try_clone().map_err(|e| io("dup", &e))?;
        monitor.live.namespace_fds.push(("net", kept));
    }
    Ok(())
}

fn plan_has_mini_init(plan: &StartPlan) -> bool {
    plan.steps
        .iter()
        .any(|p| matches!(&p.step, Step::Exec(program) if program.mini_init))
}

/// One thing the guest said.
enum Heard {
    Nothing,
    Ready,
    Runs,
    Failed(Failure),
    Closed,
}

fn hear(monitor: &mut Monitor, world: &mut HostWorld) -> Result<Heard> {
    let Some(socket) = &monitor.guest_socket else {
        return Ok(Heard::Nothing);
    };
    let received = match message::receive::<FromGuest>(socket.as_fd()) {
        Err(error) if error.errno == Errno::CONNRESET => None,
        received => received?,
    };
    let Some((word, fds)) = received else {
        return Ok(Heard::Closed);
    };
    match word {
        FromGuest::Terminals {
            devpts,
            console,
            ttys,
        } => {
            take_terminals(monitor, world, devpts, console, ttys, fds)?;
            Ok(Heard::Nothing)
        }
        FromGuest::Note { level, text } => {
            match level {
                0 | 1 => log::debug!("guest: {text}"),
                2 | 3 => log::info!("guest: {text}"),
                _ => log::warn!("guest: {text}"),
            }
            Ok(Heard::Nothing)
        }
        FromGuest::Network => {
            world.network = fds.into_iter().next();
            keep_network(monitor, world)?;
            Ok(Heard::Nothing)
        }
        FromGuest::Shift(asked) => {
            let missing = || SysError::new("recvmsg", "no mount came along", Errno::BADMSG);
            let tree = fds.into_iter().next().ok_or_else(missing)?;
            super::host::shift_entry(&asked, &tree, monitor)?;
            Ok(Heard::Nothing)
        }
        FromGuest::NicNames(names) => {
            name_nics(monitor, names);
            Ok(Heard::Nothing)
        }
        FromGuest::Ready => Ok(Heard::Ready),
        FromGuest::Started => Ok(Heard::Runs),
        FromGuest::Failed(failure) => Ok(Heard::Failed(failure)),
    }
}

fn take_terminals(
    monitor: &mut Monitor,
    world: &mut HostWorld,
    devpts: bool,
    console: bool,
    ttys: u32,
    fds: Vec<OwnedFd>,
) -> Result<()> {
    let expected = usize::from(devpts) + 2 * usize::from(console) + ttys as usize;
    if fds.len() != expected {
        let told = format!("{} descriptors for {expected}", fds.len());
        return Err(SysError::new("recvmsg", told, Errno::BADMSG));
    }
    let mut fds = fds.into_iter();
    if devpts {
        monitor.live.devpts = fds.next();
    }
    if console && let (Some(master), Some(peer)) = (fds.next(), fds.next()) {
        let viewer = monitor.viewer()?;
        let record = std::mem::take(&mut world.record);
        let console = Console::new(master, peer, viewer, record)?;
        monitor.serve_console(console)?;
    }
    monitor.live.ttys = fds
        .map(|master| Tty {
            master,
            busy: false,
            peer: None,
        })
        .collect();
    Ok(())
}

/// What clients read as `lxc.net.N.name` of the running container.
fn name_nics(monitor: &mut Monitor, names: Vec<String>) {
    let indexes: Vec<u32> = monitor.live.veths.iter().map(|(index, _)| *index).collect();
    for (index, name) in indexes
        .into_iter()
        .zip(names.into_iter().filter(|n| n != "lo"))
    {
        if let Err(diagnostic) = monitor
            .live
            .config
            .set(&format!("lxc.net.{index}.name"), &name)
        {
            log::warn!("{diagnostic}");
        }
    }
}

/// The closed socket means exec or death; the kernel knows which.
fn executed(monitor: &Monitor) -> Result<bool> {
    let Some(init) = &monitor.live.init else {
        return Ok(false);
    };
    Ok(procfs::stat_flags(init.pid)? & FORKED_NO_EXEC == 0)
}

fn guest_died(monitor: &Monitor, ready: bool) -> Failure {
    let when = if ready {
        "before it could execute its program"
    } else {
        "while setting itself up"
    };
    let ended = monitor.live.init.as_ref().and_then(|init| {
        // One that closed its socket and lives is no guest any more, and must not be waited for. To one
        // that is dying already this changes nothing.
        let _ = process::pidfd_signal(init.pidfd.as_fd(), libc::SIGKILL);
        process::wait_pidfd(init.pidfd.as_fd(), true).ok().flatten()
    });
    let how = match ended {
        Some(process::Ended::Killed { signal, .. }) => format!("was killed by signal {signal}"),
        Some(process::Ended::Exited(code)) => format!("exited with {code}"),
        None => "died".into(),
    };
    Failure::new(FailureKind::GuestDied, format!("the guest {how} {when}"))
        .hint("memory may be short, or its cgroup's limits too low; see the kernel log")
}
