//! python3-lxc of Debian's package, which loads whatever `liblxc.so.1` there is.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use c_client::{Difference, Door, Library, agree_but_for};
use support::{Call, Ran, could_not_run};

const OWNER: &str = "m3";

/// A template, some twenty starts and attaches.
const LIMIT: Duration = Duration::from_secs(60);

/// The interpreter that Debian's package is made for.
const PYTHON: &str = "/usr/bin/python3";

/// What python gets from us otherwise than from LXC 5.0.2.
const DIFFERENCES: &[Difference] = &[];

fn has_binding(test: &str) -> bool {
    let here = Path::new(PYTHON).is_file()
        && Call::new(PYTHON).args(["-c", "import lxc"]).run().code() == 0;
    if !here {
        could_not_run(test, "Debian's python3-lxc is not installed");
    }
    here
}

/// What the script says, the container's name made the same for both.
fn live(door: &Door, library: Library) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/life.py");
    let name = door.name(library);
    let ran = door
        .call(library, PYTHON)
        .arg(script)
        .arg(door.lab().lxcpath())
        .arg(&name)
        .within(LIMIT)
        .run()
        .exits(0);
    let stdout = ran.stdout.replace(&name, "NAME");
    Ran { stdout, ..ran }
}

#[test]
fn python_lives_with_our_library() {
    const TEST: &str = "python_lives_with_our_library";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if has_binding(TEST) {
        insta::assert_snapshot!(live(&door, Library::Ours).stdout);
    }
}

#[test]
fn python_sees_no_difference() {
    const TEST: &str = "python_sees_no_difference";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if !has_binding(TEST) || !door.has_debians(TEST) {
        return;
    }
    let [ours, theirs] = Library::BOTH.map(|library| live(&door, library));
    agree_but_for(&ours, &theirs, DIFFERENCES, &[]);
}
