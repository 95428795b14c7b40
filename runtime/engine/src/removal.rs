//! The removal of a container that has stopped: its rootfs, wherever that is, and its directory.

use crate::directory;
use crate::failure::Failure;
use crate::mapped::Mapped;
use lxc_config::Values;
use std::fmt;
use std::path::Path;

/// Why something was not removed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unremoved {
    /// Others need it.
    InUse(String),
    /// The configuration names something that is not to be removed.
    BadConfig(String),
    /// LXC can, this project not yet.
    NotYet(String),
    /// The kernel refused.
    Failed(String),
    /// More than a sentence.
    Told(Failure),
}

impl fmt::Display for Unremoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unremoved::InUse(text)
            | Unremoved::BadConfig(text)
            | Unremoved::NotYet(text)
            | Unremoved::Failed(text) => f.write_str(text),
            Unremoved::Told(failure) => write!(f, "{failure}"),
        }
    }
}

/// Refuses a container whose rootfs or directory others need: clones, snapshots.
pub fn refuse_what_others_need(name: &str, own: &Path) -> Result<(), Unremoved> {
    if std::fs::metadata(own.join("lxc_snapshots")).is_ok_and(|m| m.len() > 0) {
        let text = format!("{name} has clones that need its rootfs; destroy them first");
        return Err(Unremoved::InUse(text));
    }
    if std::fs::read_dir(own.join("snaps")).is_ok_and(|mut d| d.next().is_some()) {
        let text = format!("{name} has snapshots; destroy them first");
        return Err(Unremoved::InUse(text));
    }
    Ok(())
}

/// How a caller that is not root gets at what belongs to root of the container; `None` where it needs
/// no other way.
pub fn through(values: Option<&Values>) -> Result<Option<Mapped>, Unremoved> {
    let ranges: Vec<_> = values
        .into_iter()
        .flat_map(|values| &values.idmap)
        .map(|range| range.value)
        .collect();
    if ranges.is_empty() || crate::caller_ids().0 == 0 {
        return Ok(None);
    }
    Mapped::check(&ranges, None)
        .map(Some)
        .map_err(Unremoved::Told)
}

/// Removes the rootfs that `values` name and the container's directory `own`.
///
/// # Errors
/// The first thing that could not be removed; what comes after it stays.
pub fn remove(
    own: &Path,
    values: Option<&Values>,
    mapped: Option<&Mapped>,
) -> Result<(), Unremoved> {
    if let Some(values) = values {
        remove_rootfs(own, values, mapped)?;
    }
    remove_tree(own, &["snaps"], mapped)
}

fn remove_tree(path: &Path, keep: &[&str], mapped: Option<&Mapped>) -> Result<(), Unremoved> {
    match mapped {
        Some(mapped) => mapped.remove(path, keep).map_err(Unremoved::Told),
        None => directory::remove(path, keep)
            .map_err(|e| Unremoved::Failed(format!("cannot remove {}\n  {e}", path.display()))),
    }
}

/// The rootfs, wherever it is — but never a directory that holds more than it.
fn remove_rootfs(own: &Path, values: &Values, mapped: Option<&Mapped>) -> Result<(), Unremoved> {
    let Some(path) = &values.rootfs.path else {
        return Ok(());
    };
    if let Some(storage) = values.rootfs.storage.as_deref().filter(|s| *s != "dir") {
        let text = format!("removing storage of type {storage} is not implemented yet");
        return Err(Unremoved::NotYet(text));
    }
    let Ok(real) = std::fs::canonicalize(&path.value) else {
        return Ok(());
    };
    let holds_us = std::fs::canonicalize(own).is_ok_and(|own| own.starts_with(&real));
    if holds_us || real.parent().is_none() {
        let text = format!(
            "the rootfs {} contains the container itself, or is the host's root; nothing was removed; \
             correct lxc.rootfs.path",
            path.value
        );
        return Err(Unremoved::BadConfig(text));
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
        return Err(Unremoved::BadConfig(text));
    }
    // What a start refuses to use as a rootfs is not taken for one here either.
    if !real.is_dir() {
        let text = format!(
            "the rootfs {} is no directory, and removing others is not implemented yet; nothing was \
             removed; clear lxc.rootfs.path to destroy the rest",
            path.value
        );
        return Err(Unremoved::NotYet(text));
    }
    remove_tree(&real, &[], mapped)
}
