//! Bytes as a configuration file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lxc_config_fuzz::invariants;

fuzz_target!(|bytes: &[u8]| invariants::hold_for_file(bytes));
