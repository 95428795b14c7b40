//! The other containers that run with id maps, read from their configurations.
//!
//! No monitor is asked: one that starts itself would not answer, and fifty starts at once would wait
//! for each other.

use crate::request::MonitorRequest;
use crate::wire;
use lxc_config::{Config, IdRange, Values};
use lxc_kernel::file;
use lxc_plan::users::{NeighbourFact, plain};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Most neighbours that are looked at: anybody may listen at addresses like a monitor's.
const MOST: usize = 1000;
/// Largest configuration read.
const CONFIG_MAX: usize = 1 << 20;

/// What a start with this configuration needs to know of them: nothing without id maps.
pub fn of_start(values: &Values, own: &MonitorRequest) -> Vec<NeighbourFact> {
    if values.idmap.is_empty() {
        return Vec::new();
    }
    let places = wire::monitors_everywhere().unwrap_or_default();
    let others = places
        .into_iter()
        .filter(|(lxcpath, name)| (lxcpath, name) != (&own.lxcpath, &own.name));
    others
        .take(MOST)
        .filter_map(|(lxcpath, name)| neighbour(lxcpath, name))
        .collect()
}

/// What can be read of one; where that is nothing, or has no maps, it is none.
fn neighbour(lxcpath: String, name: String) -> Option<NeighbourFact> {
    let directory = Path::new(&lxcpath).join(&name);
    let owner = std::fs::symlink_metadata(directory.join("config")).ok()?;
    let place = file::open_dir(&directory).ok()?;
    // Never through a link: whoever listened at that address has chosen the path.
    let text = file::read_at(place.as_fd(), "config", CONFIG_MAX).ok()?;
    let ranges = maps(&String::from_utf8_lossy(&text));
    (owner.is_file() && !ranges.is_empty()).then_some(NeighbourFact {
        name,
        lxcpath,
        owner: owner.uid(),
        ranges,
    })
}

/// The maps of a configuration: of its own lines, not of files that it includes, which somebody else
/// has named.
fn maps(text: &str) -> Vec<IdRange> {
    let mut config = Config::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if key.trim() == "lxc.idmap" {
            // A line that is none keeps its own container from starting, not this one.
            let _ = config.set("lxc.idmap", value.trim());
        }
    }
    plain(&config.values().idmap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lxc_config::IdKind;

    #[test]
    fn maps_are_the_own_lines_of_a_configuration() {
        let range = |kind, host, count| IdRange {
            kind,
            inside: 0,
            host,
            count,
        };
        let (user, group) = (
            range(IdKind::User, 1000, 10),
            range(IdKind::Group, 2000, 20),
        );
        for (text, expected) in [
            ("", vec![]),
            (
                "lxc.idmap = u 0 1000 10\nlxc.idmap=g 0 2000 20\n",
                vec![user, group],
            ),
            (
                "lxc.idmap = u 0 7 7\nlxc.idmap =\n lxc.idmap = u 0 1000 10",
                vec![user],
            ),
            ("# lxc.idmap = u 0 1000 10\nlxc.include = /etc/x\n", vec![]),
            ("lxc.idmap = nonsense\nlxc.idmap = g 0 2000 20", vec![group]),
        ] {
            assert_eq!(maps(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_file_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let lxcpath = directory.path().to_str().unwrap().to_owned();
        let found = |name: &str| neighbour(lxcpath.clone(), name.to_owned());
        for name in ["plain", "link", "directory"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let config = |name: &str| directory.path().join(name).join("config");
        std::fs::write(config("plain"), "lxc.idmap = u 0 1000 10\n").unwrap();
        std::os::unix::fs::symlink(config("plain"), config("link")).unwrap();
        std::fs::create_dir(config("directory")).unwrap();
        let plain = found("plain").unwrap();
        assert_eq!(plain.owner, lxc_kernel::users::euid());
        assert_eq!(plain.ranges.len(), 1);
        for name in ["link", "directory", "nobody"] {
            assert_eq!(found(name), None, "{name}");
        }
    }
}
