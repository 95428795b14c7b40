//! Objects made, referred to and put.

use crate::argument::{Handle, Text};
use crate::object;
use crate::refusal::{Outcome, global, guarded};
use libc::c_int;
use lxc_runtime::{Container, ErrorKind};
use std::path::Path;
use std::ptr;

/// An object for a container. A configuration with a fault makes none; as there is no object that
/// could say why, standard error does.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_container_new(name: Text, configpath: Text) -> Handle {
    let none = |_| Handle(ptr::null_mut());
    global(none, || {
        let name = name.required("the name of a container")?;
        let path = configpath.get("the directory of containers")?;
        open(name, path)
    })
}

fn open(name: &str, path: Option<&str>) -> Outcome<Handle> {
    let container = Container::open(name, path.map(Path::new)).inspect_err(|error| {
        if error.kind() == ErrorKind::BadConfig {
            eprintln!("lxc: cannot load the configuration of {name}\n  {error}");
        }
    })?;
    Ok(object::new(container))
}

/// 1 with one more reference, else 0.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_container_get(c: Handle) -> c_int {
    guarded(|| Ok(object::get(c))).is_ok_and(|got| got).into()
}

/// 1 if that was the last reference, 0 if there are more, -1 if there was none.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_container_put(c: Handle) -> c_int {
    match guarded(|| Ok(object::put(c))) {
        Ok(Some(gone)) => gone.into(),
        Ok(None) | Err(_) => -1,
    }
}
