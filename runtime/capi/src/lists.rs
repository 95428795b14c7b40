//! Lists of containers.

use crate::argument::{Handle, Out, Text};
use crate::memory;
use crate::object;
use crate::refusal::{Outcome, Refusal, code, global};
use libc::{c_char, c_int};
use lxc_runtime::Store;
use std::path::Path;
use std::ptr;

type Names = Out<*mut *mut c_char>;
type Objects = Out<*mut Handle>;

/// Those with a configuration; one that cannot be loaded is left out.
#[unsafe(no_mangle)]
pub extern "C" fn list_defined_containers(lxcpath: Text, names: Names, cret: Objects) -> c_int {
    list(lxcpath, names, cret, in_directory(Store::defined), None)
}

/// Those that run; one that cannot be loaded is a failure.
#[unsafe(no_mangle)]
pub extern "C" fn list_active_containers(lxcpath: Text, names: Names, cret: Objects) -> c_int {
    list(lxcpath, names, cret, |store| Ok(store.active()?), Some(-1))
}

/// Both; one that cannot be loaded is a failure.
#[unsafe(no_mangle)]
pub extern "C" fn list_all_containers(lxcpath: Text, names: Names, cret: Objects) -> c_int {
    list(
        lxcpath,
        names,
        cret,
        in_directory(Store::all),
        Some(-libc::EINVAL),
    )
}

/// C's callers are told of a directory that is not there; the library takes it for an empty one.
fn in_directory(
    find: fn(&Store) -> lxc_runtime::Result<Vec<String>>,
) -> impl Fn(&Store) -> Outcome<Vec<String>> {
    move |store| match store.path().is_dir() {
        true => Ok(find(store)?),
        false => {
            let path = store.path().display();
            let sentence = format!("there is no directory {path} to list containers in");
            Err(Refusal::new(libc::ENOENT, sentence))
        }
    }
}

/// `unloadable` is what is returned when a container cannot be loaded; `None` = it is left out.
fn list(
    lxcpath: Text,
    names: Names,
    objects: Objects,
    find: impl Fn(&Store) -> Outcome<Vec<String>>,
    unloadable: Option<c_int>,
) -> c_int {
    global(code, || {
        names.set(ptr::null_mut());
        objects.set(ptr::null_mut());
        let path = lxcpath.get("the directory of containers")?;
        let store = Store::open(path.map(Path::new));
        let mut found = find(&store).map_err(|refusal| refusal.coded(-1))?;
        if !objects.is_null() {
            let loaded = load(&store, &mut found, unloadable)?;
            let array = memory::array(&loaded);
            if array.is_null() && !loaded.is_empty() {
                put(&loaded);
                return Err(Refusal::new(libc::ENOMEM, "there is no memory left").coded(-1));
            }
            objects.set(array);
        }
        if !names.is_null() {
            names.set(memory::texts(&found, false));
        }
        Ok(c_int::try_from(found.len()).unwrap_or(c_int::MAX))
    })
}

/// An object for each name; names without one are removed.
fn load(store: &Store, names: &mut Vec<String>, unloadable: Option<c_int>) -> Outcome<Vec<Handle>> {
    let mut loaded = Vec::new();
    let mut fault = None;
    names.retain(|name| match (store.container(name), unloadable) {
        (Ok(container), _) => {
            loaded.push(object::new(container));
            true
        }
        (Err(error), None) => {
            log::warn!("{name} is left out: {error}");
            false
        }
        (Err(error), Some(code)) => {
            fault = Some(Refusal::from(error).coded(code));
            false
        }
    });
    match fault {
        None => Ok(loaded),
        Some(fault) => {
            put(&loaded);
            Err(fault)
        }
    }
}

fn put(objects: &[Handle]) {
    for object in objects {
        object::put(*object);
    }
}
