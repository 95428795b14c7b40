//! Probes of cgroups, as they are mounted here.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use lxc_kernel::file::open_dir;
use lxc_kernel::process::CloneSpec;
use rustix::process::Signal;

use super::{Had, file_failed, in_clone, why};
use crate::census::{Mount, mounts};
use crate::watch::Watch;

const NO_V2: &str = "no v2 hierarchy is mounted";

/// A cgroup that is gone with the probe.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, String> {
        let path = unified()?.join("guest-agent-probe");
        fs::create_dir(&path).map_err(|error| file_failed("mkdir", error))?;
        Ok(Scratch(path))
    }

    fn has(&self, file: &str) -> Had {
        match self.0.join(file).exists() {
            true => Ok(()),
            false => Err(format!("{file}: ENOENT")),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind, it shows in the census.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Where the v2 hierarchy is mounted.
pub fn unified() -> Result<PathBuf, String> {
    let found = mounts()?
        .into_iter()
        .find(|mount| mount.fstype == "cgroup2");
    found
        .map(|mount| PathBuf::from(mount.point))
        .ok_or(NO_V2.to_owned())
}

/// Whether v1 hierarchies with controllers are mounted.
pub fn legacy() -> Had {
    match any_v1(|mount| !mount.super_options.split(',').any(|it| it == "none"))? {
        true => Ok(()),
        false => Err("no v1 hierarchy is mounted".to_owned()),
    }
}

/// Whether a v1 hierarchy has the controller.
pub fn v1_controller(name: &str) -> Had {
    match any_v1(|mount| mount.has_v1_controller(name))? {
        true => Ok(()),
        false => Err(format!("no v1 hierarchy has the controller {name}")),
    }
}

/// Whether a controller is there for the groups below the root, in either version.
pub fn controller(name: &str) -> Had {
    if v1_controller(name).is_ok() {
        return Ok(());
    }
    let available = match unified() {
        Ok(place) => fs::read_to_string(place.join("cgroup.subtree_control"))
            .map_err(|error| file_failed("open", error))?,
        Err(_) => String::new(),
    };
    match available.split_whitespace().any(|it| it == name) {
        true => Ok(()),
        false => Err(format!("no hierarchy has the controller {name}")),
    }
}

fn any_v1(wanted: impl Fn(&Mount) -> bool) -> Result<bool, String> {
    let mounts = mounts()?;
    Ok(mounts
        .iter()
        .any(|mount| mount.fstype == "cgroup" && wanted(mount)))
}

/// Kills everybody in an empty cgroup.
pub fn kill() -> Had {
    let scratch = Scratch::new()?;
    scratch.has("cgroup.kill")?;
    fs::write(scratch.0.join("cgroup.kill"), "1").map_err(|error| file_failed("cgroup.kill", error))
}

/// Whether cgroups can be frozen, in either version.
pub fn freezer() -> Had {
    if any_v1(|mount| mount.has_v1_controller("freezer"))? {
        return Ok(());
    }
    Scratch::new()?.has("cgroup.freeze")
}

/// Has a child born in another cgroup.
pub fn clone_into(watch: &mut Watch) -> Had {
    let scratch = Scratch::new()?;
    let place = open_dir(&scratch.0).map_err(why)?;
    let child = CloneSpec {
        namespaces: 0,
        into_cgroup: Some(place.as_fd()),
        exit_signal: Signal::CHILD.as_raw(),
        extra: 0,
    };
    let expected = Path::new("/").join(scratch.0.file_name().unwrap_or_default());
    in_clone(watch, &child, || {
        let text = fs::read_to_string("/proc/self/cgroup")
            .map_err(|error| file_failed("/proc/self/cgroup", error))?;
        let found = text.lines().find_map(|line| line.strip_prefix("0::"));
        match found.map(Path::new) == Some(&expected) {
            true => Ok(()),
            false => Err(format!("clone3: the child was born in {found:?}")),
        }
    })
}
