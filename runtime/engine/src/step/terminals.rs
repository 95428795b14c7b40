//! Console and ttys inside the container.

use crate::guest::GuestWorld;
use crate::message::{self, FromGuest};
use crate::step::dev::{placeholder, subdirectory};
use crate::step::mounts::io;
use lxc_kernel::{Errno, Result, SysError, mount, pty, pty::Pty};
use lxc_plan::TtyPlan;
use rustix::fs::{AtFlags, Mode};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Allocates what the host has not, puts everything in its place, hands the masters to the monitor.
pub fn set_up(plan: &TtyPlan, world: &mut GuestWorld<'_>) -> Result<()> {
    let mut own_console = None;
    if plan.console_from_guest {
        let devpts = devpts(world)?;
        own_console = Some(pty::open_in(devpts)?);
    }
    if plan.console {
        let host = world.console;
        let Some(console) = own_console.as_ref().or(host) else {
            return Err(SysError::new("open", "console", Errno::NXIO));
        };
        match rustix::fs::fchmod(&console.peer, Mode::from_raw_mode(0o620)) {
            // The host's, which an ordinary user could not give away.
            Err(Errno::PERM) if own_console.is_none() => {}
            done => done.map_err(|e| SysError::new("fchmod", "console", e))?,
        }
        if world.own_root {
            let device = device_of(console, own_console.is_some())?;
            place_console(device.as_fd(), plan, world)?;
        }
        if plan.console_is_stdio {
            world.stdio = Some(console.peer.try_clone().map_err(|e| io("dup", &e))?);
            world.stdio_only_terminals = plan.only_terminals;
        }
    }
    let ttys = ttys(plan, world)?;
    hand_over(plan, own_console, ttys, world)
}

fn devpts<'a>(world: &'a GuestWorld<'_>) -> Result<BorrowedFd<'a>> {
    let found = world.devpts.as_ref().map(AsFd::as_fd);
    found.ok_or_else(|| SysError::new("open", "dev/pts", Errno::NOENT))
}

/// The terminal's node as a mount of its own. A host's terminal is looked up by name again, in the
/// host's own /dev/pts, because its descriptor belongs to the host's mount namespace; it must turn
/// out to be the same device.
fn device_of(console: &Pty, own: bool) -> Result<OwnedFd> {
    if own {
        return mount::clone_tree(Some(console.peer.as_fd()), Path::new(""), false);
    }
    let path = format!("/dev/pts/{}", console.number);
    let node = mount::clone_tree(None, Path::new(&path), false)?;
    let stat = |fd: BorrowedFd<'_>| {
        rustix::fs::fstat(fd).map_err(|e| SysError::new("fstat", path.clone(), e))
    };
    match stat(node.as_fd())?.st_rdev == stat(console.peer.as_fd())?.st_rdev {
        true => Ok(node),
        false => Err(SysError::new("fstat", path, Errno::NXIO)),
    }
}

/// /dev/console, and the same below `lxc.tty.dir`.
fn place_console(device: BorrowedFd<'_>, plan: &TtyPlan, world: &mut GuestWorld<'_>) -> Result<()> {
    let dev = world.dev()?.as_fd();
    let Some(name) = &plan.dir else {
        return mount::attach(device, placeholder(dev, "console")?.as_fd());
    };
    let directory = subdirectory(dev, name)?;
    mount::attach(device, placeholder(directory.as_fd(), "console")?.as_fd())?;
    let again = mount::clone_tree(Some(device), Path::new(""), false)?;
    mount::attach(again.as_fd(), placeholder(dev, "console")?.as_fd())
}

/// /dev/tty1 … /dev/ttyN, or links to them below `lxc.tty.dir`.
fn ttys(plan: &TtyPlan, world: &mut GuestWorld<'_>) -> Result<Vec<Pty>> {
    let mut all = Vec::with_capacity(plan.ttys as usize);
    if plan.ttys == 0 {
        return Ok(all);
    }
    let dev = world.dev()?.try_clone().map_err(|e| io("dup", &e))?;
    let directory = match &plan.dir {
        Some(name) => Some(subdirectory(dev.as_fd(), name)?),
        None => None,
    };
    for number in 1..=plan.ttys {
        let tty = pty::open_in(devpts(world)?)?;
        let name = format!("tty{number}");
        let device = mount::clone_tree(Some(tty.peer.as_fd()), Path::new(""), false)?;
        let home = directory.as_ref().unwrap_or(&dev);
        mount::attach(device.as_fd(), placeholder(home.as_fd(), &name)?.as_fd())?;
        if let Some(folder) = &plan.dir {
            // What a rootfs has there (autodev = 0) gives way to the link.
            let _ = rustix::fs::unlinkat(&dev, &name, AtFlags::empty());
            rustix::fs::symlinkat(format!("{folder}/{name}"), &dev, &name)
                .map_err(|e| SysError::new("symlinkat", name.clone(), e))?;
        }
        world.tty_names.push(format!("pts/{}", tty.number));
        all.push(tty);
    }
    Ok(all)
}

/// The monitor keeps the masters: it serves the console and lends the ttys.
fn hand_over(
    plan: &TtyPlan,
    console: Option<Pty>,
    ttys: Vec<Pty>,
    world: &mut GuestWorld<'_>,
) -> Result<()> {
    let devpts = world.devpts.as_ref().filter(|_| plan.keep_devpts);
    if devpts.is_none() && console.is_none() && ttys.is_empty() {
        return Ok(());
    }
    let said = FromGuest::Terminals {
        devpts: devpts.is_some(),
        console: console.is_some(),
        ttys: ttys.len() as u32,
    };
    let mut fds: Vec<BorrowedFd<'_>> = devpts.iter().map(|d| d.as_fd()).collect();
    if let Some(console) = &console {
        // Both ends: without its own hold of the peer the master reports a hang-up whenever
        // nobody inside has the console open.
        fds.extend([console.master.as_fd(), console.peer.as_fd()]);
    }
    fds.extend(ttys.iter().map(|t| t.master.as_fd()));
    message::send(world.socket.as_fd(), &said, &fds)
}
