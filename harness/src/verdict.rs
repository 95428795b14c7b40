//! What became of one scenario on one machine, and the three words for it.

use std::time::Duration;

use lxc_guest::protocol::Layout;
use serde::Serialize;

use crate::scenario::Way;

/// Never two: what could not run has not passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "why")]
pub enum Verdict {
    /// Every expectation was met, and nothing was left behind.
    Passed,
    /// One was not; the text shows the scene.
    Failed(String),
    /// The machine or the kernel lacks what it takes; the text says what.
    CouldNotRun(String),
}

/// One machine of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The kernel's name in vm-images/kernels.toml.
    pub kernel: String,
    /// How cgroups are mounted.
    pub layout: Layout,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kernel, layout_name(self.layout))
    }
}

/// The layout as it is written on the command line.
pub fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::V1 => "v1",
        Layout::Hybrid => "hybrid",
        Layout::V2 => "v2",
    }
}

/// One cell of the matrix, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// On which machine.
    #[serde(flatten)]
    pub place: Place,
    /// `area/file-name` of the scenario.
    pub scenario: String,
    /// Who was judged, and by which door.
    #[serde(serialize_with = "shown")]
    pub way: Way,
    /// How it went.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Known differences: what stands where, and whether it appeared here.
    pub differences: Vec<Difference>,
    /// Where the time went.
    pub times: Times,
}

/// A known difference of a subject that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The place in the scenarios that declares it: `scenarios/start/a-name.toml:12`.
    pub at: String,
    /// In words.
    pub why: String,
    /// Whether the subject did differ.
    pub appeared: bool,
}

/// Where a cell's time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// Until the restored machine first answered.
    #[serde(serialize_with = "milliseconds")]
    pub restore: Duration,
    /// From there until the first step began: needs, containers, census.
    #[serde(serialize_with = "milliseconds")]
    pub begin: Duration,
    /// The steps.
    #[serde(serialize_with = "milliseconds")]
    pub steps: Duration,
    /// The census after them.
    #[serde(serialize_with = "milliseconds")]
    pub settle: Duration,
}

impl Times {
    /// All of it.
    pub fn sum(&self) -> Duration {
        self.restore + self.begin + self.steps + self.settle
    }
}

/// How a machine of the matrix came up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Booted {
    /// Which.
    #[serde(flatten)]
    pub place: Place,
    /// What uname says; empty when it did not come up.
    pub release: String,
    /// How.
    pub how: How,
}

/// How a machine came up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Its snapshot was there.
    Kept,
    /// It was booted; milliseconds after QEMU's start, or the kernel's for the first two.
    Fresh {
        /// The agent's first instruction.
        init_ms: u64,
        /// The agent ready, by the guest's clock.
        ready_ms: u64,
        /// The agent's first answer, by ours.
        answer_ms: u64,
        /// To save the snapshot.
        save_ms: u64,
    },
    /// It did not come up: why.
    Not(String),
}

fn milliseconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn shown<S: serde::Serializer>(way: &Way, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(way)
}
