//! `lxc.rootfs.path` and `lxc.rootfs.options`.

use crate::grammar;
use crate::setting::{Fault, Input, Setting};
use crate::values::{RootfsOptions, Values};

/// Type words of `TYPE:PATH`.
const STORAGE_TYPES: &[&str] = &[
    "dir",
    "zfs",
    "lvm",
    "rbd",
    "btrfs",
    "overlay",
    "overlayfs",
    "loop",
    "nbd",
];

/// `lxc.rootfs.path = [TYPE:]PATH`.
pub(crate) struct RootfsPath;

impl Setting<Values> for RootfsPath {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let (storage, path) = split_type(input.value)?;
        values.rootfs.path = Some(grammar::located(input, path.to_owned()));
        values.rootfs.storage = storage.map(str::to_owned);
        Ok(())
    }

    fn clear(&self, values: &mut Values) {
        values.rootfs.path = None;
        values.rootfs.storage = None;
    }

    fn get(&self, values: &Values) -> Option<String> {
        values.rootfs.path.as_ref().map(|path| path.value.clone())
    }
}

/// The type word and the path. A `:` behind a `/` belongs to the path.
fn split_type(value: &str) -> Result<(Option<&str>, &str), Fault> {
    let Some((word, path)) = value
        .split_once(':')
        .filter(|(word, _)| !word.contains('/'))
    else {
        return Ok((None, value));
    };
    if !STORAGE_TYPES.contains(&word) {
        let known = STORAGE_TYPES.join(", ");
        return Err(Fault::bad(
            "not a storage type",
            format!("PATH or TYPE:PATH with one of {known} is expected"),
        )
        .about(word));
    }
    if path.is_empty() {
        return Err(Fault::bad(
            "no path behind the type",
            format!("{word}:PATH is expected"),
        ));
    }
    Ok((Some(word), path))
}

/// Options of the mount of the rootfs: those of `lxc.mount.entry` that say nothing about a source
/// or a target.
pub(crate) fn options(input: &Input) -> Result<Option<RootfsOptions>, Fault> {
    let options = crate::mount_entry::parse_options(input.value)?;
    let misplaced = [
        (options.create.is_some(), "create="),
        (options.optional, "optional"),
        (options.relative, "relative"),
    ];
    if let Some((_, word)) = misplaced.iter().find(|(present, _)| *present) {
        return Err(Fault::bad(
            format!("{word} means nothing for a rootfs"),
            format!("leave {word} out; it belongs into lxc.mount.entry"),
        ));
    }
    Ok(Some(RootfsOptions {
        text: input.value.to_owned(),
        origin: input.origin.clone(),
        options,
    }))
}

pub(crate) fn show_options(options: &Option<RootfsOptions>) -> Option<String> {
    options.as_ref().map(|options| options.text.clone())
}
