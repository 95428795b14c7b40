//! Attach.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use lxc_config::Config;
use lxc_engine::{Failure, attach};
use lxc_plan::{AttachRequest, Namespaces, ProcessSettings};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

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
    /// Security label to run under; `None` = init's. Where no security module gives labels, `unconfined`
    /// alone is accepted.
    pub context: Option<String>,
    /// An SELinux context takes effect at once, not with the next program that is executed.
    pub context_now: bool,
    /// Directory inside to begin in; the root, and a warning in the log, if it does not exist. `None` =
    /// the caller's, if it exists inside.
    pub cwd: Option<PathBuf>,
    /// Supplementary groups; `None` = none, where the kernel lets the caller's be dropped.
    pub groups: Option<Vec<u32>>,
    /// Forbid new privileges even if the container does not.
    pub no_new_privs: bool,
    /// personality(2) value; goes before [`AttachOptions::arch`].
    pub personality: Option<u64>,
    /// Descriptors to become 0, 1 and 2 instead of the caller's, each by itself: they may lie at any
    /// number. A terminal as the first becomes the controlling one, unless it is another session's.
    pub streams: [Option<Arc<OwnedFd>>; 3],
    /// With [`AttachOptions::terminal`]: gets a copy of the output.
    pub log: Option<Arc<OwnedFd>>,
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
            context_now: false,
            cwd: None,
            groups: None,
            no_new_privs: false,
            personality: None,
            streams: [const { None }; 3],
            log: None,
        }
    }
}

/// An attached process, child of the calling one. Dropped, it goes on: who does not wait for it here
/// reaps its pid otherwise.
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

    /// Passes on what is typed and shown on its terminal until it has ended or the terminal is gone.
    /// Blocks without limit; returns at once without a terminal, and the second time.
    ///
    /// # Errors
    /// The caller's terminal cannot be used.
    pub fn relay(&mut self) -> Result<()> {
        Ok(self.0.relay()?)
    }

    /// Waits for its end, relaying the terminal if it has one; gives the wait status. Blocks without
    /// limit.
    ///
    /// # Errors
    /// As [`Attached::relay`]; somebody else in this process has reaped it.
    pub fn wait(self) -> Result<i32> {
        Ok(self.0.wait()?.wait_status())
    }
}

impl Container {
    /// Runs a program inside. Returns when it runs.
    ///
    /// # Errors
    /// `NotRunning` (errno ECONNREFUSED), `Denied`, or the step that failed. What an option asks for
    /// and this machine or the container cannot give is `BadConfig`.
    pub fn attach(&self, options: &AttachOptions) -> Result<Attached> {
        self.attaching(options, |wish| attach::attach(wish, &options.command))
    }

    /// Runs `function` inside, in a fork of the calling process that has the calling thread only; its
    /// result's lowest byte is the exit status, 255 if it panics. Returns when it is about to run.
    /// [`AttachOptions::command`] is not looked at.
    ///
    /// The function finds the caller's memory, its signal mask and handlers, and its open descriptors
    /// but for those that are close-on-exec and name processes, namespaces, cgroups, files of /proc,
    /// pseudo-terminals or a container's monitor: those are closed. It can allocate. A lock that another thread of the
    /// caller held is never released in it, standard output's and error's among them. Standard output
    /// is not flushed at its end. Until it executes a program, nobody inside may look at its memory.
    ///
    /// # Errors
    /// As [`Container::attach`]; nothing has run then.
    pub fn attach_function(
        &self,
        options: &AttachOptions,
        function: impl FnOnce() -> i32,
    ) -> Result<Attached> {
        self.attaching(options, |wish| attach::attach_function(wish, function))
    }

    fn attaching(
        &self,
        options: &AttachOptions,
        attach: impl FnOnce(&attach::Wish<'_>) -> std::result::Result<attach::Attached, Failure>,
    ) -> Result<Attached> {
        let request = options.request()?;
        let variables = |config: &Config| -> Vec<(String, String)> {
            let values = config.values();
            let both = values.environment.iter().chain(&values.environment_runtime);
            both.map(|v| (v.value.name.clone(), v.value.value.clone()))
                .collect()
        };
        let configured = self.config().map(variables).unwrap_or_default();
        let settings = match self.config() {
            Some(config) => ProcessSettings::of(config.values()).map_err(Failure::from)?,
            None => ProcessSettings::default(),
        };
        let [stdin, stdout, stderr] = &options.streams;
        let attached = attach(&attach::Wish {
            lxcpath: &self.lxcpath,
            name: &self.name,
            request: &request,
            configured: &configured,
            settings: &settings,
            streams: [borrowed(stdin), borrowed(stdout), borrowed(stderr)],
            terminal: options.terminal,
            log: borrowed(&options.log),
        })?;
        Ok(Attached(attached))
    }
}

impl AttachOptions {
    fn request(&self) -> Result<AttachRequest> {
        let directory = self.cwd.as_ref().map(|path| match path.to_str() {
            Some(path) => Ok(path.to_owned()),
            None => {
                let text = format!("{} is not UTF-8: no directory to begin in", path.display());
                Err(Error::new(ErrorKind::BadConfig, text))
            }
        });
        Ok(AttachRequest {
            namespaces: self.namespaces.map(Namespaces),
            elevated: lxc_plan::Elevated {
                cgroup: self.elevated.cgroup,
                capabilities: self.elevated.caps,
                lsm: self.elevated.lsm,
            },
            uid: self.uid,
            gid: self.gid,
            clear_env: self.clear_env,
            keep_vars: self.keep_vars.clone(),
            set_vars: self.set_vars.clone(),
            bits32: self.arch.as_deref().map(is_32_bits).transpose()?,
            personality: self.personality,
            groups: self.groups.clone(),
            no_new_privs: self.no_new_privs,
            directory: directory.transpose()?,
            context: self.context.clone(),
            context_now: self.context_now,
        })
    }
}

fn borrowed(fd: &Option<Arc<OwnedFd>>) -> Option<BorrowedFd<'_>> {
    fd.as_ref().map(|fd| fd.as_fd())
}

/// The names are those of `lxc.arch`: its own table decides.
fn is_32_bits(arch: &str) -> Result<bool> {
    let mut config = Config::new();
    config.set("lxc.arch", arch)?;
    Ok(config.values().arch == Some(lxc_config::Arch::Bits32))
}
