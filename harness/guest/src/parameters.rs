//! Words of the kernel's command line that are meant for us.

use std::fs;

use crate::trouble::{Calling, Outcome};

/// The value of a parameter; of several the last.
pub fn value(name: &str) -> Outcome<Option<String>> {
    let line = fs::read_to_string("/proc/cmdline").calling("open", "/proc/cmdline")?;
    Ok(value_in(&line, name).map(str::to_owned))
}

/// The same, in a command line.
pub fn value_in<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .rfind(|(found, _)| *found == name)
        .map(|(_, value)| value)
}
