//! What every tool does before its own work: common options, the name, the log, the container.

use std::path::{Path, PathBuf};

use lxc_runtime::log::{self, LogOptions};
use lxc_runtime::{Container, Store};

use crate::failure::Failure;
use crate::options::{Effect, Opt, Short, Text};

/// The options that all tools have, as given.
#[derive(Debug, Default)]
pub struct Common {
    /// `lxc-start`, and so on.
    pub program: &'static str,
    /// `-n`, or the first positional word.
    pub name: Option<String>,
    /// `-q`: no messages of the tool's own, no log on stderr.
    pub quiet: bool,
    /// `-P`, without trailing slashes.
    pub lxcpath: Option<String>,
    /// Further ones; none unless there may be many.
    more_lxcpaths: Vec<String>,
    many_lxcpaths: bool,
    log_file: Option<String>,
    log_level: Option<String>,
    rcfile: Option<String>,
}

/// The common rows, in the order in which `--usage` prints them.
pub const COMMON: &[Opt<Common>] = &[
    Opt {
        long: "name",
        short: Short::Listed('n'),
        effect: Effect::Value("NAME", |common, name| {
            common.name = Some(name.to_owned());
            Ok(())
        }),
        help: "Name of the container; the first word that is no option will do as well",
    },
    Opt {
        long: "help",
        short: Short::Listed('h'),
        effect: Effect::Text(Text::Help),
        help: "Print this help",
    },
    Opt {
        long: "help",
        short: Short::Unlisted('?'),
        effect: Effect::Text(Text::HelpAsError),
        help: "",
    },
    Opt {
        long: "usage",
        short: Short::None,
        effect: Effect::Text(Text::Usage),
        help: "Print a list of all options",
    },
    Opt {
        long: "version",
        short: Short::None,
        effect: Effect::Text(Text::Version),
        help: "Print the version",
    },
    Opt {
        long: "quiet",
        short: Short::Listed('q'),
        effect: Effect::Flag(|common| common.quiet = true),
        help: "Print no messages",
    },
    Opt {
        long: "logfile",
        short: Short::Listed('o'),
        effect: Effect::Value("FILE", |common, file| {
            common.log_file = Some(file.to_owned());
            Ok(())
        }),
        help: "Write the log to FILE",
    },
    Opt {
        long: "logpriority",
        short: Short::Listed('l'),
        effect: Effect::Value("LEVEL", |common, level| {
            common.log_level = Some(level.to_owned());
            Ok(())
        }),
        help: "Log messages of LEVEL and above (TRACE DEBUG INFO NOTICE WARN ERROR\n\
               CRIT ALERT FATAL; default ERROR)",
    },
    Opt {
        long: "lxcpath",
        short: Short::Listed('P'),
        effect: Effect::Value("PATH", Common::set_lxcpath),
        help: "Use the containers below PATH",
    },
    Opt {
        long: "rcfile",
        short: Short::None,
        effect: Effect::Value("FILE", |common, file| {
            common.set_rcfile(file);
            Ok(())
        }),
        help: "Use FILE instead of the container's configuration",
    },
];

impl Common {
    /// Nothing given yet to the program of this name, which may take `-P` many times.
    pub fn of(program: &'static str, many_lxcpaths: bool) -> Common {
        Common {
            program,
            many_lxcpaths,
            ..Common::default()
        }
    }

    fn set_lxcpath(&mut self, path: &str) -> Result<(), String> {
        if self.lxcpath.is_some() && !self.many_lxcpaths {
            return Err("This command only accepts 1 -P,--lxcpath arguments".to_owned());
        }
        let trimmed = path.trim_end_matches('/');
        let path = if trimmed.is_empty() && path.starts_with('/') {
            "/"
        } else {
            trimmed
        };
        match &self.lxcpath {
            None => self.lxcpath = Some(path.to_owned()),
            Some(_) => self.more_lxcpaths.push(path.to_owned()),
        }
        Ok(())
    }

    /// Sets the file that replaces the container's configuration.
    pub fn set_rcfile(&mut self, file: &str) {
        self.rcfile = Some(file.to_owned());
    }

    /// The container of this call with the configuration it shall use, and the log set up for it.
    pub fn open(&self) -> Result<Container, Failure> {
        let mut container = self.open_as_it_is()?;
        if let Some(rcfile) = &self.rcfile {
            container.use_config_file(Path::new(rcfile))?;
        }
        Ok(container)
    }

    /// The same without `--rcfile`, which LXC's tools that do not start from a container's
    /// configuration accept and ignore.
    /// The container is opened first: a name that cannot be one must not name a log file either.
    pub fn open_as_it_is(&self) -> Result<Container, Failure> {
        let name = self.name.as_deref().unwrap_or_default();
        let container = Container::open(name, self.lxcpath.as_deref().map(Path::new))?;
        self.init_log(Some(name))?;
        Ok(container)
    }

    /// The store of this call, and the log set up without a container's name.
    pub fn store(&self) -> Result<Store, Failure> {
        self.init_log(None)?;
        Ok(Store::open(self.lxcpath.as_deref().map(Path::new)))
    }

    /// All directories given, or the one that is used without any.
    pub fn lxcpaths(&self) -> Vec<PathBuf> {
        let given = self.lxcpath.iter().chain(&self.more_lxcpaths);
        let given: Vec<PathBuf> = given.map(PathBuf::from).collect();
        match given.is_empty() {
            true => vec![lxc_runtime::default_lxcpath()],
            false => given,
        }
    }

    /// The log of a call that is about no container.
    pub fn set_up_log(&self) -> Result<(), Failure> {
        self.init_log(None)
    }

    fn init_log(&self, name: Option<&str>) -> Result<(), Failure> {
        // A level without a file means the default file, neither means none.
        let file = match (&self.log_file, &self.log_level) {
            (Some(file), _) => Some(file.as_str()),
            (None, Some(_)) => None,
            (None, None) => Some("none"),
        };
        log::init(&LogOptions {
            name,
            lxcpath: self.lxcpath.as_deref(),
            file,
            level: self.log_level.as_deref(),
            prefix: self.program,
            quiet: self.quiet,
        })?;
        Ok(())
    }
}

/// The absolute form of a path given on the command line: the monitor lives in `/`.
pub fn absolute(path: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{path:?} is no usable path: {error}"))
}

/// Splits `KEY=VALUE` as `--define` takes it.
pub fn definition(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("--define {text}: KEY=VALUE is expected")),
    }
}

/// A user or group id given on the command line.
pub fn id(option: &str, text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("{option} {text}: a number from 0 to 4294967295 is expected"))
}

/// A time limit in seconds; -1 is no limit.
pub fn seconds(text: &str) -> Result<Option<std::time::Duration>, String> {
    match text.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(seconds) if seconds >= 0 => {
            Ok(Some(std::time::Duration::from_secs(seconds.unsigned_abs())))
        }
        _ => Err(format!(
            "Invalid timeout {text}: seconds from 0, or -1 for no limit, are expected"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::time::Duration;

    #[rstest]
    #[case("/var/lib/lxc//", "/var/lib/lxc")]
    #[case("rel/", "rel")]
    #[case("///", "/")]
    fn trailing_slashes_go(#[case] given: &str, #[case] kept: &str) {
        let mut common = Common::default();
        common.set_lxcpath(given).unwrap();
        assert_eq!(common.lxcpath.as_deref(), Some(kept));
    }

    #[test]
    fn a_second_lxcpath_is_refused() {
        let mut common = Common::default();
        common.set_lxcpath("/a").unwrap();
        assert!(common.set_lxcpath("/b").is_err());
        assert_eq!(common.lxcpath.as_deref(), Some("/a"));
    }

    #[rstest]
    #[case("-1", Some(None))]
    #[case("0", Some(Some(0)))]
    #[case("60", Some(Some(60)))]
    #[case("-2", None)]
    #[case("1s", None)]
    #[case("", None)]
    fn a_timeout(#[case] text: &str, #[case] wanted: Option<Option<u64>>) {
        let wanted = wanted.map(|limit| limit.map(Duration::from_secs));
        assert_eq!(seconds(text).ok(), wanted);
    }

    #[rstest]
    #[case("lxc.uts.name=x", Some(("lxc.uts.name", "x")))]
    #[case(" a = b=c ", Some(("a", "b=c")))]
    #[case("a=", Some(("a", "")))]
    #[case("a", None)]
    #[case("=b", None)]
    fn a_definition(#[case] text: &str, #[case] wanted: Option<(&str, &str)>) {
        let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(definition(text).ok(), wanted);
    }
}
