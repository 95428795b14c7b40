//! lxc-usernsexec: runs a program in a user namespace with id maps.

use lxc_runtime::{IdKind, IdRange, UserNamespace};

use super::exit_code;
use crate::applet::Entry;
use crate::failure::Failure;
use crate::help::{self, Table, Words};
use crate::options::{self, Effect, Opt, Short, Text};
use crate::output;

/// The tool among the names of the program. It has none of the options that others have.
pub const ENTRY: Entry = Entry {
    words: &WORDS,
    table,
    run,
};

const WORDS: Words = Words {
    program: "lxc-usernsexec",
    synopsis: "[OPTION...] [--] [COMMAND...]",
    about: "lxc-usernsexec runs COMMAND, or /bin/sh, as root of a new user namespace and ends with its\n\
            exit status.",
    notes: "Without -m, the first range that /etc/subuid and /etc/subgid grant the caller is mapped\n\
            from id 0 on.",
};

#[derive(Default)]
struct Request {
    ranges: Vec<IdRange>,
    own: bool,
    uid: u32,
    gid: u32,
}

const OPTIONS: &[Opt<Request>] = &[
    Opt {
        long: "map",
        short: Short::Listed('m'),
        effect: Effect::Value("KIND:INSIDE:HOST:COUNT", |request, map| {
            request.ranges.extend(ranges(map)?);
            Ok(())
        }),
        help: "Map COUNT ids from INSIDE on to those of the host from HOST on; KIND is u for users,\n\
               g for groups, b for both. May be repeated",
    },
    Opt {
        long: "self",
        short: Short::Listed('s'),
        effect: Effect::Flag(|request| request.own = true),
        help: "Map the caller's own ids too, to the lowest that are free inside",
    },
    Opt {
        long: "uid",
        short: Short::Listed('u'),
        effect: Effect::Value("UID", |request, id| {
            request.uid = number(id)?;
            Ok(())
        }),
        help: "Run COMMAND as this user (default 0)",
    },
    Opt {
        long: "gid",
        short: Short::Listed('g'),
        effect: Effect::Value("GID", |request, id| {
            request.gid = number(id)?;
            Ok(())
        }),
        help: "Run COMMAND as this group (default 0)",
    },
    Opt {
        long: "help",
        short: Short::Listed('h'),
        effect: Effect::Text(Text::Help),
        help: "Print this help",
    },
];

fn table() -> Table {
    Table {
        own: OPTIONS.iter().map(Opt::form).collect(),
        common: Vec::new(),
    }
}

fn run(words: Vec<String>) -> u8 {
    match execute(words) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(&format!("{}: {}", WORDS.program, failure.text));
            failure.code
        }
    }
}

fn execute(words: Vec<String>) -> Result<u8, Failure> {
    let table = table();
    // The command's own options are its own, -- or not.
    let found = options::matched(&table.own, words, true);
    let mut request = Request::default();
    for given in found.given {
        let value = given.value.as_deref().unwrap_or_default();
        match OPTIONS[given.row].effect {
            Effect::Value(_, set) => set(&mut request, value).map_err(Failure::new)?,
            Effect::Flag(set) => set(&mut request),
            _ => {
                output::print(&help::help(&WORDS, &table))?;
                return Ok(0);
            }
        }
    }
    if let Some(mistake) = found.mistake {
        let text = format!("{mistake} (lxc-usernsexec -h lists the options)");
        return Err(Failure::new(text));
    }
    let mut namespace = match request.ranges.is_empty() {
        true => UserNamespace::granted()?,
        false => UserNamespace::new(request.ranges),
    };
    if request.own {
        namespace = namespace.with_own_ids();
    }
    let command = match found.rest.is_empty() {
        true => vec!["/bin/sh".to_owned()],
        false => found.rest,
    };
    let status = namespace.run(&command, (request.uid, request.gid))?;
    Ok(exit_code(status))
}

/// `b:0:100000:65536` as ranges; the kernel's limits are the configuration's.
fn ranges(map: &str) -> Result<Vec<IdRange>, String> {
    let shape = || {
        format!(
            "-m {map}: KIND:INSIDE:HOST:COUNT is expected, such as b:0:100000:65536; KIND is u, g or b"
        )
    };
    let mut words = map.split(':');
    let kinds: &[IdKind] = match words.next() {
        Some("u") => &[IdKind::User],
        Some("g") => &[IdKind::Group],
        Some("b") => &[IdKind::User, IdKind::Group],
        _ => return Err(shape()),
    };
    let mut next = || number(words.next().unwrap_or_default()).map_err(|_| shape());
    let (inside, host, count) = (next()?, next()?, next()?);
    if words.next().is_some() || count == 0 {
        return Err(shape());
    }
    // The last number means "no id" to the kernel.
    let room = u32::MAX - inside.max(host);
    if count > room {
        return Err(format!("-m {map}: the range ends behind the last id"));
    }
    let range = |kind: &IdKind| IdRange {
        kind: *kind,
        inside,
        host,
        count,
    };
    Ok(kinds.iter().map(range).collect())
}

/// Digits only, and no "no id".
fn number(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|id| digits && *id != u32::MAX);
    number.ok_or_else(|| format!("{text:?} is no id; give a number up to {}", u32::MAX - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("b:0:100000:65536", 2)]
    #[case("u:5:1:1", 1)]
    #[case("g:0:4294967294:1", 1)]
    #[case("g:0:4294967295:1", 0)]
    #[case("g:0:4294967294:2", 0)]
    #[case("x:0:1:2", 0)]
    #[case("b:0:1", 0)]
    #[case("b:0:1:2:3", 0)]
    #[case("b:0:1:0", 0)]
    #[case("b:0:-1:1", 0)]
    #[case("b:0:+1:1", 0)]
    #[case("b::1:1", 0)]
    #[case("", 0)]
    fn maps_on_the_command_line(#[case] map: &str, #[case] count: usize) {
        assert_eq!(ranges(map).map_or(0, |ranges| ranges.len()), count, "{map}");
    }
}
