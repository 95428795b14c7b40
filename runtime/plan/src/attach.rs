//! What an attach does, decided.

use crate::{Namespaces, Refusal};

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
}

/// What the attaching process does, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachPlan {
    /// Enter the container's cgroups.
    pub enter_cgroup: bool,
    /// Namespaces to join.
    pub join: Namespaces,
    /// Personality to set.
    pub bits32: Option<bool>,
    /// Leave only this bounding set.
    pub bounding: Option<u64>,
    /// Forbid new privileges.
    pub no_new_privs: bool,
    /// Environment, complete.
    pub env: Vec<(String, String)>,
    /// Ids.
    pub uid: u32,
    /// Ids.
    pub gid: u32,
    /// Load the container's filter.
    pub seccomp: bool,
}

/// What was found out about the running container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunningFacts {
    /// Namespaces it got of its own.
    pub namespaces: Namespaces,
    /// Namespaces in which its init differs from the caller.
    pub differing: Namespaces,
    /// Init's user id.
    pub uid: u32,
    /// Init's group id.
    pub gid: u32,
    /// Init's bounding set.
    pub bounding: u64,
    /// `lxc.arch` of the running container.
    pub bits32: Option<bool>,
    /// `lxc.no_new_privs` of the running container.
    pub no_new_privs: bool,
    /// It runs under a filter.
    pub seccomp: bool,
}

/// The search path an attached process gets when it has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl AttachPlan {
    /// Makes the plan. `caller_env` is the caller's environment, `configured` what
    /// `lxc.environment` of the loaded configuration adds.
    pub fn make(
        request: &AttachRequest,
        running: &RunningFacts,
        caller_env: &[(String, String)],
        configured: &[(String, String)],
    ) -> Result<AttachPlan, Refusal> {
        let join = match request.namespaces {
            Some(wanted) => wanted,
            None => Namespaces(running.namespaces.0 | running.differing.0),
        };
        if join.has(Namespaces::USER) && running.differing.has(Namespaces::USER) {
            return Err(Refusal::not_yet(
                "attaching to a container with a user namespace",
                "use Debian's lxc-attach until then",
            ));
        }
        let join = Namespaces(join.0 & (running.differing.0 | running.namespaces.0));
        let mut env: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| {
            env.retain(|(n, _)| n != name);
            env.push((name.to_string(), value.to_string()));
        };
        for (name, value) in caller_env {
            if !request.clear_env || request.keep_vars.contains(name) {
                set(name, value);
            }
        }
        if request.clear_env && !request.keep_vars.iter().any(|n| n == "PATH")
            || !caller_env.iter().any(|(n, _)| n == "PATH")
        {
            set("PATH", DEFAULT_PATH);
        }
        set("container", "lxc");
        for (name, value) in configured.iter().chain(&request.set_vars) {
            set(name, value);
        }
        // Without a user namespace root, whoever init runs as: lxc-attach is for administrating.
        let (own_uid, own_gid) = match running.namespaces.has(Namespaces::USER) {
            true => (running.uid, running.gid),
            false => (0, 0),
        };
        Ok(AttachPlan {
            enter_cgroup: !request.elevated.cgroup,
            join,
            bits32: request.bits32.or(running.bits32),
            bounding: (!request.elevated.capabilities).then_some(running.bounding),
            no_new_privs: running.no_new_privs && !request.elevated.lsm,
            env,
            uid: request.uid.unwrap_or(own_uid),
            gid: request.gid.unwrap_or(own_gid),
            seccomp: running.seccomp && !request.elevated.lsm,
        })
    }
}
