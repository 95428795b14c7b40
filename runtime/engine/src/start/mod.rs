//! The start, told from the host's side; the guest's side is [`crate::guest`].

mod birth;
mod host;
mod listen;

use crate::console::{self, Console};
use crate::facts;
use crate::failure::{Failure, FailureKind, StepAt};
use crate::guest::{self, step_failed};
use crate::message::{self, GuestNic, ToGuest};
use crate::monitor::Monitor;
use crate::request::MonitorRequest;
use crate::sharing;
use crate::step::idmap;
use crate::undo::UndoStack;
use lxc_config::{Config, ConsolePath};
use lxc_kernel::seccomp::Filter;
use lxc_kernel::{Errno, pty, pty::Pty};
use lxc_plan::{
    HierarchyFact, HookKind, HookRun, Namespaces, Planned, Side, StartPlan, StartRequest, Step,
};
use std::os::fd::{AsFd, OwnedFd};

/// What the host's steps leave for each other.
#[derive(Default)]
struct HostWorld {
    filter: Option<Filter>,
    console: Option<Pty>,
    console_log: Option<OwnedFd>,
    nics: Vec<GuestNic>,
    /// The guest's network namespace, if it makes that itself.
    network: Option<OwnedFd>,
    joined: Vec<Joined>,
}

/// A namespace of others, open.
struct Joined {
    namespace: lxc_plan::Namespaces,
    /// `net namespace of c3`.
    what: String,
    /// The key that asks for it.
    origin: String,
    fd: OwnedFd,
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
    monitor.live.idmap.clone_from(&plan.idmap);
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
        default_profiles: asked.default_profiles.clone(),
        cgroup_pattern: asked.cgroup_pattern.clone(),
    };
    let mount_point = request.default_mount_point.as_deref();
    let login = asked.login.as_deref();
    let mut facts = facts::gather(config.values(), hierarchies.to_vec(), mount_point, login);
    facts.shared = sharing::facts(config.values(), asked);
    facts.neighbours = facts::neighbours::of_start(config.values(), asked);
    Ok(lxc_plan::start(config.values(), &facts, &request)?)
}

/// What a start would do with today's facts, as text; does none of it.
pub fn preview(asked: &MonitorRequest) -> std::result::Result<String, Failure> {
    let config = asked.configuration()?;
    let found = facts::cgroups(config.values().cgroup.relative).map_err(|e| {
        Failure::new(FailureKind::Monitor, "cannot find the cgroup hierarchies").caused_by(&e)
    })?;
    let hierarchies = lxc_plan::used_hierarchies(found, asked.cgroup_use.as_deref())?;
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
        let beside = side == Side::HostBeside && plan.steps.iter().any(|p| p.side == side);
        if beside && plan.unshared.has(Namespaces::NET) {
            listen::await_network(monitor, &mut world)?;
        }
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
    listen::listen_to_guest(monitor, plan, &mut world, undo)
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
        Step::CompileSeccomp { path } => world.filter = Some(host::compile(path)?),
        Step::OpenConsole => {
            let console = pty::open_host()?;
            if let Some(map) = &plan.idmap {
                idmap::give_terminal(map, console.peer.as_fd())?;
            }
            world.console = Some(console);
        }
        Step::OpenConsoleLog { path } => world.console_log = Some(console::open_log(path)?),
        Step::PinRootfs { path } => monitor.live.pin = host::pin(path)?,
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
        Step::LoadProfile(profile) => monitor.load_profile(profile)?,
        Step::ConfirmLabel(label) => host::confirm_label(label, &monitor.live)?,
        Step::CreateInnerCgroup { name } => monitor.live.cgroups.create_inner(name)?,
        Step::OpenNamespace(joined) => host::open_namespace(joined, monitor, world)?,
        Step::CloneGuest { .. } => host::clone_guest(plan, monitor, world)?,
        Step::WriteIdmap(map) => host::write_idmap(map, monitor)?,
        Step::ShiftRootfs { source, ids } => host::shift_rootfs(source, ids, monitor)?,
        Step::GiveCgroup { group } => monitor.give_cgroup(*group),
        Step::NewSchedulingCookie => host::new_scheduling_cookie(monitor)?,
        Step::WriteProcFile { path, value } => host::write_proc_file(path, value, monitor)?,
        Step::LimitResource(limit) => host::limit_resource(limit, monitor)?,
        Step::CreateVeth(veth) => host::create_veth(veth, plan, monitor, world, undo)?,
        Step::LimitDevice { file, value } => host::limit_device(file, value, &monitor.live)?,
        Step::AttachDeviceProgram(rules) => {
            host::attach_device_program(rules, &mut monitor.live)?;
        }
        Step::RunHook(run) => {
            monitor
                .run_hooks(std::slice::from_ref(run), &[])
                .map_err(guest::Problem::Told)?;
        }
        // The guest's steps never come here: the plan says whose they are.
        Step::EnterCgroup { .. }
        | Step::NewTimeNamespace(_)
        | Step::WriteSysctl { .. }
        | Step::TakeIds { .. }
        | Step::IsolateMounts
        | Step::OpenLabelFile(_)
        | Step::MountRootfs { .. }
        | Step::SetHostname(_)
        | Step::LabelKeyring(_)
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
        | Step::ReceiveMounts { .. }
        | Step::NewBootId
        | Step::SetPersonality { .. }
        | Step::DropCapabilities(_)
        | Step::SetLabel(_)
        | Step::NoNewPrivs
        | Step::LoadSeccomp
        | Step::Exec(_) => {}
    }
    Ok(())
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
    served.map_err(|error| {
        let failure = Failure::new(FailureKind::Monitor, "cannot serve the console");
        let failure = failure.caused_by(&error);
        match &monitor.live.config.values().console.path {
            ConsolePath::Path(_) => failure.hint(
                "lxc.console.path is none, or a terminal or file that can be opened for reading and \
                 writing",
            ),
            _ => failure,
        }
    })
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
