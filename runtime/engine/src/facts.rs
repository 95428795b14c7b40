//! Facts about the host, gathered when a configuration needs them and not before.

use lxc_config::Values;
use lxc_kernel::{Result, SysError, caps, cgroup, file, lsm, users};
use lxc_plan::{ApparmorFact, HierarchyFact, HostFacts, RootfsFact};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Largest /proc/PID/cgroup or status read.
const PROC_MAX: usize = 64 * 1024;
/// Largest fstab read.
const FSTAB_MAX: usize = 1024 * 1024;

/// The cgroup hierarchies that containers may be put in.
///
/// Root places containers beside pid 1, everyone else below the own cgroup, and only where the
/// hierarchy has been delegated (its directory is writable).
///
/// # Errors
/// The list cannot be read; or the caller is root and may write to none of its hierarchies. Without
/// root a container does without cgroups then, as in LXC.
pub fn cgroups() -> Result<Vec<HierarchyFact>> {
    let source = if users::euid() == 0 {
        "/proc/1/cgroup"
    } else {
        "/proc/self/cgroup"
    };
    let text = file::read_path(Path::new(source), PROC_MAX)?;
    let found = cgroup::hierarchies(&String::from_utf8_lossy(&text))?;
    let mut refused = None;
    let usable = found.into_iter().filter_map(|h| {
        let base = h.base.strip_suffix("init.scope").unwrap_or(&h.base);
        let base = base.trim_matches('/').to_string();
        let directory = h.mount.join(&base);
        if let Err(errno) = rustix::fs::access(&directory, rustix::fs::Access::WRITE_OK) {
            let object = format!("{}, W_OK", directory.display());
            refused.get_or_insert(SysError::new("access", object, errno));
            return None;
        }
        Some(HierarchyFact {
            unified: h.version == cgroup::Version::V2,
            controllers: h.controllers,
            mount: h.mount.to_string_lossy().into_owned(),
            base,
        })
    });
    let usable: Vec<_> = usable.collect();
    match refused {
        Some(refused) if usable.is_empty() && users::euid() == 0 => Err(refused),
        _ => Ok(usable),
    }
}

/// Everything a start with this configuration needs to know.
pub fn gather(
    values: &Values,
    cgroups: Vec<HierarchyFact>,
    mount_point: Option<&str>,
) -> HostFacts {
    let exists = |path: &str| rustix::fs::access(path, rustix::fs::Access::EXISTS).is_ok();
    let mount_point = values.rootfs.mount.as_deref().or(mount_point);
    let cgroup_namespace = exists("/proc/self/ns/cgroup");
    HostFacts {
        euid: users::euid(),
        cgroups,
        cgroup_namespace,
        apparmor: apparmor(values, cgroup_namespace),
        selinux: selinux(values),
        confined: values.seccomp_profile.is_some() && confined(),
        rootfs: values
            .rootfs
            .path
            .as_ref()
            .map_or(RootfsFact::NotSet, |p| rootfs(&p.value)),
        mount_point_exists: mount_point.is_some_and(|p| Path::new(p).is_dir()),
        fstab: values.mount_fstab.as_ref().map(|f| {
            file::read_path(Path::new(&f.value), FSTAB_MAX)
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .map_err(|e| e.to_string())
        }),
        last_capability: caps::last_cap(),
        device_paths: device_paths(values),
    }
}

fn rootfs(path: &str) -> RootfsFact {
    let Ok(found) = std::fs::metadata(path) else {
        return RootfsFact::Missing;
    };
    let kind = found.file_type();
    if kind.is_dir() {
        RootfsFact::Directory
    } else if kind.is_block_device() {
        RootfsFact::Other("block device".into())
    } else if kind.is_file() {
        RootfsFact::Other("disk image".into())
    } else {
        RootfsFact::Other("special file".into())
    }
}

fn apparmor(values: &Values, cgroup_namespace: bool) -> Option<ApparmorFact> {
    let profile = values.apparmor.profile.as_ref();
    if profile.is_some_and(|profile| profile.value == "unchanged") {
        return None;
    }
    crate::apparmor::facts(values, cgroup_namespace)
}

fn selinux(values: &Values) -> bool {
    let asked = values.selinux.context.is_some() || values.selinux.keyring.is_some();
    asked && lsm::selinux_enabled()
}

/// `Seccomp:` of the own status other than 0; a line that is missing counts as confined, because
/// then nothing is known.
fn confined() -> bool {
    let Ok(status) = file::read_path(Path::new("/proc/self/status"), PROC_MAX) else {
        return false;
    };
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|l| l.strip_prefix("Seccomp:"));
    line.is_none_or(|mode| mode.trim() != "0")
}

/// `/dev/kvm rw` → `c 10:232 rw`, for each device rule that names a path.
fn device_paths(values: &Values) -> Vec<(String, std::result::Result<String, String>)> {
    let rules = values.cgroup1.iter().chain(&values.cgroup2);
    let paths =
        rules.filter(|r| r.value.file.starts_with("devices.") && r.value.value.starts_with('/'));
    paths
        .map(|rule| (rule.value.value.clone(), resolve_device(&rule.value.value)))
        .collect()
}

fn resolve_device(rule: &str) -> std::result::Result<String, String> {
    use std::os::unix::fs::MetadataExt;
    let (path, access) = rule.split_once(' ').ok_or("the access (rwm) is missing")?;
    let found = std::fs::metadata(path).map_err(|e| format!("{path}: {e}"))?;
    let letter = if found.file_type().is_char_device() {
        'c'
    } else if found.file_type().is_block_device() {
        'b'
    } else {
        return Err(format!("{path} is not a device node"));
    };
    let device = found.rdev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Ok(format!("{letter} {major}:{minor} {access}"))
}
