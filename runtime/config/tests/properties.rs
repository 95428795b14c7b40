//! What must hold for every configuration, not only for those somebody thought of.

use lxc_config::{Config, Origin, Values, documentation, parse_fstab_line, words};
use proptest::prelude::*;
use std::io::Write;

/// A step of somebody using a configuration.
#[derive(Debug, Clone)]
enum Act {
    Line(String, String),
    Set(String, String),
    Clear(String),
}

/// Keys of the table with their families' members filled in.
fn key() -> impl Strategy<Value = String> {
    let keys: Vec<String> = documentation()
        .map(|row| row.key)
        .filter(|key| key != "lxc.include")
        .collect();
    let member = prop::sample::select(vec!["0", "1", "10"]);
    let file = prop::sample::select(vec!["memory.max", "devices.allow", "pids.max"]);
    (prop::sample::select(keys), member, file).prop_map(|(key, member, file)| {
        key.replace(".N.", &format!(".{member}."))
            .replace("FILE", file)
            .replace("NAME", "x")
    })
}

/// Values that many keys take, and some that none does.
fn value() -> impl Strategy<Value = String> {
    let good = vec![
        "",
        "0",
        "1",
        "5",
        "veth",
        "macvlan",
        "empty",
        "up",
        "lxcbr0",
        "SIGUSR1",
        "kill chown",
        "none",
        "proc sys",
        "cgroup:mixed",
        "/srv/x",
        "dir:/srv/x",
        "'quoted'",
        "\"half'",
        " blank ",
        "A=b",
        "PATH",
        "x86_64",
        "DEBUG",
        "10.0.0.2/24",
        "fd00::2",
        "auto",
        "xx:16:3e:xx:xx:xx",
        "/a b none bind,create=dir 0 0",
        "a\\ b 'c d'",
        "#",
        "=",
    ];
    prop_oneof![
        8 => prop::sample::select(good).prop_map(str::to_owned),
        1 => "[ -~]{0,20}",
        1 => "\\PC{0,10}",
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Act::Line(key, value)),
        4 => (key(), value()).prop_map(|(key, value)| Act::Set(key, value)),
        2 => key().prop_map(Act::Clear),
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

/// What the assignments mean, wherever they were written; devices about which nothing is said do
/// not count, because no line can be saved for them.
fn meaning(config: &Config) -> Values {
    let unplaced = config.assignments().iter().cloned().map(|mut assignment| {
        assignment.origin = Origin::Api;
        assignment
    });
    let replayed = Config::replay(unplaced).unwrap_or_else(|error| panic!("{error}"));
    let mut values = replayed.values().clone();
    values
        .net
        .retain(|device| *device != lxc_config::NetDevice::new(device.index, Origin::Api));
    values
}

proptest! {
    #[test]
    fn replaying_the_assignments_gives_the_same_values(acts in prop::collection::vec(act(), 0..40)) {
        let config = after(&acts);
        let replayed = Config::replay(config.assignments().iter().cloned())
            .unwrap_or_else(|error| panic!("{error}"));
        prop_assert_eq!(replayed.values(), config.values());
        prop_assert_eq!(replayed.assignments(), config.assignments());
    }

    #[test]
    fn the_saved_text_means_the_same(acts in prop::collection::vec(act(), 0..40)) {
        let config = after(&acts);
        let mut saved = Config::new();
        saved.parse(&config.text(), "saved").unwrap_or_else(|error| panic!("{error}\n{}", config.text()));
        prop_assert_eq!(meaning(&saved), meaning(&config), "{}", config.text());
        prop_assert_eq!(saved.text(), config.text());
    }

    #[test]
    fn what_get_shows_can_be_set(acts in prop::collection::vec(act(), 0..20), key in key()) {
        let config = after(&acts);
        // Unset log levels have a name that is no value, and lxc.net shows what it cannot take.
        let shown = config.get(&key).ok().flatten().filter(|shown| shown != "NOTSET" && key != "lxc.net");
        for line in shown.iter().flat_map(|shown| shown.lines()) {
            let mut other = Config::new();
            if let Some(index) = key.strip_prefix("lxc.net.").and_then(|rest| rest.split('.').next()) {
                other.set(&format!("lxc.net.{index}.type"), "veth").unwrap_or_else(|error| panic!("{error}"));
            }
            other.set(&key, line).unwrap_or_else(|error| panic!("{error}"));
            let again = other.get(&key).unwrap_or_else(|error| panic!("{error}")).unwrap_or_default();
            prop_assert_eq!(again.trim_end_matches('\n'), line);
        }
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        file.write_all(&bytes).expect("file is written");
        let _ = Config::load(file.path());
    }

    #[test]
    fn no_line_brings_the_reader_down(key in key(), value in "\\PC{0,60}") {
        let mut config = Config::new();
        let _ = config.parse(&format!("{key} = {value}"), "demo/config");
        let _ = config.set(&value, &key);
        let _ = config.get(&value);
        let _ = config.clear(&value);
        let _ = config.keys(Some(&value));
        let _ = Config::is_supported(&value);
        let _ = parse_fstab_line(&value);
        let _ = words::split(&value);
        let _ = lxc_config::signals::parse(&value);
        let _ = lxc_config::GlobalConfig::parse(&value);
    }
}
