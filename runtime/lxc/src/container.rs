//! One container: its configuration and its state.

use crate::configuration::{self, Lineage};
use crate::error::{Error, ErrorKind, Result};
use crate::paths;
use lxc_config::Config;
use lxc_engine::wire::{Asked, Client, State};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A container by name, whether it exists or not.
#[derive(Debug, Clone)]
pub struct Container {
    pub(crate) name: String,
    pub(crate) lxcpath: String,
    pub(crate) config: Option<Config>,
    pub(crate) config_file: PathBuf,
    pub(crate) lineage: Lineage,
    pub(crate) timeout: Option<Duration>,
}

impl Container {
    /// The container `name` in `lxcpath` (`None` = `lxc.lxcpath`), its configuration loaded if it has
    /// one. Creates nothing.
    ///
    /// # Errors
    /// `BadName`; `BadConfig` with file and line; the file cannot be read.
    pub fn open(name: &str, lxcpath: Option<&Path>) -> Result<Container> {
        check_name(name)?;
        let lxcpath = match lxcpath {
            Some(path) => paths::spelled(path),
            None => paths::spelled(&paths::default_lxcpath()),
        };
        let config_file = PathBuf::from(format!("{lxcpath}/{name}/config"));
        let (config, lineage) = configuration::read_own(&lxcpath, name, &config_file)?;
        Ok(Container {
            name: name.to_string(),
            lxcpath,
            config,
            config_file,
            lineage,
            timeout: None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Directory of all containers, as it was spelled.
    pub fn lxcpath(&self) -> &Path {
        Path::new(&self.lxcpath)
    }

    /// Its own directory.
    pub fn directory(&self) -> PathBuf {
        PathBuf::from(format!("{}/{}", self.lxcpath, self.name))
    }

    /// The file its configuration is loaded from and saved to.
    pub fn config_path(&self) -> PathBuf {
        self.config_file.clone()
    }

    /// Whether its configuration file exists now.
    pub fn is_defined(&self) -> bool {
        self.config_file.is_file()
    }

    /// Its configuration; `None` when nothing was loaded or set.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// Its configuration to change; an empty one is made if there is none. What is changed this way
    /// is saved as a whole, whatever others have written meanwhile.
    pub fn config_mut(&mut self) -> &mut Config {
        self.lineage = Lineage::Unrelated;
        self.config.get_or_insert_default()
    }

    /// A key's value as the running container has it; `None` when it does not run or the key is not
    /// set.
    pub fn running_config_item(&self, key: &str) -> Result<Option<String>> {
        Ok(self.client().config_item(key)?.answer().flatten())
    }

    /// Its state now. Blocks until the monitor answers, or for as long as [`Container::set_timeout`]
    /// says.
    ///
    /// # Errors
    /// `TimedOut`; whatever keeps a monitor that is there from answering.
    pub fn state(&self) -> Result<State> {
        Ok(self.client().with_timeout(self.timeout).state()?)
    }

    /// Whether it is in any state but STOPPED.
    pub fn is_running(&self) -> Result<bool> {
        Ok(self.state()? != State::Stopped)
    }

    /// Whether the caller may talk to its monitor; true when there is none.
    pub fn may_control(&self) -> Result<bool> {
        match self.client().init_pid() {
            Err(lxc_engine::wire::ClientError::Denied { .. }) => Ok(false),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(true),
        }
    }

    /// Pid of its init in the caller's pid namespace; `None` when it does not run.
    pub fn init_pid(&self) -> Result<Option<i32>> {
        Ok(self.client().init_pid()?.answer())
    }

    /// Waits until it is in one of `states`; `false` if `timeout` (`None` = no limit) passes first.
    pub fn wait(&self, states: &[State], timeout: Option<Duration>) -> Result<bool> {
        // An end so far away that the clock cannot count it is none.
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        Ok(self.client().wait(states, deadline)?.is_some())
    }

    /// Why there is nothing to act on: there is no configuration, or the caller may not see it.
    pub(crate) fn undefined(&self) -> Error {
        let (name, file) = (&self.name, self.config_file.display());
        match std::fs::metadata(&self.config_file) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                let text = format!(
                    "no permission to look at {file}; \
                     run this as root or as the owner of the container {name}"
                );
                Error::new(ErrorKind::Denied, text)
            }
            _ => {
                let text = format!(
                    "the container {name} is not defined: {file} does not exist; \
                     create it with lxc-create, or name a configuration with -f"
                );
                Error::new(ErrorKind::NotDefined, text)
            }
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.lxcpath, &self.name)
    }

    pub(crate) fn is_stopped<T>(answer: &Asked<T>) -> bool {
        matches!(answer, Asked::Stopped)
    }
}

/// A name is one path component that reads the same everywhere.
fn check_name(name: &str) -> Result<()> {
    let wrong = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it names a directory"
    } else if name.contains('/') {
        "it contains a slash"
    } else if name.chars().any(char::is_control) {
        "it contains a control character"
    } else if name.len() > 255 {
        "it is longer than 255 bytes"
    } else {
        return Ok(());
    };
    let text = format!(
        "{name:?} cannot be the name of a container: {wrong}; \
         use letters, digits, '.', '-' and '_'"
    );
    Err(Error::new(ErrorKind::BadName, text))
}
