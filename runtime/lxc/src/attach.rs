//! Attach.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use lxc_engine::attach;
use lxc_plan::{AttachRequest, Namespaces};
use std::path::PathBuf;

pub use lxc_engine::attach::Command;

/// Restrictions of the container that an attached program is spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Elevated {
    /// It stays in the caller's cgroups.
    pub cgroup: bool,
    /// It keeps all capabilities.
    pub caps: bool,
    /// It takes no security label and no seccomp filter.
    pub lsm: bool,
}

/// How a program is run in a running container. The default runs the shell of init's user with the
/// caller's environment and standard streams.
#[derive(Debug, Clone)]
pub struct AttachOptions {
    /// What to run.
    pub command: Command,
    /// CLONE_NEW* bits of the namespaces to join; `None` = all the container has.
    pub namespaces: Option<u64>,
    /// Restrictions left out.
    pub elevated: Elevated,
    /// Architecture name for the personality; `None` = the container's.
    pub arch: Option<String>,
    /// User id inside; `None` = init's.
    pub uid: Option<u32>,
    /// Group id inside; `None` = init's.
    pub gid: Option<u32>,
    /// Begin with an empty environment.
    pub clear_env: bool,
    /// Variables kept nevertheless.
    pub keep_vars: Vec<String>,
    /// Variables set last.
    pub set_vars: Vec<(String, String)>,
    /// Replace the standard streams that are terminals by a terminal of the container's own.
    pub terminal: bool,
    /// Security label to run under: not implemented yet.
    pub context: Option<String>,
    /// Directory inside to begin in; not implemented yet. `None` = the caller's, if it exists inside.
    pub cwd: Option<PathBuf>,
}

impl Default for AttachOptions {
    fn default() -> Self {
        AttachOptions {
            command: Command::Shell,
            namespaces: None,
            elevated: Elevated::default(),
            arch: None,
            uid: None,
            gid: None,
            clear_env: false,
            keep_vars: Vec::new(),
            set_vars: Vec::new(),
            terminal: false,
            context: None,
            cwd: None,
        }
    }
}

/// An attached program, child of the calling process.
pub struct Attached(attach::Attached);

impl Attached {
    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Why the program could not be executed inside, if it could not; [`Attached::wait`] then gives
    /// the status a shell would: 127 for a missing program, 126 for one that is none, else 255.
    pub fn exec_failure(&self) -> Option<Error> {
        self.0.exec_failure().cloned().map(Error::from)
    }

    /// Waits for its end, relaying the terminal if it has one; gives the wait status. Blocks without
    /// limit.
    pub fn wait(self) -> Result<i32> {
        Ok(self.0.wait()?.wait_status())
    }
}

impl Container {
    /// Runs a program inside. Returns when it runs.
    ///
    /// # Errors
    /// `NotRunning`, `Denied`, or the step that failed.
    pub fn attach(&self, options: &AttachOptions) -> Result<Attached> {
        if options.context.is_some() {
            let text = "attaching with a security label is not implemented yet; leave out -c";
            return Err(Error::new(ErrorKind::NotImplemented, text));
        }
        if options.cwd.is_some() {
            let text = "choosing the directory of an attached program is not implemented yet";
            return Err(Error::new(ErrorKind::NotImplemented, text));
        }
        let request = AttachRequest {
            namespaces: options.namespaces.map(Namespaces),
            elevated: lxc_plan::Elevated {
                cgroup: options.elevated.cgroup,
                capabilities: options.elevated.caps,
                lsm: options.elevated.lsm,
            },
            uid: options.uid,
            gid: options.gid,
            clear_env: options.clear_env,
            keep_vars: options.keep_vars.clone(),
            set_vars: options.set_vars.clone(),
            bits32: match &options.arch {
                Some(arch) => Some(is_32_bits(arch)?),
                None => None,
            },
        };
        let environment = self
            .config()
            .map(|c| &c.values().environment[..])
            .unwrap_or_default();
        let configured: Vec<(String, String)> = environment
            .iter()
            .map(|v| (v.value.name.clone(), v.value.value.clone()))
            .collect();
        let attached = attach::attach(
            &self.lxcpath,
            &self.name,
            &options.command,
            &request,
            &configured,
            options.terminal,
        )?;
        Ok(Attached(attached))
    }
}

/// The names are those of `lxc.arch`: its own table decides.
fn is_32_bits(arch: &str) -> Result<bool> {
    let mut config = lxc_config::Config::new();
    config.set("lxc.arch", arch)?;
    Ok(config.values().arch == Some(lxc_config::Arch::Bits32))
}
