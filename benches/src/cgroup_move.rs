//! Cold and hot: whether somebody has moved a process between cgroups a moment ago.
//!
//! The first move after some idleness waits for an RCU grace period (6 to 11 ms), one soon after
//! another does not. Tools that move processes are therefore measured both ways.
//!
//! Both begin with a rest: for a while after a stop the kernel still takes the network namespace
//! down, under locks that the next start needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Failure;

/// Longer than the kernel stays hot after a move.
const COLD_AFTER: Duration = Duration::from_millis(400);

/// Longer than the kernel takes a stopped container's network namespace down.
const REST: Duration = Duration::from_millis(200);

/// The state of the kernel a sample is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temperature {
    /// No move for 0.4 seconds: how a container is usually started.
    Cold,
    /// A move a moment ago: how the second of many containers is started.
    Hot,
}

impl Temperature {
    /// Both.
    pub const ALL: [Temperature; 2] = [Temperature::Cold, Temperature::Hot];

    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Temperature::Cold => "cold",
            Temperature::Hot => "hot",
        }
    }
}

/// The file through which this process moves itself to where it is.
pub struct Mover {
    file: PathBuf,
}

impl Mover {
    /// Finds a hierarchy in which this process may move itself.
    pub fn find() -> Result<Mover, Failure> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
        };
        let (mounts, own) = (
            read("/proc/thread-self/mountinfo")?,
            read("/proc/self/cgroup")?,
        );
        let mover = own_cgroup(&mounts, &own)
            .map(|directory| Mover {
                file: directory.join("cgroup.procs"),
            })
            .ok_or("no cgroup hierarchy is mounted in which this process can be found")?;
        mover.touch()?;
        Ok(mover)
    }

    fn touch(&self) -> Result<(), Failure> {
        fs::write(&self.file, "0")
            .map_err(|error| format!("cannot write {}: {error}", self.file.display()))
    }

    /// Brings the kernel to a temperature.
    pub fn reach(&self, temperature: Temperature) -> Result<(), Failure> {
        // The wait itself is what is asked for; there is nothing to poll.
        match temperature {
            Temperature::Cold => {
                std::thread::sleep(COLD_AFTER);
                Ok(())
            }
            Temperature::Hot => {
                std::thread::sleep(REST);
                self.touch()
            }
        }
    }
}

/// The directory of this process in a hierarchy whose root is mounted: v2 if there is one, else
/// a named v1 hierarchy, or any.
fn own_cgroup(mounts: &str, own: &str) -> Option<PathBuf> {
    let mut found: Vec<(u8, PathBuf)> = Vec::new();
    for line in mounts.lines() {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (&[_, _, _, "/", mount_point, ..], &[kind, _, options, ..]) = (&left[..], &right[..])
        else {
            continue;
        };
        let path = |wanted: &str| {
            own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                (controllers == wanted).then(|| path.trim_start_matches('/'))
            })
        };
        let (rank, path) = match kind {
            "cgroup2" => (0, path("")),
            "cgroup" => {
                let named = options
                    .split(',')
                    .find(|option| option.starts_with("name="));
                let wanted = named.or_else(|| options.rsplit(',').next()).unwrap_or("");
                (1 + u8::from(named.is_none()), path(wanted))
            }
            _ => continue,
        };
        if let Some(path) = path {
            found.push((rank, Path::new(mount_point).join(path)));
        }
    }
    found.sort();
    found.into_iter().next().map(|(_, directory)| directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "31 30 0:27 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids\n";
    const NAMED: &str = "32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
    const V2: &str = "33 30 0:29 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n";
    const BOUND: &str = "34 30 0:29 /below /srv/cg rw - cgroup2 cgroup2 rw\n";
    const OTHER: &str = "30 29 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,size=4096k\n";
    const OWN: &str = "9:name=systemd:/\n8:pids:/a/b\n0::/session\n";

    #[track_caller]
    fn check(mounts: &[&str], own: &str, expected: Option<&str>) {
        assert_eq!(
            own_cgroup(&mounts.concat(), own),
            expected.map(PathBuf::from),
            "{mounts:?}"
        );
    }

    #[test]
    fn where_this_process_is() {
        check(
            &[OTHER, V1, NAMED, V2],
            OWN,
            Some("/sys/fs/cgroup/unified/session"),
        );
        check(&[OTHER, V1, NAMED], OWN, Some("/sys/fs/cgroup/systemd"));
        check(&[V1], OWN, Some("/sys/fs/cgroup/pids/a/b"));
        check(&[BOUND, V1], OWN, Some("/sys/fs/cgroup/pids/a/b"));
        check(&[V2, V1], "8:pids:/x\n", Some("/sys/fs/cgroup/pids/x"));
        check(&[OTHER], OWN, None);
        check(&[V1], "", None);
    }
}
