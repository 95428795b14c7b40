//! What lxc-ls knows of one container.

use lxc_runtime::{Container, ErrorKind, State};
use serde::Serialize;

use super::columns::Column;
use crate::failure::Failure;

/// The values of the columns asked for; the others are empty.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Row {
    pub name: String,
    pub state: Option<String>,
    pub pid: Option<i32>,
    pub ram_bytes: Option<u64>,
    pub swap_bytes: Option<u64>,
    pub autostart: Option<bool>,
    pub groups: Vec<String>,
    pub interfaces: Vec<String>,
    pub ipv4: Vec<String>,
    pub ipv6: Vec<String>,
    pub unprivileged: Option<bool>,
}

impl Row {
    /// A container of which only the name is known.
    pub fn named(name: String) -> Row {
        Row {
            name,
            ..Row::default()
        }
    }

    /// Asks for the columns' values and nothing else.
    pub fn gather(
        container: &Container,
        state: Option<State>,
        columns: &[Column],
    ) -> Result<Row, Failure> {
        let mut row = Row::named(container.name().to_owned());
        let running = state.is_some_and(|state| state != State::Stopped);
        let mut with_ips = false;
        for column in columns {
            match column {
                Column::Name => {}
                Column::State => row.state = state.map(|state| state.to_string()),
                Column::Autostart => {
                    row.autostart = Some(item(container, "lxc.start.auto")?.trim() == "1");
                }
                Column::Groups => row.groups = groups(container)?,
                Column::Unprivileged => {
                    row.unprivileged = Some(!item(container, "lxc.idmap")?.is_empty());
                }
                _ if !running => {}
                Column::Pid => row.pid = container.init_pid()?,
                Column::Ram => row.ram_bytes = ram(container),
                Column::Swap => row.swap_bytes = swap(container),
                Column::Interface => row.interfaces = container.interfaces()?,
                Column::Ipv4 | Column::Ipv6 => with_ips = true,
            }
        }
        if with_ips {
            row.set_ips(container)?;
        }
        Ok(row)
    }

    fn set_ips(&mut self, container: &Container) -> Result<(), Failure> {
        for ip in container.ips()? {
            let list = if ip.is_ipv4() {
                &mut self.ipv4
            } else {
                &mut self.ipv6
            };
            list.push(ip.to_string());
        }
        self.ipv4.sort();
        self.ipv6.sort();
        Ok(())
    }
}

/// The container's groups.
pub fn groups(container: &Container) -> Result<Vec<String>, Failure> {
    let text = item(container, "lxc.group")?;
    Ok(text
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

fn item(container: &Container, key: &str) -> Result<String, Failure> {
    match container.config_item(key) {
        Ok(value) => Ok(value.unwrap_or_default()),
        // A key that is not implemented is refused when a configuration sets it: here it is unset.
        Err(error) if error.kind() == ErrorKind::NotImplemented => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

fn ram(container: &Container) -> Option<u64> {
    number(container, "memory.usage_in_bytes").or_else(|| number(container, "memory.current"))
}

fn swap(container: &Container) -> Option<u64> {
    let v1 = container
        .cgroup_item("memory.stat")
        .ok()
        .flatten()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("swap "))?;
            line.trim().parse().ok()
        });
    v1.or_else(|| number(container, "memory.swap.current"))
}

fn number(container: &Container, file: &str) -> Option<u64> {
    container
        .cgroup_item(file)
        .ok()
        .flatten()?
        .trim()
        .parse()
        .ok()
}
