//! Log lines in LXC's format, one write(2) each, behind the `log` facade.

use crate::request::LogTarget;
use log::{Level, LevelFilter, Metadata, Record};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{OnceLock, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// LXC's levels, least first; the facade knows five of them.
const NAMES: [&str; 9] = [
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRIT", "ALERT", "FATAL",
];

/// The number of a level name in any case, 0 (TRACE) to 8 (FATAL).
pub fn level_number(name: &str) -> Option<u8> {
    NAMES
        .iter()
        .position(|n| n.eq_ignore_ascii_case(name))
        .map(|n| n as u8)
}

/// LXC's name of a level number.
pub fn level_name(number: u8) -> &'static str {
    NAMES.get(number as usize).copied().unwrap_or("NOTSET")
}

struct Sink {
    target: LogTarget,
    name: String,
    file: Option<OwnedFd>,
    /// Errors go to stderr as well.
    stderr: bool,
}

impl Sink {
    /// Whether a line of this level goes to the file, and whether to stderr.
    fn takes(&self, level: u8) -> (bool, bool) {
        let written = level >= self.target.level;
        (
            written && self.file.is_some(),
            written && self.stderr && level >= number(Level::Error),
        )
    }
}

static SINK: OnceLock<RwLock<Sink>> = OnceLock::new();

struct Facade;

fn number(level: Level) -> u8 {
    match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 4,
        Level::Error => 5,
    }
}

impl log::Log for Facade {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let Some(sink) = SINK.get().and_then(|s| s.read().ok()) else {
            return false;
        };
        sink.takes(number(metadata.level())) != (false, false)
    }

    fn log(&self, record: &Record<'_>) {
        let Some(sink) = SINK.get().and_then(|s| s.read().ok()) else {
            return;
        };
        let level = number(record.level());
        let (to_file, to_stderr) = sink.takes(level);
        if let Some(file) = sink.file.as_ref().filter(|_| to_file) {
            let line = format(&sink, level, record);
            // A log that cannot be written must not stop what is being logged.
            let _ = rustix::io::write(file, line.as_bytes());
        }
        if to_stderr {
            let _ = std::io::stderr().write_all(spoken(&sink, record).as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Where a record was written: category and file. The facade does not tell the function; the
/// category stands for it.
fn place<'a>(record: &'a Record<'_>) -> (&'a str, &'a str) {
    let module = record.module_path().unwrap_or("lxc");
    let category = module.rsplit("::").next().unwrap_or(module);
    let file = record.file().and_then(|f| f.rsplit('/').next());
    (category, file.unwrap_or("lxc"))
}

/// `PREFIX: [NAME: ]FILE: FUNCTION: LINE MESSAGE`, as LXC says it on stderr.
fn spoken(sink: &Sink, record: &Record<'_>) -> String {
    let (category, file) = place(record);
    let name = match sink.name.as_str() {
        "" => String::new(),
        name => format!("{name}: "),
    };
    let (prefix, line) = (&sink.target.prefix, record.line().unwrap_or(0));
    format!(
        "{prefix}: {name}{file}: {category}: {line} {}\n",
        record.args()
    )
}

/// `PREFIX NAME YYYYMMDDhhmmss.mmm LEVEL    category - FILE:FUNCTION:LINE - MESSAGE`, in UTC.
fn format(sink: &Sink, level: u8, record: &Record<'_>) -> String {
    let (category, file) = place(record);
    let name = if sink.name.is_empty() {
        String::new()
    } else {
        format!(" {}", sink.name)
    };
    let mut line = format!(
        "{}{name} {} {:<8} {category} - {file}:{category}:{} - {}",
        sink.target.prefix,
        timestamp(SystemTime::now()),
        level_name(level),
        record.line().unwrap_or(0),
        record.args().to_string().replace('\n', " "),
    );
    // One line, one write, never interleaved: the kernel guarantees that up to 4096 bytes.
    let mut end = line.len().min(4095);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line.push('\n');
    line
}

/// `YYYYMMDDhhmmss.mmm` in UTC. C LXC does not pad the milliseconds (5 ms show as `.500`): no program
/// can tell those lines apart, and a person is misled, so ours are right.
///
/// From the civil-from-days arithmetic of the Gregorian calendar.
fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days are counted from 0000-03-01, so that a leap day is a year's last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}

/// Starts logging to the file of `target` for the container `name`; a second call replaces the
/// first. Nothing goes to stderr: whoever fails says so itself.
///
/// # Errors
/// The file cannot be opened; logging stays as it was.
pub fn init(target: LogTarget, name: &str) -> std::io::Result<()> {
    begin(target, name, false)
}

/// The same for a program that leaves it to the log to say what failed: errors go to stderr as
/// well, unless `target` is quiet.
///
/// # Errors
/// As [`init`].
pub fn init_speaking(target: LogTarget, name: &str) -> std::io::Result<()> {
    let aloud = !target.quiet;
    begin(target, name, aloud)
}

/// Ends logging and closes the file.
pub fn close() {
    log::set_max_level(LevelFilter::Off);
    if let Some(Ok(mut sink)) = SINK.get().map(RwLock::write) {
        (sink.file, sink.stderr) = (None, false);
    }
}

fn begin(target: LogTarget, name: &str, stderr: bool) -> std::io::Result<()> {
    let file = match &target.file {
        None => None,
        Some(path) => Some(open(path)?),
    };
    let filter = match target.level {
        _ if file.is_none() && !stderr => LevelFilter::Off,
        _ if file.is_none() => LevelFilter::Error,
        0 => LevelFilter::Trace,
        1 => LevelFilter::Debug,
        2 | 3 => LevelFilter::Info,
        4 => LevelFilter::Warn,
        _ => LevelFilter::Error,
    };
    let sink = Sink {
        target,
        name: name.to_string(),
        file,
        stderr,
    };
    match SINK.get() {
        Some(present) => {
            if let Ok(mut present) = present.write() {
                *present = sink;
            }
        }
        None => {
            // Losing the race to another thread's first init leaves a working sink all the same.
            let _ = SINK.set(RwLock::new(sink));
            let _ = log::set_logger(&Facade);
        }
    }
    log::set_max_level(filter);
    Ok(())
}

/// Opens a log as LXC does: appended to, parents made, mode 0640; never through a link.
fn open(path: &str) -> std::io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = std::path::Path::new(path).parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK);
    let file: OwnedFd = options.open(path)?.into();
    // In a program that has closed its standard streams it would become one of them.
    Ok(lxc_kernel::fd::raise_above(file, 3).map_err(|error| error.errno)?)
}

/// Prints a failure the way LXC's tools print theirs: `PREFIX: NAME: text` on stderr.
pub fn complain(target: &LogTarget, name: &str, text: &str) {
    if target.quiet {
        return;
    }
    // Nowhere is left to report that stderr is closed.
    let _ = writeln!(std::io::stderr(), "{}: {name}: {text}", target.prefix);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timestamps_follow_the_calendar() {
        for (seconds, want) in [
            (0, "19700101000000.000"),
            (951_782_399, "20000228235959.000"),
            (951_782_400, "20000229000000.000"),
            (951_868_800, "20000301000000.000"),
            (4_107_542_400, "21000301000000.000"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), want);
        }
        let odd = UNIX_EPOCH + Duration::from_millis(5);
        assert_eq!(
            timestamp(odd),
            "19700101000000.005",
            "milliseconds are padded"
        );
    }

    #[test]
    fn what_is_said_aloud_has_lxcs_form_and_obeys_the_threshold() {
        let sink = |level, stderr, name: &str| Sink {
            target: LogTarget {
                level,
                prefix: "p".into(),
                ..LogTarget::default()
            },
            name: name.into(),
            file: None,
            stderr,
        };
        let record = Record::builder()
            .args(format_args!("it failed"))
            .module_path(Some("lxc_capi::life"))
            .file(Some("runtime/capi/src/life.rs"))
            .line(Some(7))
            .build();
        for (name, want) in [
            ("c1", "p: c1: life.rs: life: 7 it failed\n"),
            ("", "p: life.rs: life: 7 it failed\n"),
        ] {
            assert_eq!(spoken(&sink(5, true, name), &record), want);
        }
        for (threshold, stderr, level, aloud) in [
            (5, true, 5, true),
            (0, true, 4, false),
            (6, true, 5, false),
            (5, false, 5, false),
        ] {
            let takes = sink(threshold, stderr, "c1").takes(level);
            assert_eq!(takes, (false, aloud), "{level} at {threshold}");
        }
    }

    #[test]
    fn level_names_are_lxcs() {
        assert_eq!(level_number("debug"), Some(1));
        assert_eq!(level_number("FATAL"), Some(8));
        assert_eq!(level_number("LOUD"), None);
        assert_eq!(level_name(5), "ERROR");
    }
}
