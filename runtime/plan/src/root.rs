//! Where a container's root filesystem comes from.

use lxc_config::Values;

use crate::{HostFacts, Refusal, RootfsFact, StartRequest};
use lxc_config::{IdmapSource, Propagation, RootfsOptions};
use std::fmt;

/// How the rootfs is mounted; by default as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RootfsMountOptions {
    /// MOUNT_ATTR_* bits to set, on everything mounted below as well.
    pub set: u64,
    /// MOUNT_ATTR_* bits to clear there.
    pub clear: u64,
    /// Propagation from the host, and whether it is that of everything mounted below as well.
    pub propagation: Option<(Propagation, bool)>,
    /// Whose ids its files show.
    pub idmap: Option<IdmapSource>,
    /// The words as written, for the reader.
    pub words: String,
}

impl fmt::Display for RootfsMountOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words.as_str() {
            "" => Ok(()),
            words => write!(f, " ({words})"),
        }
    }
}

/// What `lxc.rootfs.options` asks for.
///
/// # Errors
/// Words that mean nothing for a directory that is mounted again.
pub fn options(values: &Values) -> Result<RootfsMountOptions, Refusal> {
    let Some(RootfsOptions {
        text,
        origin,
        options,
    }) = &values.rootfs.options
    else {
        return Ok(RootfsMountOptions::default());
    };
    let refused = |sentence: String, remedy: &str| {
        Err(Refusal::new(sentence, remedy).at("lxc.rootfs.options", origin))
    };
    if !options.data.is_empty() {
        return refused(
            format!(
                "the rootfs is a directory of a filesystem that is mounted already: {} cannot be an option \
                 of it",
                options.data.join(",")
            ),
            "leave it out, or mount the filesystem with it on the host",
        );
    }
    if options.moves {
        return refused(
            "a rootfs is not moved, or the next start would not find it".into(),
            "leave out the word move",
        );
    }
    Ok(RootfsMountOptions {
        set: options.set,
        clear: options.clear,
        // The switch of the root makes every mount a peer in any case, and does not take one that
        // is a peer already.
        propagation: options
            .propagation
            .filter(|(wanted, _)| *wanted != Propagation::Shared),
        idmap: options.idmap.clone(),
        words: text.clone(),
    })
}

/// The rootfs directory and its mount point; `None` = the host's root is used.
pub fn rootfs(
    values: &Values,
    facts: &HostFacts,
    request: &StartRequest,
) -> Result<Option<(String, String)>, Refusal> {
    let Some(path) = &values.rootfs.path else {
        return Ok(None);
    };
    let at = |r: Refusal| r.at("lxc.rootfs.path", &path.origin);
    if let Some(storage) = &values.rootfs.storage
        && storage != "dir"
    {
        let what = format!("storage of type {storage}");
        return Err(at(Refusal::not_yet(
            &what,
            "use a directory until then (dir:PATH)",
        )));
    }
    match &facts.rootfs {
        RootfsFact::Directory => {}
        RootfsFact::Missing | RootfsFact::NotSet => {
            return Err(at(Refusal::new(
                format!("the rootfs {} does not exist", path.value),
                "create it (lxc-create does), or correct lxc.rootfs.path",
            )));
        }
        RootfsFact::Other(kind) => {
            return Err(at(Refusal::not_yet(
                &format!("a rootfs in a {kind} ({})", path.value),
                "use a directory until then",
            )));
        }
    }
    let target = match (&values.rootfs.mount, &request.default_mount_point) {
        (Some(mount), _) if facts.mount_point_exists => mount.clone(),
        (Some(mount), _) => {
            return Err(Refusal::new(
                format!("the mount point {mount} (lxc.rootfs.mount) does not exist"),
                format!("create the directory ('mkdir -p {mount}') or remove lxc.rootfs.mount"),
            ));
        }
        (None, Some(default)) if facts.mount_point_exists => default.clone(),
        (None, _) => path.value.clone(),
    };
    Ok(Some((path.value.clone(), target)))
}
