//! Id maps of user namespaces: written, read back, and a child that lives under one.

mod child;
mod tool;

use crate::error::{Errno, SysError};
use crate::process::Ended;
use crate::procfs::Proc;
use crate::{caps, users};
use std::fmt;
use std::path::{Path, PathBuf};

pub use child::{Child, in_user_namespace, start_in_user_namespace};

/// Lines that the kernel takes for one kind (UID_GID_MAP_MAX_EXTENTS, since 4.15).
pub const MAX_LINES: usize = 340;

/// Bytes that the kernel takes for one kind: its one write(2) must be shorter than a page.
pub const MAX_BYTES: usize = 4095;

/// Users or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// User ids.
    User,
    /// Group ids.
    Group,
}

impl Kind {
    /// Both, in the order in which they are written.
    pub const ALL: [Kind; 2] = [Kind::User, Kind::Group];

    /// The map's name in /proc/PID.
    fn file(self) -> &'static str {
        match self {
            Kind::User => "uid_map",
            Kind::Group => "gid_map",
        }
    }
}

/// One line of a map: `count` ids from `inside` on are those from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    /// Users or groups.
    pub kind: Kind,
    /// First id in the new namespace.
    pub inside: u32,
    /// First id in the namespace of whoever writes (or reads) the map.
    pub outside: u32,
    /// How many; at least 1.
    pub count: u32,
}

/// Who writes a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer<'a> {
    /// This process, which needs CAP_SETUID and CAP_SETGID for more than its own ids.
    Direct,
    /// The set-uid programs of shadow, which allow what /etc/subuid and /etc/subgid grant the caller.
    Tools {
        /// Path of `newuidmap`.
        newuidmap: &'a Path,
        /// Path of `newgidmap`.
        newgidmap: &'a Path,
    },
}

/// Why there is no map, or no process under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A call failed.
    Sys(SysError),
    /// newuidmap or newgidmap did not do it.
    Tool {
        /// The program.
        program: PathBuf,
        /// What it was given.
        args: Vec<String>,
        /// How it ended; `None` if it was killed because it did not end in time.
        ended: Option<Ended>,
        /// What it said, without line ends.
        said: String,
    },
    /// The kernel shows another map than the tool was asked for.
    Different {
        /// Users or groups.
        kind: Kind,
        /// As asked for.
        wanted: String,
        /// As /proc shows it.
        found: String,
    },
}

/// What the functions of this module return.
pub type Result<T> = std::result::Result<T, Error>;

impl From<SysError> for Error {
    fn from(error: SysError) -> Error {
        Error::Sys(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sys(error) => error.fmt(f),
            Error::Tool {
                program,
                args,
                ended,
                said,
            } => {
                write!(f, "{} {}", program.display(), args.join(" "))?;
                match ended {
                    Some(Ended::Exited(code)) => write!(f, " ended with exit code {code}")?,
                    Some(Ended::Killed { signal, .. }) => {
                        write!(f, " was killed by signal {signal}")?
                    }
                    None => f.write_str(" did not end in time and was killed")?,
                }
                match said.as_str() {
                    "" => Ok(()),
                    said => write!(f, ": {said}"),
                }
            }
            Error::Different {
                kind,
                wanted,
                found,
            } => write!(
                f,
                "the {} is {found:?} where {wanted:?} was asked for",
                kind.file()
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Writes both maps of the user namespace of process `pid`, the users' first.
///
/// The process must be in a user namespace that has no maps yet and whose parent is the caller's. A
/// kind without a range gets no map. A caller without CAP_SETGID that writes its own group first
/// forbids setgroups(2) in the namespace, as the kernel demands.
pub fn write(pid: i32, ranges: &[Range], how: &Writer) -> Result<()> {
    let proc = Proc::host()?;
    Kind::ALL
        .into_iter()
        .filter(|kind| ranges.iter().any(|range| range.kind == *kind))
        .try_for_each(|kind| match how {
            Writer::Direct => direct(&proc, pid, kind, ranges),
            Writer::Tools {
                newuidmap,
                newgidmap,
            } => {
                let program = match kind {
                    Kind::User => newuidmap,
                    Kind::Group => newgidmap,
                };
                tool::run(program, pid, &of(kind, ranges))?;
                compare(&proc, pid, kind, ranges)
            }
        })
}

/// Reads the maps of a process: what is outside are ids of the caller's namespace.
pub fn read(pid: i32) -> Result<Vec<Range>> {
    let proc = Proc::host()?;
    let mut ranges = Vec::new();
    for kind in Kind::ALL {
        ranges.extend(read_kind(&proc, pid, kind)?);
    }
    Ok(ranges)
}

/// The id outside that stands for `inside`; `None` if it is not mapped.
pub fn outside(ranges: &[Range], kind: Kind, inside: u32) -> Option<u32> {
    ranges
        .iter()
        .filter(|range| range.kind == kind)
        .find_map(|range| {
            let distance = inside.checked_sub(range.inside)?;
            (distance < range.count).then(|| range.outside.checked_add(distance))?
        })
}

/// The text of one kind's map as the kernel reads it: `INSIDE OUTSIDE COUNT`, a line each.
pub fn text(ranges: &[Range], kind: Kind) -> String {
    of(kind, ranges)
        .iter()
        .map(|it| format!("{} {} {}\n", it.inside, it.outside, it.count))
        .collect()
}

fn of(kind: Kind, ranges: &[Range]) -> Vec<Range> {
    let same = |range: &&Range| range.kind == kind;
    ranges.iter().filter(same).copied().collect()
}

fn direct(proc: &Proc, pid: i32, kind: Kind, ranges: &[Range]) -> Result<()> {
    const CAP_SETGID: u64 = 6;
    let may = users::euid() == 0 || caps::effective()? >> CAP_SETGID & 1 == 1;
    if kind == Kind::Group && !may {
        match proc.write(&format!("{pid}/setgroups"), b"deny") {
            // Linux before 3.19 has no such file and asks for nothing.
            Err(error) if error.is(Errno::NOENT) => {}
            other => other?,
        }
    }
    let path = format!("{pid}/{}", kind.file());
    proc.write(&path, text(ranges, kind).as_bytes())?;
    Ok(())
}

/// A tool that ends well is believed only as far as the kernel shows the same.
fn compare(proc: &Proc, pid: i32, kind: Kind, ranges: &[Range]) -> Result<()> {
    let (mut wanted, mut found) = (of(kind, ranges), read_kind(proc, pid, kind)?);
    // The kernel sorts a long map.
    wanted.sort_unstable();
    found.sort_unstable();
    if wanted == found {
        return Ok(());
    }
    Err(Error::Different {
        kind,
        wanted: text(&wanted, kind),
        found: text(&found, kind),
    })
}

fn read_kind(proc: &Proc, pid: i32, kind: Kind) -> Result<Vec<Range>> {
    /// Three numbers of ten digits and blanks, in columns.
    const LINE: usize = 34;
    let path = format!("{pid}/{}", kind.file());
    let bytes = proc.read(&path, LINE * MAX_LINES)?;
    let text = String::from_utf8_lossy(&bytes);
    let bad = || SysError::new("read", format!("/proc/{path}: {text:?}"), Errno::BADMSG);
    text.lines()
        .map(|line| parse(kind, line).ok_or_else(|| bad().into()))
        .collect()
}

fn parse(kind: Kind, line: &str) -> Option<Range> {
    let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
    let mut next = || numbers.next().flatten();
    Some(Range {
        kind,
        inside: next()?,
        outside: next()?,
        count: next()?,
    })
}

#[cfg(test)]
mod tests;
