//! The start, told from the guest's side: from the clone to exec.
//!
//! Runs in a process of its own that was forked from the single-threaded monitor. Every failure
//! crosses back as data and is printed by whoever asked for the start.

use crate::failure::{Failure, FailureKind, StepAt};
use crate::hooks::HookEnvironment;
use crate::message::{self, FromGuest, GuestNic, ToGuest};
use crate::step::{
    cgroup::Cgroups, cgroup_view, dev, identity, idmap, label, mounts, network, rootfs, settings,
    terminals,
};
use crate::{hint, mini_init};
use lxc_kernel::lsm::LabelFile;
use lxc_kernel::{
    Errno, Result, SysError, inroot::Root, process, procfs::Proc, pty::Pty, seccomp::Filter,
};
use lxc_plan::{Namespaces, Planned, Program, Side, StartPlan, Step};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What the steps of a guest leave for each other.
pub struct GuestWorld<'a> {
    /// To the monitor.
    pub socket: OwnedFd,
    /// The container's cgroups.
    pub cgroups: &'a Cgroups,
    /// It was born in its v2 cgroup.
    pub born_in_cgroup: bool,
    /// Its cgroup namespace could not be made at the clone, which was outside its cgroup.
    pub late_cgroup_namespace: bool,
    /// What paths inside are relative to: the rootfs, or the host's root without one.
    pub root: Option<Root>,
    /// The container has a rootfs of its own.
    pub own_root: bool,
    /// /dev.
    pub dev: Option<OwnedFd>,
    /// The proc mounted for the container.
    pub proc: Option<OwnedFd>,
    /// A procfs for kernel parameters, once one was written.
    pub settings: Option<Proc>,
    /// The private devpts.
    pub devpts: Option<OwnedFd>,
    /// The console, when the host allocated it.
    pub console: Option<&'a Pty>,
    /// What becomes the standard streams; `None` leaves them.
    pub stdio: Option<OwnedFd>,
    /// Of these, only the ones that are terminals.
    pub stdio_only_terminals: bool,
    /// Names of ttys for the environment.
    pub tty_names: Vec<String>,
    /// The file of this process' security label.
    pub label: Option<LabelFile>,
    /// The seccomp filter.
    pub filter: Option<&'a Filter>,
    /// For hooks.
    pub hooks: &'a HookEnvironment,
    /// Descriptors up to this number are the caller's gift (LISTEN_FDS).
    pub last_kept_fd: i32,
    /// This program, for who stays as a minimal init.
    pub own_program: Option<OwnedFd>,
    /// Words of the monitor's that came before they were waited for.
    pub inbox: Vec<(ToGuest, Vec<OwnedFd>)>,
}

impl GuestWorld<'_> {
    /// What paths inside are relative to.
    pub fn root(&self) -> Result<&Root> {
        self.root
            .as_ref()
            .ok_or_else(|| SysError::new("open", "rootfs", Errno::NOENT))
    }

    /// /dev of the container: ours, or the rootfs' own, never through a link.
    pub fn dev(&mut self) -> Result<&OwnedFd> {
        if self.dev.is_none() {
            let found = self.root()?.resolve_nofollow("dev")?;
            self.dev = Some(found);
        }
        self.dev
            .as_ref()
            .ok_or_else(|| SysError::new("open", "dev", Errno::NOENT))
    }

    /// A line for the monitor's log.
    pub fn note(&self, level: u8, text: String) {
        // A monitor that is gone is noticed at the next word that matters.
        let _ = message::send(self.socket.as_fd(), &FromGuest::Note { level, text }, &[]);
    }
}

/// Runs the guest's steps and never returns: the process ends here or becomes the program.
pub fn run(plan: &StartPlan, mut world: GuestWorld<'_>) -> ! {
    let failure = match become_init(plan, &mut world) {
        Err(failure) => failure,
        Ok(never) => match never {},
    };
    // If even this cannot be said the monitor sees a guest that died without a word.
    let _ = message::send(world.socket.as_fd(), &FromGuest::Failed(failure), &[]);
    process::exit_now(1)
}

/// Why the end of [`become_init`] cannot be reached.
enum Never {}

fn become_init(
    plan: &StartPlan,
    world: &mut GuestWorld<'_>,
) -> std::result::Result<Never, Failure> {
    // First: from here on the guest dies with the monitor. One that died before this call is seen
    // when its end of the socket is found closed.
    process::set_parent_death_signal(libc::SIGKILL).map_err(|e| lost("bind to the monitor", &e))?;
    if !plan.namespaces.has(Namespaces::MNT) {
        // No step of its own mounts finds a root for it: it runs on the files that are there.
        let root = Root::open(Path::new("/")).map_err(|e| lost("open its root", &e))?;
        world.root = Some(root);
    }
    if plan.steps.iter().any(|planned| stays(&planned.step)) {
        // While /proc is the host's. Without it the init goes on as the copy of the monitor it is.
        world.own_program = Proc::host().and_then(|proc| proc.own_program()).ok();
    }
    let total = plan.steps.len() as u32;
    for (index, planned) in plan.steps.iter().enumerate() {
        if planned.side != Side::Guest {
            continue;
        }
        if let Step::Exec(program) = &planned.step {
            wait_for_go(world).map_err(|e| lost("wait for the monitor", &e))?;
            let error = exec(program, world);
            return Err(step_failed(planned, index, total, &error));
        }
        if let Err(error) = act(&planned.step, world) {
            return Err(match error {
                Problem::Call(error) => step_failed(planned, index, total, &error),
                Problem::Told(mut failure) => {
                    failure.step = Some(at(planned, index, total));
                    failure
                }
            });
        }
    }
    Err(Failure::new(
        FailureKind::GuestDied,
        "the plan has no program to execute",
    ))
}

/// Whether this process stays as a minimal init, and the program is another.
fn stays(step: &Step) -> bool {
    matches!(step, Step::Exec(program) if program.mini_init)
}

/// A step's failure: a call, or a story of its own (a hook's).
pub enum Problem {
    /// One system call.
    Call(SysError),
    /// More than a call.
    Told(Failure),
}

impl From<SysError> for Problem {
    fn from(error: SysError) -> Problem {
        Problem::Call(error)
    }
}

fn act(step: &Step, world: &mut GuestWorld<'_>) -> std::result::Result<(), Problem> {
    match step {
        Step::EnterCgroup { new_namespace } => identity::enter_cgroup(*new_namespace, world)?,
        Step::NewTimeNamespace(offsets) => settings::new_time_namespace(offsets)?,
        Step::WriteSysctl { path, value } => settings::write_sysctl(path, value, world)?,
        Step::TakeIds { ids, new_network } => idmap::take_ids(*ids, *new_network, world)?,
        Step::IsolateMounts => rootfs::isolate(world)?,
        Step::OpenLabelFile(module) => label::open(*module, world)?,
        Step::MountRootfs {
            source,
            target,
            options,
        } => rootfs::mount(source, target, options, world)?,
        Step::SetHostname(name) => process::set_hostname(name)?,
        Step::LabelKeyring(context) => label::label_keyring(context)?,
        Step::NewKeyring => identity::new_keyring(world)?,
        Step::MountDev { size } => dev::mount(*size, world)?,
        Step::MountProc { mode, writable_net } => mounts::proc(*mode, *writable_net, world)?,
        Step::MountSys(mode) => mounts::sys(*mode, world)?,
        Step::Mount(mount) => mounts::entry(mount, world)?,
        Step::MountCgroups(view) => cgroup_view::mount(view, world)?,
        Step::RunHook(run) => crate::hooks::run_in_guest(run, world)?,
        Step::PopulateDev => dev::populate(world)?,
        Step::MountDevpts { max, ptmx } => dev::mount_devpts(*max, *ptmx, world)?,
        Step::SetUpTerminals(plan) => terminals::set_up(plan, world)?,
        Step::LinkDev => dev::link(world)?,
        Step::ConfigureNetwork(nics) => {
            let devices = wait_for_nics(nics.iter().any(|n| n.from_host), world)?;
            network::configure(nics, &devices, world)?;
        }
        Step::SwitchRoot => rootfs::switch(world)?,
        Step::ReceiveMounts { target } => mounts::receive(target)?,
        Step::NewBootId => identity::new_boot_id(world),
        Step::SetPersonality { bits32 } => identity::set_personality(*bits32)?,
        Step::DropCapabilities(caps) => identity::drop_capabilities(caps)?,
        Step::SetLabel(label) => label::set(label, world)?,
        Step::NoNewPrivs => process::set_no_new_privs()?,
        Step::LoadSeccomp => identity::load_seccomp(world)?,
        // The host's steps never come here: the plan says whose they are.
        Step::CreateCgroup { .. }
        | Step::LimitCgroup { .. }
        | Step::CreateInnerCgroup { .. }
        | Step::OpenConsole
        | Step::OpenConsoleLog { .. }
        | Step::PinRootfs { .. }
        | Step::CompileSeccomp { .. }
        | Step::OpenNamespace(_)
        | Step::LoadProfile(_)
        | Step::ConfirmLabel(_)
        | Step::CloneGuest { .. }
        | Step::NewSchedulingCookie
        | Step::WriteProcFile { .. }
        | Step::LimitResource(_)
        | Step::WriteIdmap(_)
        | Step::GiveCgroup { .. }
        | Step::ShiftRootfs { .. }
        | Step::CreateVeth(_)
        | Step::LimitDevice { .. }
        | Step::AttachDeviceProgram(_)
        | Step::Exec(_) => {}
    }
    Ok(())
}

/// Waits for the host's half of the network, if there is one.
fn wait_for_nics(expected: bool, world: &mut GuestWorld<'_>) -> Result<Vec<GuestNic>> {
    if !expected {
        return Ok(Vec::new());
    }
    match next_word(world, |word| matches!(word, ToGuest::Nics(_)))? {
        (ToGuest::Nics(nics), _) => Ok(nics),
        _ => Err(monitor_lost(Errno::PROTO)),
    }
}

fn wait_for_go(world: &mut GuestWorld<'_>) -> Result<()> {
    message::send(world.socket.as_fd(), &FromGuest::Ready, &[])?;
    next_word(world, |word| matches!(word, ToGuest::Go)).map(drop)
}

/// Waits for the word that is wanted. The monitor works beside the guest: words for later steps may
/// come earlier, and are kept.
pub fn next_word(
    world: &mut GuestWorld<'_>,
    wanted: impl Fn(&ToGuest) -> bool,
) -> Result<(ToGuest, Vec<OwnedFd>)> {
    if let Some(index) = world.inbox.iter().position(|(word, _)| wanted(word)) {
        return Ok(world.inbox.remove(index));
    }
    loop {
        let received = message::receive::<ToGuest>(world.socket.as_fd())?;
        let (word, fds) = received.ok_or_else(|| monitor_lost(Errno::PIPE))?;
        if wanted(&word) {
            return Ok((word, fds));
        }
        if matches!(word, ToGuest::Go) {
            // Nothing comes after it.
            return Err(monitor_lost(Errno::PROTO));
        }
        world.inbox.push((word, fds));
    }
}

fn monitor_lost(errno: Errno) -> SysError {
    SysError::new("recvmsg", "from the monitor", errno)
}

/// The last step: identity and standard streams, then the program; returns only a failure.
fn exec(program: &Program, world: &mut GuestWorld<'_>) -> SysError {
    let prepared = match identity::prepare_exec(program, world) {
        Ok(prepared) => prepared,
        Err(error) => return error,
    };
    if program.mini_init {
        let own_program = world.own_program.take();
        return mini_init::run(&prepared, own_program, &world.socket, world.last_kept_fd);
    }
    process::exec(&prepared.argv, &prepared.env)
}

fn at(planned: &Planned, index: usize, total: u32) -> StepAt {
    StepAt {
        number: index as u32 + 1,
        total,
        name: planned.step.name().to_string(),
    }
}

/// The failure of a step, in its words.
pub fn step_failed(planned: &Planned, index: usize, total: u32, error: &SysError) -> Failure {
    let mut sentence = format!("cannot {}", planned.step);
    if let Some(origin) = &planned.origin {
        sentence = format!("{sentence} ({origin})");
    }
    let mut failure = Failure::new(FailureKind::Step, sentence).caused_by(error);
    failure.hint = hint::hint(&planned.step, error);
    failure.step = Some(at(planned, index, total));
    failure
}

fn lost(what: &str, error: &SysError) -> Failure {
    Failure::new(FailureKind::Monitor, format!("the guest cannot {what}")).caused_by(error)
}
