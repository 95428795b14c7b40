//! The program and the directory of init.

use super::scene::Outcome::{Fails, Works};
use super::scene::Plant::{Dir, Fifo, Link};
use super::scene::{Row, check};

const PROGRAM_AND_DIRECTORY: &[Row] = &[
    (
        &[Link("sbin/init", "SENTINEL/file")],
        "",
        Fails("execute /sbin/init", "is not in the container's rootfs"),
    ),
    (&[Fifo("sbin/init")], "", Fails("execute /sbin/init", "")),
    (&[Dir("sbin/init")], "", Fails("execute /sbin/init", "")),
    (
        &[Link("cwd", "SENTINEL")],
        "lxc.init.cwd = /cwd/new\nlxc.init.cmd = /bin/sleep 1000",
        Works("test \"$(readlink /proc/1/cwd)\" = \"$(readlink /cwd)/new\""),
    ),
    (
        &[],
        "lxc.init.cwd = /../../../../tmp\nlxc.init.cmd = /bin/sleep 1000",
        Works("test \"$(readlink /proc/1/cwd)\" = /tmp"),
    ),
    (
        &[],
        "lxc.init.cwd = /proc/self/fd/5",
        Fails("/sbin/init", "correct lxc.init.cwd"),
    ),
    (
        &[Link("cwd", "/proc/self/root")],
        "lxc.init.cwd = /cwd",
        Fails("/sbin/init", "correct lxc.init.cwd"),
    ),
];

#[test]
fn program_and_directory_are_found_inside() {
    check(
        "program_and_directory_are_found_inside",
        PROGRAM_AND_DIRECTORY,
    );
}
