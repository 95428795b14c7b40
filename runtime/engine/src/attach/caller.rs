//! The caller's side of an attach.

use super::attached::{Attached, OwnTerminal};
use super::facts::{self, asked};
use super::fork::{self, Errand};
use super::report::Word;
use super::{Given, HelperRequest, Order, broken, helper, join, label};
use crate::failure::{Failure, FailureKind};
use crate::launch::Launch;
use crate::message;
use crate::request::Request;
use crate::wire::Client;
use lxc_kernel::process::{self, Cloned, ForkTurn};
use lxc_kernel::{Errno, SysError, core_scheduling, fd, pty, pty::Pty, signals, socket, users};
use lxc_plan::{AttachLabel, AttachPlan, AttachRequest, Namespaces, ProcessSettings};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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

/// An attach as it was asked for.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Directory of the containers, as it is spelled.
    pub lxcpath: &'a str,
    /// Name of a running container in it.
    pub name: &'a str,
    /// What the process shall be.
    pub request: &'a AttachRequest,
    /// What `lxc.environment` of the loaded configuration adds.
    pub configured: &'a [(String, String)],
    /// What `lxc.prlimit` and `lxc.proc` of the loaded configuration ask for.
    pub settings: &'a ProcessSettings,
    /// What become 0, 1 and 2 instead of the caller's own; copies are made.
    pub streams: [Option<BorrowedFd<'a>>; 3],
    /// Replace the standard streams that are terminals by a terminal of the container's own.
    pub terminal: bool,
    /// With `terminal`: gets a copy of what appears on it.
    pub log: Option<BorrowedFd<'a>>,
}

/// Attaches a program.
///
/// Returns when the program runs or could not be executed (see [`Attached::exec_failure`]).
pub fn attach(wish: &Wish<'_>, command: &Command) -> Result<Attached, Failure> {
    let ready = prepare(wish)?;
    let helper = HelperRequest {
        order: ready.order,
        cgroups: ready.cgroups.len() as u32,
        streams: wish.streams.map(|stream| stream.is_some()),
        terminal: ready.terminal.is_some(),
        seccomp_profile: ready.seccomp_profile,
        env: ready.env,
        argv: match command {
            Command::Shell => Vec::new(),
            Command::Program(argv) => argv.clone(),
        },
    };
    let mut extra: Vec<BorrowedFd<'_>> = vec![ready.pidfd.as_fd()];
    extra.extend(ready.cgroups.iter().map(AsFd::as_fd));
    extra.extend(wish.streams.iter().flatten());
    extra.extend(ready.terminal.iter().map(|t| t.pty.peer.as_fd()));
    let launch = Launch::prepare(&Request::Attach(helper))?;
    let title = format!("[lxc attach] {} {}", wish.lxcpath, wish.name);
    let (pid, pidfd, socket) = launch.spawn(&title, &extra)?;
    let label = ready.label;
    let child = Helper {
        pid,
        pidfd,
        socket,
        label,
    };
    let heard = child.attached(wish.name)?;
    Ok(Attached {
        pid: heard.pid,
        pidfd: heard.pidfd,
        terminal: ready.terminal,
        failure: heard.not_begun,
    })
}

/// Attaches `function`: it runs in a fork of the calling process, with the calling thread alone.
///
/// Returns when the function is about to run.
pub fn attach_function(
    wish: &Wish<'_>,
    function: impl FnOnce() -> i32,
) -> Result<Attached, Failure> {
    let ready = prepare(wish)?;
    let label = ready.label.clone();
    let (terminal, errand) = ready.errand(wish)?;
    let child = {
        let turn = ForkTurn::take();
        let (ours, theirs) = fd::pair().map_err(|e| broken("make a socket", &e))?;
        let errand = errand(out_of_the_way(theirs)?);
        match turn.fork().map_err(|e| broken("fork", &e))? {
            Cloned::Child => {
                drop((turn, ours, terminal));
                fork::live(errand, function)
            }
            Cloned::Parent { pid, pidfd } => {
                // Before anybody else forks, or its copy would keep the report open.
                drop(errand);
                let socket = ours;
                Helper {
                    pid,
                    pidfd,
                    socket,
                    label,
                }
            }
        }
    };
    let heard = child.attached(wish.name)?;
    if let Some(failure) = heard.not_begun {
        // It ends by itself.
        let _ = process::wait_pidfd(heard.pidfd.as_fd(), true);
        return Err(failure);
    }
    Ok(Attached {
        pid: heard.pid,
        pidfd: heard.pidfd,
        terminal,
        failure: None,
    })
}

/// All that was found out, decided and opened.
struct Ready {
    order: Order,
    env: Vec<(OsString, OsString)>,
    seccomp_profile: Option<String>,
    pidfd: OwnedFd,
    cgroups: Vec<OwnedFd>,
    terminal: Option<OwnTerminal>,
    label: Option<AttachLabel>,
}

fn prepare(wish: &Wish<'_>) -> Result<Ready, Failure> {
    let Wish { name, request, .. } = *wish;
    let client = Client::new(wish.lxcpath, name);
    let (init_pid, pidfd) = facts::find_init(&client, name)?;
    let mut running = facts::of_init(init_pid, name)?;
    // The pid may have been recycled while it was read; its pidfd tells.
    process::pidfd_signal(pidfd.as_fd(), 0).map_err(|_| facts::not_running(name))?;
    let caller_env: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    running.namespaces = asked(client.clone_flags(), name).map(Namespaces)?;
    if !request.elevated.lsm {
        running.labels = label::facts(init_pid)?;
    }
    let plan = AttachPlan::make(request, &running, &caller_env, wish.configured)?;

    if plan.enter_cgroup {
        facts::refuse_frozen(&client, name)?;
    }
    let cgroups = match plan.enter_cgroup {
        true => asked(client.cgroup_context(), name)?.map_or_else(Vec::new, |c| c.fds),
        false => Vec::new(),
    };
    let scope = match plan.enter_cgroup && users::euid() != 0 {
        true => asked(client.systemd_scope(), name)?,
        false => None,
    };
    let seccomp_profile = match plan.seccomp {
        true => asked(client.config_item("lxc.seccomp.profile"), name)?,
        false => None,
    };
    let terminal = match wish.terminal {
        true => Some(OwnTerminal {
            pty: own_terminal(&client, name, &plan)?,
            log: wish.log.map(copy).transpose()?,
        }),
        false => None,
    };
    Ok(Ready {
        order: Order {
            init_pid,
            scope,
            join: plan.join.0,
            directory: plan.directory,
            cwd: std::env::current_dir()
                .ok()
                .and_then(|d| d.into_os_string().into_string().ok())
                .unwrap_or_else(|| "/".into()),
            limits: wish
                .settings
                .limits
                .iter()
                .map(|limit| (limit.number, limit.soft, limit.hard))
                .collect(),
            proc_files: wish.settings.files.clone(),
            // A cookie that cannot be read cannot be taken over either.
            same_cores: core_scheduling::cookie(init_pid).is_ok_and(|cookie| cookie != 0),
            personality: plan.personality,
            bounding: plan.bounding,
            label: plan.label.as_ref().map(label::order),
            no_new_privs: plan.no_new_privs,
            groups: plan.groups,
            setup: plan.user_namespace.map(|ids| ids.setup),
            setup_on_host: plan.user_namespace.map(|ids| ids.host),
            uid: plan.uid,
            gid: plan.gid,
        },
        env: plan.env,
        seccomp_profile,
        pidfd,
        cgroups,
        terminal,
        label: plan.label,
    })
}

impl Ready {
    /// The terminal, which stays here, and the errand, which needs only the child's end of the report
    /// any more.
    fn errand(
        self,
        wish: &Wish<'_>,
    ) -> Result<(Option<OwnTerminal>, impl FnOnce(OwnedFd) -> Errand + use<>), Failure> {
        let filter = self.seccomp_profile.as_deref().map(join::compile);
        let filter = filter.transpose()?;
        let env = helper::environment(&self.env)
            .ok_or_else(|| Failure::new(FailureKind::Exec, "a variable contains a NUL byte"))?;
        let [stdin, stdout, stderr] = wish.streams.map(|it| it.map(copy).transpose());
        let peer = self.terminal.as_ref().map(|it| copy(it.pty.peer.as_fd()));
        let cgroups = self.cgroups.into_iter().map(out_of_the_way);
        let given = Given {
            pidfd: out_of_the_way(self.pidfd)?,
            cgroups: cgroups.collect::<Result<_, _>>()?,
            streams: [stdin?, stdout?, stderr?],
            terminal: peer.transpose()?,
        };
        let mask = signals::block(&[]).map_err(|e| broken("read the signal mask", &e))?;
        let order = self.order;
        let errand = move |report| Errand {
            order,
            given,
            filter,
            env,
            mask,
            report,
        };
        Ok((self.terminal, errand))
    }
}

/// Another name, above 2, of the same open file.
fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    fd.try_clone_to_owned().map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        broken(
            "pass a descriptor on",
            &SysError::new(
                "fcntl",
                format!("{}, F_DUPFD_CLOEXEC", fd::describe(fd)),
                errno,
            ),
        )
    })
}

/// A caller may have closed some of 0, 1 and 2, where the child's streams will lie.
fn out_of_the_way(fd: OwnedFd) -> Result<OwnedFd, Failure> {
    fd::raise_above(fd, 3).map_err(|e| broken("move a descriptor", &e))
}

/// The helper, until it is reaped.
struct Helper {
    pid: i32,
    pidfd: OwnedFd,
    socket: OwnedFd,
    /// The label that the attached process is to take.
    label: Option<AttachLabel>,
}

impl Helper {
    /// Hears what it has to say, and reaps it.
    fn attached(self, name: &str) -> Result<Heard, Failure> {
        socket::set_receive_timeout(self.socket.as_fd(), Some(PATIENCE))
            .map_err(|e| broken("set a deadline for the attach helper", &e))?;
        let mut second = None;
        let attached = hear(&self.socket, self.label.as_ref(), name, &mut second);
        let late = |f: &Failure| f.kind == FailureKind::TimedOut;
        if attached.as_ref().is_err_and(late) {
            // A helper in a frozen cgroup cannot be reaped before it is thawed; it dies then.
            let _ = process::pidfd_signal(self.pidfd.as_fd(), libc::SIGKILL);
            if let Some((_, pidfd)) = second {
                // The same of it.
                let _ = process::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
            }
            return attached;
        }
        if let Some((pid, _)) = second {
            // A caller that ignores SIGCHLD has no child left to reap; another failure is told below.
            let _ = process::wait_pid(pid);
        }
        match process::wait_pid(self.pid) {
            Ok(_) => attached,
            Err(error) if error.errno == Errno::CHILD => attached,
            Err(error) => Err(broken("wait for the attach helper", &error)),
        }
    }
}

/// What was heard of a process that was attached.
struct Heard {
    pid: i32,
    pidfd: OwnedFd,
    not_begun: Option<Failure>,
}

/// A terminal from the container's devpts: the host's stays out of reach inside. A container
/// without one gets a host's terminal, as with LXC.
fn own_terminal(client: &Client, name: &str, plan: &AttachPlan) -> Result<Pty, Failure> {
    let made = match asked(client.devpts(), name)? {
        Some(devpts) => pty::open_in(devpts.as_fd()),
        None => pty::open_host(),
    };
    let pty = made.map_err(|e| broken("allocate a terminal", &e))?;
    let owner = plan.user_namespace.map_or(plan.uid, |ids| ids.owner);
    let owner = Some(rustix::fs::Uid::from_raw(owner));
    // A terminal that stays root's still works for root.
    let _ = rustix::fs::fchown(&pty.peer, owner, None);
    Ok(pty)
}

/// Hears what there is to hear; of a second helper, which is the caller's to reap, in any case.
fn hear(
    socket: &OwnedFd,
    label: Option<&AttachLabel>,
    name: &str,
    second: &mut Option<(i32, OwnedFd)>,
) -> Result<Heard, Failure> {
    let lost = || {
        Failure::new(
            FailureKind::Monitor,
            "the attach helper died without a word",
        )
    };
    let next = || {
        message::receive::<Word>(socket.as_fd()).map_err(|error| match error.errno {
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
    let (mut not_begun, mut begun) = (None, false);
    let mut label_file = None;
    // The helper and the one who was born speak for themselves: in which order is the scheduler's.
    while born.is_none() || !begun {
        match next() {
            Ok(Some((Word::Attached { pid }, fds))) => {
                let pidfd = fds.into_iter().next().ok_or_else(lost)?;
                if let Some(label) = label {
                    let file = label::hand_over(label, pid, &pidfd, socket);
                    label_file = Some(file.inspect_err(|_| kill(&pidfd))?);
                }
                born = Some((pid, pidfd));
            }
            Ok(Some((Word::Labelled, _))) => {
                let (Some(label), Some(file)) = (label, &label_file) else {
                    return Err(lost());
                };
                let confirmed = label::confirm(label, file, socket);
                if let Err(failure) = confirmed {
                    if let Some((_, pidfd)) = &born {
                        kill(pidfd);
                        // It has just spoken, so nothing keeps it from dying; nobody else will reap it.
                        let _ = process::wait_pidfd(pidfd.as_fd(), true);
                    }
                    return Err(failure);
                }
            }
            Ok(Some((Word::Second { pid }, fds))) => {
                *second = Some((pid, fds.into_iter().next().ok_or_else(lost)?));
            }
            Ok(Some((Word::Begun, _))) => begun = true,
            Ok(Some((Word::Warning(sentence), _))) => log::warn!("{sentence}"),
            Ok(Some((Word::NotBegun(failure), _))) => not_begun = Some(failure),
            Ok(Some((Word::Failed(failure), _))) => return Err(failure),
            Ok(None) => break,
            Err(failure) => {
                born.iter().for_each(|(_, pidfd)| kill(pidfd));
                return Err(failure);
            }
        }
    }
    let (pid, pidfd) = born.ok_or_else(lost)?;
    Ok(Heard {
        pid,
        pidfd,
        not_begun,
    })
}

/// What has not begun by now must not begin later.
fn kill(pidfd: &OwnedFd) {
    // One that has ended already needs none.
    let _ = process::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
}
