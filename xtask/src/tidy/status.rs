//! The README's table of extensions says what the library says.

use super::tree::Tree;

/// Where the library says which extensions work: one `yes("NAME")` or `no("NAME")` a line.
const EXTENSIONS: &str = "runtime/lxc/src/extensions.rs";

/// Each extension has one row, in the library's order, and its second column begins with `yes` if and
/// only if the library says that it works.
pub fn agrees(tree: &Tree) -> Vec<String> {
    let Some(source) = tree.text(EXTENSIONS) else {
        return Vec::new();
    };
    let told = told(&source);
    if told.is_empty() {
        return vec![format!("{EXTENSIONS}: no extension can be read from it")];
    }
    let shown = shown(&tree.text("README.md").unwrap_or_default());
    let names = |rows: &[(String, bool)]| rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
    if names(&told) != names(&shown) {
        let stranger = told
            .iter()
            .zip(&shown)
            .find(|(told, shown)| told.0 != shown.0);
        let at = stranger.map_or("its length".to_owned(), |(told, _)| told.0.clone());
        return vec![format!(
            "README.md: the table of extensions differs from {EXTENSIONS} at {at}"
        )];
    }
    let differ = told
        .iter()
        .zip(&shown)
        .filter(|(told, shown)| told.1 != shown.1);
    differ
        .map(|((name, works), _)| match works {
            true => format!("README.md: {name} works, so its row begins with yes"),
            false => format!("README.md: {name} does not work, so its row must not begin with yes"),
        })
        .collect()
}

/// Names, and whether they work.
fn told(source: &str) -> Vec<(String, bool)> {
    let row = |line: &str| {
        let (word, rest) = line.trim().split_once("(\"")?;
        let (name, _) = rest.split_once("\")")?;
        matches!(word, "yes" | "no").then(|| (name.to_owned(), word == "yes"))
    };
    source.lines().filter_map(row).collect()
}

/// Names in the first column, and whether the second begins with `yes`.
fn shown(readme: &str) -> Vec<(String, bool)> {
    let table = readme
        .lines()
        .skip_while(|line| !line.starts_with("| extension |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.filter_map(|line| {
        let mut columns = line.split('|').skip(1).map(str::trim);
        let name = columns.next()?.trim_matches('`').to_owned();
        Some((name, columns.next()?.starts_with("yes")))
    })
    .collect()
}
