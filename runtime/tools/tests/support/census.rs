//! What on this host belongs to the containers of one laboratory.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything on the host that carries the laboratory's tag, and every file in its lxcpath but for
/// those in a rootfs, which are the guest's; one sentence each. Other containers, and strangers'
/// leftovers, do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census(BTreeSet<String>);

impl Census {
    /// Looks at processes (by command line and cgroup), cgroups of all hierarchies, mounts, sockets,
    /// links, runtime files, and the files below `lxcpath`.
    pub fn take(tag: &str, lxcpath: &Path) -> Census {
        let mut found = BTreeSet::new();
        for (pid, what) in processes(tag) {
            found.insert(format!("process {pid} {what}"));
        }
        for directory in cgroups(tag) {
            found.insert(format!("cgroup {}", directory.display()));
        }
        for point in mounts(tag) {
            found.insert(format!("mount {point}"));
        }
        for line in read("/proc/net/unix").lines().filter(|l| l.contains(tag)) {
            let name = line.rsplit(' ').next().unwrap_or_default();
            found.insert(format!("socket {name}"));
        }
        let tagged = |path: &&PathBuf| path.to_string_lossy().contains(tag);
        for directory in ["/sys/class/net", "/run/lxc", "/dev/shm"] {
            for path in below(Path::new(directory)).iter().filter(tagged) {
                found.insert(format!("file {}", path.display()));
            }
        }
        for path in below(lxcpath) {
            if path
                .ancestors()
                .skip(1)
                .any(|above| above.ends_with("rootfs"))
            {
                continue;
            }
            found.insert(format!("file {}", path.display()));
        }
        Census(found)
    }

    /// What is in `self` and not in `before`, and the other way round, one line each.
    pub fn since(&self, before: &Census) -> Vec<String> {
        let came = self
            .0
            .difference(&before.0)
            .map(|what| format!("left behind: {what}"));
        let went = before
            .0
            .difference(&self.0)
            .map(|what| format!("gone: {what}"));
        came.chain(went).collect()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Processes whose command line or cgroup carries `tag`, but for the calling one; with their command
/// line.
pub fn processes(tag: &str) -> Vec<(i32, String)> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for directory in entries(Path::new("/proc")) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let Ok(pid) = name.parse::<i32>() else {
            continue;
        };
        let command = read(directory.join("cmdline")).replace('\0', " ");
        let tagged = command.contains(tag) || read(directory.join("cgroup")).contains(tag);
        if !tagged || name == own {
            continue;
        }
        let stat = read(directory.join("stat"));
        let (_, stat) = stat.rsplit_once(')').unwrap_or_default();
        match stat.split(' ').skip(1).take(2).collect::<Vec<_>>()[..] {
            // An orphan that ended: reaping it is the business of the host's init, at its leisure.
            ["Z", "1"] => {}
            // It ended while we looked.
            [] | [""] => {}
            ["Z", parent] => found.push((pid, format!("(zombie of {parent})"))),
            _ => found.push((pid, command.trim_end().to_owned())),
        }
    }
    found
}

/// Cgroups of every hierarchy whose path carries `tag`, deepest last.
pub fn cgroups(tag: &str) -> Vec<PathBuf> {
    let tagged = |path: &PathBuf| path.to_string_lossy().contains(tag);
    let roots = read("/proc/self/mountinfo")
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .filter(|(_, kind)| kind.starts_with("cgroup"))
        .filter_map(|(mount, _)| mount.split(' ').nth(4).map(PathBuf::from))
        .collect::<BTreeSet<_>>();
    let mut found = Vec::new();
    let mut left = roots.into_iter().collect::<Vec<_>>();
    while let Some(directory) = left.pop() {
        left.extend(
            entries(&directory)
                .into_iter()
                .filter(|path| is_directory(path)),
        );
        if tagged(&directory) {
            found.push(directory);
        }
    }
    found.sort();
    found
}

/// Mount points of this mount namespace whose line carries `tag`.
pub fn mounts(tag: &str) -> Vec<String> {
    read("/proc/self/mountinfo")
        .lines()
        .filter(|line| line.contains(tag))
        .filter_map(|line| line.split(' ').nth(4).map(str::to_owned))
        .collect()
}

/// Every path below `directory`; links are not followed.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(directory) = left.pop() {
        for path in entries(&directory) {
            if is_directory(&path) {
                left.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Nothing for what cannot be read: it may be gone by now.
fn read(path: impl AsRef<Path>) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Nothing for what cannot be read: it may be gone by now.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
