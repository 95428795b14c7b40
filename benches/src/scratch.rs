//! What a run makes and takes away again: a directory, in it one container, in it crun's bundle.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::bundle;
use crate::command;
use crate::subject::{Act, Subject};

/// The run's directory. Dropped, it takes away what is left, whatever has failed.
pub struct Scratch {
    directory: PathBuf,
    /// Name of the container, unlike any other's.
    pub name: String,
    /// Stops or removes the container by any subject's tools, should a run end early.
    rescue: std::cell::RefCell<Vec<Vec<String>>>,
}

impl Scratch {
    /// Makes it, below the temporary directory, under a name of this process's own.
    pub fn create() -> Result<Scratch, Failure> {
        let name = format!("bench-{}", std::process::id());
        let directory = std::env::temp_dir().join(format!("lxc-{name}"));
        let broken = |error| format!("cannot create {}: {error}", directory.display());
        fs::create_dir(&directory).map_err(broken)?;
        fs::create_dir(directory.join("containers")).map_err(broken)?;
        Ok(Scratch {
            directory,
            name,
            rescue: Default::default(),
        })
    }

    /// Where commands' streams go.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// The lxcpath of all LXC subjects.
    pub fn lxcpath(&self) -> PathBuf {
        self.directory.join("containers")
    }

    /// Remembers how a subject's container is stopped.
    pub fn may_leave_running(&self, stop: Vec<String>) {
        self.rescue.borrow_mut().push(stop);
    }

    /// Creates the busybox container that every LXC subject starts in turn. Without a network
    /// device, so that no bridge of the host is needed.
    pub fn create_container(&self, by: &Subject) -> Result<(), Failure> {
        let config = self.directory.join("first.conf");
        fs::write(&config, "lxc.net.0.type = empty\n")
            .map_err(|error| format!("cannot write {}: {error}", config.display()))?;
        let words = by.command(Act::Create(&config));
        command::timed(&words, &self.directory).map(drop)
    }

    /// The container's root directory.
    pub fn rootfs(&self) -> PathBuf {
        self.lxcpath().join(&self.name).join("rootfs")
    }

    /// Writes crun's bundle beside the container and gives its directory.
    pub fn write_bundle(&self) -> Result<PathBuf, Failure> {
        let bundle = self.directory.join("bundle");
        let text = bundle::config(&self.rootfs(), &self.name).to_string();
        fs::create_dir_all(&bundle)
            .and_then(|()| fs::write(bundle.join("config.json"), text))
            .map_err(|error| format!("cannot write {}: {error}", bundle.display()))?;
        Ok(bundle)
    }

    /// Destroys the container and removes the directory.
    pub fn remove(mut self, by: &Subject) -> Result<(), Failure> {
        command::timed(&by.command(Act::Destroy), &self.directory)?;
        self.rescue.take();
        let directory = std::mem::take(&mut self.directory);
        fs::remove_dir_all(&directory)
            .map_err(|error| format!("cannot remove {}: {error}", directory.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.directory.as_os_str().is_empty() {
            return;
        }
        for words in self.rescue.take() {
            // Most find nothing to do: the run failed somewhere, this is every way out.
            let _ = command::timed(&words, &self.directory);
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!(
                "bench: {} is left behind: {error}",
                self.directory.display()
            );
        }
    }
}
