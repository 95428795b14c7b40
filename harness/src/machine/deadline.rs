//! One point in time for everything that one request may take.

use std::time::{Duration, Instant};

use rustix::event::Timespec;

/// When waiting ends, and how long that was from the start, for the sentence that says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    /// The whole of the time that was given.
    pub(super) within: Duration,
}

impl Deadline {
    /// That long from now; a year at most, so that no sum overflows.
    pub(super) fn after(within: Duration) -> Deadline {
        let within = within.min(Duration::from_secs(365 * 24 * 3600));
        Deadline {
            at: Instant::now() + within,
            within,
        }
    }

    /// Whether it has passed.
    pub(super) fn passed(self) -> bool {
        Instant::now() >= self.at
    }

    /// What is left of it, as poll(2) takes it.
    pub(super) fn left(self) -> Timespec {
        let left = self.at.saturating_duration_since(Instant::now());
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    }
}
