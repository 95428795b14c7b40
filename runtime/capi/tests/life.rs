//! A container's whole life through the C interface, with our library and with Debian's.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use c_client::{Difference, Door, Headers, Library, agree_but_for};
use support::Ran;

const OWNER: &str = "m2";

/// A template, some forty starts and attaches, and waits of a second that must pass in vain.
const LIMIT: Duration = Duration::from_secs(90);

/// No template and no file of the host adds to it. The address of lo is something to ask for.
const BASE: &str = "lxc.net.0.type = empty\nlxc.net.0.flags = up\n";

/// What we answer otherwise than LXC 5.0.2.
const DIFFERENCES: &[Difference] = &[];

fn live(door: &Door, library: Library) -> Ran {
    let headers = *door.headers().last().expect("ours are always there");
    let program = door.compiled("life", headers);
    let base = door.lab().file("base.conf", 0o644, BASE);
    let name = door.name(library);
    let words = [door.lab().lxcpath(), Path::new(&name), &base];
    door.answers(library, &program, words, LIMIT)
}

#[test]
fn a_life_is_as_written_down() {
    let Some(door) = Door::new(OWNER, "a_life_is_as_written_down") else {
        return;
    };
    insta::assert_snapshot!(live(&door, Library::Ours).stdout);
}

#[test]
fn a_life_is_the_same_with_debians_library() {
    const TEST: &str = "a_life_is_the_same_with_debians_library";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if !door.has_debians(TEST) {
        return;
    }
    let [ours, theirs] = Library::BOTH.map(|library| live(&door, library));
    agree_but_for(&ours, &theirs, DIFFERENCES, &[]);
}

/// Our members on a container that LXC in C has started, and theirs on one of ours: the program only
/// asks, so that it says the same whoever started the container.
#[test]
fn either_library_serves_a_container_of_the_other() {
    const TEST: &str = "either_library_serves_a_container_of_the_other";
    let Some(door) = Door::new(OWNER, TEST) else {
        return;
    };
    if !door.has_debians(TEST) {
        return;
    }
    let name = door.lab().busybox(
        "c1",
        "lxc.init.cmd = /bin/sleep 1000\nlxc.tty.max = 2\nlxc.pty.max = 4",
    );
    let program = door.compiled("questions", Headers::Ours);
    let mut said = Vec::new();
    for starter in support::Side::BOTH {
        starter.start(door.lab(), &name);
        for library in Library::BOTH {
            let words = [door.lab().lxcpath(), Path::new(&name)];
            said.push(door.answers(library, &program, words, LIMIT));
        }
        door.lab().kill(&name);
    }
    for other in &said[1..] {
        assert_eq!(
            said[0].stdout, other.stdout,
            "{}\n--- and\n{other}",
            said[0]
        );
    }
}
