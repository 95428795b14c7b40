//! What the fuzzer has found interesting, through the same invariants, without the fuzzer.

#[path = "../fuzz/src/invariants.rs"]
mod invariants;

use std::fs;
use std::path::Path;

/// Gives every file of one target's corpus to `check`.
fn replay(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&directory).expect("the corpus is checked in");
    let mut replayed = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("a readable file");
        // Shown only when the test fails, and then it ends with the culprit.
        println!("{}", path.display());
        check(&bytes);
        replayed += 1;
    }
    assert!(replayed > 100, "{target}: only {replayed} inputs");
}

#[test]
fn the_corpus_of_files_holds() {
    replay("file", invariants::hold_for_file);
}

#[test]
fn the_corpus_of_values_holds() {
    replay("value", invariants::hold_for_picked_value);
}

#[test]
fn clearing_everything_of_nothing_holds() {
    // lxc.arch is the one key that refuses to be empty.
    let keys = invariants::KEYS.iter().filter(|key| *key != "lxc.arch");
    let text: String = keys.map(|key| format!("{key} =\n")).collect();
    invariants::hold_for_file(text.as_bytes());
}
