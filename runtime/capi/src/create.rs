//! Create and destroy.

use crate::argument::{Handle, In, Text, Words};
use crate::layout::bdev_specs;
use crate::object::member;
use crate::refusal::{Outcome, no};
use libc::c_int;
use lxc_runtime::{Container, CreateOptions, Template};
use std::path::{Path, PathBuf};

/// Flag: the template's output goes nowhere.
const QUIET: c_int = 1;

pub extern "C" fn create(
    c: Handle,
    t: Text,
    bdevtype: Text,
    specs: In<bdev_specs>,
    flags: c_int,
    argv: Words,
) -> bool {
    member(c, no, |object| {
        let args = argv.get("an argument of the template")?.unwrap_or_default();
        let dir = match specs.get() {
            Some(specs) => specs.dir.get("the directory of the rootfs")?,
            None => None,
        };
        let options = CreateOptions {
            template: t.get("the template")?.map(template),
            config: None,
            storage: bdevtype.get("the type of storage")?,
            dir: dir.map(Path::new),
            args: &args,
            quiet: flags & QUIET != 0,
            only_new: false,
        };
        let mut container = Container::clone(&object.container());
        let created = container.create(&options);
        object.replace(container);
        created?;
        Ok(true)
    })
}

/// A path is a program's, anything else a name.
fn template(named: &str) -> Template {
    match named.starts_with('/') {
        true => Template::Path(PathBuf::from(named)),
        false => Template::Named(named.to_string()),
    }
}

pub extern "C" fn destroy(c: Handle) -> bool {
    member(c, no, |object| destroyed(&object.container()))
}

pub extern "C" fn destroy_with_snapshots(c: Handle) -> bool {
    member(c, no, |object| {
        let container = object.container();
        container.destroy_snapshots()?;
        destroyed(&container)
    })
}

/// The configuration in memory stays.
fn destroyed(container: &Container) -> Outcome<bool> {
    container.clone().destroy()?;
    Ok(true)
}
