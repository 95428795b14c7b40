//! What tests of real containers share: a laboratory of containers that cleans up after itself,
//! commands with deadlines, terminals, and a census of what a container leaves on the host.
//!
//! **Is** the scene of a test: [`Lab`].
//! **Knows** the installed programs in `LXC_TEST_PREFIX` and Debian's as peers.
//! **Never** decides what the product should do; that stands in the tests.

// Each test program is compiled with this module and uses its own part of it.
#![allow(dead_code, unused_imports)]

mod call;
mod census;
mod lab;
mod layout;
mod peer;
mod storm;
mod terminal;

pub use call::{Call, Process, Ran};
pub use census::{Census, processes as processes_of};
pub use lab::{Lab, could_not_run};
pub use layout::{Layout, cgroups_of, places_in};
pub use peer::{Peer, Side};
pub use storm::{Storm, rounds};
pub use terminal::Terminal;

use std::time::{Duration, Instant};

/// How long the kernel may take to finish what dead processes left: it takes down pid and network
/// namespaces later and tells nobody.
pub const SETTLING: Duration = Duration::from_secs(3);

/// Whether `condition` becomes true within `limit`; it is asked every few milliseconds, and a last
/// time at the end.
pub fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Blocks until `condition` is true.
///
/// # Panics
/// It is not after five seconds; `what` says what was awaited.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        within(Duration::from_secs(5), condition),
        "did not happen within 5 s: {what}"
    );
}
