//! The columns of lxc-ls's table.

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Name,
    State,
    Pid,
    Ram,
    Swap,
    Autostart,
    Groups,
    Interface,
    Ipv4,
    Ipv6,
    Unprivileged,
}

/// All of them, in the order in which the help lists them.
pub const ALL: &[Column] = &[
    Column::Name,
    Column::State,
    Column::Pid,
    Column::Ram,
    Column::Swap,
    Column::Autostart,
    Column::Groups,
    Column::Interface,
    Column::Ipv4,
    Column::Ipv6,
    Column::Unprivileged,
];

/// The table without `--fancy-format`.
pub const DEFAULT: &[Column] = &[
    Column::Name,
    Column::State,
    Column::Autostart,
    Column::Groups,
    Column::Ipv4,
    Column::Ipv6,
    Column::Unprivileged,
];

impl Column {
    /// The head of the column, which is its name on the command line.
    pub fn head(self) -> &'static str {
        match self {
            Column::Name => "NAME",
            Column::State => "STATE",
            Column::Pid => "PID",
            Column::Ram => "RAM",
            Column::Swap => "SWAP",
            Column::Autostart => "AUTOSTART",
            Column::Groups => "GROUPS",
            Column::Interface => "INTERFACE",
            Column::Ipv4 => "IPV4",
            Column::Ipv6 => "IPV6",
            Column::Unprivileged => "UNPRIVILEGED",
        }
    }

    /// Whether the value depends on the container running.
    pub fn needs_state(self) -> bool {
        !matches!(
            self,
            Column::Name | Column::Autostart | Column::Groups | Column::Unprivileged
        )
    }
}

/// Reads a comma separated list in any case; the error is the first unknown name.
pub fn parse(list: &str) -> Result<Vec<Column>, String> {
    list.split(',')
        .map(str::trim)
        .map(|word| {
            let known = ALL
                .iter()
                .find(|column| column.head().eq_ignore_ascii_case(word));
            known.copied().ok_or_else(|| word.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let found = parse("name,STATE,Ipv4,name");
        let wanted = vec![Column::Name, Column::State, Column::Ipv4, Column::Name];
        assert_eq!(found, Ok(wanted));
        assert_eq!(parse("name,foo,bar"), Err("foo".to_owned()));
        assert_eq!(parse(""), Err(String::new()));
    }
}
