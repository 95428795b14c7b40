//! Targets and sources of `lxc.mount.entry` that the author of the rootfs arranged.

use super::scene::Outcome::{Fails, Works};
use super::scene::Plant::{Dir, Fifo, File, Link};
use super::scene::{Row, check};

const MOUNT_TARGETS: &[Row] = &[
    (
        &[Dir("t")],
        "lxc.mount.entry = SENTINEL t none bind 0 0",
        Works("test -f /t/file"),
    ),
    // An absolute link leads to the same place below the root.
    (
        &[Link("t", "/mnt")],
        "lxc.mount.entry = SENTINEL t none bind 0 0",
        Works("test -f /mnt/file"),
    ),
    (
        &[Link("t", "SENTINEL/sub")],
        "lxc.mount.entry = SENTINEL t none bind 0 0",
        Fails("on /t (lxc.mount.entry", "create=dir"),
    ),
    (
        &[Link("t", "SENTINEL/sub/new")],
        "lxc.mount.entry = SENTINEL t/x none bind,create=dir 0 0",
        Works("test -f /t/x/file"),
    ),
    (
        &[Link("t", "../../../../../../../../SENTINEL/sub")],
        "lxc.mount.entry = SENTINEL t/y none bind,create=dir 0 0",
        Works("test -f /t/y/file"),
    ),
    (
        &[],
        "lxc.mount.entry = SENTINEL ../../../files/sentinel/sub/z none bind,create=dir 0 0",
        Works("test -f /files/sentinel/sub/z/file"),
    ),
    (
        &[Link("t", "t")],
        "lxc.mount.entry = SENTINEL t none bind,create=dir 0 0",
        Fails(
            "on /t (lxc.mount.entry",
            "cannot be followed inside the rootfs",
        ),
    ),
    (
        &[Link("t", "u"), Link("u", "t")],
        "lxc.mount.entry = SENTINEL t/x none bind 0 0",
        Fails(
            "on /t/x (lxc.mount.entry",
            "cannot be followed inside the rootfs",
        ),
    ),
    (
        &[Fifo("t")],
        "lxc.mount.entry = SENTINEL t none bind 0 0",
        Fails(
            "on /t (lxc.mount.entry",
            "a directory goes onto a directory",
        ),
    ),
    (
        &[File("t")],
        "lxc.mount.entry = SENTINEL t/x none bind,create=dir 0 0",
        Fails(
            "on /t/x (lxc.mount.entry",
            "a directory goes onto a directory",
        ),
    ),
    (
        &[Fifo("t")],
        "lxc.mount.entry = SENTINEL/file t none bind 0 0",
        Works("test \"$(cat /t)\" = keep"),
    ),
    (
        &[Link("t", "SENTINEL/file")],
        "lxc.mount.entry = SENTINEL/file t none bind,create=file 0 0",
        Fails("on /t (lxc.mount.entry", "is a link"),
    ),
    // A container that runs beneath its own root and is entered above it.
    (
        &[Link("t", "/")],
        "lxc.mount.entry = SENTINEL t none bind 0 0",
        Fails("on /t (lxc.mount.entry", "is the rootfs itself"),
    ),
    (
        &[],
        "lxc.mount.entry = SENTINEL . none bind 0 0",
        Fails("lxc.mount.entry", "rootfs itself"),
    ),
    // proc and sysfs are covered by who names them, not where a link leads.
    (
        &[Link("t", "/proc")],
        "lxc.mount.entry = SENTINEL t none bind 0 0",
        Fails("on /t (lxc.mount.entry", "or write the target as proc/"),
    ),
    (
        &[Link("t", "proc")],
        "lxc.mount.entry = SENTINEL t/sys/net none bind 0 0",
        Fails("on /t/sys/net (lxc.mount.entry", "through a link"),
    ),
    (
        &[Dir("d"), Link("d/t", "../sys")],
        "lxc.mount.entry = tmpfs d/t/fs tmpfs create=dir 0 0",
        Fails("on /d/t/fs (lxc.mount.entry", "through a link"),
    ),
    (
        &[Link("t", "/sys/kernel")],
        "lxc.mount.entry = SENTINEL t none bind,optional 0 0",
        Works("test -d /proc/1 -a ! -e /sys/kernel/file"),
    ),
    (
        &[],
        "lxc.mount.entry = SENTINEL ./proc/sys/net none bind 0 0",
        Works("test -f /proc/sys/net/file"),
    ),
    (
        &[],
        "lxc.mount.entry = SENTINEL sys/kernel none bind 0 0",
        Works("test -f /sys/kernel/file"),
    ),
    (
        &[Dir("d")],
        "lxc.mount.entry = SENTINEL d/../sys/fs none bind 0 0",
        Works("test -f /sys/fs/file"),
    ),
    // A source `relative` to the rootfs does not leave it either.
    (
        &[Link("s", "SENTINEL"), Dir("t")],
        "lxc.mount.entry = s t none bind,relative 0 0",
        Fails("mount s on /t", "does not exist"),
    ),
    (
        &[Dir("t")],
        "lxc.mount.entry = ../../../files/sentinel t none bind,relative 0 0",
        Fails("sentinel on /t", "does not exist"),
    ),
    // With `optional` the start goes on, and still touches nothing outside.
    (
        &[Link("t", "SENTINEL/sub")],
        "lxc.mount.entry = SENTINEL t none bind,optional 0 0",
        Works("test -L /t -a ! -e /t"),
    ),
];

#[test]
fn mount_targets_and_relative_sources_stay_inside() {
    check(
        "mount_targets_and_relative_sources_stay_inside",
        MOUNT_TARGETS,
    );
}
