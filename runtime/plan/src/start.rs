//! The order of a start, decided.

mod guest;
mod host;
mod program;
mod terminals;

use crate::namespaces::Chosen;
use crate::network::Network;
use crate::step::{Planned, Side, Step};
use crate::{HookKind, HookRun, HostFacts, IdmapPlan, Namespaces, Refusal, StartRequest};
use crate::{cgroup, idmap, lsm, namespaces, network, root, settings, users};
use guest::{Decided, guest_steps};
use host::{core_scheduling, for_root, host_steps, ready_steps, shifted_rootfs};
use lxc_config::Values;
use program::program;

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
    let ranges = users::plain(&values.idmap);
    warnings.extend(users::overlaps(&ranges, facts.euid, &facts.neighbours));

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
    let decided = Decided {
        values,
        facts,
        request,
        rootfs: rootfs.as_ref(),
        chosen,
        idmap: idmap.as_ref(),
        labels: &labels,
    };
    guest_steps(&mut steps, &decided, nics, &mut warnings)?;
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

/// A filter on top of another only where that is asked for.
fn loads_filter(values: &Values, facts: &HostFacts) -> bool {
    !facts.confined || values.seccomp_allow_nesting
}
