//! The rows' own test data, asked of LXC's lxc-info as well: what it shows, where we differ and why.

use crate::Config;
use crate::row::How;
use crate::table::TABLE;
use crate::table_tests::{Case, cases};
use std::process::Command;

/// Values for which LXC 5.0.2 shows another text than we do, and why we differ. `*` = all values.
const DIFFERENT_FROM_LXC_5: &[(&str, &str, &str)] = &[
    (
        "lxc.rootfs.path",
        "/srv/a:b",
        "a : behind a / is part of the path",
    ),
    (
        "lxc.mount.auto",
        "proc:rw sys:ro cgroup-full:rw:force",
        "5.0.2 shows nothing for a forced cgroup mount",
    ),
    ("lxc.environment.runtime", "*", "new in LXC 7.0"),
    ("lxc.environment.hooks", "*", "new in LXC 7.0"),
    (
        "lxc.time.offset.boot",
        "*",
        "5.0.2 puts a blank before the unit and a newline behind it, 6.0 does not",
    ),
];

/// Keys whose default LXC 5.0.2 shows differently, and why we differ.
const OTHER_DEFAULT_THAN_LXC_5: &[(&str, &str)] = &[
    (
        "lxc.rootfs.mount",
        "the default belongs to the installation, not to the language",
    ),
    ("lxc.environment.runtime", "new in LXC 7.0"),
    ("lxc.environment.hooks", "new in LXC 7.0"),
    ("lxc.time.offset.boot", "a blank before the unit"),
    (
        "lxc.net.3.ipvlan.mode",
        "the announcement of ipvlan says l3, LXC begins at l2",
    ),
    (
        "lxc.net.3.veth.vlan.id",
        "0 is a VLAN; since 6.0.6 nothing is shown for no VLAN",
    ),
];

/// A container directory of its own, which LXC's lxc-info is asked about.
struct Peer {
    lxcpath: tempfile::TempDir,
}

impl Peer {
    const PROGRAM: &str = "/usr/bin/lxc-info";

    /// `None` when there is no peer to compare with, which is then said.
    fn find() -> Option<Peer> {
        if !std::path::Path::new(Peer::PROGRAM).exists() {
            eprintln!(
                "could not run: {} (LXC 5.0) is not installed",
                Peer::PROGRAM
            );
            return None;
        }
        let lxcpath = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(lxcpath.path().join("cfgpeer")).expect("container directory");
        Some(Peer { lxcpath })
    }

    /// What it prints for `key` of a container configured by `config`, less the final newlines.
    fn get(&self, config: &Config, key: &str) -> String {
        let file = self.lxcpath.path().join("cfgpeer/config");
        std::fs::write(file, config.text()).expect("config is written");
        let output = Command::new(Peer::PROGRAM)
            .args([
                "-P",
                &self.lxcpath.path().to_string_lossy(),
                "-n",
                "cfgpeer",
                "-c",
                key,
            ])
            .output()
            .expect("lxc-info runs");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text)
            .trim_end_matches('\n')
            .to_owned()
    }
}

/// `shown` as lxc-info prints it.
fn line(key: &str, shown: Option<&str>) -> String {
    format!("{key} = {}", shown.unwrap_or(""))
        .trim_end()
        .to_owned()
}

/// Compares one answer; a difference that is listed and gone is as wrong as one that is not listed.
fn compare(what: String, ours: &str, theirs: &str, is_listed: bool) -> Option<String> {
    match (ours == theirs, is_listed) {
        (true, false) | (false, true) => None,
        (false, false) => Some(format!("{what}: ours {ours:?}, theirs {theirs:?}")),
        (true, true) => Some(format!(
            "{what}: listed as different, but both say {ours:?}"
        )),
    }
}

#[test]
fn lxc_info_shows_the_same_values() {
    let Some(peer) = Peer::find() else { return };
    let is_listed = |key: &str, value: &str| {
        let all = |known: &str| known == "*" || known == value;
        DIFFERENT_FROM_LXC_5
            .iter()
            .any(|(known, values, _)| *known == key && all(values))
    };
    let mut asked = 0;
    let mut differences = Vec::new();
    for case in cases() {
        for (value, shown) in &case.takes {
            let theirs = peer.get(&case.with(value), &case.key);
            let ours = line(&case.key, Some(shown));
            let what = format!("{} = {value}", case.key);
            differences.extend(compare(what, &ours, &theirs, is_listed(&case.key, value)));
            asked += 1;
        }
    }
    assert!(asked > 100, "only {asked} values were compared");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn lxc_info_shows_the_same_defaults() {
    let Some(peer) = Peer::find() else { return };
    let mut differences = Vec::new();
    for case in cases().into_iter().filter(Case::has_default) {
        let is_listed = OTHER_DEFAULT_THAN_LXC_5
            .iter()
            .any(|(key, _)| *key == case.key);
        let config = case.prepared();
        let ours = config
            .get(&case.key)
            .unwrap_or_else(|error| panic!("{error}"));
        let ours = line(&case.key, ours.as_deref());
        let theirs = peer.get(&config, &case.key);
        differences.extend(compare(
            case.key.clone(),
            &ours,
            theirs.trim_end(),
            is_listed,
        ));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

impl Case {
    /// Whether LXC can be asked for the key when nothing is said about it.
    fn has_default(&self) -> bool {
        let is_item = |key: &str| {
            let row = TABLE.iter().find(|row| row.key == key);
            row.is_none_or(|row| matches!(row.how, How::Item(_)))
        };
        is_item(&self.key) && !self.key.ends_with(".type")
    }
}
