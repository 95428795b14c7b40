//! A rootfs whose author is no friend, and a guest that is none: links, fifos and files where a start
//! wants directories, trees that change while they are used, programs that reach for the host.
//!
//! What is asked for works inside the root or fails with the step's sentence; the host stays as it was.
//! Which row of the catalogue of known attacks each test answers stands in `runtime/security.md`.

#[path = "../support/mod.rs"]
mod support;

mod dev_proc_sys;
mod directories;
mod faults;
mod hooks;
mod identities;
mod insiders;
mod mounts;
mod newcomers;
mod obstacles;
mod planted;
mod probe;
mod program;
mod races;
mod scene;

/// What the names of these tests begin with.
const OWNER: &str = "hostile";
