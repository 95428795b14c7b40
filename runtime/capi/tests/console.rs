//! The console's buffer through the C interface, of our containers and of Debian's.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use c_client::{Door, Headers, Library};
use support::{Ran, Side};

const OWNER: &str = "m9";

/// A dozen attaches, and some waits of half a second.
const LIMIT: Duration = Duration::from_secs(90);

const WITH_BUFFER: &str = "lxc.init.cmd = /bin/sleep 1000\n\
                           lxc.pty.max = 4\n\
                           lxc.console.buffer.size = 4096";

fn questions(door: &Door, name: &str, starter: Side, library: Library) -> Ran {
    starter.start(door.lab(), name);
    let program = door.compiled("console", Headers::Ours);
    let words = [door.lab().lxcpath(), Path::new(name)];
    door.answers(library, &program, words, LIMIT)
}

#[test]
fn the_buffer_answers_as_written_down() {
    let Some(door) = Door::new(OWNER, "the_buffer_answers_as_written_down") else {
        return;
    };
    let name = door.lab().busybox("c1", WITH_BUFFER);
    let said = questions(&door, &name, Side::Ours, Library::Ours);
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
    let name = door.lab().busybox("c1", WITH_BUFFER);
    let pairs = Side::BOTH
        .map(|starter| Library::BOTH.map(|library| questions(&door, &name, starter, library)));
    let all = pairs.as_flattened();
    for other in &all[1..] {
        assert_eq!(all[0].stdout, other.stdout, "{}\n--- and\n{other}", all[0]);
    }
}
