//! What must hold for every row of the table, with the rows' own test data.

use crate::row::How;
use crate::rows::net_keys::{SUB_KEYS, type_word};
use crate::table::TABLE;
use crate::{Config, Kind, Origin, Values, documentation};

/// One key that can be set, and what must be set before it.
pub(crate) struct Case {
    pub key: String,
    first: Vec<(String, String)>,
    pub takes: Vec<(&'static str, &'static str)>,
    refuses: &'static [&'static str],
}

/// Every key that can be set, members of families included.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in TABLE {
        match row.how {
            How::Item(_) | How::Group(_) => cases.push(Case {
                key: row.key.to_owned(),
                first: Vec::new(),
                takes: [row.takes, row.also_takes].concat(),
                refuses: row.refuses,
            }),
            How::Family(_) if row.key == "lxc.net." => {}
            How::Family(_) => cases.push(Case {
                key: format!("{}{}", row.key, row.member.1),
                first: Vec::new(),
                takes: [row.takes, row.also_takes].concat(),
                refuses: row.refuses,
            }),
            How::Include => {}
        }
    }
    for sub_key in SUB_KEYS {
        let kind = type_word(sub_key.only.or(Some(crate::NetKind::Veth)));
        let first = [("lxc.net.3.type".to_owned(), kind.to_owned())];
        cases.push(Case {
            key: format!("lxc.net.3.{}", sub_key.name),
            first: first
                .into_iter()
                .filter(|_| sub_key.name != "type")
                .collect(),
            takes: sub_key.takes.to_vec(),
            refuses: sub_key.refuses,
        });
    }
    cases
}

impl Case {
    /// A configuration in which the key can be set.
    pub(crate) fn prepared(&self) -> Config {
        let mut config = Config::new();
        for (key, value) in &self.first {
            config
                .set(key, value)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        config
    }

    pub(crate) fn with(&self, value: &str) -> Config {
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
        for (value, shown) in &case.takes {
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
        for (value, _) in &case.takes {
            let mut config = case.with(value);
            config
                .clear(&case.key)
                .unwrap_or_else(|error| panic!("{error}"));
            let before = case.prepared();
            let what = format!("{} = {value}, cleared", case.key);
            assert_eq!(config.values(), before.values(), "{what}");
            assert_eq!(config.text(), before.text(), "{what}");
        }
    }
}

#[test]
fn an_empty_value_clears_but_for_three_keys() {
    for case in cases() {
        for (value, _) in &case.takes {
            let mut cleared = case.with(value);
            cleared
                .clear(&case.key)
                .unwrap_or_else(|error| panic!("{error}"));
            let mut emptied = case.with(value);
            let result = emptied.set(&case.key, "");
            match case.key.as_str() {
                "lxc.arch" => assert!(result.is_err(), "{}", case.key),
                "lxc.autodev" | "lxc.monitor.signal.pdeath" => {
                    assert_eq!(emptied.get(&case.key), Ok(Some("0".to_owned())));
                }
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
            assert_eq!(error.kind, Kind::BadValue, "{what}");
            assert_eq!(error.key.as_deref(), Some(case.key.as_str()), "{what}");
            assert!(value.contains(&error.offending), "{what}");
            assert!(!error.hint.is_empty(), "{what}");
            assert_eq!(config.values(), before.values(), "{what}");
            assert_eq!(config.text(), before.text(), "{what}");
        }
    }
}

#[test]
fn every_row_brings_its_test_data() {
    for case in cases() {
        let is_group = ["lxc.hook", "lxc.net"].contains(&case.key.as_str());
        assert!(is_group || !case.takes.is_empty(), "{}", case.key);
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
