//! Facts about the host, gathered when a configuration needs them and not before.

pub mod neighbours;
pub mod users;

use lxc_config::Values;
use lxc_kernel::users::euid;
use lxc_kernel::{
    Errno, Result, SysError, caps, cgroup, core_scheduling, file, lsm, mount, procfs,
};
use lxc_plan::{ApparmorFact, HierarchyFact, HostFacts, KernelFacts, RootfsFact};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Largest /proc/PID/cgroup or status read.
const PROC_MAX: usize = 64 * 1024;
/// What is delegated where the kernel (before 4.15) does not list it.
const DELEGATED_FILES: &str =
    "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\nmemory.oom.group";
/// Largest fstab read.
const FSTAB_MAX: usize = 1024 * 1024;

/// The cgroup hierarchies that containers may be put in.
///
/// Root places containers beside pid 1; everyone else, and root with `relative`, below the own
/// cgroup. A hierarchy counts only where it has been delegated.
///
/// # Errors
/// The list cannot be read; or the caller is root and may write to none of its hierarchies. Without
/// root a container does without cgroups then, as in LXC.
pub fn cgroups(relative: bool) -> Result<Vec<HierarchyFact>> {
    let root = euid() == 0;
    let source = match root && !relative {
        true => "/proc/1/cgroup",
        false => "/proc/self/cgroup",
    };
    let text = file::read_path(Path::new(source), PROC_MAX)?;
    let found = cgroup::hierarchies(&String::from_utf8_lossy(&text))?;
    let mut refused = None;
    let mut usable = Vec::with_capacity(found.len());
    for hierarchy in found {
        let base = match relative {
            true => &hierarchy.base,
            false => hierarchy
                .base
                .strip_suffix("init.scope")
                .unwrap_or(&hierarchy.base),
        };
        let fact = HierarchyFact {
            unified: hierarchy.version == cgroup::Version::V2,
            base: base.trim_matches('/').to_string(),
            mount: hierarchy.mount.to_string_lossy().into_owned(),
            controllers: hierarchy.controllers,
        };
        match delegated(&fact, root) {
            Ok(()) => usable.push(fact),
            Err(error) => {
                log::debug!("a cgroup hierarchy that is not delegated: {error}");
                refused.get_or_insert(error);
            }
        }
    }
    match refused {
        Some(refused) if usable.is_empty() && root => Err(refused),
        _ => Ok(usable),
    }
}

/// Whether the base of a hierarchy may be used: its directory is writable, and on v2 every file that
/// the kernel lists as delegated. Moving a process is another matter: cgroup.procs is not asked.
fn delegated(fact: &HierarchyFact, root: bool) -> Result<()> {
    let base = Path::new(&fact.mount).join(&fact.base);
    let writable = |path: &Path| {
        // By the effective ids, as the writing itself will be.
        let flags = rustix::fs::AtFlags::EACCESS;
        let access = rustix::fs::Access::WRITE_OK;
        rustix::fs::accessat(rustix::fs::CWD, path, access, flags)
            .map_err(|errno| SysError::new("faccessat", format!("{}, W_OK", path.display()), errno))
    };
    writable(&base)?;
    if root || !fact.unified {
        return Ok(());
    }
    let listed = file::read_path(Path::new("/sys/kernel/cgroup/delegate"), PROC_MAX);
    let listed = listed.unwrap_or_else(|_| DELEGATED_FILES.as_bytes().to_vec());
    for name in String::from_utf8_lossy(&listed).lines() {
        let name = name.trim();
        // A kernel lists files of controllers that this cgroup may not have.
        match writable(&base.join(name)) {
            Err(error) if name != "cgroup.procs" && error.errno != Errno::NOENT => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Everything a start with this configuration needs to know; `login` is the caller's name, which is
/// needed with id maps only.
pub fn gather(
    values: &Values,
    cgroups: Vec<HierarchyFact>,
    mount_point: Option<&str>,
    login: Option<&str>,
) -> HostFacts {
    let exists = |path: &str| rustix::fs::access(path, rustix::fs::Access::EXISTS).is_ok();
    let mount_point = values.rootfs.mount.as_deref().or(mount_point);
    let cgroup_namespace = exists("/proc/self/ns/cgroup");
    let fstab = values.mount_fstab.as_ref().map(|f| {
        file::read_path(Path::new(&f.value), FSTAB_MAX)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .map_err(|e| e.to_string())
    });
    let text = fstab.as_ref().and_then(|read| read.as_deref().ok());
    let lacks_idmapped_mounts = shifts_ids(values, text) && !mount::has_mount_setattr();
    let sources = lxc_plan::mount_sources(values, text, mount_point);
    HostFacts {
        euid: euid(),
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
        missing_sources: sources.into_iter().filter(|path| missing(path)).collect(),
        fstab,
        last_capability: caps::last_cap(),
        device_paths: device_paths(values),
        no_idmapped_mounts: lacks_idmapped_mounts,
        users: users::of_start(values, login),
        neighbours: Vec::new(),
        kernel: kernel(values),
        shared: Vec::new(),
    }
}

/// What the kernel offers, as far as the configuration asks for it.
fn kernel(values: &Values) -> KernelFacts {
    let time = &values.time;
    let asks_for_time = time.boot.origin.is_some()
        || time.monotonic.origin.is_some()
        || values.namespaces != lxc_config::Namespaces::Usual;
    KernelFacts {
        time_namespace: asks_for_time && !missing("/proc/self/ns/time"),
        core_scheduling: values.sched_core
            && core_scheduling::support() != core_scheduling::Support::No,
        missing: absent(lxc_plan::written_paths(values)),
    }
}

/// Those of the paths below /proc that are no files of the kernel's.
fn absent(mut paths: Vec<String>) -> Vec<String> {
    if paths.is_empty() {
        return paths;
    }
    // Where /proc cannot be used that is said by the step that needs it.
    let Ok(proc) = procfs::Proc::private().or_else(|_| procfs::Proc::host()) else {
        return Vec::new();
    };
    paths.retain(|path| !proc.has(path));
    paths
}

/// The text of a small file of the host.
fn file_text(path: &str, max: usize) -> Result<String> {
    let bytes = file::read_path(Path::new(path), max)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether some mount shall show the ids of a user namespace.
fn shifts_ids(values: &Values, fstab: Option<&str>) -> bool {
    let rootfs = values.rootfs.options.iter().map(|it| &it.options);
    let entries = values.mount_entries.iter().map(|it| &it.value.options);
    rootfs.chain(entries).any(|options| options.idmap.is_some())
        || fstab.is_some_and(|text| text.contains("idmap="))
}

/// Whether nothing is there for certain; what may not be looked at counts as there.
fn missing(path: &str) -> bool {
    let found = rustix::fs::access(path, rustix::fs::Access::EXISTS);
    matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
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
pub fn confined() -> bool {
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
    let (path, access) = rule
        .rsplit_once(|c: char| c.is_ascii_whitespace())
        .ok_or("the access (rwm) is missing")?;
    let path = path.trim_ascii_end();
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
