//! The root filesystem: isolated, mounted, made the root.

use crate::guest::GuestWorld;
use crate::step::idmapped_mount;
use crate::step::mounts::propagation;
use lxc_kernel::{Result, file, inroot::Root, mount, mount::Propagation};
use lxc_plan::RootfsMountOptions;
use std::os::fd::AsFd;
use std::path::Path;

/// Makes every mount a slave in one call: line by line would miss mounts that appear meanwhile.
pub fn isolate(world: &mut GuestWorld<'_>) -> Result<()> {
    mount::set_propagation(Path::new("/"), Propagation::Slave, true)?;
    mount::allow_classic();
    if !world.own_root {
        world.root = Some(Root::open(Path::new("/"))?);
    }
    Ok(())
}

/// Puts a copy of the rootfs' mount tree at its mount point, restricted as `options` say, all of it:
/// a part that stayed writable would not be expected behind `ro`.
pub fn mount(
    source: &str,
    target: &str,
    options: &RootfsMountOptions,
    world: &mut GuestWorld<'_>,
) -> Result<()> {
    let tree = match options.idmap {
        Some(_) => idmapped_mount::received_rootfs(world)?,
        None => mount::clone_tree(None, Path::new(source), true)?,
    };
    let place = file::open_dir(Path::new(target))?;
    let change = mount::Change {
        set: options.set,
        clear: options.clear,
        recursive: true,
    };
    mount::attach_with(tree.as_fd(), place.as_fd(), &change)?;
    if let Some((wanted, recursive)) = options.propagation {
        mount::set_propagation_fd(tree.as_fd(), propagation(wanted), recursive)?;
    }
    // The descriptor of the tree is now that of the mount: no path is looked up again.
    world.root = Some(Root::from_fd(tree));
    Ok(())
}

/// Makes it the root and lets go of everything the host had mounted.
pub fn switch(world: &mut GuestWorld<'_>) -> Result<()> {
    mount::pivot_into(world.root()?.fd())?;
    // A peer group of its own: what the container mounts propagates to its own children.
    mount::set_propagation(Path::new("/"), Propagation::Shared, true)
}
