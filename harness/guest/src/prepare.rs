//! Containers' directories, made as a template would, without running one.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use lxc_guest::protocol::{Container, Placed, Rootfs, User};

use crate::trouble::{Calling, Outcome};
use crate::users;

/// Where the image has busybox under all its names.
const BINS: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];
const BUSYBOX: &str = "/bin/busybox";

/// The directories of a busybox rootfs and their modes.
const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("dev/pts", 0o755),
    ("etc", 0o755),
    ("etc/init.d", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("var", 0o755),
    ("var/log", 0o755),
    ("var/run", 0o755),
];

/// The files of a busybox rootfs, their modes and contents.
const FILES: &[(&str, u32, &str)] = &[
    ("etc/passwd", 0o644, PASSWD),
    (
        "etc/group",
        0o644,
        "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    ),
    ("etc/shadow", 0o600, "root:*:::::::\nnobody:*:::::::\n"),
    ("etc/fstab", 0o644, ""),
    ("etc/hostname", 0o644, "guest\n"),
    ("etc/hosts", 0o644, "127.0.0.1 localhost\n"),
    ("etc/resolv.conf", 0o644, ""),
    ("etc/inittab", 0o644, INITTAB),
    ("etc/init.d/rcS", 0o755, "#!/bin/sh\n"),
];

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
";

/// busybox' init starts nothing: every process in a machine costs ten milliseconds. Without a line
/// it would start shells on terminals; this one only says what it would do anyway.
const INITTAB: &str = "::restart:/sbin/init\n";

/// Makes containers.
pub struct Kitchen {
    /// The names of busybox, read once.
    applets: Vec<String>,
}

impl Kitchen {
    /// Looks what the image's busybox can be called.
    pub fn new() -> Outcome<Kitchen> {
        let mut applets = Vec::new();
        for bin in BINS.into_iter().filter(|bin| Path::new(bin).exists()) {
            for entry in fs::read_dir(bin).calling("open", bin)? {
                let entry = entry.calling("getdents", bin)?;
                // Those that are no links are no applets.
                let target = fs::read_link(entry.path()).unwrap_or_default();
                if target.ends_with("busybox") {
                    applets.extend(entry.file_name().into_string());
                }
            }
        }
        applets.sort();
        applets.dedup();
        Ok(Kitchen { applets })
    }

    /// Makes a container's directory and all in it; nothing of it stays if that fails.
    pub fn prepare(&self, container: &Container) -> Outcome {
        let directory = home_of(Path::new(container.owner.lxcpath()), &container.name)?;
        for path in container.files.keys() {
            inside(path)?;
        }
        // A container that is there may run, and its links lead anywhere.
        fs::create_dir(&directory).calling("mkdir", directory.display())?;
        let made = self
            .fill(container, &directory)
            .and_then(|()| give(container, &directory));
        if made.is_err() {
            // The first failure is the one to be told.
            let _ = fs::remove_dir_all(&directory);
        }
        made
    }

    fn fill(&self, container: &Container, directory: &Path) -> Outcome {
        file(
            &directory.join("config"),
            0o644,
            container.config.as_bytes(),
        )?;
        let rootfs = directory.join("rootfs");
        if container.rootfs != Rootfs::None {
            fs::create_dir(&rootfs).calling("mkdir", rootfs.display())?;
        }
        if container.rootfs == Rootfs::Busybox {
            self.busybox(&rootfs)?;
        }
        for (path, content) in &container.files {
            let path = directory.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).calling("mkdir", parent.display())?;
            }
            file(&path, mode(content), content.as_bytes())?;
        }
        Ok(())
    }

    fn busybox(&self, rootfs: &Path) -> Outcome {
        for (name, mode) in DIRECTORIES {
            let path = rootfs.join(name);
            fs::create_dir(&path).calling("mkdir", path.display())?;
            let mode = Permissions::from_mode(*mode);
            fs::set_permissions(&path, mode).calling("chmod", path.display())?;
        }
        for (name, mode, content) in FILES {
            file(&rootfs.join(name), *mode, content.as_bytes())?;
        }
        // A copy of its own: what a guest does to its busybox must not reach ours.
        let busybox = rootfs.join("bin/busybox");
        fs::copy(BUSYBOX, &busybox)
            .calling("copy", format_args!("{BUSYBOX} to {}", busybox.display()))?;
        let init = rootfs.join("sbin/init");
        fs::hard_link(&busybox, &init).calling("link", init.display())?;
        for applet in &self.applets {
            let link = rootfs.join("bin").join(applet);
            symlink("busybox", &link).calling("symlink", link.display())?;
        }
        Ok(())
    }
}

/// Writes a file outside of containers.
pub fn place(placed: &Placed) -> Outcome {
    let path = Path::new(&placed.path);
    let parents: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .take_while(|parent| !parent.exists())
        .collect();
    for parent in parents.into_iter().rev() {
        fs::create_dir(parent).calling("mkdir", parent.display())?;
        users::give(parent, placed.owner.id())?;
    }
    file(path, mode(&placed.content), placed.content.as_bytes())?;
    users::give(path, placed.owner.id())
}

/// A script can be run.
fn mode(content: &str) -> u32 {
    if content.starts_with("#!") {
        0o755
    } else {
        0o644
    }
}

/// Gives the container to its owner, and its rootfs to the ids that its map begins with.
fn give(container: &Container, directory: &Path) -> Outcome {
    let owner = container.owner.id();
    if container.owner == User::Root && container.shift == 0 {
        return Ok(());
    }
    let rootfs = directory.join("rootfs");
    users::each(directory, &mut |path, metadata| match container.shift {
        shift if shift > 0 && path.starts_with(&rootfs) => {
            // A file of two names is met twice.
            let moved = |id: u32| {
                if id < shift {
                    id.saturating_add(shift)
                } else {
                    id
                }
            };
            users::give_both(path, moved(metadata.uid()), moved(metadata.gid()))
        }
        _ => users::give(path, owner),
    })
}

fn file(path: &Path, mode: u32, content: &[u8]) -> Outcome {
    let write = || -> io::Result<()> {
        fs::write(path, content)?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    };
    write().calling("write", path.display())
}

/// A container's directory, if its name is one path component.
fn home_of(lxcpath: &Path, name: &str) -> Outcome<PathBuf> {
    let odd = name.contains('/') || name.chars().any(char::is_control);
    match name {
        "" | "." | ".." => Err(format!("{name:?} is no container's name")),
        _ if odd => Err(format!("{name:?} is no container's name")),
        _ => Ok(lxcpath.join(name)),
    }
}

/// Refuses a path that is not below the container's directory.
fn inside(path: &str) -> Outcome {
    let normal = |part| matches!(part, Component::Normal(_));
    if !path.is_empty() && !path.ends_with('/') && Path::new(path).components().all(normal) {
        return Ok(());
    }
    Err(format!(
        "{path:?} is no file's path below the container's directory"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_stay_inside() {
        for name in ["", ".", "..", "a/b", "/", "a\nb"] {
            assert!(home_of(Path::new("/l"), name).is_err(), "{name:?}");
        }
        assert_eq!(
            home_of(Path::new("/l"), "a.b").unwrap(),
            Path::new("/l/a.b")
        );
        for path in ["", "/etc/passwd", "../x", "a/../b", "a/", "."] {
            assert!(inside(path).is_err(), "{path:?}");
        }
        assert!(inside("hooks/pre start").is_ok());
    }
}
