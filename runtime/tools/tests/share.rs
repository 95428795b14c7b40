//! The shared files against Debian's: the same settings in other words.

use std::path::Path;

use rstest::rstest;

/// Settings, sorted by key: the order of values of one key has a meaning, that of keys has none
/// within these files.
fn settings(text: &str) -> Vec<(String, String)> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut settings: Vec<(String, String)> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once('=').unwrap_or(("", line)))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect();
    settings.sort();
    settings
}

#[rstest]
fn the_settings_are_lxcs(
    #[values(
        "common.conf",
        "common.seccomp",
        "nesting.conf",
        "oci.common.conf",
        "userns.conf"
    )]
    file: &str,
) {
    let peer = Path::new("/usr/share/lxc/config").join(file);
    let Ok(theirs) = std::fs::read_to_string(&peer) else {
        println!(
            "COULD NOT RUN: the_settings_are_lxcs: there is no {}",
            peer.display()
        );
        return;
    };
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("share/config")
        .join(file);
    let ours = std::fs::read_to_string(ours).expect("it is part of the sources");
    assert_eq!(
        settings(&ours.replace("@DATADIR@", "/usr/share")),
        settings(&theirs)
    );
}
