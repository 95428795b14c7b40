//! Cgroup directories, both versions, by descriptor.
//!
//! Nothing here writes cgroup.procs of version 1: that waits for an RCU grace period.
//!
//! The crate cgroups-rs is not used: it goes by paths where this goes by descriptors, moves processes
//! by cgroup.procs alone, sleeps between the tries of a removal, and knows the controllers it was
//! written for instead of those the host has.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::describe;
use crate::file;
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Which of the two cgroup filesystems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each group of controllers.
    V1,
    /// The unified hierarchy.
    V2,
}

/// One mounted hierarchy and where a process stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Which filesystem it is.
    pub version: Version,
    /// V1: as in /proc/PID/cgroup, `name=systemd` too. V2: what the base's cgroup.controllers lists.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The process's cgroup, relative to `mount`, without leading slash; empty for the root.
    pub base: String,
}

impl Hierarchy {
    /// The base as a path.
    pub fn path(&self) -> PathBuf {
        match self.base.is_empty() {
            true => self.mount.clone(),
            false => self.mount.join(&self.base),
        }
    }
}

const MOUNTS: &str = "/sys/fs/cgroup";
const CGROUP_MAGIC: u64 = 0x27_e0eb;
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// Finds the hierarchies that the text of a /proc/PID/cgroup names, in its order.
///
/// One that is not mounted below /sys/fs/cgroup, or whose base this process cannot see there
/// (missing, or outside its cgroup namespace), is left out. A line that is no cgroup line is the
/// error EBADMSG.
pub fn hierarchies(proc_cgroup_text: &str) -> Result<Vec<Hierarchy>> {
    proc_cgroup_text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let entry = parse_line(line).ok_or_else(|| {
                SysError::new("read", format!("/proc/PID/cgroup: {line:?}"), Errno::BADMSG)
            })?;
            Ok(entry.find())
        })
        .filter_map(Result::transpose)
        .collect()
}

/// One line of /proc/PID/cgroup: `ID:CONTROLLERS:PATH`.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    unified: bool,
    controllers: &'a str,
    path: &'a str,
}

fn parse_line(line: &str) -> Option<Line<'_>> {
    let (id, rest) = line.split_once(':')?;
    // Named hierarchies may have a colon in their name; a path may have any. The path is absolute,
    // so it starts at the first ":/".
    let at = rest.find(":/")?;
    let (controllers, path) = (&rest[..at], &rest[at + 1..]);
    let id: u32 = id.parse().ok()?;
    let unified = id == 0 && controllers.is_empty();
    (unified || !controllers.is_empty()).then_some(Line {
        unified,
        controllers,
        path,
    })
}

impl Line<'_> {
    fn find(&self) -> Option<Hierarchy> {
        let base = self.path.trim_start_matches('/').to_owned();
        // The kernel shows what is outside the reader's cgroup namespace as /../x.
        if base.split('/').any(|part| part == "..") {
            return None;
        }
        let mount = self
            .mounts()
            .into_iter()
            .find(|path| is_filesystem(path, self.unified))?;
        let mut found = Hierarchy {
            version: if self.unified {
                Version::V2
            } else {
                Version::V1
            },
            controllers: self.controllers.split(',').map(str::to_owned).collect(),
            mount,
            base,
        };
        let directory = file::open_dir(&found.path()).ok()?;
        if self.unified {
            let listed = file::read_at(directory.as_fd(), "cgroup.controllers", 4096);
            let listed = listed.unwrap_or_default();
            found.controllers = String::from_utf8_lossy(&listed)
                .split_whitespace()
                .map(str::to_owned)
                .collect();
        }
        Some(found)
    }

    /// Where it may be mounted, most likely first.
    fn mounts(&self) -> Vec<PathBuf> {
        let root = Path::new(MOUNTS);
        if self.unified {
            return vec![root.to_owned(), root.join("unified")];
        }
        let name = self
            .controllers
            .strip_prefix("name=")
            .unwrap_or(self.controllers);
        // The kernel lists two pairs in another order than systemd mounts them.
        let swapped = match name {
            "cpuacct,cpu" => "cpu,cpuacct",
            "net_prio,net_cls" => "net_cls,net_prio",
            other => other,
        };
        let mut names = vec![swapped];
        if swapped != name {
            names.push(name);
        }
        names.into_iter().map(|name| root.join(name)).collect()
    }
}

fn is_filesystem(path: &Path, unified: bool) -> bool {
    let wanted = if unified { CGROUP2_MAGIC } else { CGROUP_MAGIC };
    rustix::fs::statfs(path).is_ok_and(|found| found.f_type as u64 == wanted)
}

/// Opens a cgroup's directory.
pub fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry(|| openat(rustix::fs::CWD, path, flags, Mode::empty()))
        .called("openat", || format!("{path:?}, O_DIRECTORY"))
}

/// Opens a cgroup's directory once more.
pub fn open_again(dir: BorrowedFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(dir, 3)
        .called("fcntl", || format!("{}, F_DUPFD_CLOEXEC", describe(dir)))
}

/// Opens a cgroup's directory below another one.
pub fn open_at(parent: BorrowedFd, relative: &str) -> Result<OwnedFd> {
    parts(parent, relative)?
        .iter()
        .try_fold(None, |above: Option<OwnedFd>, part| {
            let above = above.as_ref().map_or(parent, |fd| fd.as_fd());
            open_child(above, part).map(Some)
        })?
        .ok_or_else(|| invalid(parent, relative))
}

fn open_child(parent: BorrowedFd, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry(|| openat(parent, name, flags, Mode::empty()))
        .called("openat", || format!("{}, {name:?}", describe(parent)))
}

/// Makes a cgroup and those above it below `parent`; tells whether the last one is new.
///
/// With `exclusive`, a last one that exists already is the error EEXIST. New ones have mode 0755,
/// whatever the umask. An absolute path, an empty one and one with `.` or `..` are refused with EINVAL.
pub fn make(parent: BorrowedFd, relative: &str, exclusive: bool) -> Result<(OwnedFd, bool)> {
    let parts = parts(parent, relative)?;
    let last = parts.len() - 1;
    let mut above: Option<OwnedFd> = None;
    let mut created = false;
    for (index, part) in parts.iter().enumerate() {
        let dir = above.as_ref().map_or(parent, |fd| fd.as_fd());
        created = match retry(|| mkdirat(dir, *part, Mode::from_raw_mode(0o755))) {
            Ok(()) => true,
            Err(Errno::EXIST) if !(exclusive && index == last) => false,
            Err(errno) => {
                let args = format!("{}, {part:?}, 0755", describe(dir));
                return Err(SysError::new("mkdirat", args, errno));
            }
        };
        let fd = open_child(dir, part)?;
        if created {
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755))
                .called("fchmod", || format!("{}, 0755", describe(fd.as_fd())))?;
        }
        above = Some(fd);
    }
    above
        .map(|fd| (fd, created))
        .ok_or_else(|| invalid(parent, relative))
}

/// The components of a relative path that goes down only; at least one.
fn parts<'a>(parent: BorrowedFd, relative: &'a str) -> Result<Vec<&'a str>> {
    let parts: Vec<&str> = relative
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let climbs = parts.iter().any(|part| *part == "." || *part == "..");
    if relative.starts_with('/') || parts.is_empty() || climbs {
        return Err(invalid(parent, relative));
    }
    Ok(parts)
}

fn invalid(parent: BorrowedFd, relative: &str) -> SysError {
    let args = format!("{}, {relative:?}", describe(parent));
    SysError::new("openat", args, Errno::INVAL)
}

/// Moves the calling thread (a single-threaded process: all of it) into a v1 cgroup.
///
/// By `tasks`, which does not wait for an RCU grace period as `cgroup.procs` does.
pub fn enter_v1(dir: BorrowedFd) -> Result<()> {
    file::write_at(dir, "tasks", b"0")
}

/// Moves the calling process into a v2 cgroup.
pub fn enter_v2(dir: BorrowedFd) -> Result<()> {
    file::write_at(dir, "cgroup.procs", b"0")
}

/// Removes a cgroup and all below it; a missing one is fine.
///
/// EBUSY if a process is left in one of them; what was removed before that stays removed.
pub fn remove(parent: BorrowedFd, relative: &str) -> Result<()> {
    let parts = parts(parent, relative)?;
    let (name, above) = match parts.split_last() {
        Some((name, [])) => (*name, None),
        Some((name, above)) => (*name, Some(above.join("/"))),
        None => return Err(invalid(parent, relative)),
    };
    let above = match above.map(|above| open_at(parent, &above)).transpose() {
        Err(error) if error.is(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let holder = above.as_ref().map_or(parent, |fd| fd.as_fd());
    crate::tree::remove_directories(holder, name)
}

/// Removes all cgroups below one, which stays; EBUSY as with [`remove`].
pub fn remove_below(dir: BorrowedFd) -> Result<()> {
    crate::tree::remove_directories_in(dir)
}

/// Tells whether a v2 cgroup or one below it holds a process (`populated` in cgroup.events).
pub fn read_events_populated(dir: BorrowedFd) -> Result<bool> {
    let text = file::read_at(dir, "cgroup.events", 4096)?;
    let text = String::from_utf8_lossy(&text);
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("populated "));
    match value {
        Some("0") => Ok(false),
        Some("1") => Ok(true),
        _ => {
            let args = format!("{}/cgroup.events: {text:?}", describe(dir));
            Err(SysError::new("read", args, Errno::BADMSG))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_cgroup_are_read() {
        let line = |unified, controllers, path| {
            Some(Line {
                unified,
                controllers,
                path,
            })
        };
        for (text, expected) in [
            ("0::/", line(true, "", "/")),
            ("0::/a/b:/c", line(true, "", "/a/b:/c")),
            ("5:cpuacct,cpu:/x", line(false, "cpuacct,cpu", "/x")),
            ("1:name=systemd:/", line(false, "name=systemd", "/")),
            ("1:name=a:b:/", line(false, "name=a:b", "/")),
            ("3::/", None),
            ("x::/", None),
            ("0:", None),
            ("0::relative", None),
            ("", None),
        ] {
            assert_eq!(parse_line(text), expected, "{text:?}");
        }
    }

    #[test]
    fn mount_directories_follow_systemd() {
        for (controllers, first) in [
            ("cpuacct,cpu", "/sys/fs/cgroup/cpu,cpuacct"),
            ("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
            ("net_prio,net_cls", "/sys/fs/cgroup/net_cls,net_prio"),
            ("name=systemd", "/sys/fs/cgroup/systemd"),
            ("memory", "/sys/fs/cgroup/memory"),
        ] {
            let line = Line {
                unified: false,
                controllers,
                path: "/",
            };
            assert_eq!(line.mounts()[0], Path::new(first), "{controllers}");
        }
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let text = "9:nosuchcontroller:/\n0::/no/such/cgroup\n0::/../outside\n";
        assert_eq!(hierarchies(text).unwrap(), []);
        assert!(hierarchies("nonsense").unwrap_err().is(Errno::BADMSG));
        assert_eq!(hierarchies("").unwrap(), []);
    }

    #[test]
    fn paths_only_go_down() {
        let dir = tempfile::tempdir().unwrap();
        let parent = open(dir.path()).unwrap();
        for bad in ["", "/", "/a", "..", "a/../b", "a/.", "."] {
            let error = make(parent.as_fd(), bad, false).unwrap_err();
            assert!(error.is(Errno::INVAL), "{bad:?}: {error}");
            assert!(
                remove(parent.as_fd(), bad).unwrap_err().is(Errno::INVAL),
                "{bad:?}"
            );
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn cgroups_are_made_entered_and_removed() {
        let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let found = hierarchies(&text).unwrap();
        assert!(!found.is_empty(), "no hierarchy below {MOUNTS}");
        for hierarchy in found {
            made_entered_and_removed(&hierarchy);
        }
    }

    fn made_entered_and_removed(hierarchy: &Hierarchy) {
        let base = open(&hierarchy.path()).unwrap();
        let base = base.as_fd();
        let top = format!("lxcrt-kernel-test-{}", std::process::id());
        let path = format!("{top}/inner/deep");
        let (deep, created) = match make(base, &path, true) {
            Err(error) if matches!(error.errno, Errno::ACCESS | Errno::ROFS | Errno::PERM) => {
                eprintln!("could not run in {}: {error}", hierarchy.path().display());
                return;
            }
            other => other.unwrap(),
        };
        assert!(created);
        assert!(make(base, &path, true).unwrap_err().is(Errno::EXIST));
        assert!(!make(base, &path, false).unwrap().1);
        if hierarchy.version == Version::V2 {
            assert!(!read_events_populated(deep.as_fd()).unwrap());
        }
        remove(base, &path).unwrap();
        remove(base, &top).unwrap();
        remove(base, &top).unwrap();
        remove(base, &path).unwrap();
        assert!(open_at(base, &top).unwrap_err().is(Errno::NOENT));
    }
}
