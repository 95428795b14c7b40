//! What must hold for every row of the table, with the rows' own test data.

use crate::rows::net_keys::{SUB_KEYS, type_word};
use crate::table::{How, Row, TABLE};
use crate::{Config, Kind, Origin, Values, documentation};
use std::process::Command;

/// One key that can be set, and what must be set before it.
struct Case {
    key: String,
    first: Vec<(String, String)>,
    takes: &'static [(&'static str, &'static str)],
    refuses: &'static [&'static str],
}

/// Every key that can be set, members of families included.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in TABLE {
        match row.how {
            How::Item(_) | How::Group(_) => cases.push(Case {
                key: row.key.to_owned(),
                first: Vec::new(),
                takes: row.takes,
                refuses: row.refuses,
            }),
            How::Family(_) if row.key == "lxc.net." => {}
            How::Family(_) => cases.push(Case {
                key: format!("{}.memory.max", row.key),
                first: Vec::new(),
                takes: &[("1G", "1G\n"), ("max", "max\n")],
                refuses: &[],
            }),
            How::Include | How::NotYet { .. } => {}
        }
    }
    for sub_key in SUB_KEYS.iter().filter(|sub_key| sub_key.setting.is_some()) {
        let kind = type_word(sub_key.only.or(Some(crate::NetKind::Veth)));
        let first = [("lxc.net.3.type".to_owned(), kind.to_owned())];
        cases.push(Case {
            key: format!("lxc.net.3.{}", sub_key.name),
            first: first
                .into_iter()
                .filter(|_| sub_key.name != "type")
                .collect(),
            takes: sub_key.takes,
            refuses: sub_key.refuses,
        });
    }
    cases
}

impl Case {
    fn prepared(&self) -> Config {
        let mut config = Config::new();
        for (key, value) in &self.first {
            config
                .set(key, value)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        config
    }

    fn with(&self, value: &str) -> Config {
        let mut config = self.prepared();
        config
            .set(&self.key, value)
            .unwrap_or_else(|error| panic!("{error}"));
        config
    }
}

/// Everything about a configuration that does not depend on where it was written.
fn meaning(config: &Config) -> Values {
    let unplaced = config.assignments().iter().cloned().map(|mut assignment| {
        assignment.origin = Origin::Api;
        assignment
    });
    Config::replay(unplaced)
        .unwrap_or_else(|error| panic!("{error}"))
        .values()
        .clone()
}

#[test]
fn what_is_set_can_be_read_and_survives_saving() {
    for case in cases() {
        for (value, shown) in case.takes {
            let config = case.with(value);
            let what = format!("{} = {value}", case.key);
            assert_eq!(
                config.get(&case.key),
                Ok(Some((*shown).to_owned())),
                "{what}"
            );

            let mut saved = Config::new();
            saved
                .parse(&config.text(), "saved")
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(meaning(&saved), meaning(&config), "{what}");
            assert_eq!(saved.text(), config.text(), "{what}");
        }
    }
}

#[test]
fn clearing_leads_back_to_the_default() {
    for case in cases() {
        for (value, _) in case.takes {
            let mut config = case.with(value);
            config
                .clear(&case.key)
                .unwrap_or_else(|error| panic!("{error}"));
            let before = case.prepared();
            let what = format!("{} = {value}, cleared", case.key);
            if case.key.ends_with(".type") {
                assert_eq!(
                    config.values().net,
                    [crate::NetDevice::new(3, Origin::Api)],
                    "{what}"
                );
            } else {
                assert_eq!(config.values(), before.values(), "{what}");
            }
            assert_eq!(config.text(), before.text(), "{what}");
        }
    }
}

#[test]
fn an_empty_value_clears_but_for_two_keys() {
    for case in cases() {
        for (value, _) in case.takes {
            let mut cleared = case.with(value);
            cleared
                .clear(&case.key)
                .unwrap_or_else(|error| panic!("{error}"));
            let mut emptied = case.with(value);
            let result = emptied.set(&case.key, "");
            match case.key.as_str() {
                "lxc.arch" => assert!(result.is_err(), "{}", case.key),
                "lxc.autodev" => assert_eq!(emptied.get(&case.key), Ok(Some("0".to_owned()))),
                _ => assert_eq!(emptied.values(), cleared.values(), "{}", case.key),
            }
        }
    }
}

#[test]
fn bad_values_are_named_and_change_nothing() {
    for case in cases() {
        for value in case.refuses {
            let mut config = case.prepared();
            let before = config.clone();
            let error = config.set(&case.key, value).expect_err(value);
            let what = format!("{} = {value}: {error:?}", case.key);
            assert!(
                matches!(error.kind, Kind::BadValue | Kind::NotImplemented),
                "{what}"
            );
            assert_eq!(error.key.as_deref(), Some(case.key.as_str()), "{what}");
            assert!(value.contains(&error.offending), "{what}");
            assert!(!error.hint.is_empty(), "{what}");
            assert_eq!(config.values(), before.values(), "{what}");
            assert_eq!(config.text(), before.text(), "{what}");
        }
    }
}

#[test]
fn every_implemented_row_brings_its_test_data() {
    for case in cases() {
        let is_group = ["lxc.hook", "lxc.net"].contains(&case.key.as_str());
        assert!(is_group || !case.takes.is_empty(), "{}", case.key);
    }
}

#[test]
fn unimplemented_keys_are_refused_by_name() {
    let is_not_yet = |row: &&Row| matches!(row.how, How::NotYet { .. });
    let members = |row: &Row| match row.key.strip_suffix('.') {
        Some(_) => vec![format!("{}x", row.key)],
        None if matches!(row.how, How::NotYet { is_family: true }) => {
            vec![row.key.to_owned(), format!("{}.x", row.key)]
        }
        None => vec![row.key.to_owned()],
    };
    let mut keys: Vec<String> = TABLE.iter().filter(is_not_yet).flat_map(members).collect();
    let sub_keys = SUB_KEYS.iter().filter(|sub_key| sub_key.setting.is_none());
    keys.extend(sub_keys.map(|sub_key| format!("lxc.net.0.{}", sub_key.name)));
    assert!(!keys.is_empty());
    for key in keys {
        let mut config = Config::new();
        let error = config.set(&key, "1").expect_err(&key);
        assert_eq!(error.kind, Kind::NotImplemented, "{key}: {error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("{key} = 1: not implemented yet")),
            "{error}"
        );
        assert!(!Config::is_supported(&key), "{key}");
        assert_eq!(config.values(), &Values::default(), "{key}");
    }
}

#[test]
fn rows_do_not_hide_each_other() {
    for (index, row) in TABLE.iter().enumerate() {
        assert!(
            !TABLE[..index].iter().any(|earlier| earlier.key == row.key),
            "{}",
            row.key
        );
        assert!(row.key.starts_with("lxc."), "{}", row.key);
        assert!(
            row.doc.ends_with('.') && !row.doc.contains('\n'),
            "{}: one sentence",
            row.key
        );
    }
}

#[test]
fn get_keys_lists_lxcs_names_and_no_prefix() {
    let keys = Config::new()
        .keys(None)
        .unwrap_or_else(|error| panic!("{error}"));
    // 85 of LXC 7.0, and lxc.cgroup of 5.0 and 6.0.
    assert_eq!(keys.len(), 86);
    assert!(keys.iter().all(|key| !key.ends_with('.')));
    assert_eq!(
        documentation()
            .filter(|row| !row.key.contains(".net.N."))
            .count(),
        87
    );
}

/// Values for which LXC 5.0.2 shows another text than we do, and why we differ.
const DIFFERENT_FROM_LXC_5: &[(&str, &str, &str)] = &[
    (
        "lxc.autodev.tmpfs.size",
        "0",
        "0 asks for the default, which is shown",
    ),
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
];

/// Keys whose default LXC 5.0.2 shows differently, and why we differ.
const OTHER_DEFAULT_THAN_LXC_5: &[(&str, &str)] = &[
    ("lxc.autodev.tmpfs.size", "5.0.2 shows 0 and uses 500000"),
    (
        "lxc.rootfs.mount",
        "the default belongs to the installation, not to the language",
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

#[test]
fn lxc_info_shows_the_same_values() {
    let Some(peer) = Peer::find() else { return };
    let differs = |key: &str, value: &str| {
        DIFFERENT_FROM_LXC_5
            .iter()
            .any(|d| (d.0, d.1) == (key, value))
    };
    let mut asked = 0;
    let mut differences = Vec::new();
    for case in cases() {
        for (value, shown) in case
            .takes
            .iter()
            .filter(|(value, _)| !differs(&case.key, value))
        {
            let theirs = peer.get(&case.with(value), &case.key);
            let ours = line(&case.key, Some(shown));
            if ours != theirs {
                differences.push(format!(
                    "{} = {value}: ours {ours:?}, theirs {theirs:?}",
                    case.key
                ));
            }
            asked += 1;
        }
    }
    assert!(asked > 50, "only {asked} values were compared");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn lxc_info_shows_the_same_defaults() {
    let Some(peer) = Peer::find() else { return };
    let config = Config::new();
    let mut differences = Vec::new();
    for row in TABLE.iter().filter(|row| matches!(row.how, How::Item(_))) {
        if OTHER_DEFAULT_THAN_LXC_5
            .iter()
            .any(|(key, _)| *key == row.key)
        {
            continue;
        }
        let ours = config
            .get(row.key)
            .unwrap_or_else(|error| panic!("{error}"));
        let (ours, theirs) = (line(row.key, ours.as_deref()), peer.get(&config, row.key));
        if ours != theirs.trim_end() {
            differences.push(format!("ours {ours:?}, theirs {theirs:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
