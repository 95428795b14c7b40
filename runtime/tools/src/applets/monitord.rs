//! lxc-monitord: passes what monitors announce on to lxc-monitor.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use lxc_runtime::{default_lxcpath, serve_events};

use crate::applet::Entry;
use crate::failure::Failure;
use crate::help::{self, Table, Words};
use crate::output;

/// The program's name.
pub const PROGRAM: &str = "lxc-monitord";

/// What it writes when it can be connected to.
pub const READY: &[u8] = b"S";

/// The tool among the names of the program. It has none of the options that others have.
pub const ENTRY: Entry = Entry {
    words: &WORDS,
    table,
    run,
};

const WORDS: Words = Words {
    program: PROGRAM,
    synopsis: "LXCPATH FD | --daemon [LXCPATH]",
    about: "lxc-monitord passes what happens to the containers in LXCPATH on to lxc-monitor, which\n\
            starts it. It ends half a minute after the last lxc-monitor.",
    notes: "FD is a descriptor that gets one byte, S, when lxc-monitor can connect. With --daemon it stays\n\
            until somebody ends it.",
};

fn table() -> Table {
    Table {
        own: Vec::new(),
        common: Vec::new(),
    }
}

fn run(words: Vec<String>) -> u8 {
    match serve(&words) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(&format!("{PROGRAM}: {}", failure.text));
            failure.code
        }
    }
}

fn serve(words: &[String]) -> Result<u8, Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--help" | "-h"] => {
            output::print(&help::help(&WORDS, &table()))?;
        }
        ["--daemon"] => serve_events(&default_lxcpath(), true, || ())?,
        ["--daemon", lxcpath] => serve_events(&PathBuf::from(lxcpath), true, || ())?,
        [lxcpath, fd] if !lxcpath.starts_with('-') => {
            let fd: u32 = fd.parse().map_err(|_| {
                Failure::new(format!("{fd}: the number of a descriptor is expected"))
            })?;
            serve_events(&PathBuf::from(lxcpath), false, || detach(fd))?;
        }
        _ => {
            output::complain(help::help(&WORDS, &table()).trim_end_matches('\n'));
            return Ok(1);
        }
    }
    Ok(0)
}

/// Tells the one who started us that we are ready, and becomes independent of it.
fn detach(fd: u32) {
    let told = OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{fd}"))
        .and_then(|mut pipe| pipe.write_all(READY));
    if let Err(error) = told {
        output::complain(&format!("{PROGRAM}: cannot say that it is ready: {error}"));
    }
    // None of these can fail for a reason that somebody could mend, and the daemon serves all the same.
    let _ = rustix::process::setsid();
    // It keeps no filesystem busy.
    let _ = std::env::set_current_dir("/");
    // Whoever waits for the end of our streams must not wait for ours.
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
