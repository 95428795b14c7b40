//! Where a container's root filesystem comes from.

use lxc_config::Values;

use crate::{HostFacts, Refusal, RootfsFact, StartRequest};

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
