//! Destroy.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use lxc_engine::disk_lock::DiskLock;
use lxc_engine::hooks;
use lxc_engine::removal::{self, Unremoved};

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
        removal::refuse_what_others_need(&name, &own)?;
        let values = self.config().map(|config| config.values());
        let mapped = removal::through(values)?;
        if let Some(values) = values {
            hooks::run_destroy(&name, &self.config_file.to_string_lossy(), values)?;
        }
        Ok(removal::remove(&own, values, mapped.as_ref())?)
    }
}

impl From<Unremoved> for Error {
    fn from(why: Unremoved) -> Error {
        let kind = match why {
            Unremoved::BadConfig(_) => ErrorKind::BadConfig,
            Unremoved::NotYet(_) => ErrorKind::NotImplemented,
            Unremoved::Told(failure) => return Error::from(failure),
            Unremoved::InUse(_) | Unremoved::Failed(_) => ErrorKind::Other,
        };
        Error::new(kind, why.to_string())
    }
}
