//! Rules about Cargo.toml: who may use whom, and why a dependency is there.

use super::STAIRS;
use super::tree::Tree;

/// A crate uses only those below it.
pub fn stairs(tree: &Tree) -> Vec<String> {
    tree.crates()
        .iter()
        .flat_map(|folder| climbs(tree, folder))
        .collect()
}

fn climbs(tree: &Tree, folder: &str) -> Vec<String> {
    let step = STAIRS.iter().find(|(place, ..)| *place == folder);
    let Some((_, package, allowed)) = step else {
        let stranger = folder.starts_with("runtime/");
        let sentence = format!("{folder}: no such step; the crates of the house are fixed");
        return stranger.then_some(sentence).into_iter().collect();
    };
    let file = format!("{folder}/Cargo.toml");
    let table: toml::Table = match tree.text(&file).unwrap_or_default().parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("{file}: {}", error.to_string().trim())],
    };
    used(&table)
        .into_iter()
        .filter(|used| STAIRS.iter().any(|(_, package, _)| package == used))
        .filter(|used| used != package && !allowed.contains(&used.as_str()))
        .map(|used| match allowed {
            [] => format!("{folder}: {package} uses {used}, but may use none of our crates"),
            allowed => format!(
                "{folder}: {package} uses {used}, but may use only {}",
                allowed.join(", ")
            ),
        })
        .collect()
}

/// Packages in all dependency tables of a manifest, by their own names.
fn used(manifest: &toml::Table) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else {
            continue;
        };
        if key == "target" {
            found.extend(
                table
                    .values()
                    .filter_map(toml::Value::as_table)
                    .flat_map(used),
            );
        } else if key.ends_with("dependencies") {
            found.extend(table.iter().map(|(name, row)| {
                let renamed = row.get("package").and_then(toml::Value::as_str);
                renamed.unwrap_or(name).to_string()
            }));
        }
    }
    found
}

/// Each dependency of the workspace is argued by a comment beside it or above its block.
pub fn argued_dependencies(tree: &Tree) -> Vec<String> {
    let text = tree.text("Cargo.toml").unwrap_or_default();
    let mut broken = Vec::new();
    let mut inside = false;
    let mut argued = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
            argued = false;
        } else if line.is_empty() {
            argued = false;
        } else if line.starts_with('#') {
            argued = true;
        } else if inside && let Some((name, row)) = line.split_once('=') {
            let beside = row
                .rsplit(['"', '}', ']'])
                .next()
                .is_some_and(|rest| rest.contains('#'));
            if !argued && !beside {
                let name = name.trim();
                broken.push(format!(
                    "Cargo.toml:{}: {name} is there without a reason",
                    number + 1
                ));
            }
        }
    }
    broken
}
