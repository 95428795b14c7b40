//! Which devices a cgroup (version 2) may use: rules, their list, and the BPF program that enforces it.
//!
//! A list is pure; [`attach`] and [`replace`] put its program on a cgroup, where it holds for all processes below.

mod bpf;
mod program;

use crate::error::{Errno, Result, SysError};
use rustix::fs::{FileType, major, minor};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A kind of device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Block and character devices.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// What may be done with a device: a set of read, write and mknod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// Nothing.
    pub const NONE: Access = Access(0);
    /// Making the device node.
    pub const MKNOD: Access = Access(1);
    /// Opening for reading.
    pub const READ: Access = Access(2);
    /// Opening for writing.
    pub const WRITE: Access = Access(4);
    /// All three.
    pub const ALL: Access = Access(7);

    /// The access that letters of `rwm` spell, each at most three in all; `None` for any other text.
    pub fn from_letters(letters: &str) -> Option<Access> {
        if letters.len() > 3 {
            return None;
        }
        letters
            .bytes()
            .try_fold(Access::NONE, |access, letter| match letter {
                b'r' => Some(access.with(Access::READ)),
                b'w' => Some(access.with(Access::WRITE)),
                b'm' => Some(access.with(Access::MKNOD)),
                _ => None,
            })
    }

    /// Both accesses together.
    pub const fn with(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }

    /// The kernel's bits: 1 mknod, 2 read, 4 write.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// A rule about some devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether matching requests are allowed or denied.
    pub allow: bool,
    /// The devices' kind.
    pub kind: Kind,
    /// The devices' major number; any if absent.
    pub major: Option<u32>,
    /// The devices' minor number; any if absent.
    pub minor: Option<u32>,
    /// A request matches if it asks for nothing beyond this.
    pub access: Access,
}

impl Rule {
    fn same_devices(&self, other: &Rule) -> bool {
        Rule {
            allow: other.allow,
            ..*self
        } == *other
    }
}

/// One line of a device configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The single letter `a`: forget all rules and allow, or deny, everything from here on.
    Everything {
        /// Whether everything is allowed or denied.
        allow: bool,
    },
    /// Anything else.
    Rule(Rule),
}

/// Reads one line of a device configuration.
///
/// `verb` is `allow`, anything else denies. `text` is `a`, or `TYPE MAJOR:MINOR ACCESS` such as `c 1:3 rwm` or
/// `b *:* m`, or — to allow only — `/path ACCESS` of a device that exists here and now, whose numbers are taken.
pub fn parse_rule(verb: &str, text: &str) -> std::result::Result<Line, String> {
    let allow = verb == "allow";
    if text == "a" {
        return Ok(Line::Everything { allow });
    }
    if text.starts_with('/') {
        if !allow {
            return Err(format!(
                "{text:?}: a device can be given by its path only to allow it"
            ));
        }
        return by_path(text).map(Line::Rule);
    }
    by_number(allow, text).map(Line::Rule).ok_or_else(|| {
        format!("{text:?} is neither \"a\" nor \"TYPE MAJOR:MINOR ACCESS\", for instance \"c 1:3 rwm\" or \"b *:* m\"")
    })
}

fn by_number(allow: bool, text: &str) -> Option<Rule> {
    let mut fields = text.splitn(3, |c: char| c.is_ascii_whitespace());
    let kind = match fields.next()? {
        "a" => Kind::All,
        "b" => Kind::Block,
        "c" => Kind::Char,
        _ => return None,
    };
    let (major, minor) = fields.next()?.split_once(':')?;
    Some(Rule {
        allow,
        kind,
        major: device_number(major)?,
        minor: device_number(minor)?,
        access: Access::from_letters(fields.next()?)?,
    })
}

/// Outer `None` for a bad number, inner `None` for `*`.
fn device_number(text: &str) -> Option<Option<u32>> {
    if text == "*" {
        return Some(None);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok().map(Some))?
}

fn by_path(text: &str) -> std::result::Result<Rule, String> {
    let (path, letters) = text
        .rsplit_once(|c: char| c.is_ascii_whitespace())
        .ok_or_else(|| {
            format!("{text:?}: the access is missing after the path, for instance \"{text} rwm\"")
        })?;
    let access = Access::from_letters(letters)
        .ok_or_else(|| format!("{text:?}: the access is up to three of r, w and m"))?;
    let path = path.trim_ascii_end();
    let status = rustix::fs::stat(path)
        .map_err(|errno| SysError::new("stat", format!("{path:?}"), errno).to_string())?;
    let kind = match FileType::from_raw_mode(status.st_mode) {
        FileType::BlockDevice => Kind::Block,
        FileType::CharacterDevice => Kind::Char,
        _ => return Err(format!("{path:?} is no device")),
    };
    let (major, minor) = (Some(major(status.st_rdev)), Some(minor(status.st_rdev)));
    Ok(Rule {
        allow: true,
        kind,
        major,
        minor,
        access,
    })
}

/// The rules of one cgroup. A new list denies what no rule allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The answer to a request that no rule decides; rules with the same answer have no effect.
    default_allow: bool,
    rules: Vec<Rule>,
}

impl List {
    /// A list without a rule, which denies everything once it has one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one more line; tells whether the list changed.
    pub fn apply(&mut self, line: Line) -> bool {
        let rule = match line {
            Line::Everything { allow } => {
                let before = std::mem::replace(
                    self,
                    List {
                        default_allow: allow,
                        rules: Vec::new(),
                    },
                );
                return before != *self;
            }
            Line::Rule(rule) => rule,
        };
        match self
            .rules
            .iter_mut()
            .find(|stored| stored.same_devices(&rule))
        {
            Some(stored) if stored.allow == rule.allow => false,
            Some(stored) => {
                stored.allow = rule.allow;
                true
            }
            None => {
                self.rules.push(rule);
                true
            }
        }
    }

    /// Whether the list holds no rule; such a list needs no program.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The program that answers the kernel's requests by this list, one eBPF instruction for each number.
    pub fn program(&self) -> Vec<u64> {
        // All rules that count give the same answer, so their order does not matter.
        let effective = self
            .rules
            .iter()
            .filter(|rule| rule.allow != self.default_allow);
        program::assemble(self.default_allow, effective)
    }
}

/// Loads the list's program and attaches it to a cgroup, beside programs that are there already.
///
/// Gives the program's descriptor: the program stays attached when that is closed, but it is needed for [`replace`]
/// and [`detach`]. Needs euid 0 in the initial user namespace (`EPERM`).
pub fn attach(cgroup: BorrowedFd, list: &List) -> Result<OwnedFd> {
    let program = bpf::load(&list.program())?;
    bpf::attach(cgroup, &program, None)?;
    Ok(program)
}

/// Puts the list's program in the place of `old`, without a moment in which neither holds.
///
/// Kernels before 5.6 cannot swap: there both programs hold for a moment.
pub fn replace(cgroup: BorrowedFd, old: BorrowedFd, list: &List) -> Result<OwnedFd> {
    let program = bpf::load(&list.program())?;
    match bpf::attach(cgroup, &program, Some(old)) {
        Err(error) if error.errno == Errno::INVAL => {
            bpf::attach(cgroup, &program, None)?;
            bpf::detach(cgroup, old)?;
        }
        result => result?,
    }
    Ok(program)
}

/// Takes a program off a cgroup; `ENOENT` if it is not attached there.
pub fn detach(cgroup: BorrowedFd, program: BorrowedFd) -> Result<()> {
    bpf::detach(cgroup, program)
}

#[cfg(test)]
mod tests;
