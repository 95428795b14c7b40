//! Work done and programs run by a child in a user namespace with id maps.

use crate::facts::users;
use crate::failure::{Failure, FailureKind};
use crate::{last_word, step};
use lxc_config::IdRange;
use lxc_kernel::idmap::{self, Range};
use lxc_kernel::mount::{self, Propagation};
use lxc_kernel::process::{self, Ended};
use lxc_kernel::{SysError, fd, signals};
use lxc_plan::users::{MapWriter, findings, writer};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// CLONE_NEWNS.
const NEW_MOUNTS: u64 = 0x0002_0000;

/// Maps that a child of the caller may live under, as far as that can be known beforehand.
#[derive(Debug, Clone)]
pub struct Userns {
    ranges: Vec<Range>,
    writer: MapWriter,
}

/// A program to be executed in place of a child.
#[derive(Debug, Clone)]
pub struct Program {
    argv: Vec<CString>,
    env: Vec<CString>,
    /// Its standard descriptors are /dev/null.
    pub quiet: bool,
    /// Its file mode creation mask; `None` = the caller's.
    pub umask: Option<u32>,
}

impl Program {
    /// The program `argv[0]`, looked for in PATH, with the caller's environment and descriptors.
    ///
    /// # Errors
    /// There is no word, or a NUL byte in one.
    pub fn new<W: AsRef<str>>(argv: &[W]) -> Result<Program, Failure> {
        let words = argv.iter().map(|word| CString::new(word.as_ref()));
        let argv = words.collect::<Result<Vec<_>, _>>().map_err(|_| {
            refused("a word of the command contains a NUL byte").hint("leave it out")
        })?;
        if argv.is_empty() {
            return Err(refused("there is no command to run").hint("name one"));
        }
        let join = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            CString::new(name.into_vec()).ok()
        };
        Ok(Program {
            argv,
            env: std::env::vars_os().filter_map(join).collect(),
            quiet: false,
            umask: None,
        })
    }

    /// Sets a variable of its environment; one with a NUL byte is left out.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let head = format!("{name}=");
        self.env
            .retain(|entry| !entry.as_bytes().starts_with(head.as_bytes()));
        self.env.extend(CString::new(head + value));
    }

    /// Executes it in place of the calling process; returns only if that fails.
    pub(crate) fn become_it(&self) -> Failure {
        let shown = self.argv.first().map(|name| name.to_string_lossy());
        let failed = |error: &SysError| {
            let sentence = format!("cannot execute {}", shown.clone().unwrap_or_default());
            Failure::new(FailureKind::Exec, sentence).caused_by(error)
        };
        if let Some(mask) = self.umask {
            process::set_umask(mask);
        }
        let streams = match self.quiet {
            true => fd::null_stdio(),
            false => Ok(()),
        };
        match streams.and_then(|()| signals::default_sigpipe()) {
            Ok(()) => failed(&process::exec(&self.argv, &self.env)),
            Err(error) => failed(&error),
        }
    }
}

impl Userns {
    /// Checks that a child of the caller can have these maps, and that root there may search the
    /// directories down to `searched`.
    ///
    /// # Errors
    /// `Refused`: what keeps it from that, with what mends it; of several the first.
    pub fn check(ranges: &[IdRange], searched: Option<&Path>) -> Result<Userns, Failure> {
        let facts = users::gather(crate::caller_login(), searched);
        let writer = writer(ranges, &facts);
        match findings(ranges, &facts, &writer).into_iter().next() {
            Some(first) => Err(first.into()),
            None => Ok(Userns::new(ranges, writer)),
        }
    }

    /// Maps that have been checked.
    pub(crate) fn new(ranges: &[IdRange], writer: MapWriter) -> Userns {
        Userns {
            ranges: ranges.iter().map(step::idmap::range).collect(),
            writer,
        }
    }

    /// Does `work` in a child under these maps, as user and group 0 there. The child is a fork of the
    /// caller: `work` takes no lock that another thread may hold.
    ///
    /// # Errors
    /// What `work` could not do, or why there is no child.
    pub fn attempt(&self, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let (ear, mouth) = last_word::line().map_err(|error| no_child().caused_by(&error))?;
        let ended = self.run((0, 0), move || match work() {
            Ok(()) => 0,
            Err(failure) => mouth.say(&failure),
        })?;
        match (ear.heard(), ended) {
            (Some(failure), _) => Err(failure),
            (None, Ended::Exited(0)) => Ok(()),
            (None, ended) => {
                let sentence = format!("a child in a user namespace died ({ended:?})");
                Err(Failure::new(FailureKind::Step, sentence))
            }
        }
    }

    /// Executes a program in a child under these maps, as `ids` (user, group) there, with mounts of
    /// its own that follow the host's; waits for its end and says how it ended.
    ///
    /// # Errors
    /// `Exec`: it cannot be executed; or why there is no child.
    pub fn execute(&self, ids: (u32, u32), program: &Program) -> Result<Ended, Failure> {
        let (ear, mouth) = last_word::line().map_err(|error| no_child().caused_by(&error))?;
        let ended = self.run(ids, move || {
            let failure = match own_mounts() {
                Ok(()) => program.become_it(),
                Err(error) => no_child().caused_by(&error),
            };
            mouth.say(&failure)
        })?;
        ear.heard().map_or(Ok(ended), Err)
    }

    fn run(&self, ids: (u32, u32), body: impl FnOnce() -> i32) -> Result<Ended, Failure> {
        let how = step::idmap::writer(&self.writer);
        idmap::in_user_namespace(&self.ranges, &how, Some(ids), body).map_err(|error| match error {
            idmap::Error::Sys(error) => no_child().caused_by(&error),
            other => no_child().hint(other.to_string()),
        })
    }
}

/// Mounts of its own; what happens to the host's still arrives.
fn own_mounts() -> Result<(), SysError> {
    process::unshare(NEW_MOUNTS)?;
    mount::set_propagation(Path::new("/"), Propagation::Slave, true)
}

fn no_child() -> Failure {
    let sentence = "cannot run a child in a user namespace with these id maps";
    Failure::new(FailureKind::Step, sentence)
}

fn refused(sentence: &str) -> Failure {
    Failure::new(FailureKind::Refused, sentence)
}
