//! From the program's first line to a monitor that waits: stage 1, stage 2, and their end.

use crate::console::{RawTerminal, Viewer};
use crate::facts;
use crate::failure::{Failure, FailureKind};
use crate::hooks::HookEnvironment;
use crate::log;
use crate::message::Report;
use crate::monitor::life::{Event, Phase};
use crate::monitor::{Live, Monitor};
use crate::request::MonitorRequest;
use crate::scope;
use crate::step::cgroup::Cgroups;
use crate::step::devices::DeviceFilter;
use crate::wire::{Address, BindError, Server};
use lxc_config::Config;
use lxc_kernel::events::Poller;
use lxc_kernel::mount::{self, Propagation};
use lxc_kernel::process::{self, CloneSpec, Cloned, Ended};
use lxc_kernel::signals::{self, SignalFd};
use lxc_kernel::{Errno, fd};
use lxc_plan::{CgroupNames, HierarchyFact, Namespaces};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The program ran its container to the end.
const RAN: i32 = 0;
/// It never ran.
const FAILED: i32 = 1;
/// lxc-execute's code for a program that could not be executed inside.
const NOT_EXECUTED: i32 = 255;

/// Stage 1: claims what makes this container ours, then lets stage 2 be born in its cgroup.
/// Returns the exit code of whichever process returns.
pub fn enter(request: MonitorRequest, report: Option<OwnedFd>) -> i32 {
    let mut caller = Caller {
        report,
        request: request.clone(),
    };
    match prepare(request, &mut caller) {
        Ok(code) => code,
        Err(failure) => {
            caller.tell(failure);
            FAILED
        }
    }
}

/// Whoever asked for the start, until a monitor exists that can tell it.
struct Caller {
    report: Option<OwnedFd>,
    request: MonitorRequest,
}

impl Caller {
    fn tell(&mut self, failure: Failure) {
        ::log::error!("{failure}");
        match self.report.take() {
            Some(report) => {
                use std::os::fd::AsFd;
                // A caller that has gone does not want to know.
                let _ = crate::message::send(report.as_fd(), &Report::Failed(failure), &[]);
            }
            None => log::complain(&self.request.log, &self.request.name, &failure.to_string()),
        }
    }
}

fn prepare(request: MonitorRequest, caller: &mut Caller) -> Result<i32, Failure> {
    let broken = |what: &str| {
        let sentence = format!("the monitor cannot {what}");
        move |error: lxc_kernel::SysError| {
            Failure::new(FailureKind::Monitor, sentence).caused_by(&error)
        }
    };
    signals::block_all_but_fatal().map_err(broken("block signals"))?;
    if !request.foreground {
        fd::null_stdio().map_err(broken("open /dev/null"))?;
        process::chdir(Path::new("/")).map_err(broken("change to /"))?;
    }
    // A log that cannot be opened must not keep a container from starting.
    let _ = log::init(request.log.clone(), &request.name);
    let config = request.configuration()?;
    let server = claim_name(&request)?;
    let place = &config.values().cgroup;
    let names = CgroupNames::choose(&request.name, place, request.cgroup_pattern.as_deref())?;
    let scope = scope::enter(&request.name);
    let hierarchies = facts::cgroups(place.relative).map_err(|error| {
        let failure = Failure::new(FailureKind::Step, "no cgroup hierarchy can be used");
        with_cgroup_hint(failure.caused_by(&error), error.errno)
    })?;
    let hierarchies = lxc_plan::used_hierarchies(hierarchies, request.cgroup_use.as_deref())?;
    if scope.is_some()
        && let Err(error) = scope::settle(&hierarchies)
    {
        ::log::warn!("the scope hands no controllers down: {error}");
    }
    let mut cgroups = claim_cgroup(names, &hierarchies)?;
    cgroups.scope = scope;

    if request.foreground {
        return Ok(stage_two(
            request,
            config,
            server,
            cgroups,
            hierarchies,
            false,
            caller,
        ));
    }
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: cgroups.monitor_unified(),
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    let (cloned, born) = match process::clone_process(&spec) {
        // Kernels before 5.7, and filters: the slow way in.
        Err(error) if spec.into_cgroup.is_some() => {
            ::log::info!("no CLONE_INTO_CGROUP: {error}");
            let plain = CloneSpec {
                into_cgroup: None,
                ..spec
            };
            (process::clone_process(&plain), false)
        }
        cloned => (cloned, spec.into_cgroup.is_some()),
    };
    let cloned = match cloned {
        Ok(cloned) => cloned,
        Err(error) => {
            // Nobody lives there yet; what stays is swept by the next start.
            let _ = cgroups.remove_monitor();
            return Err(broken("clone itself")(error));
        }
    };
    match cloned {
        // The caller reaps this process and waits for what the next one says.
        Cloned::Parent { .. } => process::exit_now(RAN),
        Cloned::Child => {
            let _ = process::setsid();
            Ok(stage_two(
                request,
                config,
                server,
                cgroups,
                hierarchies,
                born,
                caller,
            ))
        }
    }
}

/// Binding the command socket is what makes a container ours: only one process can.
fn claim_name(request: &MonitorRequest) -> Result<Server, Failure> {
    let address = Address::of(&request.lxcpath, &request.name);
    Server::bind(&address).map_err(|error| match error {
        BindError::Taken(_) => Failure::new(
            FailureKind::AlreadyRunning,
            format!("the container {} is already running", request.name),
        )
        .hint(format!(
            "somebody holds its command socket {address}; 'lxc-info {}' tells more",
            request.name
        )),
        BindError::Sys(error) => Failure::new(
            FailureKind::Monitor,
            format!("cannot bind the command socket {address}"),
        )
        .caused_by(&error),
    })
}

fn claim_cgroup(names: CgroupNames, hierarchies: &[HierarchyFact]) -> Result<Cgroups, Failure> {
    let sentence = format!("cannot create the cgroup {}", names.monitor);
    Cgroups::claim(names, hierarchies).map_err(|error| {
        let failure = Failure::new(FailureKind::Step, sentence).caused_by(&error);
        with_cgroup_hint(failure, error.errno)
    })
}

fn with_cgroup_hint(failure: Failure, errno: Errno) -> Failure {
    match errno {
        Errno::ROFS | Errno::ACCESS | Errno::PERM => failure.hint(crate::hint::CGROUP_READ_ONLY),
        Errno::EXIST => failure.hint(
            "somebody lives there, and a name given by lxc.cgroup.dir.monitor gets no number: choose another",
        ),
        _ => failure,
    }
}

/// Stage 2: the monitor proper, from here to the container's end.
fn stage_two(
    request: MonitorRequest,
    config: Config,
    server: Server,
    cgroups: Cgroups,
    hierarchies: Vec<HierarchyFact>,
    born: bool,
    caller: &mut Caller,
) -> i32 {
    let _ = process::set_name("lxc-monitor");
    let monitor = match Monitor::new(request, config, server, cgroups, caller.report.take()) {
        Ok(monitor) => monitor,
        Err(error) => {
            let failure = Failure::new(FailureKind::Monitor, "the monitor cannot set itself up");
            caller.tell(failure.caused_by(&error));
            return FAILED;
        }
    };
    if let Err(error) = monitor.live.cgroups.enter_monitor(born) {
        let failure = Failure::new(FailureKind::Step, "cannot enter the monitor's cgroup");
        let failure = failure.caused_by(&error);
        return monitor.give_up(match error.errno {
            Errno::ACCESS | Errno::PERM => failure.hint(crate::hint::CGROUP_NOT_MOVABLE),
            _ => failure,
        });
    }
    if let Err(failure) = monitor.write_pidfile() {
        return monitor.give_up(failure);
    }
    if let Err(failure) = monitor.isolate() {
        return monitor.give_up(failure);
    }
    monitor.live_on(&hierarchies)
}

impl Monitor {
    fn new(
        request: MonitorRequest,
        config: Config,
        server: Server,
        cgroups: Cgroups,
        report: Option<OwnedFd>,
    ) -> lxc_kernel::Result<Monitor> {
        // Without a mount point the rootfs is mounted over itself.
        let rootfs = &config.values().rootfs;
        let own = rootfs.path.as_ref().map(|p| p.value.clone());
        let point = request.default_mount_point.clone();
        let mount = rootfs.mount.clone().or(point).or(own);
        let hooks = HookEnvironment::new(
            &request.name,
            &request.config_file,
            config.values(),
            mount.as_deref(),
        );
        let live = Live {
            name: request.name.clone(),
            lxcpath: request.lxcpath.clone(),
            config,
            phase: Phase::Starting,
            cgroups,
            init: None,
            namespaces: Namespaces::default(),
            idmap: None,
            devpts: None,
            console: None,
            ttys: Vec::new(),
            veths: Vec::new(),
            namespace_fds: Vec::new(),
            pin: None,
            profile: None,
            devices: DeviceFilter::default(),
        };
        let mut monitor = Monitor {
            request,
            live,
            poller: Poller::new()?,
            server: Some(server),
            signals: SignalFd::all_blocked()?,
            guest_socket: None,
            hooks,
            hook_group: None,
            report,
            ended: None,
        };
        monitor.listen()?;
        Ok(monitor)
    }

    /// A mount namespace of its own (`lxc.monitor.unshare`): what its hooks mount the host does not see,
    /// what the host mounts it does.
    fn isolate(&self) -> Result<(), Failure> {
        if self.live.config.values().monitor.unshare == 0 {
            return Ok(());
        }
        let isolated = process::unshare(Namespaces::MNT.0)
            .and_then(|()| mount::set_propagation(Path::new("/"), Propagation::Slave, true));
        isolated.map_err(|error| {
            let sentence = "cannot give the monitor mounts of its own (lxc.monitor.unshare)";
            Failure::new(FailureKind::Step, sentence)
                .caused_by(&error)
                .hint("start the container as root, or set lxc.monitor.unshare = 0")
        })
    }

    /// Start, serve, take down; again as often as the guest reboots. Returns the exit code.
    fn live_on(mut self, hierarchies: &[HierarchyFact]) -> i32 {
        loop {
            self.publish();
            if let Err(failure) = crate::start::start(&mut self, hierarchies) {
                return self.give_up(failure);
            }
            self.happened(Event::GuestRuns);
            let init_pid = self.live.init.as_ref().map_or(0, |i| i.pid);
            self.tell_caller(&Report::Running { init_pid });
            let ended = match self.serve() {
                Ok(ended) => ended,
                Err(error) => {
                    // The monitor cannot watch any more; the guest must not run unwatched.
                    ::log::error!("the monitor's loop failed: {error}");
                    self.kill_init()
                }
            };
            self.ended = Some(ended);
            self.publish_end(ended);
            self.happened(Event::InitEnded(ended));
            if !self.take_down_run() {
                break;
            }
        }
        let code = self.exit_code();
        self.finish(None);
        code
    }

    /// A start that failed: everything is taken back, then the caller hears why.
    pub fn give_up(mut self, failure: Failure) -> i32 {
        ::log::error!("{failure}");
        let exec_failed = failure
            .step
            .as_ref()
            .is_some_and(|step| step.name == "exec");
        let code = match self.request.mini_init && exec_failed {
            true => NOT_EXECUTED,
            false => FAILED,
        };
        self.happened(Event::StartFailed);
        self.run_last_hooks("stop");
        self.finish(Some(failure));
        code
    }

    /// What a foreground caller's shell sees: of a container nothing but that it ran, of a program
    /// under the minimal init its own code.
    fn exit_code(&self) -> i32 {
        match (
            self.request.mini_init && self.request.foreground,
            self.ended,
        ) {
            (true, Some(Ended::Exited(code))) => code,
            (true, Some(Ended::Killed { signal, .. })) => 128 + signal,
            _ => RAN,
        }
    }

    fn write_pidfile(&self) -> Result<(), Failure> {
        let Some(path) = &self.request.pidfile else {
            return Ok(());
        };
        let pid = std::process::id().to_string();
        lxc_kernel::file::replace_file(Path::new(path), pid.as_bytes(), 0o600).map_err(|error| {
            Failure::new(
                FailureKind::Step,
                format!("cannot write the pid file {path}"),
            )
            .caused_by(&error)
            .hint("name a file in a directory that exists and is writable")
        })
    }

    /// `lxc.console.path`, or the terminal of a foreground caller, when there is one.
    pub fn viewer(&self) -> lxc_kernel::Result<Viewer> {
        let viewer = match &self.live.config.values().console.path {
            lxc_config::ConsolePath::Path(path) => Viewer::open(path)?,
            _ if !self.request.foreground => Viewer::Nobody,
            _ => RawTerminal::controlling()?.map_or(Viewer::Nobody, Viewer::Terminal),
        };
        if let Viewer::Terminal(terminal) = &viewer {
            // Whatever it shows, the container's clients are served meanwhile.
            terminal.never_wait()?;
        }
        Ok(viewer)
    }
}
