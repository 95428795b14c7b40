//! lxc.conf: one table of keys as the source of every operation on a key.
//!
//! **Is** the configuration language of LXC: parse, get, set, clear, list and save, with typed
//! values and diagnostics that name file and line.
//! **Knows** nothing else: not Linux, not containers' lives.
//! **Never** does I/O other than reading the files it is told to read.
//!
//! A key is one row of `table.rs`: its name, its sentence, the field of [`Values`] it fills, its
//! grammar and its text form. Everything else (set, get, clear, list, save, documentation, tests)
//! reads that row.
#![forbid(unsafe_code)]

pub mod capabilities;
mod config;
mod diagnostic;
mod documentation;
mod file;
mod global;
mod grammar;
mod listing;
mod manual;
mod mount_entry;
mod not_carried_out;
mod old_keys;
#[cfg(test)]
mod peer_tests;
mod reference;
pub mod rlimits;
pub mod roff;
mod row;
mod rows;
mod setting;
pub mod signals;
mod table;
#[cfg(test)]
mod table_tests;
mod text;
mod unknown;
mod values;
pub mod words;

pub use config::{Assignment, Config, Form};
pub use diagnostic::{Details, Diagnostic, Kind};
pub use documentation::{KeyDoc, documentation};
pub use global::{GLOBAL_KEYS, GlobalConfig, GlobalKey};
pub use manual::{global_manual, manual};
pub use mount_entry::parse_fstab_line;
pub use old_keys::{OLD_KEYS, OLD_NETWORK_KEYS, OldKey};
pub use reference::reference;
pub use values::*;
