//! The caller's side of an attach.

use super::HelperRequest;
use crate::console::{Console, RawTerminal, Viewer};
use crate::failure::{Failure, FailureKind};
use crate::launch::Launch;
use crate::message::{self, AttachReport};
use crate::request::Request;
use crate::wire::{Asked, Client, ClientError, State};
use lxc_kernel::events::{Interest, Poller};
use lxc_kernel::process::{self, Ended};
use lxc_kernel::signals::{self, SignalFd};
use lxc_kernel::{Errno, SysError, file, procfs, pty, pty::Pty, socket};
use lxc_plan::{AttachPlan, AttachRequest, Namespaces, RunningFacts};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// From asking the helper to the program's exec. Only a cgroup that was frozen without a word to the
/// monitor keeps a program from beginning so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What runs inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The shell of the user inside.
    Shell,
    /// Program and arguments, never empty.
    Program(Vec<String>),
}

/// An attached process, child of the caller.
pub struct Attached {
    /// Its pid.
    pub pid: i32,
    pidfd: OwnedFd,
    terminal: Option<Pty>,
    failure: Option<Failure>,
}

/// Attaches to the running container `name` in `lxcpath`.
///
/// With `terminal` the standard streams that are terminals are replaced by a terminal of the
/// container's own. Returns when the program runs or could not be executed (see
/// [`Attached::exec_failure`]).
pub fn attach(
    lxcpath: &str,
    name: &str,
    command: &Command,
    request: &AttachRequest,
    configured: &[(String, String)],
    terminal: bool,
) -> Result<Attached, Failure> {
    let client = Client::new(lxcpath, name);
    let (init_pid, pidfd) = find_init(&client, name)?;
    let mut running = facts(init_pid, name)?;
    // The pid may have been recycled while it was read; its pidfd tells.
    process::pidfd_signal(pidfd.as_fd(), 0).map_err(|_| not_running(name))?;
    let caller_env: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    running.namespaces = asked(client.clone_flags(), name).map(Namespaces)?;
    let plan = AttachPlan::make(request, &running, &caller_env, configured)?;

    if plan.enter_cgroup {
        refuse_frozen(&client, name)?;
    }
    let cgroups = match plan.enter_cgroup {
        true => asked(client.cgroup_context(), name)?.map_or_else(Vec::new, |c| c.fds),
        false => Vec::new(),
    };
    let seccomp_profile = match plan.seccomp {
        true => asked(client.config_item("lxc.seccomp.profile"), name)?,
        false => None,
    };
    let pty = match terminal {
        true => Some(own_terminal(&client, name, &plan)?),
        false => None,
    };
    let helper = HelperRequest {
        init_pid,
        cgroups: cgroups.len() as u32,
        terminal: pty.is_some(),
        join: plan.join.0,
        bits32: plan.bits32,
        bounding: plan.bounding,
        no_new_privs: plan.no_new_privs,
        seccomp_profile,
        env: plan.env,
        argv: match command {
            Command::Shell => Vec::new(),
            Command::Program(argv) => argv.clone(),
        },
        cwd: std::env::current_dir()
            .ok()
            .and_then(|d| d.into_os_string().into_string().ok())
            .unwrap_or_else(|| "/".into()),
        uid: plan.uid,
        gid: plan.gid,
    };
    let mut extra: Vec<BorrowedFd<'_>> = vec![pidfd.as_fd()];
    extra.extend(cgroups.iter().map(AsFd::as_fd));
    extra.extend(pty.iter().map(|p| p.peer.as_fd()));
    let launch = Launch::prepare(&Request::Attach(helper))?;
    let (pid, helper, socket) = launch.spawn(&format!("[lxc attach] {lxcpath} {name}"), &extra)?;
    socket::set_receive_timeout(socket.as_fd(), Some(PATIENCE))
        .map_err(|e| broken("set a deadline for the attach helper", &e))?;
    let attached = hear(&socket, name);
    if attached
        .as_ref()
        .is_err_and(|f| f.kind == FailureKind::TimedOut)
    {
        // A helper in a frozen cgroup cannot be reaped before it is thawed; it dies then.
        let _ = process::pidfd_signal(helper.as_fd(), libc::SIGKILL);
    } else {
        match process::wait_pid(pid) {
            Ok(_) => {}
            Err(error) if error.errno == Errno::CHILD => {}
            Err(error) => return Err(broken("wait for the attach helper", &error)),
        }
    }
    let (pid, pidfd, failure) = attached?;
    Ok(Attached {
        pid,
        pidfd,
        terminal: pty,
        failure,
    })
}

/// What enters a frozen cgroup stops there and then, the helper included.
fn refuse_frozen(client: &Client, name: &str) -> Result<(), Failure> {
    match client.state().map_err(|e| client_failure(&e))? {
        State::Frozen | State::Freezing => {
            let sentence = format!("the container {name} is frozen: no program can begin in it");
            Err(Failure::new(FailureKind::Refused, sentence)
                .hint("thaw it first (lxc-unfreeze), or attach outside its cgroups (-e CGROUP)"))
        }
        _ => Ok(()),
    }
}

fn find_init(client: &Client, name: &str) -> Result<(i32, OwnedFd), Failure> {
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
fn asked<T>(answer: Result<Asked<T>, ClientError>, name: &str) -> Result<T, Failure> {
    match answer {
        Ok(Asked::Answer(answer)) => Ok(answer),
        Ok(Asked::Stopped) => Err(not_running(name)),
        Err(error) => Err(client_failure(&error)),
    }
}

/// A client's error as a failure.
pub fn client_failure(error: &ClientError) -> Failure {
    let kind = match error {
        ClientError::Denied { .. } => FailureKind::Denied,
        ClientError::Impostor { .. } => FailureKind::Impostor,
        _ => FailureKind::Monitor,
    };
    Failure::new(kind, error.to_string())
}

fn not_running(name: &str) -> Failure {
    Failure::new(
        FailureKind::NotRunning,
        format!("the container {name} is not running"),
    )
    .hint(format!("start it with 'lxc-start {name}'"))
}

/// What /proc tells of init: ids, bounding set, confinement, namespaces.
fn facts(pid: i32, name: &str) -> Result<RunningFacts, Failure> {
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
    Ok(RunningFacts {
        namespaces: Namespaces::default(),
        differing,
        uid: number("Uid:").unwrap_or(0),
        gid: number("Gid:").unwrap_or(0),
        bounding: field("CapBnd:")
            .and_then(|v| u64::from_str_radix(v, 16).ok())
            .unwrap_or(0),
        bits32,
        no_new_privs: number("NoNewPrivs:") == Some(1),
        seccomp: number("Seccomp:") == Some(2),
    })
}

/// A terminal from the container's devpts: the host's stays out of reach inside. A container
/// without one gets a host's terminal, as with LXC.
fn own_terminal(client: &Client, name: &str, plan: &AttachPlan) -> Result<Pty, Failure> {
    let made = match asked(client.devpts(), name)? {
        Some(devpts) => pty::open_in(devpts.as_fd()),
        None => pty::open_host(),
    };
    let pty = made.map_err(|e| broken("allocate a terminal", &e))?;
    let owner = Some(rustix::fs::Uid::from_raw(plan.uid));
    // A terminal that stays root's still works for root.
    let _ = rustix::fs::fchown(&pty.peer, owner, None);
    Ok(pty)
}

fn hear(socket: &OwnedFd, name: &str) -> Result<(i32, OwnedFd, Option<Failure>), Failure> {
    let lost = || {
        Failure::new(
            FailureKind::Monitor,
            "the attach helper died without a word",
        )
    };
    let next = || {
        message::receive::<AttachReport>(socket.as_fd()).map_err(|error| match error.errno {
            Errno::AGAIN => {
                let seconds = PATIENCE.as_secs();
                let sentence = format!("the program did not begin within {seconds} s");
                Failure::new(FailureKind::TimedOut, sentence).hint(format!(
                    "the container may be frozen ('lxc-info -s {name}' tells); thaw it and try again"
                ))
            }
            _ => broken("hear from the attach helper", &error),
        })
    };
    let mut born: Option<(i32, OwnedFd)> = None;
    let mut not_begun = None;
    // The helper and the one who was born speak for themselves: in which order is the scheduler's.
    loop {
        match next() {
            Ok(Some((AttachReport::Attached { pid }, fds))) => {
                born = Some((pid, fds.into_iter().next().ok_or_else(lost)?));
            }
            Ok(Some((AttachReport::NotBegun(failure), _))) => not_begun = Some(failure),
            Ok(Some((AttachReport::Failed(failure), _))) => return Err(failure),
            Ok(None) => break,
            Err(failure) => {
                if let Some((_, pidfd)) = born {
                    // What has not begun by now must not begin later.
                    let _ = process::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
                }
                return Err(failure);
            }
        }
    }
    let (pid, pidfd) = born.ok_or_else(lost)?;
    Ok((pid, pidfd, not_begun))
}

impl Attached {
    /// Why the program could not be executed, if it could not.
    pub fn exec_failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Waits for the program's end, relaying the terminal if there is one; blocks without limit.
    pub fn wait(mut self) -> Result<Ended, Failure> {
        if let Some(pty) = self.terminal.take() {
            relay(pty, &self.pidfd).map_err(|e| broken("relay the terminal", &e))?;
        }
        let ended = process::wait_pidfd(self.pidfd.as_fd(), true)
            .map_err(|e| broken("wait for the attached process", &e))?;
        ended.ok_or_else(|| Failure::new(FailureKind::Monitor, "the attached process is lost"))
    }
}

const MASTER: u64 = 0;
const KEYBOARD: u64 = 1;
const ENDED: u64 = 2;
const SIGNALS: u64 = 3;

/// Passes bytes and window sizes until the attached process has ended and its last words are out.
fn relay(pty: Pty, pidfd: &OwnedFd) -> Result<(), SysError> {
    let viewer = RawTerminal::controlling()?.map_or(Viewer::Nobody, Viewer::Terminal);
    let mut console = Console::new(pty.master, pty.peer, viewer, None)?;
    let before = signals::block(&[libc::SIGWINCH])?;
    let resized = SignalFd::of(&[libc::SIGWINCH])?;
    let poller = Poller::new()?;
    poller.add(console.master.as_fd(), MASTER, Interest::READ)?;
    poller.add(pidfd.as_fd(), ENDED, Interest::READ)?;
    poller.add(resized.as_fd(), SIGNALS, Interest::READ)?;
    if let Some(keyboard) = console.keyboard() {
        poller.add(keyboard, KEYBOARD, Interest::READ)?;
    }
    'relay: loop {
        for event in poller.wait(None)? {
            match event.token {
                MASTER if !console.output() => break 'relay,
                MASTER => {}
                KEYBOARD => {
                    if !console.input()
                        && let Some(keyboard) = console.keyboard()
                    {
                        poller.remove(keyboard)?;
                    }
                }
                SIGNALS => {
                    while resized.read()?.is_some() {}
                    console.copy_window_size();
                }
                _ => {
                    console.drain();
                    break 'relay;
                }
            }
        }
    }
    drop(console);
    signals::restore(&before)
}

fn broken(what: &str, error: &SysError) -> Failure {
    Failure::new(FailureKind::Monitor, format!("cannot {what}")).caused_by(error)
}
