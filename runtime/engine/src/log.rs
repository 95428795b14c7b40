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
        sink.file.is_some() && number(metadata.level()) >= sink.target.level
    }

    fn log(&self, record: &Record<'_>) {
        let Some(sink) = SINK.get().and_then(|s| s.read().ok()) else {
            return;
        };
        let level = number(record.level());
        if level < sink.target.level {
            return;
        }
        let Some(file) = &sink.file else { return };
        let line = format(&sink, level, record);
        // A log that cannot be written must not stop what is being logged.
        let _ = rustix::io::write(file, line.as_bytes());
    }

    fn flush(&self) {}
}

/// `PREFIX NAME YYYYMMDDhhmmss.mmm LEVEL    category - FILE:FUNCTION:LINE - MESSAGE`, in UTC.
fn format(sink: &Sink, level: u8, record: &Record<'_>) -> String {
    let module = record.module_path().unwrap_or("lxc");
    let category = module.rsplit("::").next().unwrap_or(module);
    let file = record
        .file()
        .and_then(|f| f.rsplit('/').next())
        .unwrap_or("lxc");
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

/// `YYYYMMDDhhmmss.mmm` in UTC, from the civil-from-days arithmetic of the Gregorian calendar.
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

/// Starts logging to `target` for the container `name`; a second call replaces the first.
///
/// # Errors
/// The file cannot be opened; logging stays as it was.
pub fn init(target: LogTarget, name: &str) -> std::io::Result<()> {
    let file = match &target.file {
        None => None,
        Some(path) => Some(open(path)?),
    };
    let filter = match target.level {
        _ if file.is_none() => LevelFilter::Off,
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
    Ok(options.open(path)?.into())
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
    fn level_names_are_lxcs() {
        assert_eq!(level_number("debug"), Some(1));
        assert_eq!(level_number("FATAL"), Some(8));
        assert_eq!(level_number("LOUD"), None);
        assert_eq!(level_name(5), "ERROR");
    }
}
