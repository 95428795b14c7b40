//! Boots real kernels under QEMU, runs scenarios inside them and judges what happened.
//!
//! **Is** [`image`] (kernels and guests, from packages to files QEMU can boot), [`machine`] (QEMU as a
//! typed process: console, control port, snapshot), [`scenario`] (the format, read and checked
//! without a machine), and on top of them the story of a run and its report.
//! **Knows** Debian's packages, QEMU and the agent's protocol.
//! **Never** links the product: it is judged from outside, by its programs.
#![forbid(unsafe_code)]

pub mod crew;
pub mod fleet;
pub mod image;
pub mod machine;
pub mod options;
pub mod report;
pub mod run;
pub mod scenario;
pub mod story;
pub mod verdict;
