//! What the guest is and may do: cgroups, keyring, capabilities, filter, ids, standard streams.

use crate::facts;
use crate::guest::GuestWorld;
use crate::step::mounts::io;
use lxc_config::attr;
use lxc_kernel::{Errno, Result, SysError, caps, fd, file, inroot::Root, mount, process, signals};
use lxc_plan::{Namespaces, Program};
use rustix::fs::{Mode, OFlags};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// personality(2): 32-bit.
const PER_LINUX32: u64 = 8;
/// personality(2): native.
const PER_LINUX: u64 = 0;

/// Joins the container's cgroups; only then may a cgroup namespace be made, whose root is where the
/// process is.
pub fn enter_cgroup(new_namespace: bool, world: &mut GuestWorld<'_>) -> Result<()> {
    world.cgroups.enter_payload(world.born_in_cgroup)?;
    if new_namespace || world.late_cgroup_namespace {
        process::unshare(Namespaces::CGROUP.0)?;
    }
    Ok(())
}

/// A session keyring of its own: the caller's keys stay the caller's. A kernel without keyrings has
/// nothing to hide; nor is anything in reach of a guest that inherits the filter which refuses keyctl
/// to this process.
pub fn new_keyring(world: &GuestWorld<'_>) -> Result<()> {
    match process::set_keyring_session() {
        Err(error)
            if error.errno == Errno::NOSYS
                || matches!(error.errno, Errno::PERM | Errno::ACCESS) && facts::confined() =>
        {
            world.note(2, format!("no session keyring: {error}"));
            Ok(())
        }
        done => done,
    }
}

/// The personality of `lxc.arch`.
pub fn set_personality(bits32: bool) -> Result<()> {
    process::set_personality(if bits32 { PER_LINUX32 } else { PER_LINUX })
}

/// Out of the bounding set: nothing inside can regain them.
pub fn drop_capabilities(dropped: &[u32]) -> Result<()> {
    dropped
        .iter()
        .try_for_each(|capability| caps::drop_bounding(*capability))
}

/// The filter that the monitor compiled.
pub fn load_seccomp(world: &GuestWorld<'_>) -> Result<()> {
    match world.filter {
        Some(filter) => filter.load(),
        None => Err(SysError::new(
            "seccomp",
            "no filter was compiled",
            Errno::INVAL,
        )),
    }
}

/// A random boot id; best effort, as in LXC: a container without it works.
pub fn new_boot_id(world: &mut GuestWorld<'_>) {
    if let Err(error) = bind_boot_id(world) {
        world.note(1, format!("no boot id of its own: {error}"));
    }
}

fn bind_boot_id(world: &mut GuestWorld<'_>) -> Result<()> {
    const NAME: &str = ".lxc-boot-id";
    let uuid = file::read_path(Path::new("/proc/sys/kernel/random/uuid"), 64)?;
    let dev = world.dev()?.try_clone().map_err(|e| io("dup", &e))?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let id = rustix::fs::openat(&dev, NAME, flags, Mode::from_raw_mode(0o444))
        .map_err(|e| SysError::new("openat", NAME, e))?;
    rustix::io::write(&id, &uuid).map_err(|e| SysError::new("write", NAME, e))?;
    drop(id);
    let Some(proc) = &world.proc else {
        return Ok(());
    };
    let proc = Root::from_fd(proc.try_clone().map_err(|e| io("dup", &e))?);
    let target = proc.resolve_nofollow("sys/kernel/random/boot_id")?;
    let mounted = mount::clone_tree(Some(dev.as_fd()), Path::new(NAME), false)?;
    let attrs = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let change = mount::Change {
        set: attrs,
        ..mount::Change::default()
    };
    mount::attach_with(mounted.as_fd(), target.as_fd(), &change)
}

/// What is handed to exec.
pub struct Prepared {
    /// Program and arguments.
    pub argv: Vec<CString>,
    /// `NAME=value`.
    pub env: Vec<CString>,
}

/// The last act before exec: own session, streams, directory, ids, nothing inherited.
pub fn prepare_exec(program: &Program, world: &mut GuestWorld<'_>) -> Result<Prepared> {
    let argv = program
        .argv
        .iter()
        .map(|a| c_string(a))
        .collect::<Result<_>>()?;
    let mut env: Vec<CString> = Vec::with_capacity(program.env.len() + 1);
    for (name, value) in &program.env {
        env.push(c_string(&format!("{name}={value}"))?);
    }
    if !world.tty_names.is_empty() {
        env.push(c_string(&format!(
            "container_ttys={}",
            world.tty_names.join(" ")
        ))?);
    }
    // A process that leads a group already cannot start a session; it is a session's leader then.
    let _ = process::setsid();
    if let Some(stdio) = &world.stdio {
        for number in 0..3 {
            let keep = world.stdio_only_terminals && !is_terminal(number);
            if !keep {
                fd::place_at(stdio.as_fd(), number)?;
            }
        }
    }
    own_streams(program);
    enter_directory(program.cwd.as_deref(), world)?;
    match &program.groups {
        Some(groups) => process::set_groups(groups)?,
        None => match process::set_groups(&[]) {
            Err(error) if error.errno != Errno::PERM => return Err(error),
            _ => {}
        },
    }
    let other = program.uid != 0 || program.gid != 0;
    if other {
        process::set_ids(program.uid, program.gid)?;
        // Changing ids opens this memory, the monitor's, to whoever shares the pid namespace, where the
        // host has programs dumped that do so (fs.suid_dumpable).
        process::set_dumpable(false)?;
    }
    // Changing ids clears it.
    if other || program.death_signal != libc::SIGKILL {
        process::set_parent_death_signal(program.death_signal)?;
    }
    caps::clear_inheritable_and_ambient()?;
    signals::reset_handlers();
    signals::empty_mask()?;
    Ok(Prepared { argv, env })
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| SysError::new("execve", text.to_string(), Errno::INVAL))
}

fn stream(number: i32) -> BorrowedFd<'static> {
    match number {
        0 => rustix::stdio::stdin(),
        1 => rustix::stdio::stdout(),
        _ => rustix::stdio::stderr(),
    }
}

fn is_terminal(number: i32) -> bool {
    lxc_kernel::pty::is_terminal(stream(number))
}

/// Terminals on the standard streams become init's own, so that it can reopen /dev/stdin; LXC
/// tolerates streams that refuse.
fn own_streams(program: &Program) {
    for number in 0..3 {
        if is_terminal(number) {
            let (uid, gid) = (rustix::fs::Uid::from_raw(program.uid), None);
            let _ = rustix::fs::fchown(stream(number), Some(uid), gid);
            let _ = rustix::fs::fchmod(stream(number), Mode::from_raw_mode(0o600));
        }
    }
}

/// `lxc.init.cwd`, made if it is missing, resolved below the root; else the root.
fn enter_directory(cwd: Option<&str>, world: &GuestWorld<'_>) -> Result<()> {
    let path = cwd.unwrap_or("/");
    let root = Root::open(Path::new("/"))?;
    let directory = root.mkdirs(path.trim_start_matches('/'), 0o755)?;
    process::fchdir(directory.as_fd())?;
    // A directory that getcwd cannot name lies outside the root.
    let reached = process::getcwd()?;
    if world.own_root && !reached.starts_with("/") {
        return Err(SysError::new("getcwd", path.to_string(), Errno::XDEV));
    }
    Ok(())
}
