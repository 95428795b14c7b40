//! An OCI bundle that asks crun for what the measured container asks LXC for.

use std::path::Path;

use serde_json::{Value, json};

/// Host directories that the busybox template shows in the container: only what the host has.
pub fn bound() -> impl Iterator<Item = &'static str> {
    ["/lib", "/usr/lib", "/lib64", "/usr/lib64"]
        .into_iter()
        .filter(|path| Path::new(path).is_dir())
}

/// The bundle's `config.json`: same rootfs, namespaces, mounts and init.
pub fn config(rootfs: &Path, name: &str) -> Value {
    let namespaces: Vec<Value> = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
        .iter()
        .map(|kind| json!({ "type": kind }))
        .collect();
    let capabilities = json!(["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_KILL", "CAP_SYS_BOOT"]);
    json!({
        "ociVersion": "1.0.0",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/sbin/init"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=lxc"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities
            },
        },
        "root": { "path": rootfs, "readonly": false },
        "hostname": name,
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": format!("/{name}"),
            "namespaces": namespaces,
            "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn mounts() -> Vec<Value> {
    const PLAIN: &[&str] = &["nosuid", "noexec", "nodev"];
    const READ_ONLY: &[&str] = &["nosuid", "noexec", "nodev", "ro"];
    const DEV: &[&str] = &["nosuid", "mode=755", "size=500000"];
    const PTS: &[&str] = &[
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5",
    ];
    const BIND: &[&str] = &["bind", "ro"];
    let made = [
        ("/proc", "proc", "proc", PLAIN),
        ("/sys", "sysfs", "sysfs", READ_ONLY),
        ("/sys/fs/cgroup", "cgroup", "cgroup", PLAIN),
        ("/dev", "tmpfs", "tmpfs", DEV),
        ("/dev/pts", "devpts", "devpts", PTS),
        ("/dev/shm", "tmpfs", "shm", PLAIN),
        ("/dev/mqueue", "mqueue", "mqueue", PLAIN),
    ];
    let bound = bound().map(|path| (path, "bind", path, BIND));
    made.into_iter()
        .chain(bound)
        .map(|(destination, kind, source, options)| {
            json!({
                "destination": destination, "type": kind, "source": source, "options": options
            })
        })
        .collect()
}
