//! What must hold for every configuration, not only for those somebody thought of.

#[path = "../fuzz/src/invariants.rs"]
mod invariants;

use lxc_config::{Config, documentation};
use proptest::prelude::*;
use std::io::Write;

/// A step of somebody using a configuration.
#[derive(Debug, Clone)]
enum Act {
    Line(String, String),
    Set(String, String),
    Clear(String),
}

/// Any key but includes.
fn any_key() -> impl Strategy<Value = String> {
    prop::sample::select(invariants::KEYS.clone())
}

/// Any key, of one of several devices or names where there can be more than one.
fn member() -> impl Strategy<Value = String> {
    let device = prop::sample::select(vec![".0.", ".1.", ".10."]);
    let name = prop::sample::select(vec![".nofile", ".core", ".a.b"]);
    (any_key(), device, name)
        .prop_map(|(key, device, name)| key.replace(".0.", device).replace(".nofile", name))
}

/// Values that some key takes, and some that none does.
fn value() -> impl Strategy<Value = String> {
    let odd = [
        "", "none", "'quoted'", "\"half'", " blank ", "PATH", "#", "=",
    ];
    let mut good: Vec<String> = odd.map(str::to_owned).to_vec();
    for row in documentation() {
        good.extend(row.examples.iter().map(|(value, _)| (*value).to_owned()));
    }
    prop_oneof![
        8 => prop::sample::select(good),
        1 => "[ -~]{0,20}",
        1 => "\\PC{0,10}",
    ]
}

/// A key with a value that it takes.
fn good_pair() -> impl Strategy<Value = (String, String)> {
    let mut pairs = Vec::new();
    let rows = documentation().filter(|row| row.key != "lxc.include");
    for (row, key) in rows.zip(invariants::KEYS.iter()) {
        pairs.extend(
            row.examples
                .iter()
                .map(|(value, _)| (key.clone(), (*value).to_owned())),
        );
    }
    prop::sample::select(pairs)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => good_pair().prop_map(|(key, value)| Act::Line(key, value)),
        4 => good_pair().prop_map(|(key, value)| Act::Set(key, value)),
        2 => (member(), value()).prop_map(|(key, value)| Act::Line(key, value)),
        2 => (member(), value()).prop_map(|(key, value)| Act::Set(key, value)),
        2 => member().prop_map(Act::Clear),
        1 => Just(Act::Clear("lxc.net.1".to_owned())),
        1 => Just(Act::Set("lxc.net".to_owned(), String::new())),
    ]
}

/// The configuration after `acts`; those that are refused must have changed nothing.
fn after(acts: &[Act]) -> Config {
    let mut config = Config::new();
    for act in acts {
        let before = config.clone();
        let done = match act {
            Act::Line(key, value) => config.parse(&format!("{key} = {value}"), "demo/config"),
            Act::Set(key, value) => config.set(key, value),
            Act::Clear(key) => config.clear(key),
        };
        if let Err(error) = done {
            assert!(!error.to_string().contains('\n'), "{error}");
            assert_eq!(config.values(), before.values(), "{act:?}");
            assert_eq!(config.text(), before.text(), "{act:?}");
            assert_eq!(config.assignments(), before.assignments(), "{act:?}");
        }
    }
    config
}

proptest! {
    #[test]
    fn a_configuration_survives_saving_and_replaying(acts in prop::collection::vec(act(), 0..40)) {
        invariants::hold_for_config(&after(&acts));
    }

    #[test]
    fn values_are_set_read_and_cleared(key in any_key(), value in value()) {
        invariants::hold_for_value(&key, &value);
    }

    #[test]
    fn a_file_is_taken_whole_or_not_at_all(lines in prop::collection::vec((any_key(), value()), 0..8)) {
        let text: String = lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        invariants::hold_for_file(text.as_bytes());
    }

    #[test]
    fn what_is_not_carried_out_is_set_and_no_default(acts in prop::collection::vec(act(), 0..20)) {
        let config = after(&acts);
        for error in config.not_carried_out() {
            let key = error.key.clone().unwrap_or_default();
            let mut without = config.clone();
            without.clear(&key).unwrap_or_else(|error| panic!("{error}"));
            let left = without.not_carried_out();
            prop_assert!(left.iter().all(|other| other.key.as_deref() != Some(key.as_str())), "{error}");
        }
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        invariants::hold_for_file(&bytes);
        invariants::hold_for_picked_value(&bytes);
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        file.write_all(&bytes).expect("file is written");
        let _ = Config::load(file.path());
    }

    #[test]
    fn no_line_brings_the_reader_down(key in any_key(), value in "\\PC{0,60}") {
        let mut config = Config::new();
        let _ = config.parse(&format!("{key} = {value}"), "demo/config");
        let _ = config.set(&value, &key);
        let _ = config.get(&value);
        let _ = config.clear(&value);
        let _ = config.keys(Some(&value));
        let _ = Config::is_supported(&value);
        let _ = Config::form(&value);
        let _ = config.not_carried_out();
    }
}

/// A device has a name by its type; saved and read again it must be the same one.
#[test]
fn a_name_that_is_cleared_is_that_of_the_type() {
    for clear in ["lxc.net.0.name =", "lxc.net.0.name = x\nlxc.net.0.name ="] {
        let mut config = Config::new();
        let text = format!("lxc.net.0.type = empty\n{clear}");
        config.parse(&text, "demo/config").expect("it is valid");
        config.clear("lxc.net.0.name").expect("it is a key");
        assert_eq!(config.values().net[0].name.as_deref(), Some("lo"));
        invariants::hold_for_config(&config);
    }
}
