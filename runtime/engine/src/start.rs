//! The start, told from the host's side; the guest's side is [`crate::guest`].

use crate::console::{self, Console};
use crate::facts;
use crate::failure::{Failure, FailureKind, StepAt};
use crate::guest::{self, GuestWorld, step_failed};
use crate::message::{self, FromGuest, GuestNic, ToGuest};
use crate::monitor::{Init, Live, Monitor, Tty, Wake};
use crate::request::MonitorRequest;
use crate::step::network;
use crate::undo::UndoStack;
use lxc_config::Config;
use lxc_kernel::netlink::Netlink;
use lxc_kernel::process::{self, CloneSpec, Cloned};
use lxc_kernel::seccomp::{self, Filter};
use lxc_kernel::{Errno, Result, SysError, fd, file, procfs, pty, pty::Pty};
use lxc_plan::{
    HierarchyFact, HookKind, HookRun, Namespaces, NicPlan, Planned, Side, StartPlan, StartRequest,
    Step,
};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// A guest that says nothing for so long, while no user's code runs in it, hangs.
const GUEST_DEADLINE: Duration = Duration::from_secs(120);
/// Largest seccomp policy read.
const POLICY_MAX: usize = 1024 * 1024;
/// `PF_FORKNOEXEC` (`linux/sched.h`): the task has not executed anything since it was forked.
const FORKED_NO_EXEC: u32 = 0x40;

/// What the host's steps leave for each other.
#[derive(Default)]
struct HostWorld {
    filter: Option<Filter>,
    console: Option<Pty>,
    console_log: Option<OwnedFd>,
    nics: Vec<GuestNic>,
}

/// Starts the container: hooks, facts, plan, steps. On failure everything is undone in reverse and
/// the guest is dead and reaped.
pub fn start(
    monitor: &mut Monitor,
    hierarchies: &[HierarchyFact],
) -> std::result::Result<(), Failure> {
    // Before facts are gathered: they may create the rootfs, the fstab or the bridge.
    let hooks = HookRun::all(HookKind::PreStart, &monitor.live.config.values().hooks);
    monitor.run_hooks(&hooks, &[])?;
    let plan = make_plan(monitor, hierarchies)?;
    for warning in &plan.warnings {
        log::warn!("{warning}");
    }
    monitor.live.namespaces = plan.namespaces;
    let mut undo = UndoStack::new();
    match carry_out(monitor, &plan, &mut undo) {
        Ok(()) => Ok(()),
        Err(mut failure) => {
            // First the guest: what it occupies cannot be removed.
            monitor.kill_init();
            failure.left_behind = undo.run(monitor);
            monitor.release_run();
            Err(failure)
        }
    }
}

/// Gathers what this configuration needs to know and decides.
fn make_plan(
    monitor: &Monitor,
    hierarchies: &[HierarchyFact],
) -> std::result::Result<StartPlan, Failure> {
    plan(&monitor.request, &monitor.live.config, hierarchies)
}

fn plan(
    asked: &MonitorRequest,
    config: &Config,
    hierarchies: &[HierarchyFact],
) -> std::result::Result<StartPlan, Failure> {
    let request = StartRequest {
        name: asked.name.clone(),
        lxcpath: asked.lxcpath.clone(),
        argv: asked.argv.clone(),
        mini_init: asked.mini_init,
        foreground: asked.foreground,
        default_mount_point: asked.default_mount_point.clone(),
    };
    let mount_point = request.default_mount_point.as_deref();
    let facts = facts::gather(config.values(), hierarchies.to_vec(), mount_point);
    Ok(lxc_plan::start(config.values(), &facts, &request)?)
}

/// What a start would do with today's facts, as text; does none of it.
pub fn preview(asked: &MonitorRequest) -> std::result::Result<String, Failure> {
    let config = asked.configuration()?;
    let hierarchies = facts::cgroups().map_err(|e| {
        Failure::new(FailureKind::Monitor, "cannot find the cgroup hierarchies").caused_by(&e)
    })?;
    let hooks = HookRun::all(HookKind::PreStart, &config.values().hooks);
    let mut text = String::new();
    for run in &hooks {
        text += &format!(
            "First, on the host: run the pre-start hook '{}'   [{}]\n",
            run.command, run.origin
        );
    }
    if !hooks.is_empty() {
        text += "What follows is planned with what is there now; these hooks may change it.\n";
    }
    match plan(asked, &config, &hierarchies) {
        Ok(plan) => Ok(text + &plan.to_string()),
        Err(failure) if hooks.is_empty() => Err(failure),
        Err(failure) => Ok(format!(
            "{text}As things are now there is no plan: {failure}\n"
        )),
    }
}

fn carry_out(
    monitor: &mut Monitor,
    plan: &StartPlan,
    undo: &mut UndoStack<Monitor>,
) -> std::result::Result<(), Failure> {
    let mut world = HostWorld::default();
    for side in [Side::Host, Side::HostBeside] {
        each(plan, side, |step| {
            act(step, plan, monitor, &mut world, undo)
        })?;
        if side == Side::HostBeside && !world.nics.is_empty() {
            tell_guest(monitor, &ToGuest::Nics(std::mem::take(&mut world.nics)))?;
        }
    }
    if let Some(console) = world.console.take() {
        let log = world.console_log.take();
        serve_console(monitor, console.master, console.peer, log)?;
    }
    listen_to_guest(monitor, plan, &mut world, undo)
}

/// Runs the steps of one side in order; the first failure is told in the step's words.
fn each(
    plan: &StartPlan,
    side: Side,
    mut act: impl FnMut(&Step) -> std::result::Result<(), guest::Problem>,
) -> std::result::Result<(), Failure> {
    let total = plan.steps.len() as u32;
    for (index, planned) in plan.steps.iter().enumerate() {
        if planned.side != side {
            continue;
        }
        log::debug!("step {} of {total}: {}", index + 1, planned.step);
        act(&planned.step).map_err(|problem| match problem {
            guest::Problem::Call(error) => step_failed(planned, index, total, &error),
            guest::Problem::Told(failure) => with_step(failure, planned, index, total),
        })?;
    }
    Ok(())
}

fn with_step(mut failure: Failure, planned: &Planned, index: usize, total: u32) -> Failure {
    let name = planned.step.name().to_string();
    failure.step = Some(StepAt {
        number: index as u32 + 1,
        total,
        name,
    });
    failure
}

fn act(
    step: &Step,
    plan: &StartPlan,
    monitor: &mut Monitor,
    world: &mut HostWorld,
    undo: &mut UndoStack<Monitor>,
) -> std::result::Result<(), guest::Problem> {
    match step {
        Step::CompileSeccomp { path } => world.filter = Some(compile(path)?),
        Step::OpenConsole => world.console = Some(pty::open_host()?),
        Step::OpenConsoleLog { path } => world.console_log = Some(console::open_log(path)?),
        Step::PinRootfs { path } => monitor.live.pin = pin(path)?,
        Step::CreateCgroup { path } => {
            // Also after a failure half-way: what exists by then has to go.
            undo.push(format!("cgroup {path}"), |m: &mut Monitor| {
                m.remove_payload()
            });
            monitor.live.cgroups.create_payload()?;
        }
        Step::LimitCgroup {
            unified,
            file,
            value,
        } => {
            monitor
                .live
                .cgroups
                .limit(*unified, file, value.as_bytes())?;
        }
        Step::CloneGuest { .. } => clone_guest(plan, monitor, world)?,
        Step::CreateVeth(veth) => create_veth(veth, plan, monitor, world, undo)?,
        Step::LimitDevice { file, value } => {
            monitor.live.cgroups.limit(false, file, value.as_bytes())?;
        }
        Step::AttachDeviceProgram(rules) => {
            attach_device_program(rules, &mut monitor.live)?;
        }
        Step::RunHook(run) => {
            monitor
                .run_hooks(std::slice::from_ref(run), &[])
                .map_err(guest::Problem::Told)?;
        }
        // The guest's steps never come here: the plan says whose they are.
        Step::EnterCgroup { .. }
        | Step::IsolateMounts
        | Step::MountRootfs { .. }
        | Step::SetHostname(_)
        | Step::NewKeyring
        | Step::ConfigureNetwork(_)
        | Step::MountDev { .. }
        | Step::MountProc { .. }
        | Step::MountSys(_)
        | Step::Mount(_)
        | Step::MountCgroups(_)
        | Step::PopulateDev
        | Step::MountDevpts { .. }
        | Step::SetUpTerminals(_)
        | Step::LinkDev
        | Step::SwitchRoot
        | Step::NewBootId
        | Step::SetPersonality { .. }
        | Step::DropCapabilities(_)
        | Step::NoNewPrivs
        | Step::LoadSeccomp
        | Step::Exec(_) => {}
    }
    Ok(())
}

/// Reads and compiles a policy; its own mistakes are told with their line.
fn compile(path: &str) -> std::result::Result<Filter, guest::Problem> {
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
fn pin(path: &str) -> Result<Option<OwnedFd>> {
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
fn clone_guest(plan: &StartPlan, monitor: &mut Monitor, world: &HostWorld) -> Result<()> {
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

fn create_veth(
    veth: &lxc_plan::VethPlan,
    plan: &StartPlan,
    monitor: &mut Monitor,
    world: &mut HostWorld,
    undo: &mut UndoStack<Monitor>,
) -> Result<()> {
    let Some(init) = &monitor.live.init else {
        return Err(SysError::new(
            "open",
            "network namespace".to_string(),
            Errno::SRCH,
        ));
    };
    let netns = procfs::Proc::host()?.open_ns(init.pid, "net")?;
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

fn attach_device_program(rules: &[(String, String)], live: &mut Live) -> Result<()> {
    let missing = || SysError::new("bpf", "no cgroup v2 directory", Errno::NOENT);
    let directory = live.cgroups.payload_unified().ok_or_else(missing)?;
    live.devices.begin(rules, directory)
}

fn serve_console(
    monitor: &mut Monitor,
    master: OwnedFd,
    peer: OwnedFd,
    log: Option<OwnedFd>,
) -> std::result::Result<(), Failure> {
    let served = monitor.viewer().and_then(|viewer| {
        let console = Console::new(master, peer, viewer, log)?;
        monitor.serve_console(console)
    });
    served.map_err(|e| Failure::new(FailureKind::Monitor, "cannot serve the console").caused_by(&e))
}

fn tell_guest(monitor: &Monitor, word: &ToGuest) -> std::result::Result<(), Failure> {
    let Some(socket) = &monitor.guest_socket else {
        return Ok(());
    };
    // A guest that has died is told of by its own last word, or by its silence.
    match message::send(socket.as_fd(), word, &[]) {
        Err(error) if error.errno != Errno::PIPE => {
            Err(Failure::new(FailureKind::Monitor, "cannot talk to the guest").caused_by(&error))
        }
        _ => Ok(()),
    }
}

/// Listens until the guest has executed its program or died.
fn listen_to_guest(
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
                    each(plan, Side::HostAtReady, |step| {
                        act(step, plan, monitor, world, undo)
                    })?;
                    ready = true;
                    tell_guest(monitor, &ToGuest::Go)?;
                }
                Heard::Runs => return monitor.close_guest_socket().map_err(lost),
                Heard::Failed(failure) => return Err(failure),
                Heard::Closed if ready && !plan_has_mini_init(plan) && executed(monitor) => {
                    return monitor.close_guest_socket().map_err(lost);
                }
                Heard::Closed => return Err(guest_died(monitor, ready)),
            }
        } else if wakes.contains(&Wake::Deadline) {
            let sentence = format!("the guest said nothing for {} s", GUEST_DEADLINE.as_secs());
            return Err(Failure::new(FailureKind::GuestDied, sentence)
                .hint("a mount of its may hang; see the log (-l DEBUG -o FILE)"));
        }
    }
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
        let console = Console::new(master, peer, viewer, world.console_log.take())?;
        monitor.serve_console(console)?;
    }
    monitor.live.ttys = fds
        .map(|master| Tty {
            master,
            busy: false,
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
fn executed(monitor: &Monitor) -> bool {
    let Some(init) = &monitor.live.init else {
        return false;
    };
    procfs::stat_flags(init.pid).is_ok_and(|flags| flags & FORKED_NO_EXEC == 0)
}

fn guest_died(monitor: &Monitor, ready: bool) -> Failure {
    let when = if ready {
        "before it could execute its program"
    } else {
        "while setting itself up"
    };
    let ended = monitor
        .live
        .init
        .as_ref()
        .and_then(|init| process::wait_pidfd(init.pidfd.as_fd(), true).ok().flatten());
    let how = match ended {
        Some(process::Ended::Killed { signal, .. }) => format!("was killed by signal {signal}"),
        Some(process::Ended::Exited(code)) => format!("exited with {code}"),
        None => "died".into(),
    };
    Failure::new(FailureKind::GuestDied, format!("the guest {how} {when}"))
        .hint("memory may be short, or its cgroup's limits too low; see the kernel log")
}

impl Monitor {
    /// Removes the container's cgroup, for undoing.
    fn remove_payload(&mut self) -> Result<()> {
        self.live.cgroups.remove_payload()
    }
}
