//! What LXC can and this project cannot yet: each refuses with a sentence, and first with the answer
//! that is known already.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use lxc_engine::directory;
use std::path::{Path, PathBuf};

/// A snapshot of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `snap0`, …
    pub name: String,
    /// Where its comment is, whether there is one or not.
    pub comment: PathBuf,
    /// When it was made, local time `%Y:%m:%d %H:%M:%S`.
    pub timestamp: Option<String>,
    /// Directory that holds it.
    pub lxcpath: PathBuf,
}

/// Remedies that several of them share.
const DEBIANS_SNAPSHOT: &str = "use Debian's lxc-snapshot until then";
const DEBIANS_CHECKPOINT: &str = "use Debian's lxc-checkpoint until then";

impl Container {
    /// Its snapshots, in the order of the directory; none when there is no directory of them.
    ///
    /// # Errors
    /// `NotDefined`; the directory cannot be read.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        self.defined()?;
        let holds = self.snapshot_directory();
        directory::snapshots(&holds)
            .map(|found| {
                let snapshot = |(name, timestamp): (String, _)| Snapshot {
                    comment: holds.join(&name).join("comment"),
                    name,
                    timestamp,
                    lxcpath: holds.clone(),
                };
                found.into_iter().map(snapshot).collect()
            })
            .map_err(|error| {
                let text = format!("cannot list the snapshots of {}\n  {error}", self.name);
                Error::new(ErrorKind::Other, text)
            })
    }

    /// Where LXC puts them: all containers' in one directory beside lxcpath if that exists, as LXC 1.0
    /// did, else in the container's own.
    fn snapshot_directory(&self) -> PathBuf {
        let old = PathBuf::from(format!("{}snaps", self.lxcpath));
        match old.is_dir() {
            true => old.join(&self.name),
            false => self.directory().join("snaps"),
        }
    }

    /// Takes a snapshot; gives its number.
    pub fn snapshot(&self, _comment: Option<&Path>) -> Result<u32> {
        self.stopped()?;
        Err(Error::not_yet(
            "taking a snapshot",
            "copy its directory while it is stopped",
        ))
    }

    /// Makes a container of a snapshot.
    pub fn restore_snapshot(&mut self, snapshot: &str, _name: &str) -> Result<()> {
        self.has_snapshot(snapshot)?;
        Err(Error::not_yet("restoring a snapshot", DEBIANS_SNAPSHOT))
    }

    /// Removes a snapshot.
    pub fn destroy_snapshot(&self, snapshot: &str) -> Result<()> {
        self.has_snapshot(snapshot)?;
        Err(Error::not_yet("removing a snapshot", DEBIANS_SNAPSHOT))
    }

    /// Removes all snapshots.
    pub fn destroy_snapshots(&self) -> Result<()> {
        self.defined()?;
        if !self.snapshot_directory().is_dir() {
            let text = format!("the container {} has no snapshots", self.name);
            return Err(Error::new(ErrorKind::Other, text).with_errno(libc::ENOENT));
        }
        Err(Error::not_yet("removing snapshots", DEBIANS_SNAPSHOT))
    }

    fn has_snapshot(&self, name: &str) -> Result<()> {
        if self.snapshots()?.iter().any(|found| found.name == name) {
            return Ok(());
        }
        let text = format!(
            "the container {} has no snapshot {name:?}; 'lxc-snapshot -L' lists them",
            self.name
        );
        Err(Error::new(ErrorKind::Other, text).with_errno(libc::ENOENT))
    }

    /// Copies it.
    pub fn copy(&self, _options: &CopyOptions<'_>) -> Result<Container> {
        self.defined()?;
        Err(Error::not_yet(
            "copying a container",
            "use Debian's lxc-copy until then",
        ))
    }

    /// Gives it another name.
    pub fn rename(&mut self, _name: &str) -> Result<()> {
        self.stopped()?;
        Err(Error::not_yet(
            "renaming a container",
            "use Debian's lxc-copy -R until then",
        ))
    }

    /// Mounts into the running container.
    pub fn mount(
        &self,
        _source: Option<&str>,
        _target: &str,
        _fstype: Option<&str>,
        _flags: u64,
        _data: Option<&str>,
    ) -> Result<()> {
        let config = self.config();
        if config.is_none_or(|config| config.values().mount_auto.shmounts.is_none()) {
            let text = "lxc.mount.auto has no shmounts, through which mounts come inside; \
                        set it before the start: lxc.mount.auto = shmounts:HOST_DIRECTORY";
            return Err(Error::new(ErrorKind::BadConfig, text).with_errno(libc::EINVAL));
        }
        self.started()?;
        Err(Error::not_yet(
            "mounting into a running container",
            "use lxc.mount.entry and start again",
        ))
    }

    /// Unmounts in the running container.
    pub fn umount(&self, _target: &str, _flags: u64) -> Result<()> {
        self.started()?;
        Err(Error::not_yet(
            "unmounting in a running container",
            "run umount with lxc-attach",
        ))
    }

    /// Gives it a device of the host.
    pub fn add_device_node(&self, _source: &Path, _target: Option<&Path>) -> Result<()> {
        self.started()?;
        Err(Error::not_yet(
            "adding a device",
            "use lxc.mount.entry and start again",
        ))
    }

    /// Takes a device away.
    pub fn remove_device_node(&self, _source: &Path, _target: Option<&Path>) -> Result<()> {
        self.started()?;
        Err(Error::not_yet(
            "removing a device",
            "remove its node with lxc-attach",
        ))
    }

    /// Gives it an interface of the host.
    pub fn attach_interface(&self, _device: &str, _name: Option<&str>) -> Result<()> {
        self.started()?;
        Err(Error::not_yet(
            "moving an interface into a container",
            "use 'ip link set DEV netns PID'",
        ))
    }

    /// Takes an interface back.
    pub fn detach_interface(&self, _device: &str, _name: Option<&str>) -> Result<()> {
        self.started()?;
        Err(Error::not_yet(
            "taking an interface back",
            "run 'ip link set DEV netns 1' with lxc-attach",
        ))
    }

    /// Saves its processes.
    pub fn checkpoint(&self, _directory: &Path, _stop: bool, _verbose: bool) -> Result<()> {
        self.started()?;
        Err(Error::not_yet("checkpointing", DEBIANS_CHECKPOINT))
    }

    /// Starts it from what a checkpoint saved.
    pub fn restore(&self, _directory: &Path, _verbose: bool) -> Result<()> {
        self.stopped()?;
        Err(Error::not_yet("restoring a checkpoint", DEBIANS_CHECKPOINT))
    }

    fn defined(&self) -> Result<()> {
        match self.is_defined() {
            true => Ok(()),
            false => Err(self.undefined()),
        }
    }

    /// Defined, and not running.
    fn stopped(&self) -> Result<()> {
        self.defined()?;
        if self.is_running()? {
            let text = format!("the container {} is running; stop it first", self.name);
            return Err(Error::new(ErrorKind::AlreadyRunning, text));
        }
        Ok(())
    }

    fn started(&self) -> Result<()> {
        match self.is_running()? {
            true => Ok(()),
            false => Err(Error::not_running(&self.name)),
        }
    }
}

/// How a container is copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions<'a> {
    /// Name of the copy; `None` = the same.
    pub name: Option<&'a str>,
    /// Its lxcpath; `None` = the same.
    pub lxcpath: Option<&'a Path>,
    /// LXC_CLONE_* bits.
    pub flags: i32,
    /// Storage type.
    pub storage: Option<&'a str>,
    /// Size, bytes; 0 = as the source.
    pub size: u64,
    /// Arguments of the clone hooks.
    pub hook_args: &'a [String],
}
