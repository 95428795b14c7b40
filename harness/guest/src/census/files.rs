//! Files and cgroup directories.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use lxc_guest::protocol::User;
use rustix::fs::{major, minor};

use super::mounts::Mount;
use crate::trouble::{Calling, Outcome};

/// Filesystems whose files are the kernel's own and change by themselves, or are counted elsewhere.
const LEFT_OUT: &[&str] = &["proc", "sysfs", "devpts", "cgroup", "cgroup2", "securityfs"];

/// Every file outside of the kernel's own filesystems and of containers' rootfs.
pub fn files(mounts: &[Mount]) -> Outcome<BTreeSet<String>> {
    let kernels = mounts
        .iter()
        .filter(|mount| LEFT_OUT.contains(&mount.fstype.as_str()));
    let left_out: BTreeSet<PathBuf> = kernels.map(|mount| mount.point.clone().into()).collect();
    let mut lines = BTreeSet::new();
    below(Path::new("/"), &mut |path, metadata| {
        lines.insert(line(path, metadata));
        !left_out.contains(path) && !is_rootfs(path)
    })?;
    Ok(lines)
}

/// Every directory of every cgroup hierarchy, by its path.
pub fn cgroups(mounts: &[Mount]) -> Outcome<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for mount in mounts
        .iter()
        .filter(|mount| matches!(mount.fstype.as_str(), "cgroup" | "cgroup2"))
    {
        found.insert(shown(Path::new(&mount.point)));
        directories_below(Path::new(&mount.point), &mut found)?;
    }
    Ok(found)
}

/// Without a look at the files, of which each directory has dozens.
fn directories_below(directory: &Path, found: &mut BTreeSet<String>) -> Outcome {
    for entry in entries(directory)? {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.insert(shown(&entry.path()));
            directories_below(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// Shows every file below a directory to `visit`, which says of a directory whether to go in.
fn below(directory: &Path, visit: &mut impl FnMut(&Path, &Metadata) -> bool) -> Outcome {
    for entry in entries(directory)? {
        let path = entry.path();
        // One that has gone since the listing is not there.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if visit(&path, &metadata) && metadata.is_dir() {
            below(&path, visit)?;
        }
    }
    Ok(())
}

/// What is in a directory; nothing if it has gone.
fn entries(directory: &Path) -> Outcome<Vec<fs::DirEntry>> {
    let listed = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    match listed {
        Err(error) if gone(&error) => Ok(Vec::new()),
        other => other.calling("getdents", directory.display()),
    }
}

/// A cgroup that is removed while it is read answers ENODEV.
fn gone(error: &io::Error) -> bool {
    const ENODEV: i32 = lxc_kernel::Errno::NODEV.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ENODEV)
}

/// NAME/rootfs in somebody's directory of containers, what ever it is.
fn is_rootfs(path: &Path) -> bool {
    let depth = |user: &User| Some(path.strip_prefix(user.lxcpath()).ok()?.components().count());
    path.ends_with("rootfs") && User::ALL.iter().any(|user| depth(user) == Some(2))
}

fn line(path: &Path, metadata: &Metadata) -> String {
    let kind = metadata.file_type();
    let device = || {
        let device = metadata.rdev();
        format!("{}:{}", major(device), minor(device))
    };
    let (kind, more) = match () {
        () if kind.is_dir() => ("directory", String::new()),
        () if kind.is_file() => ("file", size_and_change(metadata)),
        () if kind.is_symlink() => {
            let target = fs::read_link(path).unwrap_or_default();
            ("link", format!("-> {}", shown(&target)))
        }
        () if kind.is_char_device() => ("character-device", device()),
        () if kind.is_block_device() => ("block-device", device()),
        () if kind.is_fifo() => ("fifo", String::new()),
        () => ("socket", String::new()),
    };
    let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    let line = format!("{} {kind} {mode:04o} {uid}:{gid} {more}", shown(path));
    line.trim_end().to_owned()
}

/// The time of the last change of content, owner, mode, names or attributes (ctime): a program
/// cannot set it back.
fn size_and_change(metadata: &Metadata) -> String {
    let (size, seconds, nanoseconds) = (metadata.len(), metadata.ctime(), metadata.ctime_nsec());
    format!("{size} {seconds}.{nanoseconds:09}")
}

/// One word, whatever the name holds.
pub fn shown(path: &Path) -> String {
    let line = path.to_string_lossy().escape_debug().to_string();
    line.replace(' ', "\\u{20}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rootfs_itself_is_left_out() {
        for (path, left_out) in [
            ("/var/lib/lxc/a/rootfs", true),
            ("/var/lib/lxc/rootfs", false),
            ("/var/lib/lxc/a/b/rootfs", false),
            ("/var/lib/lxc/a/rootfs2", false),
            ("/home/alice/.local/share/lxc/a/rootfs", true),
            ("/home/alice/rootfs", false),
            ("/rootfs", false),
        ] {
            assert_eq!(is_rootfs(Path::new(path)), left_out, "{path}");
        }
    }

    #[test]
    fn a_file_is_one_line_with_all_that_tells_of_a_change() {
        let directory = std::env::temp_dir().join(format!("lxc-guest-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let file = directory.join("a\nb c");
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink("else where", directory.join("link")).unwrap();
        let mut lines = Vec::new();
        below(&directory, &mut |path, metadata| {
            let line = line(path, metadata);
            lines.push(line.replace(&shown(&directory), ""));
            true
        })
        .unwrap();
        fs::remove_dir_all(&directory).unwrap();
        lines.sort();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("/a\\nb\\u{20}c file 0"), "{lines:?}");
        assert!(lines[1].starts_with("/link link 0777 "), "{lines:?}");
        assert!(lines[1].ends_with(" -> else\\u{20}where"), "{lines:?}");
    }

    #[test]
    fn a_directory_that_is_gone_is_empty() {
        assert!(entries(Path::new("/nowhere/at/all")).unwrap().is_empty());
        assert!(entries(Path::new("/dev/null")).is_err());
    }
}
