//! What on this host could be a container's: counted before and after the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that a container may add to the host, one sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census(BTreeSet<String>);

/// How often the host is looked at again, a second apart, before a difference counts.
const PATIENCE: u32 = 8;

impl Census {
    /// Looks at processes, cgroups, mounts, links and /run/lxc.
    pub fn take() -> Census {
        let mut found = BTreeSet::new();
        processes(&mut found);
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for mount in mounts.lines().filter_map(Mount::parse) {
            found.insert(format!("mount {} ({})", mount.point, mount.kind));
            if matches!(mount.kind, "cgroup" | "cgroup2") {
                cgroups(Path::new(mount.point), &mut found);
            }
        }
        for link in names_in(Path::new("/sys/class/net")) {
            found.insert(format!("link {link}"));
        }
        // LXC in C keeps its lock files for ever, and peers run in these tests too.
        walk(Path::new("/run/lxc"), &mut |path| {
            let lock = path.starts_with("/run/lxc/lock");
            if !lock {
                found.insert(format!("file {}", path.display()));
            }
            !lock
        });
        Census(found)
    }

    fn differences(&self, after: &Census) -> Vec<String> {
        let left = after
            .0
            .difference(&self.0)
            .map(|what| format!("left behind: {what}"));
        let gone = self
            .0
            .difference(&after.0)
            .map(|what| format!("gone: {what}"));
        left.chain(gone).collect()
    }
}

/// What differs from `before` once the kernel had time to finish.
///
/// Blocks for up to `PATIENCE` seconds: the kernel takes down network and pid namespaces after their
/// last process is gone, and tells nobody when it is done.
pub fn settled_differences(before: &Census) -> Vec<String> {
    let mut differences = before.differences(&Census::take());
    for _ in 0..PATIENCE {
        if differences.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
        differences = before.differences(&Census::take());
    }
    differences
}

/// Processes in other pid namespaces than ours, and those called like LXC's.
fn processes(found: &mut BTreeSet<String>) {
    let ours = fs::read_link("/proc/self/ns/pid").ok();
    for name in names_in(Path::new("/proc")) {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let directory = Path::new("/proc").join(&name);
        let Ok(command) = fs::read(directory.join("cmdline")) else {
            continue;
        };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let elsewhere = match fs::read_link(directory.join("ns/pid")) {
            Ok(namespace) => Some(namespace) != ours,
            Err(_) => false, // it ended meanwhile, or is not ours to see
        };
        if (elsewhere || is_called_like_lxc(&command)) && !has_ended(&directory) {
            found.insert(format!("process {name} {}", command.trim_end()));
        }
    }
}

/// Whether it is a zombie. In a container pid 1 may be a program that reaps nobody; what it has adopted
/// then stays in the list for ever.
fn has_ended(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The state follows the name, which stands in parentheses and may hold any others.
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

fn is_called_like_lxc(command: &str) -> bool {
    let program = command.split(' ').next().unwrap_or_default();
    command.starts_with("[lxc monitor]")
        || program
            .rsplit('/')
            .next()
            .is_some_and(|name| name == "lxc" || name.starts_with("lxc-"))
}

/// Cgroups with a part of their name that LXC gives.
fn cgroups(root: &Path, found: &mut BTreeSet<String>) {
    walk(root, &mut |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // LXC in C leaves lxc.pivot behind on purpose, and peers run in these tests too.
        if !path.is_dir() || name == "lxc.pivot" {
            return false;
        }
        if name.starts_with("lxc") {
            found.insert(format!("cgroup {}", path.display()));
        }
        true
    });
}

/// Shows each path below `root` to `enter`, which says whether to go into it.
fn walk(root: &Path, enter: &mut dyn FnMut(&Path) -> bool) {
    let mut left = vec![root.to_path_buf()];
    while let Some(directory) = left.pop() {
        for path in entries(&directory) {
            if enter(&path) && path.is_dir() && !path.is_symlink() {
                left.push(path);
            }
        }
    }
}

/// What is in a directory; nothing when it cannot be read, it may be gone by now.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

fn names_in(directory: &Path) -> Vec<String> {
    let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    entries(directory).iter().filter_map(name).collect()
}

/// One line of mountinfo.
struct Mount<'a> {
    point: &'a str,
    kind: &'a str,
}

impl Mount<'_> {
    fn parse(line: &str) -> Option<Mount<'_>> {
        let (before, after) = line.split_once(" - ")?;
        Some(Mount {
            point: before.split(' ').nth(4)?,
            kind: after.split(' ').next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    #[test]
    fn names_of_ours_are_recognised() {
        for (command, expected) in [
            ("[lxc monitor] /var/lib/lxc demo", true),
            ("/usr/bin/lxc-start demo", true),
            ("lxc ls", true),
            ("/usr/bin/lxcfs /var/lib/lxcfs", false),
            ("vi lxc-notes.txt", false),
            ("", false),
        ] {
            assert_eq!(is_called_like_lxc(command), expected, "{command}");
        }
    }

    #[test]
    fn a_zombie_has_ended() {
        assert!(!has_ended(Path::new("/proc/self")));
        let mut child = Command::new("true").spawn().unwrap();
        let process = Path::new("/proc").join(child.id().to_string());
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while !has_ended(&process) {
            assert!(std::time::Instant::now() < end);
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }

    #[test]
    fn a_process_in_our_name_is_seen_and_seen_to_go() {
        let sh = xshell::Shell::new().unwrap();
        let directory = sh.create_temp_dir().unwrap();
        let program = directory.path().join("lxc-echo");
        std::os::unix::fs::symlink("/bin/cat", &program).unwrap();
        let before = Census::take();
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // What it answers, it answers under its own name: exec is over.
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = format!("left behind: process {} ", child.id());
        let seen = before.differences(&Census::take());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            seen.iter().any(|line| line.starts_with(&pid)),
            "{pid}: {seen:?}"
        );
        let after = before.differences(&Census::take());
        assert!(
            !after.iter().any(|line| line.starts_with(&pid)),
            "{after:?}"
        );
    }

    #[test]
    fn what_came_and_what_went_are_told_apart() {
        let census = |lines: &[&str]| Census(lines.iter().map(ToString::to_string).collect());
        let (before, after) = (
            census(&["link eth0", "link lo"]),
            census(&["link lo", "link vethX"]),
        );
        assert_eq!(
            before.differences(&after),
            ["left behind: link vethX", "gone: link eth0"]
        );
        assert!(before.differences(&before).is_empty());
    }

    #[test]
    fn mountinfo_lines_are_read() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.point, mount.kind), ("/mnt2", "ext3"));
        assert!(Mount::parse("nonsense").is_none());
    }
}
