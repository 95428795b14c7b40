//! The invariants, as functions that panic where one does not hold.

use lxc_config::{Config, Diagnostic, Origin, Values, documentation, parse_fstab_line, words};
use std::sync::LazyLock;

/// Every key, members of families filled in, and includes left out: they read other files.
pub static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    documentation()
        .map(|row| row.key)
        .filter(|key| key != "lxc.include")
        .map(|key| {
            key.replace(".N.", ".0.")
                .replace(".FILE", ".memory.max")
                .replace(".NAME", ".nofile")
                .replace(".NS", ".net")
        })
        .collect()
});

/// The first byte picks the key, the rest is the value.
pub fn hold_for_picked_value(bytes: &[u8]) {
    let Some((pick, rest)) = bytes.split_first() else {
        return;
    };
    if let Ok(value) = std::str::from_utf8(rest) {
        hold_for_value(&KEYS[usize::from(*pick) % KEYS.len()], value);
    }
}

/// A file that is refused changes nothing; one that is taken means the same once saved.
pub fn hold_for_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // Following an include would make the answer depend on the machine.
    if text.contains("lxc.include") {
        return;
    }
    let mut config = in_use();
    let before = config.clone();
    match config.parse(text, "file") {
        Err(error) => {
            assert_same(&config, &before);
            hold_for_message(&error);
        }
        Ok(()) => hold_for_config(&config),
    }
}

/// What holds for every configuration that came about somehow.
pub fn hold_for_config(config: &Config) {
    let mut saved = Config::new();
    saved
        .parse(&config.text(), "saved")
        .unwrap_or_else(|error| panic!("{error}\n{}", config.text()));
    assert_eq!(meaning(&saved), meaning(config), "{}", config.text());
    // Lines of blanks are saved as empty ones, which the next reader leaves out.
    let lines = |text: String| -> Vec<String> {
        let kept = text.lines().filter(|line| !line.is_empty());
        kept.map(str::to_owned).collect()
    };
    assert_eq!(lines(saved.text()), lines(config.text()));

    let replayed = Config::replay(config.assignments().iter().cloned())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(replayed.values(), config.values());
    assert_eq!(replayed.assignments(), config.assignments());

    for key in KEYS.iter() {
        if let Err(error) = config.get(key) {
            hold_for_message(&error);
        }
    }
    for error in config.not_carried_out() {
        assert_eq!(error.kind, lxc_config::Kind::NotImplemented, "{error}");
        let key = error.key.as_deref();
        assert!(
            config
                .assignments()
                .iter()
                .any(|a| Some(a.key.as_str()) == key),
            "{error}"
        );
        hold_for_message(&error);
    }
}

/// A value that is refused changes nothing; one that is taken can be read, saved and cleared, and
/// means the same in a file.
pub fn hold_for_value(key: &str, value: &str) {
    let _ = parse_fstab_line(value);
    let _ = words::split(value);
    let _ = lxc_config::signals::parse(value);
    let _ = lxc_config::GlobalConfig::parse(value);

    let before = ready_for(key);
    let mut config = before.clone();
    let by_file = parsed(&before, key, value);
    if let Err(error) = config.set(key, value) {
        assert_same(&config, &before);
        hold_for_message(&error);
        // Only callers are told that there is nothing to clear.
        assert!(by_file.is_err() || value.is_empty(), "{key} = {value:?}");
        return;
    }
    hold_for_config(&config);
    let by_file = by_file.unwrap_or_else(|error| panic!("taken from a caller only: {error}"));
    // Random digits come out differently.
    if !(key.ends_with(".hwaddr") && value.contains(['x', 'X'])) {
        assert_eq!(meaning(&by_file), meaning(&config), "{key} = {value:?}");
    }
    shown_can_be_set(&config, key);

    config.clear(key).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.values(), before.values(), "{key} = {value:?}");
    assert_eq!(config.text(), before.text(), "{key} = {value:?}");
    hold_for_config(&config);
}

/// Setting what a key shows leads to the same text again.
fn shown_can_be_set(config: &Config, key: &str) {
    let Ok(Some(shown)) = config.get(key) else {
        return;
    };
    if !is_value(key, &shown) {
        return;
    }
    for line in shown.lines().filter(|line| !line.is_empty()) {
        let mut other = ready_for(key);
        other
            .set(key, line)
            .unwrap_or_else(|error| panic!("{error}"));
        let again = other.get(key).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            again.as_deref().map(|again| again.trim_end_matches('\n')),
            Some(line),
            "{key}"
        );
    }
}

/// Whether what LXC shows for `key` is also a value of it.
fn is_value(key: &str, shown: &str) -> bool {
    match key {
        // Shown for what is unset, in words or numbers that mean something else.
        "lxc.log.level" => shown != "NOTSET",
        "lxc.console.size" | "lxc.console.buffer.size" => shown != "0",
        // Shown without the word before it.
        "lxc.rootfs.path" | "lxc.seccomp.notify.proxy" => false,
        "lxc.net.0.veth.vlan.id" => shown != "-1",
        // Names for other keys.
        "lxc.net" => false,
        _ => true,
    }
}

/// A message is one line that a terminal can show, and says what is wrong.
fn hold_for_message(error: &Diagnostic) {
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 4096, "{text:?}");
    assert!(!error.message.is_empty() && error.errno > 0, "{error:?}");
}

/// A configuration in which `key` can be set.
fn ready_for(key: &str) -> Config {
    let mut config = Config::new();
    let kinds = ["veth", "macvlan", "ipvlan", "vlan"];
    if let Some(sub_key) = key.strip_prefix("lxc.net.0.")
        && sub_key != "type"
    {
        let own = kinds
            .iter()
            .find(|kind| sub_key.split('.').next() == Some(kind));
        set(&mut config, "lxc.net.0.type", own.unwrap_or(&"veth"));
    }
    config
}

/// A configuration that says something already.
fn in_use() -> Config {
    let mut config = Config::new();
    for (key, value) in [
        ("lxc.uts.name", "demo"),
        ("lxc.net.0.type", "veth"),
        ("lxc.net.0.ipv4.address", "10.0.0.2/24"),
        ("lxc.cap.drop", "sys_time"),
        ("lxc.idmap", "u 0 100000 65536"),
    ] {
        set(&mut config, key, value);
    }
    config
}

fn set(config: &mut Config, key: &str, value: &str) {
    config
        .set(key, value)
        .unwrap_or_else(|error| panic!("{error}"));
}

/// `before` and then a file with one line that assigns exactly `value`.
fn parsed(before: &Config, key: &str, value: &str) -> Result<Config, Diagnostic> {
    let mut config = before.clone();
    // What could not be one line of a file is not one, which set says as well.
    if value.contains(['\0', '\r', '\n']) {
        return config.set(key, value).map(|()| config);
    }
    let quote = if value.is_empty() { "" } else { "\"" };
    config.parse(&format!("{key} = {quote}{value}{quote}"), "file")?;
    Ok(config)
}

/// Everything about a configuration that does not depend on where it was written.
pub fn meaning(config: &Config) -> Values {
    let unplaced = config.assignments().iter().cloned().map(|mut assignment| {
        assignment.origin = Origin::Api;
        assignment
    });
    let replayed = Config::replay(unplaced).unwrap_or_else(|error| panic!("{error}"));
    replayed.values().clone()
}

/// Nothing has changed.
fn assert_same(now: &Config, before: &Config) {
    assert_eq!(now.values(), before.values());
    assert_eq!(now.text(), before.text());
    assert_eq!(now.assignments(), before.assignments());
}
