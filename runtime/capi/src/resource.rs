//! What is given to a running container: devices and mounts.

use crate::argument::{Handle, Text};
use crate::object::member;
use crate::refusal::{Outcome, Refusal, code, no};
use libc::{c_int, c_ulong, c_void};
use std::path::Path;

pub extern "C" fn add_device_node(c: Handle, src_path: Text, dest_path: Text) -> bool {
    member(c, no, |object| {
        let source = src_path.required("the device")?;
        let target = dest_path.get("the device's new path")?;
        let container = object.container();
        container.add_device_node(source.as_ref(), target.map(Path::new))?;
        Ok(true)
    })
}

pub extern "C" fn remove_device_node(c: Handle, src_path: Text, dest_path: Text) -> bool {
    member(c, no, |object| {
        let source = src_path.required("the device")?;
        let target = dest_path.get("the device's new path")?;
        let container = object.container();
        container.remove_device_node(source.as_ref(), target.map(Path::new))?;
        Ok(true)
    })
}

/// The last argument says which version of this function the caller knows; there is one.
pub extern "C" fn mount(
    c: Handle,
    source: Text,
    target: Text,
    filesystemtype: Text,
    mountflags: c_ulong,
    data: Text,
    _version: *const c_void,
) -> c_int {
    member(c, code, |object| {
        let container = object.configured().map_err(invalid)?;
        let source = source
            .get("the source")?
            .filter(|source| !source.is_empty());
        let target = target.required("the target")?;
        let fstype = filesystemtype.get("the type of file system")?;
        let data = data.get("the mount's data")?;
        told(
            container.mount(source, target, fstype, mountflags, data),
            -1,
        )
    })
}

pub extern "C" fn umount(
    c: Handle,
    target: Text,
    mountflags: c_ulong,
    _version: *const c_void,
) -> c_int {
    member(c, code, |object| {
        let container = object.configured().map_err(invalid)?;
        let target = target.required("the target")?;
        told(container.umount(target, mountflags), 1)
    })
}

fn invalid(refusal: Refusal) -> Refusal {
    refusal.coded(-libc::EINVAL)
}

/// 0, or `failed`; what is wrong with the request itself is -EINVAL.
fn told(done: lxc_runtime::Result<()>, failed: c_int) -> Outcome<c_int> {
    match done.map_err(Refusal::from) {
        Ok(()) => Ok(0),
        Err(refusal) if refusal.errno == libc::EINVAL => Err(refusal),
        Err(refusal) => Err(refusal.coded(failed)),
    }
}
