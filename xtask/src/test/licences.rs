//! May each crate that is linked or run here be used under a licence on our list?

use crate::project::{Outcome, Project};

/// Reads the list from ci/deny.toml and each crate's licence from cargo.
pub fn check(project: &Project) -> Outcome {
    let file = project.sh.read_file(project.root.join("ci/deny.toml"))?;
    let allowed = allowed(&file)?;
    let tree = project
        .cargo()
        .args([
            "tree",
            "--workspace",
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}\t{l}"])
        .quiet()
        .read()?;
    let mut lines: Vec<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let refused: Vec<String> = lines
        .iter()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(_, licence)| !is_allowed(licence, &allowed))
        .map(|(package, licence)| match licence.trim() {
            "" => format!("{package} names no licence"),
            licence => format!("{package} is under {licence}, which ci/deny.toml does not allow"),
        })
        .collect();
    if !refused.is_empty() {
        return Err(refused.join("\n").into());
    }
    println!(
        "{} crates, all under licences that ci/deny.toml allows",
        lines.len()
    );
    Ok(())
}

fn allowed(deny: &str) -> Outcome<Vec<String>> {
    let table: toml::Table = deny.parse()?;
    let list = table
        .get("licenses")
        .and_then(|licenses| licenses.get("allow"))
        .and_then(toml::Value::as_array)
        .ok_or("ci/deny.toml has no licenses.allow")?;
    Ok(list
        .iter()
        .filter_map(toml::Value::as_str)
        .map(String::from)
        .collect())
}

/// Evaluates an SPDX expression: one side of OR suffices, AND needs both. `/` is an old OR.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allowed) == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words, allowed: &[String]) -> Option<bool> {
    let mut result = both(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        result |= both(words, allowed)?;
    }
    Some(result)
}

fn both(words: &mut Words, allowed: &[String]) -> Option<bool> {
    let mut result = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        result &= one(words, allowed)?;
    }
    Some(result)
}

fn one(words: &mut Words, allowed: &[String]) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let result = either(words, allowed);
        return words.next_if_eq(&")").and(result);
    }
    let mut licence = word.to_string();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next()?);
    }
    Some(allowed.contains(&licence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_evaluated() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(String::from);
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("MIT/Apache-2.0", true),
            ("MIT AND (GPL-3.0 OR Apache-2.0)", true),
            ("(MIT AND GPL-3.0) OR LGPL-2.1", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("MIT WITH Autoconf-exception", false),
            ("(MIT", false),
            ("MIT Apache-2.0", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn the_list_is_read() {
        assert_eq!(allowed("[licenses]\nallow = [\"MIT\"]\n").unwrap(), ["MIT"]);
        assert!(allowed("[bans]\n").is_err());
    }
}
