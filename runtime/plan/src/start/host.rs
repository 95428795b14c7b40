//! What the monitor does for a start: before the guest exists, and when it waits for the word.

use super::terminals::{console_from_guest, has_console};
use super::{Steps, loads_filter};
use crate::step::{Side, Step};
use crate::{
    CgroupNames, HookKind, HostFacts, IdmapPlan, Layout, Refusal, StartRequest, VethPlan, cgroup,
    devices, idmap, settings,
};
use lxc_config::Values;

/// An ordinary user may not make network devices of the host.
pub(super) fn for_root(veth: &VethPlan, values: &Values, facts: &HostFacts) -> Result<(), Refusal> {
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
pub(super) fn shifted_rootfs(
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
pub(super) fn host_steps(
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
        let step = Step::OpenConsoleLog {
            path: log.value.clone(),
            limit: values.console.log_size,
            rotate: values.console.rotate,
        };
        steps.add(Side::Host, step, Some(origin));
    }
    if has_console(values) && values.console.buffer_size > 0 {
        let bytes = values.console.buffer_size;
        steps.host(Step::KeepConsole { bytes });
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

pub(super) fn core_scheduling(steps: &mut Steps, facts: &HostFacts) -> Result<(), Refusal> {
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

/// When the guest waits for the word: device rules only now, because making /dev needed mknod.
pub(super) fn ready_steps(
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
