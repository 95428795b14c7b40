//! What an attach does, decided.

use crate::idmap::{inside, on_host};
use crate::lsm::{self, UNCONFINED};
use crate::{Label, Namespaces, Refusal, SecurityModule};
use lxc_config::{IdKind, IdRange};
use std::ffi::{OsStr, OsString};

/// personality(2) values of programs of this machine's two word sizes (PER_LINUX, PER_LINUX32).
const PERSONALITY: u64 = 0;
const PERSONALITY_32: u64 = 8;

/// Which restrictions of the container an attached process is spared (lxc-attach -e).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Elevated {
    /// Stay in the caller's cgroups.
    pub cgroup: bool,
    /// Keep all capabilities.
    pub capabilities: bool,
    /// Take no security label and no seccomp filter.
    pub lsm: bool,
}

/// An attach, as the caller wants it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttachRequest {
    /// Join only these; `None` = all that the container has of its own.
    pub namespaces: Option<Namespaces>,
    /// Restrictions to leave out.
    pub elevated: Elevated,
    /// User id inside; `None` = root, in a user namespace init's.
    pub uid: Option<u32>,
    /// Group id inside; `None` = root's, in a user namespace init's.
    pub gid: Option<u32>,
    /// Start from an empty environment.
    pub clear_env: bool,
    /// Variables kept nevertheless.
    pub keep_vars: Vec<String>,
    /// Variables set last.
    pub set_vars: Vec<(String, String)>,
    /// 32-bit or 64-bit personality; `None` = the container's.
    pub bits32: Option<bool>,
    /// personality(2) value; goes before `bits32`.
    pub personality: Option<u64>,
    /// Supplementary groups; `None` = none, where the kernel lets them be dropped.
    pub groups: Option<Vec<u32>>,
    /// Forbid new privileges whatever the container does.
    pub no_new_privs: bool,
    /// Directory inside to begin in; `None` = the caller's.
    pub directory: Option<String>,
    /// Security label to run under; `None` = init's.
    pub context: Option<String>,
    /// An SELinux context takes effect at once, not with the exec.
    pub context_now: bool,
}

/// What the attaching process does, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachPlan {
    /// Enter the container's cgroups.
    pub enter_cgroup: bool,
    /// Namespaces to join.
    pub join: Namespaces,
    /// Directory inside to begin in; `None` = the caller's.
    pub directory: Option<String>,
    /// Personality to set.
    pub personality: Option<u64>,
    /// Leave only this bounding set.
    pub bounding: Option<u64>,
    /// Take this label; `None` = the caller's stays.
    pub label: Option<AttachLabel>,
    /// Forbid new privileges.
    pub no_new_privs: bool,
    /// Environment, complete.
    pub env: Vec<(OsString, OsString)>,
    /// Supplementary groups; `None` = drop them where the kernel lets one.
    pub groups: Option<Vec<u32>>,
    /// Ids.
    pub uid: u32,
    /// Ids.
    pub gid: u32,
    /// What is taken on in a user namespace, in the moment of joining it.
    pub user_namespace: Option<JoinedIds>,
    /// Load the container's filter.
    pub seccomp: bool,
}

/// A label that an attached process takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachLabel {
    /// The label.
    pub label: Label,
    /// With the exec, not at once.
    pub at_exec: bool,
}

/// The labels of those concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFacts {
    /// Whose labels they are.
    pub module: SecurityModule,
    /// What the caller itself runs under.
    pub own: String,
    /// What the container's init runs under.
    pub init: String,
}

/// Who somebody is who joins a user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinedIds {
    /// User and group to be there until the program's own are taken.
    pub setup: (u32, u32),
    /// The same two as the host knows them.
    pub host: (u32, u32),
    /// The host's id of the program's user.
    pub owner: u32,
}

/// What was found out about the running container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunningFacts {
    /// Namespaces it got of its own.
    pub namespaces: Namespaces,
    /// Namespaces in which its init differs from the caller.
    pub differing: Namespaces,
    /// The maps of its user namespace, if that differs from the caller's; `host` = the caller's ids.
    pub idmap: Vec<IdRange>,
    /// Init's user id, as the caller sees it.
    pub uid: u32,
    /// Init's group id, as the caller sees it.
    pub gid: u32,
    /// Init's bounding set.
    pub bounding: u64,
    /// `lxc.arch` of the running container.
    pub bits32: Option<bool>,
    /// `lxc.no_new_privs` of the running container.
    pub no_new_privs: bool,
    /// It runs under a filter.
    pub seccomp: bool,
    /// Security labels; `None` without a security module that gives any, or if nobody asked.
    pub labels: Option<LabelFacts>,
}

/// The search path an attached process gets when it has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl AttachPlan {
    /// Makes the plan. `caller_env` is the caller's environment, `configured` what
    /// `lxc.environment` of the loaded configuration adds.
    pub fn make(
        request: &AttachRequest,
        running: &RunningFacts,
        caller_env: &[(OsString, OsString)],
        configured: &[(String, String)],
    ) -> Result<AttachPlan, Refusal> {
        let join = match request.namespaces {
            Some(wanted) => wanted,
            None => Namespaces(running.namespaces.0 | running.differing.0),
        };
        let join = Namespaces(join.0 & (running.differing.0 | running.namespaces.0));
        let label = label(request, running)?;
        // Root, whoever init runs as: lxc-attach is for administrating. A user namespace may have none.
        let joins_user = join.has(Namespaces::USER) && running.differing.has(Namespaces::USER);
        let setup = match joins_user {
            true => Some((
                administrator(IdKind::User, running, running.uid)?,
                administrator(IdKind::Group, running, running.gid)?,
            )),
            false => None,
        };
        let (own_uid, own_gid) = setup.map_or((0, 0), |(user, group)| (user.0, group.0));
        let (uid, gid) = (
            request.uid.unwrap_or(own_uid),
            request.gid.unwrap_or(own_gid),
        );
        let user_namespace = match setup {
            Some((user, group)) => {
                let groups = request.groups.iter().flatten();
                for gid in groups.chain([&gid]) {
                    mapped(IdKind::Group, running, *gid)?;
                }
                Some(JoinedIds {
                    setup: (user.0, group.0),
                    host: (user.1, group.1),
                    owner: mapped(IdKind::User, running, uid)?,
                })
            }
            None => None,
        };
        let bits32 = request.bits32.or(running.bits32);
        let no_new_privs = running.no_new_privs && !request.elevated.lsm;
        Ok(AttachPlan {
            enter_cgroup: !request.elevated.cgroup,
            join,
            directory: request.directory.clone(),
            personality: request.personality.or(bits32.map(|bits32| match bits32 {
                true => PERSONALITY_32,
                false => PERSONALITY,
            })),
            bounding: (!request.elevated.capabilities).then_some(running.bounding),
            label,
            no_new_privs: no_new_privs || request.no_new_privs,
            env: environment(request, caller_env, configured),
            groups: request.groups.clone(),
            uid,
            gid,
            user_namespace,
            seccomp: running.seccomp && !request.elevated.lsm,
        })
    }
}

/// Who may do everything inside, and the host's id of that: root, else who init is.
fn administrator(kind: IdKind, running: &RunningFacts, init: u32) -> Result<(u32, u32), Refusal> {
    let root = on_host(&running.idmap, kind, 0).map(|host| (0, host));
    let init = || inside(&running.idmap, kind, init).map(|id| (id, init));
    root.or_else(init).ok_or_else(|| {
        Refusal::new(
            "the container's user namespace maps neither root nor the user of its init",
            "attach without it (-s, with the other namespaces)",
        )
    })
}

/// The host's id of one inside.
fn mapped(kind: IdKind, running: &RunningFacts, id: u32) -> Result<u32, Refusal> {
    on_host(&running.idmap, kind, id).ok_or_else(|| {
        let noun = match kind {
            IdKind::User => "user",
            IdKind::Group => "group",
        };
        Refusal::new(
            format!("the container's user namespace does not map the {noun} {id}"),
            "name one that it maps (lxc.idmap)",
        )
    })
}

/// The caller's variables as far as they are kept, then the container's, then those asked for.
fn environment(
    request: &AttachRequest,
    caller_env: &[(OsString, OsString)],
    configured: &[(String, String)],
) -> Vec<(OsString, OsString)> {
    let kept = |name: &OsStr| request.keep_vars.iter().any(|kept| name == kept.as_str());
    let mut env: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |name: &OsStr, value: &OsStr| {
        env.retain(|(present, _)| present != name);
        env.push((name.to_owned(), value.to_owned()));
    };
    for (name, value) in caller_env {
        if !request.clear_env || kept(name) {
            set(name, value);
        }
    }
    let path = OsStr::new("PATH");
    if request.clear_env && !kept(path) || !caller_env.iter().any(|(name, _)| name == path) {
        set(path, OsStr::new(DEFAULT_PATH));
    }
    set(OsStr::new("container"), OsStr::new("lxc"));
    for (name, value) in configured.iter().chain(&request.set_vars) {
        set(OsStr::new(name), OsStr::new(value));
    }
    env
}

/// The label to be taken: the one asked for, else init's; none where the caller runs under it already.
fn label(request: &AttachRequest, running: &RunningFacts) -> Result<Option<AttachLabel>, Refusal> {
    if request.elevated.lsm {
        return Ok(None);
    }
    let Some(labels) = &running.labels else {
        return match &request.context {
            Some(context) if context != UNCONFINED => Err(Refusal::new(
                format!(
                    "no program can run under the security label {context:?}: no security module of this kernel gives labels"
                ),
                "leave out -c (LXC_ATTACH_LSM_LABEL), or name the label unconfined",
            )),
            _ => Ok(None),
        };
    };
    let wanted = request.context.as_ref().unwrap_or(&labels.init);
    if *wanted == labels.own {
        return Ok(None);
    }
    Ok(Some(AttachLabel {
        label: lsm::label(labels.module, wanted)?,
        at_exec: labels.module == SecurityModule::Selinux && !request.context_now,
    }))
}
