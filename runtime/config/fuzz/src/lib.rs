//! What must hold for every configuration file and every value, whatever bytes they are made of.
//!
//! **Is** the part that the fuzz targets and the ordinary tests of `lxc-config` share.
//! **Knows** the public interface of `lxc-config`.
//! **Never** reads a file, but for the bytes it was given.
#![forbid(unsafe_code)]

pub mod invariants;
