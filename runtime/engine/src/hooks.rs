//! Hooks: users' programs at fixed moments of a container's life.
//!
//! A hook's command line is shell words by LXC's contract; everything else reaches it as positional
//! arguments, never as text that a shell reads again.

use crate::failure::{Failure, FailureKind};
use crate::guest::{GuestWorld, Problem};
use crate::program::Spawned;
use lxc_config::Values;
use lxc_kernel::Result;
use lxc_kernel::process::Ended;
use lxc_plan::{HookKind, HookRun};
use std::path::Path;

/// What every hook of one container finds in its environment and arguments.
#[derive(Debug, Clone, Default)]
pub struct HookEnvironment {
    /// Container.
    pub name: String,
    /// `lxc.hook.version`.
    pub version: u8,
    /// `LXC_*` variables.
    pub variables: Vec<(String, String)>,
    /// `lxc.environment`, for hooks on the guest's side.
    pub guest_variables: Vec<(String, String)>,
    /// `lxc.environment.hooks`, for the same.
    pub hook_variables: Vec<(String, String)>,
}

impl HookEnvironment {
    /// The variables that are known before anything has started.
    pub fn new(name: &str, config_file: &str, values: &Values, mount: Option<&str>) -> Self {
        let mut variables = vec![("LXC_NAME".to_string(), name.to_string())];
        let mut set = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                variables.push((name.to_string(), value.to_string()));
            }
        };
        set(
            "LXC_CONFIG_FILE",
            (!config_file.is_empty()).then_some(config_file),
        );
        set("LXC_ROOTFS_MOUNT", mount);
        set(
            "LXC_ROOTFS_PATH",
            values.rootfs.path.as_ref().map(|p| p.value.as_str()),
        );
        if let lxc_config::ConsolePath::Path(path) = &values.console.path {
            set("LXC_CONSOLE", Some(path));
        }
        set(
            "LXC_CONSOLE_LOGPATH",
            values.console.logfile.as_ref().map(|p| p.value.as_str()),
        );
        let cgns = rustix::fs::access("/proc/self/ns/cgroup", rustix::fs::Access::EXISTS).is_ok();
        set("LXC_CGNS_AWARE", cgns.then_some("1"));
        set(
            "LXC_LOG_LEVEL",
            Some(crate::log::level_name(values.log.level.unwrap_or(5))),
        );
        set(
            "LXC_HOOK_VERSION",
            Some(if values.hooks.version == 1 { "1" } else { "0" }),
        );
        let pairs = |list: &[lxc_config::Located<lxc_config::EnvVar>]| {
            let pair = |v: &lxc_config::Located<lxc_config::EnvVar>| {
                (v.value.name.clone(), v.value.value.clone())
            };
            list.iter().map(pair).collect()
        };
        HookEnvironment {
            name: name.to_string(),
            version: values.hooks.version,
            variables,
            guest_variables: pairs(&values.environment),
            hook_variables: pairs(&values.environment_hooks),
        }
    }

    /// Sets a variable that became known meanwhile.
    pub fn set(&mut self, name: &str, value: String) {
        self.variables.retain(|(n, _)| n != name);
        self.variables.push((name.to_string(), value));
    }
}

/// Variables that steer programs of the host: `lxc.environment`, which templates fill from images, must
/// not set them for a hook that runs with the host's files. `lxc.environment.hooks` is nobody's but the
/// author's.
fn steers_programs(name: &str) -> bool {
    // Of the dynamic loader, the C library, shells, interpreters and their libraries.
    const FAMILIES: [&str; 16] = [
        "LD_", "GLIBC_", "MALLOC_", "GCONV_", "RES_", "BASH_", "PYTHON", "PERL", "RUBY", "NODE_",
        "LUA_", "JAVA_", "JDK_", "GIO_", "OPENSSL_", "GIT_",
    ];
    const NAMES: [&str; 16] = [
        "ENV",
        "IFS",
        "SHELLOPTS",
        "BASHOPTS",
        "PS4",
        "PROMPT_COMMAND",
        "CDPATH",
        "HOSTALIASES",
        "LOCALDOMAIN",
        "TMPDIR",
        "HOME",
        "SHELL",
        "EDITOR",
        "PAGER",
        "TERMINFO",
        "TZDIR",
    ];
    FAMILIES.iter().any(|family| name.starts_with(family))
        || name.ends_with("PATH")
        || name.ends_with("_PRELOAD")
        || name.contains(['(', '%'])
        || NAMES.contains(&name)
}

/// A hook that runs.
pub struct Running {
    /// What it is, for messages.
    pub run: HookRun,
    /// Its process.
    pub program: Spawned,
}

/// Starts a hook; `extra` are LXC's further arguments (namespace paths, …).
pub fn spawn(run: &HookRun, environment: &HookEnvironment, extra: &[String]) -> Result<Running> {
    let script = format!("exec {} \"$@\"", run.command);
    let mut argv = vec!["sh".to_string(), "-c".into(), script, "sh".into()];
    let mut env: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    let mut set = |name: &str, value: &str| {
        env.retain(|(n, _)| n != name);
        env.push((name.to_string(), value.to_string()));
    };
    let inside = run.kind.in_guest_before_switch();
    if inside || run.kind == HookKind::Start {
        for (name, value) in &environment.guest_variables {
            if !(inside && steers_programs(name)) {
                set(name, value);
            }
        }
        for (name, value) in &environment.hook_variables {
            set(name, value);
        }
    }
    for (name, value) in &environment.variables {
        set(name, value);
    }
    if environment.version == 1 {
        set("LXC_HOOK_TYPE", run.kind.name());
        set("LXC_HOOK_SECTION", "lxc");
    } else {
        argv.extend([
            environment.name.clone(),
            "lxc".into(),
            run.kind.name().into(),
        ]);
    }
    argv.extend_from_slice(extra);
    let env = env.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    // On the host a group of its own, so that all of it can be ended; as a session, because in a
    // group behind the terminal's it could not read what is typed. A guest's goes with the guest.
    let new_session = !(inside || run.kind == HookKind::Start);
    Ok(Running {
        run: run.clone(),
        program: Spawned::with(Path::new("/bin/sh"), argv, env, new_session)?,
    })
}

impl Running {
    /// The verdict, once it has ended; `None` while it runs.
    pub fn verdict(&mut self) -> Result<Option<std::result::Result<(), Failure>>> {
        let ended = self.program.ended()?;
        Ok(ended.map(|ended| self.judge(ended)))
    }

    /// The verdict on how it has ended.
    pub fn judge(&self, ended: Ended) -> std::result::Result<(), Failure> {
        let text = self.program.text();
        for line in text.lines() {
            log::debug!("Script exec {} produced output: {line}", self.run.command);
        }
        match ended {
            Ended::Exited(0) => Ok(()),
            ended => Err(failure(&self.run, ended, &text)),
        }
    }
}

fn failure(run: &HookRun, ended: Ended, output: &str) -> Failure {
    let how = match ended {
        Ended::Exited(code) => format!("exited with {code}"),
        Ended::Killed { signal, .. } => format!("was killed by signal {signal}"),
    };
    let sentence = format!(
        "the {} hook '{}' {how} ({})",
        run.kind.name(),
        run.command,
        run.origin
    );
    let last = output.lines().rev().find(|l| !l.trim().is_empty());
    let hint = match (last, ended) {
        (Some(line), _) => format!("its last line of output: {line}"),
        (None, Ended::Exited(126 | 127)) => "the program is missing or not executable".into(),
        (None, _) => "it printed nothing; run it by hand to see why".into(),
    };
    Failure::new(FailureKind::Step, sentence).hint(hint)
}

/// Runs a hook on the guest's side and waits for it: nothing else is to be done there meanwhile.
pub fn run_in_guest(run: &HookRun, world: &GuestWorld<'_>) -> std::result::Result<(), Problem> {
    let mut running = spawn(run, world.hooks, &[])?;
    wait_for_end(&mut running)?;
    match running.verdict()? {
        Some(verdict) => verdict.map_err(Problem::Told),
        None => Ok(()),
    }
}

/// Blocks until the hook has ended, taking what it writes; one that closes its output early is
/// waited for by its pidfd alone.
fn wait_for_end(running: &mut Running) -> Result<()> {
    use lxc_kernel::events::{Interest, Poller};
    let poller = Poller::new()?;
    let readable = Interest::READ;
    poller.add(running.program.pidfd(), 0, readable)?;
    poller.add(running.program.output(), 1, readable)?;
    loop {
        for event in poller.wait(None)? {
            if event.token == 0 {
                return Ok(());
            }
            if !running.program.collect() {
                poller.remove(running.program.output())?;
            }
        }
    }
}

/// Runs the destroy hooks, which have no monitor, in order; the first that fails ends it.
pub fn run_destroy(
    name: &str,
    config_file: &str,
    values: &Values,
) -> std::result::Result<(), Failure> {
    let mount = values.rootfs.mount.as_deref();
    let mut environment = HookEnvironment::new(name, config_file, values, mount);
    // Said only by a monitor, as with LXC.
    environment.variables.retain(|(name, _)| {
        !matches!(
            name.as_str(),
            "LXC_CGNS_AWARE" | "LXC_LOG_LEVEL" | "LXC_HOOK_VERSION"
        )
    });
    for run in HookRun::all(HookKind::Destroy, &values.hooks) {
        let verdict = spawn(&run, &environment, &[]).and_then(|mut running| {
            wait_for_end(&mut running)?;
            running.verdict()
        });
        match verdict {
            Ok(Some(verdict)) => verdict?,
            Ok(None) => {}
            Err(error) => {
                let sentence = format!("cannot run the hook '{}' ({})", run.command, run.origin);
                return Err(Failure::new(FailureKind::Step, sentence).caused_by(&error));
            }
        }
    }
    Ok(())
}
