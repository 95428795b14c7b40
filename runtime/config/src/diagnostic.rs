//! What is wrong with a configuration, where, and what would be right.

use crate::values::Origin;
use std::fmt;

/// The class of a [`Diagnostic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No key of LXC has this name.
    UnknownKey,
    /// The key exists, the value does not fit it.
    BadValue,
    /// A key or value of LXC that a start of this version does not carry out.
    NotImplemented,
    /// A line that is not `KEY = VALUE`.
    Syntax,
    /// An `lxc.include` that cannot be followed.
    Include,
    /// The configuration file itself cannot be read.
    Io(std::io::ErrorKind),
}

/// One fault of a configuration: its place, the offending text, and what would be right.
///
/// `Display` is one line: `demo/config:14: lxc.tty.max = abc: not a number (…)`.
///
/// Reads like the [`Details`] it holds: `diagnostic.kind`, `diagnostic.message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic(Box<Details>);

impl std::ops::Deref for Diagnostic {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl From<Details> for Diagnostic {
    fn from(details: Details) -> Diagnostic {
        // Boxed: every operation returns one of these or nothing.
        Diagnostic(Box::new(details))
    }
}

impl Diagnostic {
    /// The same fault, one `lxc.include` line further away.
    pub(crate) fn included_from(mut self, include: &Origin) -> Diagnostic {
        self.0.included_from.push(include.clone());
        self
    }
}

/// What a [`Diagnostic`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Class of the fault.
    pub kind: Kind,
    /// Where the text was written; `None` when a whole file cannot be read.
    pub origin: Option<Origin>,
    /// The `lxc.include` lines that led to the file, nearest first.
    pub included_from: Vec<Origin>,
    /// The key, when the line had one.
    pub key: Option<String>,
    /// The text at fault: the value or the word in it, the line, or the path of the file.
    pub offending: String,
    /// What is wrong.
    pub message: String,
    /// What would be right; may be empty.
    pub hint: String,
    /// The positive errno LXC's C interface reports for this (EINVAL; ENOENT, ERANGE, ENOSYS, EOVERFLOW).
    pub errno: i32,
}

/// Longest piece of offending text that is repeated in a message, in characters.
const LONGEST_QUOTE: usize = 160;

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin @ Origin::File { .. }) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        match (&self.key, self.kind) {
            (Some(key), Kind::UnknownKey) => write!(f, "{}", Quoted(key))?,
            (Some(key), _) if self.offending.is_empty() => write!(f, "{}", Quoted(key))?,
            (Some(key), _) => write!(f, "{} = {}", Quoted(key), Quoted(&self.offending))?,
            (None, _) => write!(f, "{}", Quoted(&self.offending))?,
        }
        write!(f, ": {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        match self.included_from.first() {
            Some(nearest @ Origin::File { .. }) => write!(f, " [included from {nearest}]"),
            Some(Origin::Api) | None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// Text of a stranger, fit for one line of a terminal: no control characters, not endless.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == LONGEST_QUOTE {
                return f.write_str("…");
            }
            match c.is_control() {
                true => write!(f, "{}", c.escape_default())?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}
