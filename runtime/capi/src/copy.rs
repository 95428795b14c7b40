//! Clone and rename.

use crate::argument::{Handle, Text, Words};
use crate::object::{self, member};
use crate::refusal::no;
use libc::c_int;
use lxc_runtime::{Container, CopyOptions};
use std::path::Path;
use std::ptr;

#[allow(clippy::too_many_arguments)] // LXC's interface
pub extern "C" fn clone(
    c: Handle,
    newname: Text,
    lxcpath: Text,
    flags: c_int,
    bdevtype: Text,
    _bdevdata: Text,
    newsize: u64,
    hookargs: Words,
) -> Handle {
    let none = |_| Handle(ptr::null_mut());
    member(c, none, |object| {
        let hook_args = hookargs
            .get("an argument of the clone hooks")?
            .unwrap_or_default();
        let copy = object.container().copy(&CopyOptions {
            name: newname.get("the new name")?,
            lxcpath: lxcpath.get("the new directory")?.map(Path::new),
            flags,
            storage: bdevtype.get("the type of storage")?,
            size: newsize,
            hook_args: &hook_args,
        })?;
        Ok(object::new(copy))
    })
}

pub extern "C" fn rename(c: Handle, newname: Text) -> bool {
    member(c, no, |object| {
        let newname = newname.required("the new name")?;
        // The object goes on meaning the old name.
        Container::clone(&object.container()).rename(newname)?;
        Ok(true)
    })
}
