//! How cgroups are mounted: as distributions did it with v1, with both, and do with v2.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use lxc_guest::protocol::{LAYOUT_PARAMETER, Layout};
use rustix::mount::{MountFlags, mount_remount};

use crate::parameters;
use crate::setup::filesystem;
use crate::trouble::{Calling, Outcome};

const TOP: &str = "/sys/fs/cgroup";

const FLAGS: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC)
    .union(MountFlags::RELATIME);

/// Controllers that distributions mount together, under both names and each.
const TOGETHER: &[[&str; 2]] = &[["cpu", "cpuacct"], ["net_cls", "net_prio"]];

/// The layout that the kernel's command line asks for.
pub fn layout() -> Outcome<Layout> {
    let line = fs::read_to_string("/proc/cmdline").calling("open", "/proc/cmdline")?;
    asked(&line)
}

fn asked(line: &str) -> Outcome<Layout> {
    match parameters::value_in(line, LAYOUT_PARAMETER) {
        Some("v1") => Ok(Layout::V1),
        Some("hybrid") => Ok(Layout::Hybrid),
        Some("v2") => Ok(Layout::V2),
        Some(other) => Err(format!(
            "{LAYOUT_PARAMETER}={other} on the kernel's command line is none of v1, hybrid, v2"
        )),
        None => Err(format!(
            "the kernel's command line lacks {LAYOUT_PARAMETER}=v1, hybrid or v2"
        )),
    }
}

/// Mounts the hierarchies of a layout on /sys/fs/cgroup.
pub fn mount(layout: Layout) -> Outcome {
    if layout == Layout::V2 {
        return unified(TOP);
    }
    filesystem("tmpfs", TOP, FLAGS, "mode=755")?;
    let controllers = fs::read_to_string("/proc/cgroups").calling("open", "/proc/cgroups")?;
    for names in hierarchies(&controllers) {
        legacy(&names)?;
    }
    let systemd = format!("{TOP}/systemd");
    fs::create_dir(&systemd).calling("mkdir", &systemd)?;
    filesystem("cgroup", &systemd, FLAGS, "none,name=systemd,xattr")?;
    if layout == Layout::Hybrid {
        let place = format!("{TOP}/unified");
        fs::create_dir(&place).calling("mkdir", &place)?;
        unified(&place)?;
    }
    // As systemd leaves it: a runtime that makes directories beside the hierarchies shows itself.
    mount_remount(TOP, FLAGS | MountFlags::RDONLY, c"mode=755")
        .calling("mount", format_args!("{TOP}, MS_REMOUNT|MS_RDONLY"))
}

/// The controllers of /proc/cgroups that are switched on, as they are mounted.
fn hierarchies(proc_cgroups: &str) -> Vec<Vec<&str>> {
    let enabled: Vec<&str> = proc_cgroups
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter_map(|fields| match fields[..] {
            [name, _, _, "1"] => Some(name),
            _ => None,
        })
        .collect();
    let mut found: Vec<Vec<&str>> = Vec::new();
    for name in &enabled {
        let partners = TOGETHER.iter().find(|pair| pair.contains(name));
        match partners {
            Some(pair) if found.iter().any(|it| pair.contains(&it[0])) => {}
            Some(pair) => {
                let there = pair.iter().filter(|it| enabled.contains(it)).copied();
                found.push(there.collect());
            }
            None => found.push(vec![name]),
        }
    }
    found
}

/// Mounts one v1 hierarchy; one that this kernel keeps for v2 is left out.
fn legacy(names: &[&str]) -> Outcome {
    let joined = names.join(",");
    let place = format!("{TOP}/{joined}");
    fs::create_dir(&place).calling("mkdir", &place)?;
    if let Err(why) = filesystem("cgroup", &place, FLAGS, &joined) {
        fs::remove_dir(&place).calling("rmdir", &place)?;
        // Listed in /proc/cgroups, yet built without v1 or taken from it by cgroup_no_v1=.
        let refused = ["EINVAL", "EBUSY", "ENOENT"]
            .iter()
            .any(|it| why.ends_with(it));
        return if refused { Ok(()) } else { Err(why) };
    }
    if names.len() > 1 {
        for name in names {
            let link = format!("{TOP}/{name}");
            symlink(&joined, &link).calling("symlink", &link)?;
        }
    }
    Ok(())
}

/// Mounts v2 and gives all its controllers to the groups below the root.
fn unified(place: &str) -> Outcome {
    // Systemd's options; memory_recursiveprot is younger than the rest.
    filesystem("cgroup2", place, FLAGS, "nsdelegate,memory_recursiveprot")
        .or_else(|_| filesystem("cgroup2", place, FLAGS, "nsdelegate"))?;
    let available = Path::new(place).join("cgroup.controllers");
    let available = fs::read_to_string(&available).calling("open", available.to_string_lossy())?;
    let control = format!("{place}/cgroup.subtree_control");
    for name in available.split_whitespace() {
        fs::write(&control, format!("+{name}"))
            .calling("write", format_args!("{control}, +{name}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_the_command_line_decides() {
        assert_eq!(
            asked("quiet lxc.cgroup=v1 lxc.cgroup=v2 x\n"),
            Ok(Layout::V2)
        );
        assert_eq!(asked("lxc.cgroup=hybrid"), Ok(Layout::Hybrid));
        assert!(asked("lxc.cgroup=v3").unwrap_err().contains("v3"));
        assert!(asked("lxc.cgroup").unwrap_err().contains("lacks"));
        assert!(asked("").is_err());
    }

    #[test]
    fn partners_share_a_hierarchy_and_disabled_controllers_have_none() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
                    cpuset\t0\t1\t1\ncpu\t0\t1\t1\nmemory\t0\t1\t0\ncpuacct\t0\t1\t1\n\
                    net_prio\t0\t1\t1\nbroken line\n";
        assert_eq!(
            hierarchies(text),
            [vec!["cpuset"], vec!["cpu", "cpuacct"], vec!["net_prio"]]
        );
        assert!(hierarchies("").is_empty());
    }
}
