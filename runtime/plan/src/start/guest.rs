//! What the future init does in a start, in the order it must: mounts while the host's files are
//! in reach, then the switch of the root, then giving up power from the outside in.

use super::{Steps, loads_filter, terminals::terminals};
use crate::namespaces::Chosen;
use crate::step::{Side, Step};
use crate::{
    HookKind, HostFacts, IdmapPlan, Layout, Namespaces, NicPlan, Refusal, StartRequest, cgroup,
    lsm, mounts, root, settings,
};
use lxc_config::{Arch, Autodev, Values};

/// CAP_NET_ADMIN.
const NET_ADMIN: u32 = 12;

/// What has been decided when the guest's steps are laid out.
#[derive(Clone, Copy)]
pub(super) struct Decided<'a> {
    pub(super) values: &'a Values,
    pub(super) facts: &'a HostFacts,
    pub(super) request: &'a StartRequest,
    pub(super) rootfs: Option<&'a (String, String)>,
    pub(super) chosen: Chosen,
    pub(super) idmap: Option<&'a IdmapPlan>,
    pub(super) labels: &'a lsm::Labels,
}

impl Decided<'_> {
    fn own_root(&self) -> bool {
        self.rootfs.is_some()
    }

    /// /dev is the container's own.
    fn autodev(&self) -> bool {
        self.values.autodev.enabled && self.own_root()
    }
}

/// Lays out the guest's steps up to, not including, the exec.
pub(super) fn guest_steps(
    steps: &mut Steps,
    decided: &Decided<'_>,
    nics: Vec<NicPlan>,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Decided { values, facts, .. } = *decided;
    enter(steps, decided);
    mount_rootfs(steps, decided)?;
    name_and_keyring(steps, decided);
    mount_inside(steps, decided, warnings)?;
    terminals(steps, values, decided.request, decided.own_root())?;
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
    switch_root(steps, decided);
    give_up_power(steps, decided, warnings);
    steps.hooks(Side::Guest, HookKind::Start, values);
    Ok(())
}

/// Cgroups, clocks and ids; then mounts of its own.
fn enter(steps: &mut Steps, decided: &Decided<'_>) {
    let Decided {
        values,
        facts,
        idmap,
        labels,
        ..
    } = *decided;
    let Chosen {
        own: namespaces,
        unshared,
    } = decided.chosen;
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
}

fn mount_rootfs(steps: &mut Steps, decided: &Decided<'_>) -> Result<(), Refusal> {
    let Decided { values, rootfs, .. } = *decided;
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
    Ok(())
}

fn name_and_keyring(steps: &mut Steps, decided: &Decided<'_>) {
    let Decided { values, labels, .. } = *decided;
    let namespaces = decided.chosen.own;
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
}

/// What is mounted and made below the rootfs.
fn mount_inside(
    steps: &mut Steps,
    decided: &Decided<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Decided {
        values,
        facts,
        request,
        ..
    } = *decided;
    let namespaces = decided.chosen.own;
    let autodev = decided.autodev();
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
    Ok(())
}

fn switch_root(steps: &mut Steps, decided: &Decided<'_>) {
    let Decided { values, .. } = *decided;
    let (own_root, autodev) = (decided.own_root(), decided.autodev());
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
}

/// From here on the guest can do less and less.
fn give_up_power(steps: &mut Steps, decided: &Decided<'_>, warnings: &mut Vec<String>) {
    let Decided {
        values,
        facts,
        labels,
        ..
    } = *decided;
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
}
