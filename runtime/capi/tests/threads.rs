//! Many at once: threads on one object, processes on one container's file.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use c_client::{Door, Headers, Library};

const OWNER: &str = "m4";
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the program on a container that has only a name.
fn run(door: &Door, how: &str) -> String {
    let program = door.compiled("threads", Headers::Ours);
    let name = door.lab().defined("c1", "lxc.uts.name = odd");
    let words = [Path::new(how), door.lab().lxcpath(), Path::new(&name)];
    let ran = door.answers(Library::Ours, &program, words, LIMIT);
    assert!(ran.stderr.is_empty(), "{ran}");
    ran.stdout
}

#[test]
fn ten_threads_share_an_object() {
    let Some(door) = Door::new(OWNER, "ten_threads_share_an_object") else {
        return;
    };
    assert_eq!(
        run(&door, "together"),
        "what was saved can be loaded=1\nvalues lost=0\nwrong=0\nnumthreads=1\n"
    );
}

/// LXC in C loses nine of ten here: each object writes what it has loaded long ago.
#[test]
fn ten_processes_lose_nothing_of_each_others() {
    let Some(door) = Door::new(OWNER, "ten_processes_lose_nothing_of_each_others") else {
        return;
    };
    assert_eq!(
        run(&door, "apart"),
        "processes that failed=0\ntimes the file did not parse=0\nkeys lost=0\n"
    );
}
