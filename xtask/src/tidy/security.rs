//! The table of known attacks: each row has a proof that exists, or names the area it waits for.

use std::collections::BTreeSet;

use super::tree::Tree;

/// The table, and the folder that the names of its scenarios begin in.
const TABLE: &str = "runtime/security.md";
const FOLDER: &str = "scenarios/";

/// Each row names tests or scenarios that exist, or says `later: AREA`; no id stands twice.
pub fn proofs_exist(tree: &Tree) -> Vec<String> {
    let Some(text) = tree.text(TABLE) else {
        return Vec::new();
    };
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((id, proof)) = row(line) else {
            continue;
        };
        let at = format!("{TABLE}:{}: {id}", number + 1);
        if !seen.insert(id) {
            broken.push(format!("{at} stands twice"));
        }
        broken.extend(
            wrong(tree, proof)
                .into_iter()
                .map(|what| format!("{at} {what}")),
        );
    }
    if seen.is_empty() {
        broken.push(format!("{TABLE}: no row can be read from it"));
    }
    broken
}

/// The first and the last column of a row; the heads of the tables are none.
fn row(line: &str) -> Option<(&str, &str)> {
    let cells = line.strip_prefix('|')?.strip_suffix('|')?;
    let (id, rest) = cells.split_once('|')?;
    let (_, proof) = rest.rsplit_once('|')?;
    let (id, proof) = (id.trim(), proof.trim());
    let head = proof == "proof" || id.chars().all(|c| c == '-');
    (!head).then_some((id, proof))
}

/// What is wrong with a row's proof.
fn wrong(tree: &Tree, proof: &str) -> Vec<String> {
    if let Some(area) = proof.strip_prefix("later:") {
        let named = !area.trim().is_empty();
        return match named {
            true => Vec::new(),
            false => vec!["is for later, but of no area".to_owned()],
        };
    }
    // Every other part of a text that is cut at its quotes stood between two of them.
    let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
    if named.is_empty() {
        return vec!["has no proof; name a test or a scenario, or write `later: AREA`".to_owned()];
    }
    named
        .into_iter()
        .filter(|name| !exists(tree, name))
        .map(|name| format!("names {name}, which does not exist"))
        .collect()
}

fn exists(tree: &Tree, name: &str) -> bool {
    let Some((file, test)) = name.split_once("::") else {
        let scenario = format!("{FOLDER}{name}");
        return name.ends_with(".toml") && tree.files.contains(&scenario);
    };
    let text = tree.text(file).unwrap_or_default();
    text.contains(&format!("fn {test}("))
}
