//! The scenario format: strict, read and checked without a machine; and what a run of one means.
//!
//! **Is** the reader ([`load`]), the scenarios as values, and the two judgements: [`judge`] of a step,
//! [`leftovers`] of a whole run.
//! **Knows** the words of the tools and what the agent answers.
//! **Never** asks a machine anything: whoever runs scenarios does, and comes back to be judged.

mod act;
mod check;
mod expect;
mod form;
mod glob;
mod judge;
mod left;
mod load;
mod requirement;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use lxc_guest::protocol::{Container, Feature, Layout, Placed, User};
use serde::Deserialize;

pub use self::act::{Act, state_question};
pub use self::expect::{Ending, Expected, Text};
pub use self::judge::{Judged, Seen, judge};
pub use self::left::{Allowed, Leftovers, leftovers};
pub use self::load::{Wrong, load};
pub use self::requirement::series;

/// One behaviour: what is set up, what is done, what it must bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its file, as it is shown: `scenarios/start/a-name.toml`.
    pub file: String,
    /// The folder: `start`.
    pub area: String,
    /// The file's name without its ending: `a-name`.
    pub name: String,
    /// The behaviour, as a sentence.
    pub title: String,
    /// Names of the kernels on which it says something.
    pub kernels: BTreeSet<String>,
    /// The layouts on which it says something.
    pub cgroups: BTreeSet<Layout>,
    /// Features without which it could not run.
    pub needs: Vec<Feature>,
    /// Who goes through it, and by which door.
    pub ways: Vec<Way>,
    /// Does it belong to the subset that every test run runs?
    pub ci: bool,
    /// Files of the machine itself that are written before the first step.
    pub files: Vec<Placed>,
    /// What is made before the first step.
    pub containers: Vec<Container>,
    /// Shell lines that are run in rootfs before the first step.
    pub prepared: Vec<Prepared>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// What may be left behind, by the subjects everywhere and by this scenario.
    pub allowed: Vec<Allowed>,
}

impl Scenario {
    /// `area/name`, as `--scenario` takes it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.area, self.name)
    }

    /// Is it meant by `pattern`: its area, or a pattern of its [`id`](Scenario::id) or title?
    pub fn matches(&self, pattern: &str) -> bool {
        pattern == self.area
            || glob::matches(pattern, &self.id())
            || glob::matches(pattern, &self.title)
    }

    /// Does it say something about `kernel` with this layout?
    pub fn applies(&self, kernel: &str, layout: Layout) -> bool {
        self.kernels.contains(kernel) && self.cgroups.contains(&layout)
    }

    /// The steps that `subject` takes.
    pub fn steps_of(&self, subject: Subject) -> impl Iterator<Item = &Step> {
        let taken = move |step: &&Step| step.only.is_none_or(|only| only == subject);
        self.steps.iter().filter(taken)
    }

    /// The known differences of `subject`: each step that has one, and its reason.
    pub fn differences(&self, subject: Subject) -> impl Iterator<Item = (&Step, &str)> {
        self.steps_of(subject)
            .filter_map(move |step| Some((step, step.expected(subject).differs.as_deref()?)))
    }
}

/// Whose LXC is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// This project's.
    Ours,
    /// Debian's package, built from LXC's own source.
    DebianLxc,
}

impl Subject {
    /// Both.
    pub const ALL: [Subject; 2] = [Subject::Ours, Subject::DebianLxc];

    /// As files, options and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Ours => "ours",
            Subject::DebianLxc => "debian-lxc",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Subject> {
        Subject::ALL
            .into_iter()
            .find(|subject| subject.name() == name)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// By what a step's verbs are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// The `lxc-*` programs.
    Tools,
    /// The Rust library, one call a program.
    Library,
    /// `liblxc.so.1`, one call a program written in C.
    C,
}

impl fmt::Display for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(match self {
            Door::Tools => "tools",
            Door::Library => "library",
            Door::C => "C library",
        })
    }
}

/// One way through a scenario: it is run once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    /// Whose LXC.
    pub subject: Subject,
    /// Through which door.
    pub door: Door,
}

impl Way {
    /// The PATH of every step: the subject's tools first, and what its door needs.
    pub fn path(self) -> String {
        let tools = match self.subject {
            Subject::Ours => "/opt/lxc-runtime/bin",
            Subject::DebianLxc => "/opt/debian-lxc/bin",
        };
        let door = match self.door {
            Door::C => "/opt/lxc-runtime/c-door:",
            Door::Tools | Door::Library => "",
        };
        format!("{door}{tools}:/usr/sbin:/usr/bin:/sbin:/bin")
    }

    /// Where the C door's `liblxc.so.1` is; `None` = where the loader looks by itself: Debian's.
    pub fn library_path(self) -> Option<&'static str> {
        (self.subject == Subject::Ours && self.door == Door::C).then_some("/opt/lxc-runtime/lib")
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self.door {
            Door::Tools => formatter.pad(self.subject.name()),
            door => formatter.pad(&format!("{}, {door}", self.subject)),
        }
    }
}

/// Shell lines that change a container's rootfs once it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Where they stand: `scenarios/start/a-name.toml:12`.
    pub at: String,
    /// The rootfs, where they are run by root; the first that fails ends them.
    pub rootfs: String,
    /// The lines.
    pub script: String,
}

/// One thing that is done, and what it must bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it stands: `scenarios/start/a-name.toml:12`.
    pub at: String,
    /// What is done.
    pub act: Act,
    /// What the command reads; nothing = /dev/null.
    pub stdin: String,
    /// When it must be done.
    pub within: Duration,
    /// Only this subject takes it.
    pub only: Option<Subject>,
    /// Who does it.
    pub user: User,
    expected: Expected,
    ours: Expected,
    debian_lxc: Expected,
}

impl Step {
    /// What it must bring when `subject` takes it.
    pub fn expected(&self, subject: Subject) -> &Expected {
        match subject {
            Subject::Ours => &self.ours,
            Subject::DebianLxc => &self.debian_lxc,
        }
    }

    /// The containers whose state is asked once the command has ended; see [`state_question`].
    pub fn asked(&self, subject: Subject) -> BTreeSet<&str> {
        let both = [&self.expected, self.expected(subject)];
        let names = both.into_iter().flat_map(|expected| expected.states.keys());
        names.map(String::as_str).collect()
    }
}

/// The state of a container, as LXC calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// It does not run.
    Stopped,
    /// Its monitor prepares it.
    Starting,
    /// Its init runs.
    Running,
    /// Its init has ended or is asked to.
    Stopping,
    /// Its start is being undone.
    Aborting,
    /// It is about to be frozen.
    Freezing,
    /// None of its processes runs.
    Frozen,
    /// It is about to run again.
    Thawed,
}

impl State {
    const ALL: [State; 8] = [
        State::Stopped,
        State::Starting,
        State::Running,
        State::Stopping,
        State::Aborting,
        State::Freezing,
        State::Frozen,
        State::Thawed,
    ];

    /// As the tools print it.
    pub fn name(self) -> &'static str {
        match self {
            State::Stopped => "STOPPED",
            State::Starting => "STARTING",
            State::Running => "RUNNING",
            State::Stopping => "STOPPING",
            State::Aborting => "ABORTING",
            State::Freezing => "FREEZING",
            State::Frozen => "FROZEN",
            State::Thawed => "THAWED",
        }
    }

    fn all_names() -> String {
        let names = State::ALL.map(State::name);
        format!("it is one of {}", names.join(", "))
    }
}
