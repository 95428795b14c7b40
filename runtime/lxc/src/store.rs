//! All containers of one directory.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::paths;
use lxc_engine::wire;
use std::path::{Path, PathBuf};

/// A directory of containers.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The containers in `path`; `None` = `lxc.lxcpath`. It need not exist.
    pub fn open(path: Option<&Path>) -> Store {
        let path = path.map_or_else(paths::default_lxcpath, Path::to_path_buf);
        Store {
            path: PathBuf::from(paths::spelled(&path)),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the containers that have a configuration, sorted. A directory that does not exist
    /// holds none.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn defined(&self) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let path = self.path.display();
                let text = format!("cannot list the containers in {path}: {error}");
                return Err(Error::new(ErrorKind::Denied, text));
            }
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .filter(|n| !n.starts_with('.') && self.path.join(n).join("config").is_file())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Names of the running containers of this directory, sorted; those of the caller's network
    /// namespace, where their sockets are.
    pub fn active(&self) -> Result<Vec<String>> {
        Ok(wire::running(&self.path.to_string_lossy())?)
    }

    /// Both, sorted, each once.
    pub fn all(&self) -> Result<Vec<String>> {
        let mut names = self.defined()?;
        names.extend(self.active()?);
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// One of them.
    pub fn container(&self, name: &str) -> Result<Container> {
        Container::open(name, Some(&self.path))
    }
}
