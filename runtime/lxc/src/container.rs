//! One container: its configuration and its state.

use crate::error::{Error, ErrorKind, Result};
use crate::paths;
use lxc_config::Config;
use lxc_engine::inquiry;
use lxc_engine::wire::{Asked, Client, State};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A container by name, whether it exists or not.
#[derive(Debug, Clone)]
pub struct Container {
    pub(crate) name: String,
    pub(crate) lxcpath: String,
    pub(crate) config: Option<Config>,
    pub(crate) config_file: PathBuf,
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
        let config = match config_file.is_file() {
            true => Some(Config::load(&config_file)?),
            false => None,
        };
        Ok(Container {
            name: name.to_string(),
            lxcpath,
            config,
            config_file,
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

    /// Its configuration to change; an empty one is made if there is none.
    pub fn config_mut(&mut self) -> &mut Config {
        self.config.get_or_insert_with(Config::new)
    }

    /// Replaces the configuration by that of `file`, which is also where it is saved from now on.
    ///
    /// # Errors
    /// As [`Container::open`]; the present configuration stays.
    pub fn use_config_file(&mut self, file: &Path) -> Result<()> {
        self.config = Some(Config::load(file)?);
        self.config_file = file.to_path_buf();
        Ok(())
    }

    /// Sets a key in memory; an empty value clears it. A running container is not affected.
    pub fn set_config_item(&mut self, key: &str, value: &str) -> Result<()> {
        Ok(self.config_mut().set(key, value)?)
    }

    /// A key's value in the text form of LXC; `None` when it is not set.
    pub fn config_item(&self, key: &str) -> Result<Option<String>> {
        match &self.config {
            Some(config) => Ok(config.get(key)?),
            None => Ok(Config::new().get(key)?),
        }
    }

    /// A key's value as the running container has it; `None` when it does not run or the key is not
    /// set.
    pub fn running_config_item(&self, key: &str) -> Result<Option<String>> {
        Ok(self.client().config_item(key)?.answer().flatten())
    }

    /// Writes the configuration to its file as a whole, keeping comments and unknown lines.
    pub fn save_config(&self) -> Result<()> {
        let text = self.config.as_ref().map(Config::text).unwrap_or_default();
        lxc_engine::directory::write_config(&self.config_file, &text).map_err(|e| {
            let file = self.config_file.display();
            Error::new(
                ErrorKind::Other,
                format!("cannot save the configuration {file}\n  {e}"),
            )
        })
    }

    /// Its state now. Blocks until the monitor answers.
    pub fn state(&self) -> Result<State> {
        Ok(self.client().state()?)
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
        let deadline = timeout.map(|t| Instant::now() + t);
        Ok(self.client().wait(states, deadline)?.is_some())
    }

    /// Its addresses, loopback and link-local ones left out, sorted as text; none when it does not run.
    pub fn ips(&self) -> Result<Vec<IpAddr>> {
        let found = self.network()?.map(|n| n.addresses).unwrap_or_default();
        Ok(found.into_iter().map(|(_, ip)| ip).collect())
    }

    /// Its interfaces; none when it does not run.
    pub fn interfaces(&self) -> Result<Vec<String>> {
        Ok(self.network()?.map(|n| n.interfaces).unwrap_or_default())
    }

    fn network(&self) -> Result<Option<inquiry::NetworkView>> {
        let Some(pidfd) = inquiry::init_pidfd(&self.client())? else {
            return Ok(None);
        };
        use std::os::fd::AsFd;
        inquiry::network(pidfd.as_fd()).map(Some).map_err(|e| {
            let name = &self.name;
            Error::new(
                ErrorKind::Other,
                format!("cannot look into {name}'s network\n  {e}"),
            )
        })
    }

    /// A file of its cgroup, such as `memory.current`; `None` when it does not run or has no such
    /// file.
    pub fn cgroup_item(&self, file: &str) -> Result<Option<String>> {
        Ok(inquiry::cgroup_item(&self.client(), file)?)
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
