//! Where a container's cgroups are, and what is written into them when.

mod names;

pub use names::{CgroupNames, used};

use crate::{HostFacts, Layout, Refusal};
use lxc_config::{Capabilities, CgroupAccess, CgroupMountKind, CgroupSetting, Located, Values};

use crate::step::{CgroupView, HierarchyMount};

/// CAP_SYS_ADMIN.
const SYS_ADMIN: u32 = 21;

/// Whether the bounding set of the container keeps `capability`.
pub fn keeps(caps: &Capabilities, capability: u32) -> bool {
    match caps {
        Capabilities::All => true,
        Capabilities::Drop(list) => list.iter().all(|c| c.number != capability),
        Capabilities::Keep(list) => list.iter().any(|c| c.number == capability),
    }
}

/// Whether a setting is a device rule, which takes effect only after /dev has been populated.
fn is_device_rule(setting: &CgroupSetting) -> bool {
    setting.file.starts_with("devices.")
}

/// Settings written before the guest exists, so that it is born within its limits: `(unified,
/// setting)` in the configuration's order, `memory.memsw.*` last because the kernel wants
/// memory.limit_in_bytes first.
pub fn limits<'a>(
    values: &'a Values,
    facts: &HostFacts,
) -> Result<Vec<(bool, &'a Located<CgroupSetting>)>, Refusal> {
    let (unified, list) = match facts.layout() {
        Layout::None => return Ok(Vec::new()),
        Layout::Unified => (true, &values.cgroup2),
        Layout::Legacy | Layout::Hybrid => (false, &values.cgroup1),
    };
    let mut chosen: Vec<_> = list.iter().filter(|s| !is_device_rule(&s.value)).collect();
    chosen.sort_by_key(|s| s.value.file.starts_with("memory.memsw."));
    for setting in &chosen {
        let controller = setting.value.file.split('.').next().unwrap_or_default();
        if controller != "cgroup" && facts.hierarchy_of(controller).is_none() {
            let key = if unified { "lxc.cgroup2" } else { "lxc.cgroup" };
            return Err(Refusal::new(
                format!("the host has no cgroup controller '{controller}'"),
                "remove the line, or enable the controller on the kernel's command line",
            )
            .at(&format!("{key}.{}", setting.value.file), &setting.origin));
        }
    }
    Ok(chosen.into_iter().map(|s| (unified, s)).collect())
}

/// The device rules in force on this host, in order: v1 rules where a v1 devices controller is,
/// else v2 rules (which become a program).
pub fn device_rules<'a>(values: &'a Values, facts: &HostFacts) -> Vec<&'a Located<CgroupSetting>> {
    let list = match facts.layout() {
        Layout::None => return Vec::new(),
        Layout::Unified => &values.cgroup2,
        Layout::Legacy | Layout::Hybrid => &values.cgroup1,
    };
    list.iter().filter(|s| is_device_rule(&s.value)).collect()
}

/// Whether device rules need a BPF program: only a pure v2 host has no devices controller.
pub fn needs_device_program(facts: &HostFacts) -> bool {
    facts.layout() == Layout::Unified
}

/// The key above the device rules in force.
pub fn device_key(facts: &HostFacts) -> &'static str {
    match needs_device_program(facts) {
        true => "lxc.cgroup2",
        false => "lxc.cgroup",
    }
}

/// Settings that this host cannot take and LXC ignores with a warning: one sentence for each version
/// of cgroups, naming every key and its first place.
pub fn ignored(values: &Values, facts: &HostFacts) -> Vec<String> {
    const V1: &str = "a cgroup v1 controller that this user may use";
    const V2: &str = "a host with cgroup v2 alone";
    const ANY: &str = "a cgroup hierarchy that this user may write to";
    let (v1, v2) = (
        ("lxc.cgroup", &values.cgroup1),
        ("lxc.cgroup2", &values.cgroup2),
    );
    let lost = match facts.layout() {
        Layout::Unified => vec![(v1, V1)],
        Layout::Legacy | Layout::Hybrid => vec![(v2, V2)],
        Layout::None => vec![(v1, ANY), (v2, ANY)],
    };
    let sentences = lost.into_iter().filter_map(|((key, list), want)| {
        let named = keys_of(key, list);
        (!named.is_empty()).then(|| format!("no effect here, because it takes {want}: {named}"))
    });
    sentences.collect()
}

/// Each key once, with the place of its first line.
fn keys_of(key: &str, list: &[Located<CgroupSetting>]) -> String {
    let mut named: Vec<(&str, String)> = Vec::new();
    for setting in list {
        let file = setting.value.file.as_str();
        if named.iter().all(|(known, _)| *known != file) {
            named.push((file, format!("{key}.{file} ({})", setting.origin)));
        }
    }
    let named: Vec<String> = named.into_iter().map(|(_, text)| text).collect();
    named.join(", ")
}

/// What `lxc.mount.auto = cgroup…` mounts on /sys/fs/cgroup, if anything; `own_namespace` = the guest
/// has a cgroup namespace of its own.
pub fn view(
    values: &Values,
    facts: &HostFacts,
    own_namespace: bool,
) -> Result<Option<CgroupView>, Refusal> {
    let Some(wanted) = values.mount_auto.cgroup else {
        return Ok(None);
    };
    let layout = facts.layout();
    let admin = keeps(&values.caps, SYS_ADMIN);
    let force = wanted.force || !admin || layout == Layout::Unified;
    if own_namespace && !force {
        // The guest's init mounts them itself; a cgroup namespace makes that safe.
        return Ok(None);
    }
    let read_only = wanted.access == Some(CgroupAccess::Ro);
    let has_unified = facts.cgroups.iter().any(|h| h.unified);
    let names_unified = wanted.kind == CgroupMountKind::Unified;
    if names_unified && !has_unified {
        return Err(Refusal::new(
            "lxc.mount.auto = cgroup2 needs a cgroup v2 hierarchy and this host has none",
            "mount cgroup2 on the host, or use lxc.mount.auto = cgroup",
        ));
    }
    match (layout, wanted.kind) {
        (Layout::None, _) => Ok(None),
        (Layout::Unified, _) | (_, CgroupMountKind::Unified) if own_namespace => {
            Ok(Some(CgroupView::Unified { read_only }))
        }
        // Mounted without a namespace it would be the whole host's.
        (Layout::Unified, _) | (_, CgroupMountKind::Unified) => Err(Refusal::new(
            "cgroup v2 can be mounted only for a container with a cgroup namespace of its own",
            "leave cgroup out of lxc.namespace.keep, or leave cgroups out of lxc.mount.auto",
        )),
        (_, CgroupMountKind::Own) if !own_namespace => {
            let access = wanted.access.unwrap_or(match admin {
                true => CgroupAccess::Rw,
                false => CgroupAccess::Mixed,
            });
            Ok(Some(CgroupView::Bound {
                above_read_only: access != CgroupAccess::Rw,
                read_only,
            }))
        }
        _ => {
            let mounts = facts.cgroups.iter().map(|hierarchy| HierarchyMount {
                directory: hierarchy.directory().to_string(),
                unified: hierarchy.unified,
                controllers: hierarchy.controllers.clone(),
                copy_of: (!own_namespace).then(|| hierarchy.mount.clone()),
            });
            Ok(Some(CgroupView::Legacy {
                mounts: mounts.collect(),
                read_only,
            }))
        }
    }
}
