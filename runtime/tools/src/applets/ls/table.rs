//! lxc-ls's texts: names in lines, and the table.

use super::columns::Column;
use super::row::Row;

/// Names in as many columns as the terminal holds; without a terminal one per line. Every name is
/// padded to the longest, as LXC does it.
pub fn names(names: &[&str], terminal_width: Option<usize>) -> String {
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let per_line = terminal_width.map_or(1, |columns| ((columns + 1) / (width + 1)).max(1));
    let lines = names.chunks(per_line).map(|line| {
        let cells: Vec<String> = line.iter().map(|name| format!("{name:width$}")).collect();
        cells.join(" ") + "\n"
    });
    lines.collect()
}

/// The table: a head and a line per container, every cell followed by a blank.
pub fn fancy(rows: &[Row], columns: &[Column]) -> String {
    let mut lines = vec![String::new(); rows.len() + 1];
    for column in columns {
        let cells = match column {
            Column::Ram => sizes(*column, rows, |row| row.ram_bytes),
            Column::Swap => sizes(*column, rows, |row| row.swap_bytes),
            _ => words(*column, rows),
        };
        for (line, cell) in lines.iter_mut().zip(cells) {
            line.push_str(&cell);
            line.push(' ');
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn words(column: Column, rows: &[Row]) -> Vec<String> {
    let mut cells = vec![column.head().to_owned()];
    cells.extend(rows.iter().map(|row| word(column, row)));
    let width = cells
        .iter()
        .map(|cell| cell.chars().count())
        .max()
        .unwrap_or(0);
    cells.iter().map(|cell| format!("{cell:width$}")).collect()
}

fn word(column: Column, row: &Row) -> String {
    let text = match column {
        Column::Name => row.name.clone(),
        Column::State => row.state.clone().unwrap_or_default(),
        Column::Pid => row.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        Column::Autostart => row
            .autostart
            .map(|on| u8::from(on).to_string())
            .unwrap_or_default(),
        Column::Groups => row.groups.join(", "),
        Column::Interface => row.interfaces.join(", "),
        Column::Ipv4 => row.ipv4.join(", "),
        Column::Ipv6 => row.ipv6.join(", "),
        Column::Unprivileged => row
            .unprivileged
            .map(|on| on.to_string())
            .unwrap_or_default(),
        Column::Ram | Column::Swap => String::new(),
    };
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// The room that LXC leaves for a number: `0.00`.
const SHORTEST_NUMBER: usize = 4;

/// Numbers are aligned at their right, in megabytes.
fn sizes(column: Column, rows: &[Row], of: impl Fn(&Row) -> Option<u64>) -> Vec<String> {
    let head = column.head();
    let number = |row: &Row| of(row).map(|bytes| format!("{:.2}", bytes as f64 / 1024.0 / 1024.0));
    let numbers: Vec<Option<String>> = rows.iter().map(number).collect();
    let longest = numbers.iter().flatten().map(String::len).max().unwrap_or(0);
    let width = longest.max(SHORTEST_NUMBER);
    let cell = |number: Option<String>| match number {
        Some(number) => format!("{number:>width$}MB"),
        None => format!("{:1$}", "-", width + 2),
    };
    let head = format!("{head:0$}", width + 2);
    std::iter::once(head)
        .chain(numbers.into_iter().map(cell))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::columns;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, "a  |bcd|ef |")]
    #[case(Some(80), "a   bcd ef |")]
    #[case(Some(7), "a   bcd|ef |")]
    #[case(Some(6), "a  |bcd|ef |")]
    #[case(Some(1), "a  |bcd|ef |")]
    fn plain_names(#[case] width: Option<usize>, #[case] wanted: &str) {
        assert_eq!(names(&["a", "bcd", "ef"], width).replace('\n', "|"), wanted);
    }

    fn rows() -> Vec<Row> {
        let running = Row {
            state: Some("RUNNING".to_owned()),
            pid: Some(7983),
            ram_bytes: Some(597_688),
            swap_bytes: Some(0),
            autostart: Some(true),
            groups: vec!["onboot".to_owned(), "web".to_owned()],
            interfaces: vec!["eth0".to_owned(), "lo".to_owned()],
            ipv4: vec!["10.0.3.17".to_owned()],
            unprivileged: Some(false),
            ..Row::named("tool-a".to_owned())
        };
        let stopped = Row {
            state: Some("STOPPED".to_owned()),
            autostart: Some(false),
            unprivileged: Some(true),
            ..Row::named("b".to_owned())
        };
        vec![running, stopped, Row::named("denied".to_owned())]
    }

    #[test]
    fn the_table() {
        let all = fancy(&rows(), columns::ALL);
        let default = fancy(&rows(), columns::DEFAULT);
        insta::assert_snapshot!("table", format!("{default}\n{all}").replace(" \n", " |\n"));
    }
}
