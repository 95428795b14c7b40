//! Logging in LXC's format, for this process and for the monitors it starts.

use crate::error::{Error, ErrorKind, Result};
use lxc_config::Config;
use lxc_engine::log as sink;
use lxc_engine::request::LogTarget;
use std::sync::{Mutex, PoisonError};

/// LXC's default threshold: ERROR.
const ERROR: u8 = 5;
/// Where LXC logs of root's containers when only a level is given.
const DIRECTORY: &str = "/var/log/lxc";
/// The lxcpath of root's containers; those of another log beside their configuration.
const DEFAULT_LXCPATH: &str = "/var/lib/lxc";

/// What is logged where.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions<'a> {
    /// Container the lines are about.
    pub name: Option<&'a str>,
    /// Its lxcpath.
    pub lxcpath: Option<&'a str>,
    /// File; `none` = no file; `None` with a name = LXC's default file, if it can be opened.
    pub file: Option<&'a str>,
    /// Level name in any case; `None` = ERROR.
    pub level: Option<&'a str>,
    /// First word of each line.
    pub prefix: &'a str,
    /// Nothing on stderr; otherwise what is logged as an error is said there as well.
    pub quiet: bool,
}

/// What was begun.
#[derive(Clone)]
struct Present {
    target: LogTarget,
    /// The file was named, so that no container's own goes before it.
    explicit: bool,
}

static PRESENT: Mutex<Option<Present>> = Mutex::new(None);

/// Starts logging: to the file, and what fails to stderr too unless quiet. While a log file is open
/// a second call changes nothing, as with LXC; see [`close`].
///
/// A container's `lxc.log.file` and `lxc.log.level` are for its monitor's lines, where no file was
/// named here.
///
/// # Errors
/// An unknown level; a file named explicitly that cannot be opened.
pub fn init(options: &LogOptions<'_>) -> Result<()> {
    let level = match options.level {
        None => ERROR,
        Some(name) => sink::level_number(name).ok_or_else(|| {
            let text = format!(
                "{name} is no log level; use one of TRACE DEBUG INFO NOTICE WARN ERROR CRIT ALERT \
                 FATAL"
            );
            Error::new(ErrorKind::Other, text).with_errno(libc::EINVAL)
        })?,
    };
    let mut present = PRESENT.lock().unwrap_or_else(PoisonError::into_inner);
    if present.as_ref().is_some_and(|p| p.target.file.is_some()) {
        return Ok(());
    }
    let target = |file| LogTarget {
        file,
        level,
        prefix: options.prefix.to_string(),
        quiet: options.quiet,
    };
    let name = options.name.unwrap_or_default();
    let explicit = options.file.filter(|file| *file != "none");
    if let Some(file) = explicit {
        sink::init_speaking(target(Some(file.to_string())), name).map_err(|error| {
            let text = format!("cannot open the log {file}: {error}");
            let failed = Error::new(ErrorKind::Other, text);
            failed.with_errno(error.raw_os_error().unwrap_or(libc::EIO))
        })?;
    }
    let file = match (options.file, options.name) {
        (Some(_), _) => explicit.map(str::to_string),
        (None, Some(name)) => default_files(name, options.lxcpath)
            .into_iter()
            // LXC goes on without its default file.
            .find(|file| sink::init_speaking(target(Some(file.clone())), name).is_ok()),
        (None, None) => None,
    };
    if file.is_none() {
        // Without a file there is nothing that could fail.
        let _ = sink::init_speaking(target(None), name);
    }
    *present = Some(Present {
        target: target(file),
        explicit: explicit.is_some(),
    });
    Ok(())
}

/// Ends logging: [`init`] may begin anew.
pub fn close() {
    let mut present = PRESENT.lock().unwrap_or_else(PoisonError::into_inner);
    *present = None;
    sink::close();
}

/// Where LXC logs when no file is named, best first.
fn default_files(name: &str, lxcpath: Option<&str>) -> Vec<String> {
    let lxcpath = lxcpath.unwrap_or(DEFAULT_LXCPATH);
    let system = format!("{DIRECTORY}/{name}.log");
    let own = format!("{lxcpath}/{name}/{name}.log");
    match lxcpath == DEFAULT_LXCPATH && lxc_engine::caller_euid() == 0 {
        true => vec![system, own],
        false => vec![own, system],
    }
}

/// Where a monitor logs: where this process does, unless the container says otherwise and nobody
/// named a file.
pub(crate) fn target(config: &Config) -> LogTarget {
    let present = PRESENT.lock().unwrap_or_else(PoisonError::into_inner);
    let Present {
        mut target,
        explicit,
    } = present.clone().unwrap_or_else(|| Present {
        target: LogTarget {
            file: None,
            level: ERROR,
            prefix: "lxc".to_string(),
            quiet: false,
        },
        explicit: false,
    });
    if !explicit {
        let configured = &config.values().log;
        target.file = configured.file.clone().or(target.file);
        target.level = configured.level.unwrap_or(target.level);
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_files_are_where_lxc_looks() {
        let own = default_files("c1", Some("/srv/lxc"));
        assert_eq!(own, ["/srv/lxc/c1/c1.log", "/var/log/lxc/c1.log"]);
        let first = default_files("c1", None).into_iter().next();
        let expected = match lxc_engine::caller_euid() {
            0 => "/var/log/lxc/c1.log",
            _ => "/var/lib/lxc/c1/c1.log",
        };
        assert_eq!(first.as_deref(), Some(expected));
    }
}
