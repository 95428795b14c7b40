//! A rootfs whose author is no friend: links, fifos and files where a start wants directories. The start
//! works inside the root or fails with the step's sentence; the host stays as it was.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use support::{Call, Lab, Side};

const OWNER: &str = "t2";

/// Something in the rootfs, in place of what was there. `SENTINEL` in a target is a directory of the
/// host.
enum Plant {
    /// A symbolic link.
    Link(&'static str, &'static str),
    /// A fifo.
    Fifo(&'static str),
    /// An empty file.
    File(&'static str),
    /// An empty directory.
    Dir(&'static str),
    /// Nothing.
    Gone(&'static str),
}
use Plant::{Dir, Fifo, File, Gone, Link};

impl Plant {
    fn put(&self, rootfs: &Path, sentinel: &str) {
        let (Link(name, _) | Fifo(name) | File(name) | Dir(name) | Gone(name)) = self;
        let path = rootfs.join(name);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&path).expect("the rootfs is ours"),
            Ok(_) => fs::remove_file(&path).expect("the rootfs is ours"),
            Err(_) => {}
        }
        match self {
            Link(_, target) => {
                symlink(target.replace("SENTINEL", sentinel), &path).expect("a link can be made");
            }
            Fifo(_) => {
                Call::new("mkfifo").arg(&path).run().exits(0);
            }
            File(_) => fs::write(&path, "").expect("a file can be made"),
            Dir(_) => fs::create_dir(&path).expect("a directory can be made"),
            Gone(_) => {}
        }
    }
}

/// What a start is to become.
enum Outcome {
    /// It works, and so does this script inside.
    Works(&'static str),
    /// It fails: the first line contains the one, the rest the other.
    Fails(&'static str, &'static str),
}
use Outcome::{Fails, Works};

/// What is planted, lines of configuration (`SENTINEL` and `ROOTFS` filled in), what becomes of it.
type Row = (&'static [Plant], &'static str, Outcome);

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

/// Everything about a tree that a stranger could change.
fn picture(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let meta = path.symlink_metadata().expect("the tree is ours");
        let content = match meta.is_dir() {
            true => {
                let entries = fs::read_dir(&path).expect("the tree is ours");
                left.extend(entries.map(|entry| entry.expect("a readable entry").path()));
                String::new()
            }
            false => fs::read_to_string(&path).expect("a readable file"),
        };
        let what = format!(
            "{:o} {}:{} {}.{} {content:?}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.ctime(),
            meta.ctime_nsec()
        );
        found.insert(path.display().to_string(), what);
    }
    found
}

/// Starts a container once for each row, from the same files.
fn check(test: &str, rows: &[Row]) {
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let sentinel = lab.files().join("sentinel");
    fs::create_dir_all(sentinel.join("sub")).expect("a directory can be made");
    fs::write(sentinel.join("file"), "keep").expect("a file can be made");
    let picture_before = picture(&sentinel);
    let core_pattern = || fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let core_pattern_before = core_pattern();
    let sentinel_path = sentinel.to_str().expect("a path in UTF-8");

    let rootfs = lab.rootfs(&name);
    let pristine = lab.files().join("pristine");
    let config = lab.directory(&name).join("config");
    let base = fs::read_to_string(&config).expect("it has a configuration");
    Call::new("cp")
        .arg("-a")
        .arg(&rootfs)
        .arg(&pristine)
        .run()
        .exits(0);
    let before = lab.census();
    for (number, (plants, lines, outcome)) in rows.iter().enumerate() {
        let _ = fs::remove_dir_all(&rootfs);
        Call::new("cp")
            .arg("-a")
            .arg(&pristine)
            .arg(&rootfs)
            .run()
            .exits(0);
        for plant in *plants {
            plant.put(&rootfs, sentinel_path);
        }
        let lines = lines.replace("SENTINEL", sentinel_path);
        fs::write(&config, format!("{base}\n{lines}\n")).expect("the configuration is ours");
        let started = Side::Ours.tool(&lab, "lxc-start", &["-n", &name]).run();
        let scene = format!("row {number}: {lines}\n{started}");
        match outcome {
            Works(script) => {
                assert!(started.code() == 0, "it should start\n{scene}");
                let ran = lab.inside(&name, &["sh", "-c", script]);
                assert!(ran.code() == 0, "inside\n{ran}\n{scene}");
                lab.kill(&name);
            }
            Fails(first, rest) => {
                let (line, others) = started.stderr.split_once('\n').unwrap_or_default();
                let told = line.contains(first) && others.contains(rest);
                assert!(
                    started.code() == 1 && told,
                    "expected {first:?}, {rest:?}\n{scene}"
                );
                lab.is_as(&before);
            }
        }
        assert_eq!(
            picture(&sentinel),
            picture_before,
            "the host was touched\n{scene}"
        );
        assert_eq!(
            core_pattern(),
            core_pattern_before,
            "the host was touched\n{scene}"
        );
    }
}

#[test]
fn dev_proc_and_sys_go_on_real_directories_only() {
    check("dev_proc_and_sys_go_on_real_directories_only", DEV_PROC_SYS);
}

#[test]
fn a_dev_of_the_rootfs_is_never_followed_outside() {
    check("a_dev_of_the_rootfs_is_never_followed_outside", OWN_DEV);
}

#[test]
fn mount_targets_and_relative_sources_stay_inside() {
    check(
        "mount_targets_and_relative_sources_stay_inside",
        MOUNT_TARGETS,
    );
}

#[test]
fn program_and_directory_are_found_inside() {
    check(
        "program_and_directory_are_found_inside",
        PROGRAM_AND_DIRECTORY,
    );
}
