//! What is found out about the running container, from its monitor and from /proc.

use super::broken;
use crate::failure::{Failure, FailureKind};
use crate::step::idmap::configured;
use crate::wire::{Asked, Client, ClientError, State};
use lxc_kernel::process;
use lxc_kernel::{Errno, file, idmap, procfs};
use lxc_plan::{Namespaces, RunningFacts};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What enters a frozen cgroup stops there and then, the helper included.
pub fn refuse_frozen(client: &Client, name: &str) -> Result<(), Failure> {
    match client.state().map_err(|e| client_failure(&e))? {
        State::Frozen | State::Freezing => {
            let sentence = format!("the container {name} is frozen: no program can begin in it");
            Err(Failure::new(FailureKind::Refused, sentence)
                .hint("thaw it first (lxc-unfreeze), or attach outside its cgroups (-e CGROUP)"))
        }
        _ => Ok(()),
    }
}

/// The container's init: its pid and what names it for good.
pub fn find_init(client: &Client, name: &str) -> Result<(i32, OwnedFd), Failure> {
    let pid = asked(client.init_pid(), name)?;
    let pidfd = match asked(client.init_pidfd(), name)? {
        Some(pidfd) => pidfd,
        // A monitor that has none to give.
        None => process::pidfd_open(pid).map_err(|e| broken("open init's pidfd", &e))?,
    };
    // What is read by pid and what is joined by pidfd must be one process.
    let agree = procfs::pid_of(pidfd.as_fd()).is_ok_and(|found| found == pid);
    if !agree {
        let sentence =
            format!("the monitor of {name} names pid {pid} and hands out another process");
        return Err(Failure::new(FailureKind::Impostor, sentence)
            .hint("do not trust it; see who holds its command socket with 'ss -xlp'"));
    }
    Ok((pid, pidfd))
}

/// The answer, or why there is none, in one sentence.
pub fn asked<T>(answer: Result<Asked<T>, ClientError>, name: &str) -> Result<T, Failure> {
    match answer {
        Ok(Asked::Answer(answer)) => Ok(answer),
        Ok(Asked::Stopped) => Err(not_running(name)),
        Err(error) => Err(client_failure(&error)),
    }
}

/// A client's error as a failure.
fn client_failure(error: &ClientError) -> Failure {
    let kind = match error {
        ClientError::Denied { .. } => FailureKind::Denied,
        ClientError::Impostor { .. } => FailureKind::Impostor,
        _ => FailureKind::Monitor,
    };
    Failure::new(kind, error.to_string())
}

/// There is no container to attach to.
pub fn not_running(name: &str) -> Failure {
    let sentence = format!("the container {name} is not running");
    let mut failure = Failure::new(FailureKind::NotRunning, sentence)
        .hint(format!("start it with 'lxc-start {name}'"));
    // Nobody listens: what a call to its monitor would say.
    failure.errno = Some(libc::ECONNREFUSED);
    failure
}

/// What /proc tells of init: ids, bounding set, confinement, namespaces.
pub fn of_init(pid: i32, name: &str) -> Result<RunningFacts, Failure> {
    let path = format!("/proc/{pid}/status");
    let status = file::read_path(Path::new(&path), 64 * 1024).map_err(|e| match e.errno {
        Errno::NOENT | Errno::SRCH => not_running(name),
        _ => broken("read about the container's init", &e),
    })?;
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        line.split_whitespace().next()
    };
    let number = |name: &str| field(name).and_then(|v| v.parse::<u32>().ok());
    let mut differing = Namespaces::default();
    for (name, namespace) in Namespaces::ALL {
        let link = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/{name}")).ok();
        // A namespace the kernel lacks is the same everywhere.
        if link("self") != link(&pid.to_string()) {
            differing = differing.with(namespace);
        }
    }
    // A 32-bit personality is the only one LXC sets.
    let personality = file::read_path(Path::new(&format!("/proc/{pid}/personality")), 32)
        .ok()
        .and_then(|text| u32::from_str_radix(String::from_utf8_lossy(&text).trim(), 16).ok());
    let bits32 = personality.filter(|p| p & 0xff == 8).map(|_| true);
    let idmap = match differing.has(Namespaces::USER) {
        true => idmap::read(pid).map_err(|error| {
            let sentence = "cannot read the id maps of the container's init";
            Failure::new(FailureKind::Monitor, format!("{sentence}: {error}"))
        })?,
        false => Vec::new(),
    };
    Ok(RunningFacts {
        namespaces: Namespaces::default(),
        differing,
        idmap: idmap.iter().map(configured).collect(),
        uid: number("Uid:").unwrap_or(0),
        gid: number("Gid:").unwrap_or(0),
        bounding: field("CapBnd:")
            .and_then(|v| u64::from_str_radix(v, 16).ok())
            .unwrap_or(0),
        bits32,
        no_new_privs: number("NoNewPrivs:") == Some(1),
        seccomp: number("Seccomp:") == Some(2),
        labels: None,
    })
}
