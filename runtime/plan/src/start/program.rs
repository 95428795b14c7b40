//! What becomes init: program, arguments, environment, ids.

use crate::step::Program;
use crate::{Refusal, StartRequest};
use lxc_config::{Values, words};

/// Program, arguments and environment of init.
pub(super) fn program(
    values: &Values,
    request: &StartRequest,
    own_root: bool,
) -> Result<Program, Refusal> {
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
