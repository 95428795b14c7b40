//! What a policy says, as values; nothing is decided yet about the machine it is for.

use std::fmt;

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Line of the policy's text, from 1.
    pub line: u32,
    /// What is wrong, as a sentence without the line.
    pub message: String,
}

impl PolicyError {
    pub(super) fn new(line: u32, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for PolicyError {}

/// A policy as written: nothing is decided yet about the machine it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which of the two languages it is written in.
    pub version: Version,
    /// Line of the policy word, where the default action is said.
    pub line: u32,
    /// What happens to a system call that no rule names.
    pub default: Action,
    /// The rules in the order of the text.
    pub rules: Vec<Rule>,
}

/// The two languages, told apart by the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Version 1: numbers of the allowed system calls of the native architecture.
    Numbers,
    /// Version 2: named system calls with actions, conditions and sections.
    Names,
}

/// One line that says what happens to one system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Line of the text, from 1.
    pub line: u32,
    /// The section the rule stands in.
    pub section: Section,
    /// The system call.
    pub syscall: Syscall,
    /// What happens to it.
    pub action: Action,
    /// All must hold, if there are any.
    pub conditions: Vec<Condition>,
}

/// How a rule names its system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syscall {
    /// By its number on the native architecture.
    Number(i32),
    /// By its name, known or not.
    Name(String),
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "system call {number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The calling thread dies with SIGSYS.
    Kill,
    /// The call fails with this errno.
    Errno(u16),
    /// The call goes through.
    Allow,
    /// The calling thread gets SIGSYS.
    Trap,
    /// A supervisor is asked.
    Notify,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::Errno(errno) => write!(f, "errno {errno}"),
            Self::Allow => f.write_str("allow"),
            Self::Trap => f.write_str("trap"),
            Self::Notify => f.write_str("notify"),
        }
    }
}

/// One comparison of an argument of the system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Number of the argument, 0–5.
    pub index: u8,
    /// How it is compared.
    pub comparison: Comparison,
    /// What it is compared with.
    pub value: u64,
    /// For [`Comparison::MaskedEqual`]: the bits that count.
    pub mask: u64,
}

/// How an argument (on the left) is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    GreaterOrEqual,
    Greater,
    MaskedEqual,
}

/// A section of a policy: on which machines its rules count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the architectures' names as they stand in the header"
)]
pub enum Section {
    /// Before the first header.
    Headless,
    /// On every machine.
    All,
    X86,
    X32,
    X86_64,
    Arm,
    Arm64,
    Ppc,
    Ppc64,
    Ppc64le,
    Mips,
    Mips64,
    Mips64n32,
    Mipsel,
    Mipsel64,
    Mipsel64n32,
    S390,
    S390x,
    Loongarch64,
}
