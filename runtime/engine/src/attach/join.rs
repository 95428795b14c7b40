//! The helper's part inside: it enters the container's cgroups and namespaces, and lets the attached
//! process be born there.

use super::report::Word;
use super::{Given, Order, step};
use crate::failure::{Failure, FailureKind};
use crate::{message, scope};
use lxc_kernel::process::{self, CloneSpec, Cloned};
use lxc_kernel::seccomp::{self, Filter};
use lxc_kernel::{
    Errno, Result, SysError, cgroup, core_scheduling, fd, file, procfs, rlimit, socket,
};
use lxc_plan::Namespaces;
use rustix::fs::{AtFlags, Gid, Uid};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Filesystem magic of cgroup v2 (`linux/magic.h`).
const CGROUP2_MAGIC: u64 = 0x6367_7270;
/// Sub-cgroups tried for attached processes.
const NESTS: u32 = 1000;

/// Who one is after [`enter`].
pub enum Side {
    /// The helper: all is done.
    Helper,
    /// The attached process, all whose namespaces are joined.
    Guest {
        /// Open from the way in; an exec closes them.
        way: Vec<OwnedFd>,
    },
    /// The attached process, which cannot go on.
    Stranded(Failure),
}

/// Enters, and comes back twice: as the helper, which has told the caller who was born, and as the one
/// who was.
///
/// `more` are CLONE_* bits for the birth.
pub fn enter(
    order: &Order,
    given: &mut Given,
    report: &OwnedFd,
    more: u64,
) -> std::result::Result<Side, Failure> {
    if let Some(unit) = &order.scope
        && let Err(error) = scope::join(unit)
    {
        // Whoever is in the scope already, or below it, gets in without that.
        log::info!("not moved into {unit}: {error}");
    }
    // Directories of the host: whoever is born later has no use for them.
    let cgroups = std::mem::take(&mut given.cgroups);
    let mut nest = enter_cgroups(&cgroups, order.setup_on_host)
        .map_err(|e| step("enter the container's cgroups", &e))?;
    drop(cgroups);
    // From joining to exec the guest may see this process; it must not trace it.
    process::set_dumpable(false).map_err(|e| step("protect itself", &e))?;
    if order.setup.is_some()
        && let Some(place) = nest.take()
        && pass_on(&place, report, more)?
    {
        return Ok(Side::Helper);
    }
    // Delegated (nsdelegate, as systemd mounts it), a v2 cgroup takes nobody from outside who looks
    // at it from inside: whoever is born in the nest joins the cgroup namespace after that.
    let later = match nest {
        Some(_) => order.join & libc::CLONE_NEWCGROUP as u64,
        None => 0,
    };
    settle(order)?;
    let late = namespace_files(order, &given.pidfd, later)
        .and_then(|late| join(order, &given.pidfd, later).map(|()| late))
        .and_then(|late| order.setup.map_or(Ok(()), take_ids).map(|()| late))
        .map_err(|e| step("join the container's namespaces", &e))?;
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: nest.as_ref().map(AsFd::as_fd),
        // With CLONE_PARENT the kernel uses our own: the caller is told by SIGCHLD.
        exit_signal: 0,
        extra: libc::CLONE_PARENT as u64 | more,
    };
    match born(spec, nest.as_ref()).map_err(|e| step("create the attached process", &e))? {
        Cloned::Parent { pid, pidfd } => {
            let word = Word::Attached { pid };
            message::send(report.as_fd(), &word, &[pidfd.as_fd()])
                .map_err(|e| step("report to the caller", &e))?;
            Ok(Side::Helper)
        }
        Cloned::Child => Ok(match join_each(&late) {
            Ok(()) => Side::Guest {
                way: late.into_iter().chain(nest).collect(),
            },
            Err(error) => Side::Stranded(step("join the container's cgroup namespace", &error)),
        }),
    }
}

/// What the attached process inherits, set while this one still has the host's privilege and /proc.
fn settle(order: &Order) -> std::result::Result<(), Failure> {
    if order.same_cores {
        core_scheduling::share_from(order.init_pid)
            .map_err(|e| step("share the container's cores", &e))?;
    }
    if !order.proc_files.is_empty() {
        let proc = procfs::Proc::host().map_err(|e| step("open /proc", &e))?;
        for (path, value) in &order.proc_files {
            proc.write(&format!("self/{path}"), value.as_bytes())
                .map_err(|e| {
                    step(
                        &format!("write {value} to its /proc/PID/{path} (lxc.proc)"),
                        &e,
                    )
                })?;
        }
    }
    for (number, soft, hard) in &order.limits {
        rlimit::set(None, *number, *soft, *hard)
            .map_err(|e| step("limit its resources (lxc.prlimit)", &e))?;
    }
    Ok(())
}

/// Whoever has become somebody of a user namespace may not enter a cgroup of the host's any more, and
/// whoever is born inside must be that somebody from the beginning: a second helper, born in the nest,
/// does the rest. Tells the first one that it is done.
fn pass_on(nest: &OwnedFd, report: &OwnedFd, more: u64) -> std::result::Result<bool, Failure> {
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: Some(nest.as_fd()),
        exit_signal: 0,
        extra: libc::CLONE_PARENT as u64 | more,
    };
    // Its first word must not overtake the one about it.
    let (ours, theirs) = fd::pair().map_err(|e| step("make a socket", &e))?;
    match born(spec, Some(nest)).map_err(|e| step("create the second helper", &e))? {
        Cloned::Parent { pid, pidfd } => {
            let word = Word::Second { pid };
            message::send(report.as_fd(), &word, &[pidfd.as_fd()])
                .and_then(|()| socket::send(ours.as_fd(), b"+", &[], false))
                .map_err(|e| step("report to the caller", &e))?;
            Ok(true)
        }
        Cloned::Child => {
            drop(ours);
            let heard = socket::receive(theirs.as_fd(), &mut [0], 0)
                .map_err(|e| step("hear from the first helper", &e))?;
            match heard.bytes {
                0 => process::exit_now(1),
                _ => Ok(false),
            }
        }
    }
}

/// Becomes somebody of the user namespace just joined, before anybody is born into it.
fn take_ids((uid, gid): (u32, u32)) -> Result<()> {
    match process::set_groups(&[]) {
        // Denied where an ordinary user wrote the map of groups himself.
        Err(error) if error.is(Errno::PERM) => {}
        done => done?,
    }
    process::set_ids(uid, gid)?;
    // Changing ids may have lifted it (fs.suid_dumpable).
    process::set_dumpable(false)
}

/// v1 cgroups are entered by this process, single-threaded as it is; of the v2 one the nest is
/// returned in which the attached process is to be born.
fn enter_cgroups(directories: &[OwnedFd], owner: Option<(u32, u32)>) -> Result<Option<OwnedFd>> {
    let mut nest = None;
    for directory in directories {
        let found = rustix::fs::fstatfs(directory)
            .map_err(|e| SysError::new("fstatfs", fd::describe(directory.as_fd()), e))?;
        if found.f_type as u64 == CGROUP2_MAGIC {
            nest = Some(make_nest(directory, owner)?);
        } else {
            cgroup::enter_v1(directory.as_fd())?;
        }
    }
    Ok(nest)
}

/// A cgroup below the container's: its own may hand controllers down and then takes no process.
fn make_nest(directory: &OwnedFd, owner: Option<(u32, u32)>) -> Result<OwnedFd> {
    for number in 0..NESTS {
        let name = if number == 0 {
            ".lxc".to_string()
        } else {
            format!(".lxc-{number}")
        };
        match cgroup::make(directory.as_fd(), &name, false) {
            Ok((nest, made)) => {
                if let Some(owner) = owner.filter(|_| made) {
                    give(&nest, owner);
                }
                return Ok(nest);
            }
            Err(error) if error.errno == Errno::BUSY => {}
            Err(error) => return Err(error),
        }
    }
    Err(SysError::new("mkdirat", ".lxc", Errno::BUSY))
}

/// Lets the container's root manage the nest, as if it had made it; without the right to do so the
/// nest serves its purpose all the same.
fn give(nest: &OwnedFd, (uid, gid): (u32, u32)) {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    for name in [
        ".",
        "cgroup.procs",
        "cgroup.threads",
        "cgroup.subtree_control",
    ] {
        let _ = rustix::fs::chownat(nest, name, uid, gid, AtFlags::empty());
    }
}

/// The clone; kernels before 5.7 have no CLONE_INTO_CGROUP: this process goes in first there.
fn born(spec: CloneSpec<'_>, nest: Option<&OwnedFd>) -> Result<Cloned> {
    // What the absence of clone3, of that flag, or a filter's refusal of it looks like.
    let absent = |e: &SysError| {
        matches!(
            e.errno,
            Errno::NOSYS | Errno::INVAL | Errno::TOOBIG | Errno::PERM
        )
    };
    match (process::clone_process(&spec), nest) {
        (Err(error), Some(nest)) if absent(&error) => {
            cgroup::enter_v2(nest.as_fd())?;
            process::clone_process(&CloneSpec {
                into_cgroup: None,
                ..spec
            })
        }
        (cloned, _) => cloned,
    }
}

/// All namespaces but those for `later` in one call, so that there is no moment between two worlds;
/// one by one on kernels (before 5.8) that cannot join by pidfd.
fn join(order: &Order, pidfd: &OwnedFd, later: u64) -> Result<()> {
    let now = order.join & !later;
    if now == 0 {
        return Ok(());
    }
    match process::setns(pidfd.as_fd(), now) {
        Err(error) if error.errno == Errno::INVAL => {
            let files = namespace_files(order, pidfd, now)?;
            match files.is_empty() {
                true => Err(error),
                false => join_each(&files),
            }
        }
        done => done,
    }
}

/// The namespaces of `bits` as files, which can be joined where there is no host's /proc any more.
fn namespace_files(order: &Order, pidfd: &OwnedFd, bits: u64) -> Result<Vec<OwnedFd>> {
    if bits == 0 {
        return Ok(Vec::new());
    }
    let proc = procfs::Proc::host()?;
    let files = Namespaces(bits)
        .names()
        .map(|name| proc.open_ns(order.init_pid, name))
        .collect::<Result<_>>()?;
    // The pid is that of the pidfd only as long as the latter lives.
    process::pidfd_signal(pidfd.as_fd(), 0)?;
    Ok(files)
}

fn join_each(files: &[OwnedFd]) -> Result<()> {
    files
        .iter()
        .try_for_each(|fd| process::setns(fd.as_fd(), 0))
}

/// The filter that the container's policy file `path` makes.
pub fn compile(path: &str) -> std::result::Result<Filter, Failure> {
    let text = file::read_path(Path::new(path), 1024 * 1024)
        .map_err(|e| step("read the container's seccomp profile", &e))?;
    let text = String::from_utf8_lossy(&text);
    seccomp::parse(&text)
        .and_then(|policy| seccomp::compile(&policy))
        .map_err(|error| {
            let sentence = format!(
                "cannot use the seccomp profile {path}:{}: {}",
                error.line, error.message
            );
            Failure::new(FailureKind::Step, sentence)
                .hint("correct the line, or attach with elevated privileges (-e LSM)")
        })
}
