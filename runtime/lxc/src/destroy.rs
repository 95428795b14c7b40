//! Destroy.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use lxc_engine::directory;
use lxc_engine::disk_lock::DiskLock;
use lxc_engine::hooks;
use lxc_engine::mapped::Mapped;
use std::path::Path;

impl Container {
    /// Removes it: destroy hooks, rootfs, directory, and what a killed monitor left. With
    /// `lxc.rootfs.managed = 0` nothing is removed.
    ///
    /// # Errors
    /// `NotDefined`; it runs, has snapshots or clones; what could not be removed.
    pub fn destroy(&mut self) -> Result<()> {
        let name = self.name.clone();
        let refuse = |text: String| Err(Error::new(ErrorKind::Other, text));
        let own = self.directory();
        if !self.is_defined() {
            let unseen = self.undefined();
            if unseen.kind() == ErrorKind::Denied {
                return Err(unseen);
            }
            let text = format!(
                "the container {name} is not defined in {}; lxc-ls lists those that are",
                self.lxcpath
            );
            return Err(Error::new(ErrorKind::NotDefined, text));
        }
        let lock = DiskLock::take_if_there(&self.lxcpath, &name);
        let _lock = lock.map_err(|e| Error::new(ErrorKind::Other, e.to_string()))?;
        if self.is_running()? {
            return refuse(format!("{name} is running; stop it first, or use -f"));
        }
        self.sweep();
        let managed = self.config().is_none_or(|c| c.values().rootfs.managed);
        if !managed {
            return Ok(());
        }
        if is_filled(&own.join("lxc_snapshots")) {
            return refuse(format!(
                "{name} has clones that need its rootfs; destroy them first"
            ));
        }
        if std::fs::read_dir(own.join("snaps")).is_ok_and(|mut d| d.next().is_some()) {
            return refuse(format!("{name} has snapshots; destroy them first"));
        }
        let mapped = self.mapped_for_others()?;
        if let Some(config) = self.config() {
            hooks::run_destroy(&name, &self.config_file.to_string_lossy(), config.values())?;
        }
        self.remove_rootfs(&own, mapped.as_ref())?;
        remove(&own, &["snaps"], mapped.as_ref())
    }

    /// How a caller that is not root gets at what belongs to root of the container.
    fn mapped_for_others(&self) -> Result<Option<Mapped>> {
        let idmap = self.config().map(|config| &config.values().idmap);
        let ranges: Vec<_> = idmap.into_iter().flatten().map(|r| r.value).collect();
        match ranges.is_empty() || lxc_engine::caller_ids().0 == 0 {
            true => Ok(None),
            false => Ok(Some(Mapped::check(&ranges, None)?)),
        }
    }

    /// The rootfs, wherever it is — but never a directory that holds more than it.
    fn remove_rootfs(&self, own: &Path, mapped: Option<&Mapped>) -> Result<()> {
        let Some(path) = self.config().and_then(|c| c.values().rootfs.path.as_ref()) else {
            return Ok(());
        };
        let storage = self
            .config()
            .and_then(|c| c.values().rootfs.storage.as_deref());
        if storage.is_some_and(|s| s != "dir") {
            let text = format!(
                "removing storage of type {} is not implemented yet",
                storage.unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::NotImplemented, text));
        }
        let rootfs = Path::new(&path.value);
        let Ok(real) = std::fs::canonicalize(rootfs) else {
            return Ok(());
        };
        let holds_us = std::fs::canonicalize(own).is_ok_and(|own| own.starts_with(&real));
        if holds_us || real.parent().is_none() {
            let text = format!(
                "the rootfs {} contains the container itself, or is the host's root; \
                 nothing was removed; correct lxc.rootfs.path",
                path.value
            );
            return Err(Error::new(ErrorKind::BadConfig, text));
        }
        let top_level = real
            .parent()
            .is_some_and(|parent| parent.parent().is_none());
        if top_level {
            let text = format!(
                "the rootfs {} is a top-level directory of the host; nothing was removed; correct \
                 lxc.rootfs.path, or clear it to destroy the rest",
                path.value
            );
            return Err(Error::new(ErrorKind::BadConfig, text));
        }
        // What a start refuses to use as a rootfs is not taken for one here either.
        if !real.is_dir() {
            let text = format!(
                "the rootfs {} is no directory, and removing others is not implemented yet; \
                 nothing was removed; clear lxc.rootfs.path to destroy the rest",
                path.value
            );
            return Err(Error::new(ErrorKind::NotImplemented, text));
        }
        remove(&real, &[], mapped)
    }
}

fn remove(path: &Path, keep: &[&str], mapped: Option<&Mapped>) -> Result<()> {
    match mapped {
        Some(mapped) => Ok(mapped.remove(path, keep)?),
        None => directory::remove(path, keep).map_err(|e| {
            let text = format!("cannot remove {}\n  {e}", path.display());
            Error::new(ErrorKind::Other, text)
        }),
    }
}

fn is_filled(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.len() > 0)
}
