//! lxc-ls: the containers of a store, as names, as a table, or as JSON.

mod columns;
mod row;
mod table;

use std::path::Path;

use lxc_runtime::{Container, State, Store};

use self::columns::Column;
use self::row::Row;
use crate::applet::{self, Applet};
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::{Effect, Opt, Short, Takes};
use crate::output;
use crate::pattern::Pattern;

#[derive(Default)]
pub struct Ls {
    one_per_line: bool,
    fancy: bool,
    json: bool,
    columns: Option<String>,
    active: bool,
    running: bool,
    frozen: bool,
    stopped: bool,
    defined: bool,
    groups: Vec<String>,
    filter: Option<String>,
}

impl Applet for Ls {
    const WORDS: Words = Words {
        program: "lxc-ls",
        synopsis: "[OPTION...] [REGEX]",
        about: "lxc-ls lists containers. Several of the filters --running, --frozen, --stopped,\n\
                --defined, --groups and --filter list what passes all of them.",
        notes: "",
    };

    const NEEDS_NAME: bool = false;

    const OPTIONS: &'static [Opt<Ls>] = &[
        Opt {
            long: "line",
            short: Short::Listed('1'),
            effect: Effect::Flag(|ls| ls.one_per_line = true),
            help: "Print one name per line",
        },
        Opt {
            long: "fancy",
            short: Short::Listed('f'),
            effect: Effect::Flag(|ls| ls.fancy = true),
            help: "Print a table",
        },
        Opt {
            long: "fancy-format",
            short: Short::Listed('F'),
            effect: Effect::Value("COLUMN,...", |ls, list| {
                ls.columns = Some(list.to_owned());
                Ok(())
            }),
            help: "Columns of the table: NAME STATE PID RAM SWAP AUTOSTART GROUPS INTERFACE\n\
                   IPV4 IPV6 UNPRIVILEGED",
        },
        Opt {
            long: "active",
            short: Short::None,
            effect: Effect::Flag(|ls| ls.active = true),
            help: "List running and frozen containers",
        },
        Opt {
            long: "running",
            short: Short::None,
            effect: Effect::Flag(|ls| ls.running = true),
            help: "List containers that are not stopped",
        },
        Opt {
            long: "frozen",
            short: Short::None,
            effect: Effect::Flag(|ls| ls.frozen = true),
            help: "List frozen containers",
        },
        Opt {
            long: "stopped",
            short: Short::None,
            effect: Effect::Flag(|ls| ls.stopped = true),
            help: "List stopped containers",
        },
        Opt {
            long: "defined",
            short: Short::None,
            effect: Effect::Flag(|ls| ls.defined = true),
            help: "List containers that have a configuration file",
        },
        Opt {
            long: "nesting",
            short: Short::None,
            effect: Effect::Later(
                Takes::Optional("DEPTH"),
                "listing containers inside containers is",
            ),
            help: "List containers inside containers, DEPTH (default 5) levels deep",
        },
        Opt {
            long: "groups",
            short: Short::Listed('g'),
            effect: Effect::Value("GROUP,...", |ls, list| {
                ls.groups
                    .extend(list.split(',').filter(|g| !g.is_empty()).map(str::to_owned));
                Ok(())
            }),
            help: "List containers that are in all of these groups",
        },
        Opt {
            long: "filter",
            short: Short::None,
            effect: Effect::Value("REGEX", |ls, regex| {
                ls.filter = Some(regex.to_owned());
                Ok(())
            }),
            help: "List containers whose name matches this extended regular expression",
        },
        Opt {
            long: "json",
            short: Short::None,
            effect: Effect::Flag(|ls| ls.json = true),
            help: "Print a JSON array with an object per container",
        },
    ];

    fn run(self, common: &mut Common, rest: Vec<String>) -> Result<u8, Failure> {
        // An unknown column is a message and success, as scripts know it from LXC.
        let columns = match self.columns() {
            Ok(columns) => columns,
            Err(unknown) => {
                output::complain(&format!("Invalid key: {unknown}"));
                return Ok(0);
            }
        };
        let regex = self
            .filter
            .as_ref()
            .or_else(|| rest.first().filter(|_| rest.len() == 1));
        let pattern = regex
            .map(|regex| Pattern::parse(regex))
            .transpose()
            .map_err(Failure::new)?;
        let store = common.store()?;
        let names = self.names(&store)?.into_iter();
        let names = names.filter(|name| pattern.as_ref().is_none_or(|pattern| pattern.is_in(name)));
        let rows = self.rows(common, &store, names, &columns);
        output::print(&self.text(&rows, &columns)?)?;
        Ok(0)
    }
}

impl Ls {
    /// The columns whose values are needed.
    fn columns(&self) -> Result<Vec<Column>, String> {
        match (&self.columns, self.fancy, self.json) {
            (_, _, true) => Ok(columns::ALL.to_vec()),
            (_, false, _) => Ok(vec![Column::Name]),
            (None, true, _) => Ok(columns::DEFAULT.to_vec()),
            (Some(list), true, _) => columns::parse(list),
        }
    }

    fn names(&self, store: &Store) -> Result<Vec<String>, Failure> {
        let from_sockets = self.active || self.frozen;
        let mut names = if from_sockets {
            store.active()?
        } else {
            store.all()?
        };
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn rows(
        &self,
        common: &Common,
        store: &Store,
        names: impl Iterator<Item = String>,
        columns: &[Column],
    ) -> Vec<Row> {
        let filtered = self.running || self.frozen || self.stopped || self.defined;
        let names_only = columns.iter().all(|column| *column == Column::Name);
        names
            .filter_map(|name| {
                if names_only && !filtered && self.groups.is_empty() {
                    return Some(Row::named(name));
                }
                match self.row(store.path(), &name, columns) {
                    Ok(row) => row,
                    // One broken configuration must not hide the others.
                    Err(failure) => {
                        if !common.quiet {
                            applet::tell(common, &format!("{name}: {}", failure.text));
                        }
                        Some(Row::named(name))
                    }
                }
            })
            .collect()
    }

    fn row(&self, path: &Path, name: &str, columns: &[Column]) -> Result<Option<Row>, Failure> {
        let container = Container::open(name, Some(path))?;
        if self.defined && !container.is_defined() {
            return Ok(None);
        }
        if !self.groups.is_empty() {
            let groups = row::groups(&container)?;
            if !self.groups.iter().all(|group| groups.contains(group)) {
                return Ok(None);
            }
        }
        let by_state = self.running || self.stopped || self.frozen;
        let state = if by_state || columns.iter().any(|column| column.needs_state()) {
            Some(container.state()?)
        } else {
            None
        };
        if !state.is_none_or(|state| self.wants_state(state)) {
            return Ok(None);
        }
        Row::gather(&container, state, columns).map(Some)
    }

    fn wants_state(&self, state: State) -> bool {
        let stopped = state == State::Stopped;
        let frozen = state == State::Frozen;
        // --active --frozen lists what --active lists, in LXC too.
        (frozen || self.active || !self.frozen)
            && (!stopped || !self.running)
            && (stopped || !self.stopped)
    }

    fn text(&self, rows: &[Row], columns: &[Column]) -> Result<String, Failure> {
        if self.json {
            let text = serde_json::to_string_pretty(rows)
                .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
            return Ok(text + "\n");
        }
        if rows.is_empty() {
            return Ok(String::new());
        }
        Ok(if self.fancy {
            table::fancy(rows, columns)
        } else if self.one_per_line {
            rows.iter().map(|row| format!("{}\n", row.name)).collect()
        } else {
            let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            table::names(&names, terminal_width())
        })
    }
}

/// The width of the terminal that output, messages or input are connected to; None without one.
fn terminal_width() -> Option<usize> {
    let of = |size: rustix::io::Result<rustix::termios::Winsize>| {
        size.ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0)
    };
    of(rustix::termios::tcgetwinsize(std::io::stdout()))
        .or_else(|| of(rustix::termios::tcgetwinsize(std::io::stderr())))
        .or_else(|| of(rustix::termios::tcgetwinsize(std::io::stdin())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", State::Stopped, true)]
    #[case("r", State::Stopped, false)]
    #[case("r", State::Frozen, true)]
    #[case("f", State::Running, false)]
    #[case("f", State::Frozen, true)]
    #[case("af", State::Running, true)]
    #[case("s", State::Stopped, true)]
    #[case("s", State::Starting, false)]
    #[case("rs", State::Running, false)]
    #[case("rs", State::Stopped, false)]
    fn state_filters(#[case] filters: &str, #[case] state: State, #[case] listed: bool) {
        let ls = Ls {
            active: filters.contains('a'),
            running: filters.contains('r'),
            frozen: filters.contains('f'),
            stopped: filters.contains('s'),
            ..Ls::default()
        };
        assert_eq!(ls.wants_state(state), listed);
    }
}
