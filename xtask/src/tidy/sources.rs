//! Rules about files: their names, their places, what stands in them.

use super::rust_text::code_only;
use super::tree::{MACHINE_PATHS, Tree};
use super::{NAMES_OF_NOTHING, TOP_LEVEL, UNSAFE_CRATES};

/// `unsafe` stands nowhere in the product but in the two crates made for it.
pub fn unsafe_tokens(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for folder in tree.crates() {
        if !folder.starts_with("runtime/") || UNSAFE_CRATES.contains(&folder.as_str()) {
            continue;
        }
        for file in tree.rust_files(&folder) {
            let code = code_only(&tree.text(file).unwrap_or_default());
            for (number, line) in code.lines().enumerate() {
                if has_word(line, "unsafe") {
                    broken.push(format!(
                        "{file}:{}: unsafe belongs in kernel or capi",
                        number + 1
                    ));
                }
            }
        }
    }
    broken
}

/// The roots of all other crates say so to the compiler.
pub fn forbid_unsafe(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for folder in tree.crates() {
        if UNSAFE_CRATES.contains(&folder.as_str()) {
            continue;
        }
        for file in tree
            .rust_files(&folder)
            .filter(|file| is_root(file, &folder))
        {
            let code = code_only(&tree.text(file).unwrap_or_default());
            if !code.contains("#![forbid(unsafe_code)]") {
                broken.push(format!("{file}: lacks #![forbid(unsafe_code)]"));
            }
        }
    }
    broken
}

/// Each crate says what it is, what it knows and what it never does.
pub fn crate_heads(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for folder in tree.crates() {
        let Some((file, text)) = tree.head(&folder) else {
            broken.push(format!("{folder}: neither src/lib.rs nor src/main.rs"));
            continue;
        };
        let head: String = text
            .lines()
            .filter(|line| line.starts_with("//!"))
            .collect();
        for word in ["**Is", "**Knows", "**Never"] {
            if !head.contains(word) {
                broken.push(format!("{file}: no {word}** in the head of the crate"));
            }
        }
    }
    broken
}

/// The top level is fixed; dot files are free.
pub fn top_level(tree: &Tree) -> Vec<String> {
    let mut entries: Vec<&str> = tree
        .files
        .iter()
        .filter_map(|file| file.split('/').next())
        .collect();
    entries.dedup();
    entries.retain(|entry| !entry.starts_with('.') && !TOP_LEVEL.contains(entry));
    entries
        .iter()
        .map(|entry| format!("{entry}: does not belong at top level"))
        .collect()
}

/// A file has one subject and is called after it.
pub fn file_names(tree: &Tree) -> Vec<String> {
    let named_after_nothing = |file: &&String| {
        file.rsplit('/')
            .next()
            .is_some_and(|name| NAMES_OF_NOTHING.contains(&name))
    };
    let sentence = |file: &String| format!("{file}: call it after its subject");
    tree.files
        .iter()
        .filter(named_after_nothing)
        .map(sentence)
        .collect()
}

/// Nothing refers to the machine that it was written on.
pub fn machine_paths(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for file in &tree.files {
        for (number, line) in tree.text(file).unwrap_or_default().lines().enumerate() {
            if let Some(path) = MACHINE_PATHS.iter().find(|path| begins_a_path(line, path)) {
                broken.push(format!(
                    "{file}:{}: {path} is a path of one machine",
                    number + 1
                ));
            }
        }
    }
    broken
}

/// Whether `path` stands in `line` other than inside a longer path.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-/})*".contains(c))
    })
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|found| found == word)
}

/// Whether the compiler starts reading a crate at this file of `folder`.
fn is_root(file: &str, folder: &str) -> bool {
    let Some(below) = file
        .strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix("/src/"))
    else {
        return false;
    };
    matches!(below, "lib.rs" | "main.rs")
        || below.strip_prefix("bin/").is_some_and(|name| {
            !name.contains('/') || name.ends_with("/main.rs") && name.matches('/').count() == 1
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_of_crates_are_known() {
        for (file, expected) in [
            ("a/src/lib.rs", true),
            ("a/src/main.rs", true),
            ("a/src/bin/x.rs", true),
            ("a/src/bin/x/main.rs", true),
            ("a/src/bin/x/deep.rs", false),
            ("a/src/deep/lib.rs", false),
            ("a/tests/lib.rs", false),
        ] {
            assert_eq!(is_root(file, "a"), expected, "{file}");
        }
    }
}
