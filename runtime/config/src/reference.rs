//! The reference page of all keys, in Markdown, written from the table.

use crate::documentation::{KeyDoc, documentation};
use std::fmt::Write;

const HEAD: &str = "\
# Keys of a container's configuration

This page is written from the key table; `cargo test -p lxc-config --test reference` says how when
it is out of date. In keys, N is the number of a network device, NS a namespace (user, mnt, pid, uts,
ipc, net, cgroup, time), and FILE and NAME are names of your choice. `lxc.container.conf(5)` explains
the file format.

*Default* is what the library shows when nothing is set; a dash means that it shows nothing. *Linux*
is the oldest kernel that can do it, if not every supported kernel can. A key that is not *carried
out* yet is stored, shown and saved like all others, but starting a container refuses it by name
unless it has its default.

| Key | What it is for | Values, for example | Default | Linux | Carried out |
|---|---|---|---|---|---|
";

/// A page of all keys in Markdown: what each is for, values it takes, its default, the oldest kernel
/// that can do it, and whether a start carries it out.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for row in documentation() {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{}", line(&row));
    }
    page
}

fn line(row: &KeyDoc) -> String {
    let values: Vec<String> = row.examples.iter().map(|(value, _)| code(value)).collect();
    let refused: Vec<String> = row.refused_words.iter().map(|word| code(word)).collect();
    let carried_out = match (row.is_implemented, refused.is_empty()) {
        (true, true) => "yes".to_owned(),
        (true, false) => format!("all but {}", refused.join(", ")),
        (false, _) => "not yet".to_owned(),
    };
    let cells = [
        code(&row.key),
        row.doc.replace('|', "\\|"),
        values.join(", "),
        row.default.as_deref().map_or("-".to_owned(), code),
        row.since.unwrap_or("").to_owned(),
        carried_out,
    ];
    format!("| {} |", cells.join(" | "))
}

/// `text` as code in a cell of a table; a line end at its end is not shown.
fn code(text: &str) -> String {
    let text = text.trim_end_matches('\n').replace(['\t', '\n'], " ");
    match text.is_empty() {
        true => "-".to_owned(),
        false => format!("`{}`", text.replace('|', "\\|")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_or_a_tab_does_not_break_the_table() {
        assert_eq!(code("a|b\tc\n"), "`a\\|b c`");
        assert_eq!(code(""), "-");
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(documentation().all(|row| cells(&line(&row)) == 7));
    }
}
