//! Snapshots.

use crate::argument::{Handle, Out, Text};
use crate::layout::lxc_snapshot;
use crate::memory;
use crate::object::member;
use crate::refusal::{Refusal, minus_one, no};
use libc::c_int;
use lxc_runtime::{Container, Snapshot};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

pub extern "C" fn snapshot(c: Handle, commentfile: Text) -> c_int {
    member(c, minus_one, |object| {
        let comment = commentfile.get("the comment's file")?;
        let number = object.container().snapshot(comment.map(Path::new))?;
        Ok(c_int::try_from(number).unwrap_or(c_int::MAX))
    })
}

pub extern "C" fn snapshot_list(c: Handle, snapshots: Out<*mut lxc_snapshot>) -> c_int {
    member(c, minus_one, |object| {
        let found: Vec<lxc_snapshot> = object
            .container()
            .snapshots()?
            .iter()
            .map(described)
            .collect();
        if found.is_empty() {
            return Ok(0);
        }
        let array = match snapshots.is_null() {
            true => ptr::null_mut(),
            false => memory::array(&found),
        };
        if array.is_null() {
            for snapshot in found {
                release(&snapshot);
            }
            return Err(Refusal::new(
                libc::ENOMEM,
                "there is no place for the snapshots",
            ));
        }
        snapshots.set(array);
        Ok(c_int::try_from(found.len()).unwrap_or(c_int::MAX))
    })
}

fn described(snapshot: &Snapshot) -> lxc_snapshot {
    let path = |path: &Path| memory::bytes(path.as_os_str().as_bytes());
    lxc_snapshot {
        name: memory::text(&snapshot.name),
        comment_pathname: path(&snapshot.comment),
        timestamp: snapshot
            .timestamp
            .as_deref()
            .map_or(ptr::null_mut(), memory::text),
        lxcpath: path(&snapshot.lxcpath),
        free,
    }
}

/// The member `free` of a snapshot.
extern "C" fn free(snapshot: Out<lxc_snapshot>) {
    if let Some(texts) = snapshot.get() {
        release(&texts);
    }
}

fn release(snapshot: &lxc_snapshot) {
    let texts = [
        snapshot.name,
        snapshot.comment_pathname,
        snapshot.timestamp,
        snapshot.lxcpath,
    ];
    texts.into_iter().for_each(memory::release);
}

pub extern "C" fn snapshot_restore(c: Handle, snapname: Text, newname: Text) -> bool {
    member(c, no, |object| {
        let snapname = snapname.required("the snapshot")?;
        let newname = newname.get("the new name")?;
        let mut container = Container::clone(&object.container());
        let name = newname.unwrap_or(container.name()).to_owned();
        container.restore_snapshot(snapname, &name)?;
        Ok(true)
    })
}

pub extern "C" fn snapshot_destroy(c: Handle, snapname: Text) -> bool {
    member(c, no, |object| {
        let snapname = snapname.required("the snapshot")?;
        object.container().destroy_snapshot(snapname)?;
        Ok(true)
    })
}

pub extern "C" fn snapshot_destroy_all(c: Handle) -> bool {
    member(c, no, |object| {
        object.container().destroy_snapshots()?;
        Ok(true)
    })
}
