//! Start.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::log;
use crate::paths::{self, Installation};
use lxc_engine::directory::{Creation, creation};
use lxc_engine::launch;
use lxc_engine::request::MonitorRequest;
use std::path::PathBuf;

/// How a container is started. The default starts a daemon with the configured init.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// Program and arguments instead of the configured init.
    pub argv: Vec<String>,
    /// Run the program under a minimal init (lxc-execute).
    pub mini_init: bool,
    /// Stay with the caller: its terminal becomes the console.
    pub foreground: bool,
    /// Close descriptors the caller left open. Always done but for those LISTEN_FDS names.
    pub close_all_fds: bool,
    /// File for the monitor's pid.
    pub pidfile: Option<PathBuf>,
}

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs in the background.
    Daemon {
        /// Pid of its init.
        init_pid: i32,
    },
    /// It ran in the foreground and has ended.
    Ended {
        /// How init ended, as LXC's `error_num` says it: exit code << 8 (the minimal init ends with
        /// its program's code), or signal << 8 | 0x7f.
        status: i32,
    },
}

impl Container {
    /// Starts it.
    ///
    /// A daemon: blocks until it runs or has failed, without limit, because hooks are users' code.
    /// Foreground: blocks until it has ended; the monitor is a child that dies with the calling
    /// thread. Signals that the caller gets are not passed on: a library must not take a program's
    /// signals away from it. Those of the terminal reach the monitor by themselves.
    ///
    /// # Errors
    /// `AlreadyRunning`, `NotDefined`, `BadConfig`, `Step` …; nothing is left behind, or the text
    /// says what.
    pub fn start(&self, options: &StartOptions) -> Result<Started> {
        let request = self.monitor_request(options)?;
        if options.foreground {
            let status = launch::run_foreground(request)?;
            return Ok(Started::Ended { status });
        }
        Ok(Started::Daemon {
            init_pid: launch::start_daemon(request)?,
        })
    }

    /// Becomes the foreground monitor: same pid, same terminal. For programs without threads that do
    /// nothing else. Returns only an error.
    pub fn become_monitor(&self, options: &StartOptions) -> Error {
        match self.monitor_request(options) {
            Ok(request) => launch::become_monitor(request).into(),
            Err(error) => error,
        }
    }

    /// The steps a start would take now, one a line. Takes none of them.
    ///
    /// # Errors
    /// What a start would be refused for.
    pub fn plan(&self, options: &StartOptions) -> Result<String> {
        let request = self.monitor_request(options)?;
        Ok(lxc_engine::start::preview(&request)?)
    }

    fn monitor_request(&self, options: &StartOptions) -> Result<MonitorRequest> {
        let name = &self.name;
        let Some(config) = &self.config else {
            return Err(self.undefined());
        };
        // What a configuration asks for and would not get must not be found out from inside.
        if let Some(first) = config.not_carried_out().into_iter().next() {
            return Err(first.into());
        }
        match creation(&self.directory()) {
            Creation::Finished => {}
            Creation::Ongoing => {
                let text = format!("the container {name} is still being created; wait for that");
                return Err(Error::new(ErrorKind::Other, text));
            }
            Creation::Abandoned => {
                let text = format!(
                    "the creation of the container {name} never finished; \
                     'lxc-destroy {name}' removes what there is"
                );
                return Err(Error::new(ErrorKind::Other, text));
            }
        }
        let pidfile = options
            .pidfile
            .as_ref()
            .map(|p| p.to_string_lossy().into_owned());
        let installation = Installation::discover();
        let (cgroup_pattern, cgroup_use) = paths::cgroup_settings();
        Ok(MonitorRequest {
            name: name.clone(),
            lxcpath: self.lxcpath.clone(),
            config_file: self.config_file.to_string_lossy().into_owned(),
            config: MonitorRequest::carry(config),
            argv: options.argv.clone(),
            mini_init: options.mini_init,
            foreground: options.foreground,
            in_place: false,
            pidfile,
            default_mount_point: installation.mount_point(),
            default_profiles: installation.profiles(),
            login: (!config.values().idmap.is_empty())
                .then(lxc_engine::caller_login)
                .flatten(),
            cgroup_pattern,
            cgroup_use,
            log: log::target(config),
        })
    }
}
