//! Trees that somebody rearranges while they are used: each primitive that works below a hostile root,
//! in each kind of storm, with openat2 and without. A race may be lost (a named refusal) or won
//! inside; it is never won outside.
//!
//! `LXC_RACE_ROUNDS` sets the number of rounds of each pair; ordinarily it is 2000.

#[path = "../../../tools/tests/support/storm.rs"]
#[allow(dead_code)] // Its other user is the laboratory of the tools.
mod storm;

mod covers;
mod ground;
mod walks;

use std::sync::{Mutex, PoisonError};

use lxc_kernel::inroot;

/// Runs a test body with openat2 and again without; the two must not overlap with others.
fn both_ways(body: impl Fn(&str)) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // A failed test has left nothing behind but the switch, which is set anew.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for (forced, how) in [(false, "openat2"), (true, "walker")] {
        inroot::force_fallback(forced);
        body(how);
    }
    inroot::force_fallback(false);
}
