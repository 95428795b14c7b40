//! The lxc-* tools: one program, many names.
//!
//! **Is** arguments → one library call → text or JSON.
//! **Knows** the typed library only.
//! **Never** does what a user of the library could not do.
#![forbid(unsafe_code)]

mod applet;
mod applets;
mod failure;
mod help;
mod invocation;
mod manual;
mod options;
mod output;
mod pattern;
mod size;
mod templates;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let words: Result<Vec<String>, _> = words.map(std::ffi::OsString::into_string).collect();
    let code = match words {
        Ok(words) => applet::dispatch(&program.to_string_lossy(), words),
        Err(word) => {
            output::complain(&format!("lxc: the argument {word:?} is not valid UTF-8"));
            1
        }
    };
    ExitCode::from(code)
}
