//! The order of a start, decided.

use lxc_config::{Arch, Autodev, ConsolePath, Values, words};

use crate::namespaces::Chosen;
use crate::network::Network;
use crate::step::{Planned, Program, Side, Step, TtyPlan};
use crate::{CgroupNames, HookKind, HookRun, HostFacts, Layout, Namespaces, Refusal, StartRequest};
use crate::{
    IdmapPlan, cgroup, devices, idmap, lsm, mounts, namespaces, network, root, settings, users,
};

/// CAP_NET_ADMIN.
const NET_ADMIN: u32 = 12;

/// Everything a start does, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPlan {
    /// Container.
    pub name: String,
    /// The namespaces the guest ends up with of its own.
    pub namespaces: Namespaces,
    /// Of these, the ones the guest makes itself after the clone.
    pub unshared: Namespaces,
    /// Its user namespace, if it gets one with maps of its own.
    pub idmap: Option<IdmapPlan>,
    /// The rootfs and where it is mounted.
    pub rootfs: Option<(String, String)>,
    /// Steps in order; those of one side run in this order.
    pub steps: Vec<Planned>,
    /// What the configuration asks for and this host cannot give, without being an error in LXC.
    pub warnings: Vec<String>,
}

/// Makes the plan of a start, or says why there is none.
///
/// Pre-start hooks are not in it: they run before facts are gathered, because they may create the
/// rootfs, the fstab or the bridge.
///
/// # Errors
/// A sentence for everything that can be known beforehand not to work; nothing has been touched.
pub fn start(
    values: &Values,
    facts: &HostFacts,
    request: &StartRequest,
) -> Result<StartPlan, Refusal> {
    let idmap = idmap::choose(values, facts)?;
    users::check(values, facts.users.as_ref())?;
    let network = network::network(values)?;
    let rootfs = root::rootfs(values, facts, request)?;
    let program = program(values, request, rootfs.is_some())?;
    let mut warnings = cgroup::ignored(values, facts);

    let chosen = namespaces::choose(values, facts, network != Network::Shared)?;

    let Chosen {
        own: namespaces,
        unshared,
    } = chosen;
    let network = match namespaces.has(Namespaces::NET) {
        true => network,
        false => {
            warnings.extend(network::not_made(&network));
            Network::Shared
        }
    };
    let labels = lsm::labels(values, facts, request, namespaces)?;
    warnings.extend(labels.warnings.iter().cloned());

    let mut steps = Steps::default();
    if let Some(profile) = &labels.generated {
        let origin = labels.label.as_ref().and_then(|(_, origin)| origin.clone());
        steps.add(Side::Host, Step::LoadProfile(profile.clone()), origin);
    }
    let idmap = idmap.filter(|_| namespaces.has(Namespaces::USER));
    host_steps(
        &mut steps,
        values,
        facts,
        request,
        rootfs.as_ref(),
        idmap.as_ref(),
    )?;
    for (joined, origin) in namespaces::joined(values, facts)? {
        let origin = format!("lxc.namespace.share.{}, {origin}", joined.name);
        steps.add(Side::Host, Step::OpenNamespace(joined), Some(origin));
    }
    steps.host(Step::CloneGuest { namespaces });
    if let Some(map) = &idmap {
        let origin = values.idmap.first();
        let origin = origin.map(|first| format!("lxc.idmap, {}", first.origin));
        steps.add(Side::Host, Step::WriteIdmap(map.clone()), origin);
    }
    shifted_rootfs(&mut steps, values, facts, rootfs.as_ref())?;
    if values.sched_core {
        core_scheduling(&mut steps, facts)?;
    }
    steps.0.extend(settings::proc_steps(values, facts)?);
    let nics = match network {
        Network::Shared => Vec::new(),
        Network::Own { veths, nics } => {
            for veth in veths {
                for_root(&veth, values, facts)?;
                let origin = format!("lxc.net.{}", veth.index);
                steps.add(Side::HostBeside, Step::CreateVeth(veth), Some(origin));
            }
            nics
        }
    };
    guest_steps(
        &mut steps,
        values,
        facts,
        request,
        &rootfs,
        nics,
        chosen,
        idmap.as_ref(),
        &labels,
        &mut warnings,
    )?;
    if let Some((label, _)) = labels.label {
        steps.add(Side::HostAtReady, Step::ConfirmLabel(label), None);
    }
    ready_steps(&mut steps, values, facts, &mut warnings)?;
    steps.guest(Step::Exec(program));

    Ok(StartPlan {
        name: request.name.clone(),
        namespaces,
        unshared,
        idmap,
        rootfs,
        steps: steps.0,
        warnings,
    })
}

/// Collects steps in order.
#[derive(Default)]
struct Steps(Vec<Planned>);

impl Steps {
    fn add(&mut self, side: Side, step: Step, origin: Option<String>) {
        self.0.push(Planned { side, step, origin });
    }
    fn host(&mut self, step: Step) {
        self.add(Side::Host, step, None);
    }
    fn guest(&mut self, step: Step) {
        self.add(Side::Guest, step, None);
    }
    fn hooks(&mut self, side: Side, kind: HookKind, values: &Values) {
        for run in HookRun::all(kind, &values.hooks) {
            let origin = run.origin.clone();
            self.add(side, Step::RunHook(run), Some(origin));
        }
    }
}

/// An ordinary user may not make network devices of the host.
fn for_root(veth: &crate::VethPlan, values: &Values, facts: &HostFacts) -> Result<(), Refusal> {
    if facts.euid == 0 {
        return Ok(());
    }
    let key = format!("lxc.net.{}.type", veth.index);
    let refusal = Refusal::not_yet(
        "a network device (veth) for an ordinary user's container",
        "use the types empty or none, or start the container as root",
    );
    let device = values.net.iter().find(|it| it.index == veth.index);
    Err(match device {
        Some(device) => refusal.at(&key, &device.origin),
        None => refusal,
    })
}

/// The rootfs with shifted ids is the monitor's to make, as soon as there is a user namespace.
fn shifted_rootfs(
    steps: &mut Steps,
    values: &Values,
    facts: &HostFacts,
    rootfs: Option<&(String, String)>,
) -> Result<(), Refusal> {
    let (Some((source, _)), Some(options)) = (rootfs, &values.rootfs.options) else {
        return Ok(());
    };
    if let Some(ids) = &options.options.idmap {
        idmap::check_shift(ids, values, facts)
            .map_err(|refusal| refusal.at("lxc.rootfs.options", &options.origin))?;
        let origin = Some(format!("lxc.rootfs.options, {}", options.origin));
        let (source, ids) = (source.clone(), ids.clone());
        steps.add(Side::Host, Step::ShiftRootfs { source, ids }, origin);
    }
    Ok(())
}

/// Before the guest exists: whatever can fail without a guest fails here, cheaply.
fn host_steps(
    steps: &mut Steps,
    values: &Values,
    facts: &HostFacts,
    request: &StartRequest,
    rootfs: Option<&(String, String)>,
    idmap: Option<&IdmapPlan>,
) -> Result<(), Refusal> {
    if let Some(profile) = &values.seccomp_profile
        && loads_filter(values, facts)
    {
        let path = profile.value.clone();
        let origin = format!("lxc.seccomp.profile, {}", profile.origin);
        steps.add(Side::Host, Step::CompileSeccomp { path }, Some(origin));
    }
    if has_console(values) && !console_from_guest(values, rootfs.is_some()) {
        steps.host(Step::OpenConsole);
    }
    if let Some(log) = &values.console.logfile {
        let origin = format!("lxc.console.logfile, {}", log.origin);
        let path = log.value.clone();
        steps.add(Side::Host, Step::OpenConsoleLog { path }, Some(origin));
    }
    // Root of a user namespace cannot make a file system of the host read-only.
    if let Some((source, _)) = rootfs
        && idmap.is_none()
    {
        steps.host(Step::PinRootfs {
            path: source.clone(),
        });
    }
    cgroup_steps(steps, values, facts, request, idmap)
}

/// The cgroup is made and limited before anybody lives in it.
fn cgroup_steps(
    steps: &mut Steps,
    values: &Values,
    facts: &HostFacts,
    request: &StartRequest,
    idmap: Option<&IdmapPlan>,
) -> Result<(), Refusal> {
    // Also where there are no cgroups: what contradicts itself is to be corrected.
    let pattern = request.cgroup_pattern.as_deref();
    let names = CgroupNames::choose(&request.name, &values.cgroup, pattern)?;
    if facts.layout() == Layout::None {
        return Ok(());
    }
    // Without its suffix: which one is free only the act can tell.
    steps.host(Step::CreateCgroup {
        path: names.payload,
    });
    for (unified, setting) in cgroup::limits(values, facts)? {
        let key = if unified { "lxc.cgroup2" } else { "lxc.cgroup" };
        let origin = format!("{key}.{}, {}", setting.value.file, setting.origin);
        let (file, value) = (setting.value.file.clone(), setting.value.value.clone());
        steps.add(
            Side::Host,
            Step::LimitCgroup {
                unified,
                file,
                value,
            },
            Some(origin),
        );
    }
    if let Some(name) = names.inner {
        if !cgroup::needs_device_program(facts) {
            // A v1 cgroup with children takes no rule about all devices any more.
            device_steps(steps, Side::Host, values, facts)?;
        }
        let origin = values.cgroup.container_inner.as_ref();
        let origin =
            origin.map(|inner| format!("lxc.cgroup.dir.container.inner, {}", inner.origin));
        steps.add(Side::Host, Step::CreateInnerCgroup { name }, origin);
    }
    if let Some(map) = idmap {
        steps.host(Step::GiveCgroup { group: map.host.1 });
    }
    Ok(())
}

/// What the future init does, in the order it must: mounts while the host's files are in reach,
/// then the switch, then giving up power from the outside in.
#[expect(
    clippy::too_many_arguments,
    reason = "each is one decision made by the caller"
)]
fn guest_steps(
    steps: &mut Steps,
    values: &Values,
    facts: &HostFacts,
    request: &StartRequest,
    rootfs: &Option<(String, String)>,
    nics: Vec<crate::NicPlan>,
    chosen: Chosen,
    idmap: Option<&IdmapPlan>,
    labels: &lsm::Labels,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Chosen {
        own: namespaces,
        unshared,
    } = chosen;
    let own_root = rootfs.is_some();
    let autodev = values.autodev.enabled && own_root;
    if facts.layout() != Layout::None || unshared.has(Namespaces::CGROUP) {
        let new_namespace = unshared.has(Namespaces::CGROUP);
        steps.guest(Step::EnterCgroup { new_namespace });
    }
    if namespaces.has(Namespaces::TIME) {
        steps.guest(Step::NewTimeNamespace(settings::clock_offsets(values)));
    }
    if let Some(map) = idmap {
        // Not before: entering cgroups takes who the monitor is.
        steps.guest(Step::TakeIds {
            ids: map.setup,
            new_network: unshared.has(Namespaces::NET),
        });
    }
    if namespaces.has(Namespaces::MNT) {
        steps.guest(Step::IsolateMounts);
    }
    if let Some((label, _)) = &labels.label {
        steps.guest(Step::OpenLabelFile(label.module));
    }
    if let Some((source, target)) = rootfs {
        steps.hooks(Side::Guest, HookKind::PreMount, values);
        let step = Step::MountRootfs {
            source: source.clone(),
            target: target.clone(),
            options: root::options(values)?,
        };
        let origin = values
            .rootfs
            .path
            .as_ref()
            .map(|p| format!("lxc.rootfs.path, {}", p.origin));
        steps.add(Side::Guest, step, origin);
    }
    if let Some(name) = values
        .uts_name
        .as_ref()
        .filter(|_| namespaces.has(Namespaces::UTS))
    {
        steps.add(
            Side::Guest,
            Step::SetHostname(name.clone()),
            Some("lxc.uts.name".into()),
        );
    }
    if let Some(keyring) = &labels.keyring {
        let origin = Some("lxc.selinux.context.keyring".to_string());
        steps.add(Side::Guest, Step::LabelKeyring(keyring.clone()), origin);
    }
    if !values.keyring_session {
        steps.guest(Step::NewKeyring);
    }
    if autodev {
        steps.guest(Step::MountDev {
            size: match values.autodev.tmpfs_size {
                0 => Autodev::USUAL_SIZE,
                bytes => bytes,
            },
        });
    }
    if let Some(mode) = values.mount_auto.proc {
        let writable_net = cgroup::keeps(&values.caps, NET_ADMIN);
        let origin = Some("lxc.mount.auto".to_string());
        steps.add(Side::Guest, Step::MountProc { mode, writable_net }, origin);
    }
    if let Some(mode) = values.mount_auto.sys {
        steps.add(
            Side::Guest,
            Step::MountSys(mode),
            Some("lxc.mount.auto".into()),
        );
    }
    steps
        .0
        .extend(mounts::entries(values, facts, request, warnings)?);
    let own_cgroups = namespaces.has(Namespaces::CGROUP);
    if let Some(view) = cgroup::view(values, facts, own_cgroups)? {
        steps.add(
            Side::Guest,
            Step::MountCgroups(view),
            Some("lxc.mount.auto".into()),
        );
    }
    steps.hooks(Side::Guest, HookKind::Mount, values);
    if autodev {
        steps.hooks(Side::Guest, HookKind::Autodev, values);
        steps.guest(Step::PopulateDev);
    }
    terminals(steps, values, request, own_root)?;
    if !nics.is_empty() {
        // Late, so that the host's netlink work runs beside the guest's mounts.
        steps.add(
            Side::Guest,
            Step::ConfigureNetwork(nics),
            Some("lxc.net".into()),
        );
    }
    // With the network's devices there and the host's /proc still in reach.
    steps.0.extend(settings::sysctl_steps(values, facts)?);
    if own_root {
        steps.guest(Step::SwitchRoot);
        if let Some(shared) = &values.mount_auto.shmounts {
            let target = mounts::shared_target(shared);
            let origin = Some("lxc.mount.auto".to_string());
            steps.add(Side::Guest, Step::ReceiveMounts { target }, origin);
        }
        if autodev && values.mount_auto.proc.is_some() {
            steps.guest(Step::NewBootId);
        }
    }
    if let Some(arch) = values.arch {
        let bits32 = arch == Arch::Bits32;
        steps.add(
            Side::Guest,
            Step::SetPersonality { bits32 },
            Some("lxc.arch".into()),
        );
    }
    let dropped: Vec<u32> = (0..=facts.last_capability)
        .filter(|c| !cgroup::keeps(&values.caps, *c))
        .collect();
    if !dropped.is_empty() {
        let origin = Some("lxc.cap".to_string());
        steps.add(Side::Guest, Step::DropCapabilities(dropped), origin);
    }
    if let Some((label, origin)) = &labels.label {
        steps.add(Side::Guest, Step::SetLabel(label.clone()), origin.clone());
    }
    if values.no_new_privs {
        steps.add(
            Side::Guest,
            Step::NoNewPrivs,
            Some("lxc.no_new_privs".into()),
        );
    }
    if let Some(profile) = &values.seccomp_profile {
        if loads_filter(values, facts) {
            steps.guest(Step::LoadSeccomp);
        } else {
            warnings.push(format!(
                "the monitor already runs under a seccomp filter: {} is not loaded \
                 (lxc.seccomp.allow_nesting = 1 loads it nevertheless)",
                profile.value
            ));
        }
    }
    steps.hooks(Side::Guest, HookKind::Start, values);
    Ok(())
}

/// When the guest waits for the word: device rules only now, because making /dev needed mknod.
fn ready_steps(
    steps: &mut Steps,
    values: &Values,
    facts: &HostFacts,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    if cgroup::needs_device_program(facts) {
        device_program(steps, values, facts, warnings)?;
    } else if values.cgroup.container_inner.is_none() {
        device_steps(steps, Side::HostAtReady, values, facts)?;
    }
    steps.hooks(Side::HostAtReady, HookKind::StartHost, values);
    steps.0.extend(settings::limit_steps(values));
    Ok(())
}

/// A filter on top of another only where that is asked for.
fn loads_filter(values: &Values, facts: &HostFacts) -> bool {
    !facts.confined || values.seccomp_allow_nesting
}

fn core_scheduling(steps: &mut Steps, facts: &HostFacts) -> Result<(), Refusal> {
    if !facts.kernel.core_scheduling {
        return Err(Refusal::new(
            "lxc.sched.core = 1 asks for core scheduling, and this kernel does not support it (Linux \
             5.14, CONFIG_SCHED_CORE)",
            "remove lxc.sched.core",
        ));
    }
    let origin = Some("lxc.sched.core".to_string());
    steps.add(Side::HostBeside, Step::NewSchedulingCookie, origin);
    Ok(())
}

/// The device rules of v1, line by line.
fn device_steps(
    steps: &mut Steps,
    side: Side,
    values: &Values,
    facts: &HostFacts,
) -> Result<(), Refusal> {
    for rule in cgroup::device_rules(values, facts) {
        let origin = Some(format!("lxc.cgroup.{}, {}", rule.value.file, rule.origin));
        let step = Step::LimitDevice {
            file: rule.value.file.clone(),
            value: devices::rule(rule, facts)?,
        };
        steps.add(side, step, origin);
    }
    Ok(())
}

/// The device rules of v2, which become one program.
fn device_program(
    steps: &mut Steps,
    values: &Values,
    facts: &HostFacts,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let rules = cgroup::device_rules(values, facts)
        .into_iter()
        .map(|rule| Ok((rule.value.file.clone(), devices::rule(rule, facts)?)))
        .collect::<Result<Vec<_>, Refusal>>()?;
    if rules.is_empty() {
        return Ok(());
    }
    if facts.euid != 0 {
        warnings.push(
            "the rules of lxc.cgroup2.devices are not enforced: the kernel takes a device program \
             from root alone"
                .into(),
        );
        return Ok(());
    }
    let origin = Some("lxc.cgroup2.devices".to_string());
    steps.add(Side::HostAtReady, Step::AttachDeviceProgram(rules), origin);
    Ok(())
}

fn has_console(values: &Values) -> bool {
    values.console.path != ConsolePath::None
}

/// LXC takes the console from the container's own devpts as soon as that has room for it.
fn console_from_guest(values: &Values, own_root: bool) -> bool {
    values.pty_max > 1 && own_root
}

fn terminals(
    steps: &mut Steps,
    values: &Values,
    request: &StartRequest,
    own_root: bool,
) -> Result<(), Refusal> {
    let ttys = if request.mini_init { 0 } else { values.tty_max };
    let pty_max = values.pty_max;
    if own_root && (pty_max > 0 || ttys > 0) {
        let max = pty_max.saturating_add(values.tty_max);
        steps.guest(Step::MountDevpts {
            max,
            ptmx: pty_max > 0,
        });
    }
    let console = has_console(values);
    let from_guest = console_from_guest(values, own_root);
    steps.guest(Step::SetUpTerminals(TtyPlan {
        console,
        console_from_guest: console && from_guest,
        console_is_stdio: console && (request.foreground || from_guest),
        only_terminals: request.mini_init && request.foreground,
        ttys: if own_root { ttys } else { 0 },
        dir: tty_dir(values)?,
        keep_devpts: pty_max > 0,
    }));
    if own_root {
        steps.guest(Step::LinkDev);
    }
    Ok(())
}

/// The directory of the terminals: one directly below /dev, as LXC has it.
fn tty_dir(values: &Values) -> Result<Option<String>, Refusal> {
    let Some(written) = &values.tty_dir else {
        return Ok(None);
    };
    let name = written.trim_end_matches('/');
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Refusal::new(
            format!("lxc.tty.dir = {written} is no directory directly below /dev"),
            "write a name without slashes, such as lxc",
        ));
    }
    Ok(Some(name.to_string()))
}

/// Program, arguments and environment of init.
fn program(values: &Values, request: &StartRequest, own_root: bool) -> Result<Program, Refusal> {
    let (key, configured) = match request.mini_init {
        true => ("lxc.execute.cmd", &values.init.execute_cmd),
        false => ("lxc.init.cmd", &values.init.cmd),
    };
    let mut argv = request.argv.clone();
    if argv.is_empty()
        && let Some(line) = configured
    {
        argv = words::split(&line.value).map_err(|why| {
            Refusal::new(
                format!("{} cannot be split into words: {why}", line.value),
                "close the quotes",
            )
            .at(key, &line.origin)
        })?;
    }
    if argv.is_empty() {
        if request.mini_init {
            return Err(Refusal::new(
                "there is no command to execute",
                "name one after '--', or set lxc.execute.cmd",
            ));
        }
        if !own_root {
            return Err(Refusal::new(
                "the container has no rootfs: the host's own /sbin/init would run on the host's root",
                "set lxc.rootfs.path, or name a program after '--' to run it on the host's root",
            ));
        }
        argv.push("/sbin/init".into());
    }
    let mut env: Vec<(String, String)> = Vec::new();
    for var in values.environment.iter().chain(&values.environment_runtime) {
        env.retain(|(name, _)| *name != var.value.name);
        env.push((var.value.name.clone(), var.value.value.clone()));
    }
    env.retain(|(name, _)| name != "container");
    env.push(("container".into(), "lxc".into()));
    for (key, id) in [
        ("lxc.init.uid", values.init.uid),
        ("lxc.init.gid", values.init.gid),
    ]
    .into_iter()
    .chain(
        values
            .init
            .groups
            .iter()
            .map(|group| ("lxc.init.groups", *group)),
    ) {
        if id == u32::MAX {
            return Err(Refusal::new(
                format!("{key} = {id} is no id: it is what 'unchanged' is called to the kernel"),
                "name another",
            ));
        }
    }
    let groups = &values.init.groups;
    Ok(Program {
        argv,
        env,
        cwd: values.init.cwd.as_ref().map(|c| c.value.clone()),
        uid: values.init.uid,
        gid: values.init.gid,
        groups: (!groups.is_empty()).then(|| groups.clone()),
        death_signal: values.monitor.pdeath,
        mini_init: request.mini_init,
    })
}
