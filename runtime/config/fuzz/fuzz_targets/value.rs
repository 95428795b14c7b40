//! Bytes as a value: the first picks the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lxc_config_fuzz::invariants;

fuzz_target!(|bytes: &[u8]| invariants::hold_for_picked_value(bytes));
