//! /dev, /proc and /sys: ours go on real directories only, and a /dev of the rootfs is never followed.

use super::scene::Outcome::{Fails, Works};
use super::scene::Plant::{Dir, Fifo, File, Gone, Link};
use super::scene::{Row, check};

const NOT_A_DIRECTORY: &str = "it must be a real directory";
const REMOVE_IT: &str = "remove it, or set lxc.autodev = 1";

const DEV_PROC_SYS: &[Row] = &[
    (
        &[Link("dev", "SENTINEL")],
        "",
        Fails("a tmpfs of 500000 bytes on /dev", NOT_A_DIRECTORY),
    ),
    (
        &[Link("dev", "../../../files/sentinel")],
        "",
        Fails("on /dev", NOT_A_DIRECTORY),
    ),
    (&[Link("dev", "dev")], "", Fails("on /dev", NOT_A_DIRECTORY)),
    (&[File("dev")], "", Fails("on /dev", NOT_A_DIRECTORY)),
    (&[Fifo("dev")], "", Fails("on /dev", NOT_A_DIRECTORY)),
    (
        &[Gone("dev")],
        "",
        Works("test -c /dev/null -a -c /dev/console"),
    ),
    (
        &[Link("proc", "SENTINEL")],
        "",
        Fails("mount proc on /proc", NOT_A_DIRECTORY),
    ),
    (
        &[Link("proc", "sys")],
        "",
        Fails("mount proc on /proc", NOT_A_DIRECTORY),
    ),
    (
        &[Link("proc", "proc")],
        "",
        Fails("mount proc on /proc", NOT_A_DIRECTORY),
    ),
    (
        &[File("proc")],
        "",
        Fails("mount proc on /proc", NOT_A_DIRECTORY),
    ),
    (
        &[Fifo("proc")],
        "",
        Fails("mount proc on /proc", NOT_A_DIRECTORY),
    ),
    (&[Gone("proc")], "", Works("test -d /proc/1")),
    (
        &[Link("sys", "SENTINEL")],
        "",
        Fails("mount sysfs on /sys", NOT_A_DIRECTORY),
    ),
    (
        &[Link("sys", "../../../files/sentinel")],
        "",
        Fails("sysfs on /sys", NOT_A_DIRECTORY),
    ),
    (
        &[File("sys")],
        "",
        Fails("mount sysfs on /sys", NOT_A_DIRECTORY),
    ),
    (
        &[Fifo("sys")],
        "",
        Fails("mount sysfs on /sys", NOT_A_DIRECTORY),
    ),
    (&[Gone("sys")], "", Works("test -d /sys/class")),
];

/// Without autodev the rootfs brings its own /dev.
const OWN_DEV: &[Row] = &[
    (
        &[],
        "lxc.autodev = 0",
        Works("test -c /dev/console -a -c /dev/ptmx -a -c /dev/tty1"),
    ),
    (
        &[Gone("dev")],
        "lxc.autodev = 0",
        Works("test -c /dev/console"),
    ),
    (
        &[Link("dev", "SENTINEL")],
        "lxc.autodev = 0",
        Fails("on /dev/pts", REMOVE_IT),
    ),
    (
        &[Link("dev", "tmp")],
        "lxc.autodev = 0",
        Fails("on /dev/pts", REMOVE_IT),
    ),
    (
        &[Link("dev/pts", "SENTINEL")],
        "lxc.autodev = 0",
        Fails("on /dev/pts", REMOVE_IT),
    ),
    (
        &[File("dev/pts")],
        "lxc.autodev = 0",
        Fails("on /dev/pts", REMOVE_IT),
    ),
    (
        &[Link("dev/console", "SENTINEL/file")],
        "lxc.autodev = 0",
        Fails("set up the console", REMOVE_IT),
    ),
    (
        &[Dir("dev/console")],
        "lxc.autodev = 0",
        Fails("set up the console", REMOVE_IT),
    ),
    (
        &[Link("dev/tty1", "SENTINEL/file")],
        "lxc.autodev = 0",
        Fails("set up the console", REMOVE_IT),
    ),
    (
        &[Fifo("dev/tty1")],
        "lxc.autodev = 0",
        Works("test -c /dev/tty1"),
    ),
    (
        &[Link("dev/ptmx", "SENTINEL/file")],
        "lxc.autodev = 0",
        Works("test -c /dev/ptmx"),
    ),
    (
        &[Link("dev/fd", "SENTINEL")],
        "lxc.autodev = 0",
        Works("true"),
    ),
    // The null device of a rootfs is never what a host's stream is connected to.
    (
        &[Link("dev/null", "/proc/sys/kernel/core_pattern")],
        "lxc.autodev = 0",
        Works("test -L /dev/null"),
    ),
    (
        &[Link("dev/lxc", "SENTINEL")],
        "lxc.autodev = 0\nlxc.tty.dir = lxc",
        Fails("set up the console", REMOVE_IT),
    ),
    (
        &[],
        "lxc.autodev = 0\nlxc.tty.dir = lxc",
        Works("test -c /dev/lxc/tty1 -a \"$(readlink /dev/tty1)\" = lxc/tty1"),
    ),
    (
        &[],
        "lxc.tty.dir = ../../files/sentinel",
        Fails("lxc.tty.dir", ""),
    ),
];

#[test]
fn dev_proc_and_sys_go_on_real_directories_only() {
    check("dev_proc_and_sys_go_on_real_directories_only", DEV_PROC_SYS);
}

#[test]
fn a_dev_of_the_rootfs_is_never_followed_outside() {
    check("a_dev_of_the_rootfs_is_never_followed_outside", OWN_DEV);
}
