//! Logging in LXC's format, for this process and for the monitors it starts.

use crate::error::{Error, ErrorKind, Result};
use lxc_config::Config;
use lxc_engine::log as sink;
use lxc_engine::request::LogTarget;
use std::sync::Mutex;

/// LXC's default threshold: ERROR.
const ERROR: u8 = 5;
/// Where LXC logs of root's containers when only a level is given.
const DIRECTORY: &str = "/var/log/lxc";

/// What is logged where.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions<'a> {
    /// Container the lines are about.
    pub name: Option<&'a str>,
    /// Its lxcpath.
    pub lxcpath: Option<&'a str>,
    /// File; `none` = no file; `None` with a level = LXC's default file.
    pub file: Option<&'a str>,
    /// Level name in any case; `None` = ERROR.
    pub level: Option<&'a str>,
    /// First word of each line.
    pub prefix: &'a str,
    /// Nothing on stderr.
    pub quiet: bool,
}

static PRESENT: Mutex<Option<LogTarget>> = Mutex::new(None);

/// Starts logging.
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
            Error::new(ErrorKind::Other, text)
        })?,
    };
    let explicit = options.file.filter(|f| *f != "none");
    let file = match (explicit, options.file, options.level, options.name) {
        (Some(file), ..) => Some(file.to_string()),
        (None, None, Some(_), Some(name)) => Some(default_file(name, options.lxcpath)),
        _ => None,
    };
    let target = LogTarget {
        file,
        level,
        prefix: options.prefix.to_string(),
        quiet: options.quiet,
    };
    let name = options.name.unwrap_or_default();
    let opened = sink::init(target.clone(), name);
    let target = match (opened, explicit) {
        (Ok(()), _) => target,
        (Err(error), Some(file)) => {
            let text = format!("cannot open the log {file}: {error}");
            return Err(Error::new(ErrorKind::Other, text));
        }
        // LXC goes on without its default file.
        (Err(_), None) => LogTarget {
            file: None,
            ..target
        },
    };
    if let Ok(mut present) = PRESENT.lock() {
        *present = Some(target);
    }
    Ok(())
}

fn default_file(name: &str, lxcpath: Option<&str>) -> String {
    match lxcpath {
        Some(path) if path != "/var/lib/lxc" => format!("{path}/{name}/{name}.log"),
        _ => format!("{DIRECTORY}/{name}.log"),
    }
}

/// Where a monitor logs: where this process does, unless the container says otherwise and nobody
/// named a file.
pub(crate) fn target(config: &Config) -> LogTarget {
    let present = PRESENT.lock().ok().and_then(|p| p.clone());
    let configured = &config.values().log;
    let mut target = present.unwrap_or_else(|| LogTarget {
        file: None,
        level: ERROR,
        prefix: "lxc".to_string(),
        quiet: false,
    });
    if target.file.is_none() {
        target.file.clone_from(&configured.file);
        target.level = configured.level.unwrap_or(target.level);
    }
    target
}
