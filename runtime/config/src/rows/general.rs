//! Architecture, host name, environment, groups, signals, logging.

use crate::grammar;
use crate::setting::{Fault, Field, Input, Resolved, Setting, show};
use crate::values::{Arch, EnvVar, Located, Monitor, Values};

/// What personality(2) can tell apart, and the names for each.
const ARCHITECTURES: &[(Arch, &[&str])] = &[
    (
        Arch::Bits32,
        &[
            "i686", "arm", "armel", "armhf", "armv7l", "athlon", "i386", "i486", "i586", "linux32",
            "mips", "mipsel", "ppc", "powerpc", "x32", "x86",
        ],
    ),
    (
        Arch::Bits64,
        &[
            "x86_64",
            "aarch64",
            "amd64",
            "arm64",
            "linux64",
            "loong64",
            "loongarch64",
            "mips64",
            "mips64el",
            "ppc64",
            "ppc64el",
            "ppc64le",
            "powerpc64",
            "riscv64",
            "s390x",
        ],
    ),
];

/// `lxc.arch`: unlike other keys it refuses to be empty.
pub(crate) struct ArchKey;

impl Setting<Values> for ArchKey {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let found = ARCHITECTURES
            .iter()
            .find(|(_, names)| names.contains(&input.value));
        let (arch, _) = found.ok_or_else(no_architecture)?;
        values.arch = Some(*arch);
        Ok(())
    }

    fn empty(&self, _values: &mut Values) -> Result<Option<&'static str>, Fault> {
        Err(no_architecture())
    }

    fn clear(&self, values: &mut Values) {
        values.arch = None;
    }

    fn get(&self, values: &Values) -> Option<String> {
        let (_, names) = ARCHITECTURES
            .iter()
            .find(|(arch, _)| Some(*arch) == values.arch)?;
        // The first name stands for all of its kind.
        names.first().map(|name| (*name).to_owned())
    }
}

fn no_architecture() -> Fault {
    Fault::bad(
        "not an architecture",
        "a name such as x86_64, i686, arm64 or armhf is expected",
    )
}

/// Longest name sethostname(2) takes.
const LONGEST_HOST_NAME: usize = 64;

pub(crate) fn host_name(input: &Input) -> Result<Option<String>, Fault> {
    grammar::short_text(input.value, LONGEST_HOST_NAME, "a host name").map(Some)
}

/// `lxc.environment`: `NAME` alone copies the variable from this process.
pub(crate) struct Environment(pub Field<Values, Vec<Located<EnvVar>>>);

const VARIABLE: &str = "NAME=value, or NAME to copy it from the environment, is expected";

impl Setting<Values> for Environment {
    fn resolve(&self, value: &str) -> Result<Resolved, Fault> {
        if value.contains('=') {
            return Ok(Resolved::AsWritten);
        }
        match std::env::var(value) {
            // A value of several lines could not be written down as one assignment.
            Ok(copy) if copy.contains(['\n', '\r']) => Err(Fault::bad(
                "the variable in the environment has a line break",
                VARIABLE,
            )),
            Ok(copy) => Ok(Resolved::ForThisRun(format!("{value}={copy}"))),
            Err(std::env::VarError::NotPresent) => {
                Err(Fault::bad("no such variable in the environment", VARIABLE))
            }
            Err(std::env::VarError::NotUnicode(_)) => Err(Fault::bad(
                "the variable in the environment is not UTF-8",
                VARIABLE,
            )),
        }
    }

    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let variable = input
            .value
            .split_once('=')
            .filter(|(name, _)| !name.is_empty());
        let (name, value) = variable.ok_or_else(|| Fault::bad("no name", VARIABLE))?;
        let variable = EnvVar {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        (self.0.of_mut)(values).push(grammar::located(input, variable));
        Ok(())
    }

    fn clear(&self, values: &mut Values) {
        (self.0.of_mut)(values).clear();
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn get(&self, values: &Values) -> Option<String> {
        show::lines((self.0.of)(values), |variable| {
            format!("{}={}", variable.value.name, variable.value.value)
        })
    }
}

pub(crate) fn raw_line(input: &Input) -> Result<Vec<String>, Fault> {
    Ok(vec![input.value.to_owned()])
}

pub(crate) fn show_lines(lines: &[String]) -> Option<String> {
    show::lines(lines, |line| line)
}

/// Group ids separated by commas; at least one.
pub(crate) fn group_ids(input: &Input) -> Result<Vec<u32>, Fault> {
    let words = input.value.split(',').filter(|word| !word.is_empty());
    let ids: Vec<u32> = words
        .map(|word| {
            let id = grammar::whole_number(word, 0, u32::MAX.into());
            id.map(|id| id as u32).map_err(|fault| fault.about(word))
        })
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Err(Fault::bad(
            "no group id",
            "group ids such as 5,20,44 are expected",
        ));
    }
    Ok(ids)
}

pub(crate) fn show_group_ids(ids: &[u32]) -> Option<String> {
    let texts: Vec<String> = ids.iter().map(u32::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

pub(crate) fn groups(input: &Input) -> Result<Vec<String>, Fault> {
    Ok(grammar::blank_separated(input.value)
        .map(str::to_owned)
        .collect())
}

fn signal_number(input: &Input) -> Result<i32, Fault> {
    crate::signals::parse(input.value).map_err(|why| {
        Fault::bad(
            why,
            "a name such as SIGPWR or SIGRTMIN+3, or a number, is expected",
        )
    })
}

/// A signal; 0 is LXC's default.
pub(crate) fn signal(input: &Input) -> Result<Option<i32>, Fault> {
    signal_number(input).map(|number| Some(number).filter(|number| *number != 0))
}

/// `lxc.monitor.signal.pdeath`: empty means none, cleared means the default. (Cleared through its
/// library LXC has none, too, but does not save that.)
pub(crate) struct ParentDeathSignal;

impl Setting<Values> for ParentDeathSignal {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        values.monitor.pdeath = signal_number(input)?;
        Ok(())
    }

    fn empty(&self, values: &mut Values) -> Result<Option<&'static str>, Fault> {
        values.monitor.pdeath = 0;
        Ok(Some("0"))
    }

    fn clear(&self, values: &mut Values) {
        values.monitor.pdeath = Monitor::default().pdeath;
    }

    fn get(&self, values: &Values) -> Option<String> {
        show::number(&values.monitor.pdeath)
    }
}

/// Syslog facilities are named in any case, and shown as they were written.
pub(crate) fn facility(input: &Input) -> Result<Option<String>, Fault> {
    let lower = input.value.to_ascii_lowercase();
    let is_local = || {
        lower
            .strip_prefix("local")
            .is_some_and(|digit| matches!(digit.as_bytes(), [b'0'..=b'7']))
    };
    if lower == "daemon" || is_local() {
        return Ok(Some(input.value.to_owned()));
    }
    Err(Fault::bad(
        "not a syslog facility that LXC uses",
        "daemon, or local0 to local7, is expected",
    ))
}

/// Names of log levels; the index is the level.
const LOG_LEVELS: &[&str] = &[
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRIT", "ALERT", "FATAL",
];

pub(crate) fn log_level(input: &Input) -> Result<Option<u8>, Fault> {
    let by_name = LOG_LEVELS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(input.value));
    let by_number = || {
        input
            .value
            .parse()
            .ok()
            .filter(|level| *level < LOG_LEVELS.len())
    };
    match by_name.or_else(by_number) {
        Some(level) => Ok(Some(level as u8)),
        None => Err(Fault::bad(
            "not a log level",
            format!("one of {}, or 0 to 8, is expected", LOG_LEVELS.join(", ")),
        )),
    }
}

pub(crate) fn show_log_level(level: &Option<u8>) -> Option<String> {
    let name = level.and_then(|level| LOG_LEVELS.get(usize::from(level)));
    Some(name.copied().unwrap_or("NOTSET").to_owned())
}
