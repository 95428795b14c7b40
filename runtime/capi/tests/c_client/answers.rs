//! Answers of two libraries to the same program, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::support::Ran;

/// One check that the two libraries answer differently, and why that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The check's name.
    pub check: &'static str,
    /// What ours says; `""` = the line is missing.
    pub ours: &'static str,
    /// What Debian's says; `""` = the line is missing.
    pub theirs: &'static str,
    /// The reason.
    pub why: &'static str,
}

impl Difference {
    /// One of a table.
    pub const fn new(
        check: &'static str,
        ours: &'static str,
        theirs: &'static str,
        why: &'static str,
    ) -> Difference {
        Difference {
            check,
            ours,
            theirs,
            why,
        }
    }
}

/// `name=value`, with the number of the line among those of its name.
type Answers = BTreeMap<(String, usize), String>;

fn answers(text: &str) -> Answers {
    let mut found = Answers::new();
    for line in text.lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let number = (0..)
            .find(|number| !found.contains_key(&(name.to_owned(), *number)))
            .unwrap_or_default();
        found.insert((name.to_owned(), number), value.to_owned());
    }
    found
}

/// Fails unless the two said the same but for what is `listed`; a listed difference that is none, or
/// not the listed one, fails too. Those of `possible` may be there or not.
///
/// # Panics
/// They did not.
#[track_caller]
pub fn agree_but_for(ours: &Ran, theirs: &Ran, listed: &[Difference], possible: &[Difference]) {
    let (ours_said, theirs_said) = (answers(&ours.stdout), answers(&theirs.stdout));
    let mut wrong = String::new();
    let mut seen = vec![false; listed.len()];
    let missing = String::new();
    let all: BTreeSet<_> = ours_said.keys().chain(theirs_said.keys()).collect();
    for check in all {
        let ours = ours_said.get(check).unwrap_or(&missing);
        let theirs = theirs_said.get(check).unwrap_or(&missing);
        if ours == theirs {
            continue;
        }
        let is_this =
            |row: &Difference| row.check == check.0 && row.ours == ours && row.theirs == theirs;
        match listed.iter().position(is_this) {
            Some(row) => seen[row] = true,
            None if possible.iter().any(is_this) => {}
            None => {
                let (name, number) = check;
                let _ = writeln!(
                    wrong,
                    "{name} (line {number} of that name)\n  ours:   {ours}\n  theirs: {theirs}"
                );
            }
        }
    }
    for (row, seen) in listed.iter().zip(seen) {
        if !seen {
            let _ = writeln!(wrong, "listed, but not so any more: {row:?}");
        }
    }
    assert!(
        wrong.is_empty(),
        "the two libraries differ otherwise than listed:\n{wrong}\n--- stderr of ours\n{}\n--- of theirs\n{}",
        ours.stderr,
        theirs.stderr
    );
}
