//! Figures of a container's life: start, attach, query, stop, what its monitor occupies, and what
//! state() costs through the C library.
//!
//! **Is** what the bench `life` and the tests beside it share: subjects, cgroup layouts, rounds, the
//! count of kernel operations, the report.
//! **Knows** the command lines of the lxc-* tools, of crun and of `bare`, our C headers, and where the
//! kernel accounts memory.
//! **Never** judges: it gives medians and ratios and fails only when it cannot measure.
#![forbid(unsafe_code)]

mod bundle;
mod cgroup_move;
pub mod command;
pub mod layout;
pub mod memory;
pub mod operations;
pub mod options;
pub mod report;
pub mod rounds;
pub mod scratch;
pub mod state;
pub mod statistics;
pub mod subject;

/// Why there are no figures: a sentence.
pub type Failure = String;
