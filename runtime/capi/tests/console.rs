//! The console's buffer through the C interface, of our containers and of Debian's.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use c_client::{Door, Headers, Library};
use support::{Ran, Side};

const OWNER: &str = "m9";

const LIMIT: Duration = Duration::from_secs(90);

/// A container with a buffer, and the log that tells when something is in it.
fn with_buffer(door: &Door) -> (String, PathBuf) {
    let log = door.lab().files().join("console.log");
    let more = format!(
        "lxc.init.cmd = /bin/sleep 1000\nlxc.pty.max = 4\nlxc.console.buffer.size = 4096\n\
         lxc.console.logfile = {}",
        log.display()
    );
    (door.lab().busybox("c1", &more), log)
}

fn questions(door: &Door, starter: Side, library: Library, container: &(String, PathBuf)) -> Ran {
    let (name, log) = container;
    starter.start(door.lab(), name);
    let program = door.compiled("console", Headers::Ours);
    let words = [door.lab().lxcpath(), Path::new(name), log];
    door.answers(library, &program, words, LIMIT)
}

#[test]
fn the_buffer_answers_as_written_down() {
    let Some(door) = Door::new(OWNER, "the_buffer_answers_as_written_down") else {
        return;
    };
    let said = questions(&door, Side::Ours, Library::Ours, &with_buffer(&door));
    insta::assert_snapshot!(said.stdout);
}

/// Each library with each other's monitor: every pair says the same.
#[test]
fn the_buffer_answers_both_libraries_alike() {
    const TEST: &str = "the_buffer_answers_both_libraries_alike";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if !door.has_debians(TEST) {
        return;
    }
    let container = with_buffer(&door);
    let pairs = Side::BOTH
        .map(|starter| Library::BOTH.map(|library| questions(&door, starter, library, &container)));
    let all = pairs.as_flattened();
    for other in &all[1..] {
        assert_eq!(all[0].stdout, other.stdout, "{}\n--- and\n{other}", all[0]);
    }
}
