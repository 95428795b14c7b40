//! The monitor: one process per container, from its start to its end.
//!
//! ```text
//!   stage 1   reads the request, claims name (socket) and cgroup, clones stage 2 into it, exits
//!   stage 2   start → serve → take down → (reboot: start again) → report, exit
//! ```

pub(crate) mod broadcast;
mod cgroup;
pub mod life;
mod live;
mod run;
mod stage;
mod take_down;

pub use live::{Init, Live, Tty};
pub use run::{Monitor, Wake};
pub use stage::enter;
