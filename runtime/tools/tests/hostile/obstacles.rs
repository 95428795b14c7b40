//! Everything a start touches in a rootfs, with everything in its place that does not belong there.
//! What became of each pair stands in one golden file a subject: a start that works does so inside, one
//! that fails says at which step.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::scene::Plant::{Device, Dir, Fifo, File, Gone, Link, Socket};
use crate::scene::{Plant, Scene};
use crate::support::{Call, Ran};

/// What a start touches.
struct Target {
    /// Path in the rootfs at which obstacles are put.
    path: &'static str,
    /// Lines of configuration that make it a target; `SENTINEL` filled in.
    lines: &'static str,
    /// What the sentence of a start that fails there contains; one of these, cut at `|`.
    step: &'static str,
    /// Inside a container that started, this script tells that the step did what it should.
    proof: &'static str,
}

/// A name as long as a name can be.
const LONGEST: &str = concat!(
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "0123456789012345678901234567890123456789012345678901234"
);

/// What lies in the way of a path: its name in the golden file, and how it is put there.
type Obstacle = (&'static str, fn(&'static str) -> Vec<Plant>);

const OBSTACLES: &[Obstacle] = &[
    ("link to the host's directory", |path| {
        vec![Link(path, "SENTINEL")]
    }),
    ("link to the host's file", |path| {
        vec![Link(path, "SENTINEL/file")]
    }),
    ("link that climbs", |path| {
        vec![Link(path, "../../../../../../../../../../..SENTINEL/sub")]
    }),
    ("link to itself", |path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        vec![Link(path, name)]
    }),
    ("link to the root of init", |path| {
        vec![Link(path, "/proc/1/root")]
    }),
    ("link to a descriptor", |path| {
        vec![Link(path, "/proc/self/fd/3")]
    }),
    ("link to a core pattern", |path| {
        vec![Link(path, "/proc/sys/kernel/core_pattern")]
    }),
    ("link to a directory inside", |path| {
        vec![Link(path, "/mnt")]
    }),
    ("link to the longest name", |path| vec![Link(path, LONGEST)]),
    ("fifo", |path| vec![Fifo(path)]),
    ("socket", |path| vec![Socket(path)]),
    ("device", |path| vec![Device(path)]),
    ("file", |path| vec![File(path)]),
    ("directory", |path| vec![Dir(path)]),
    ("nothing", |path| vec![Gone(path)]),
    ("nothing above it", |path| {
        vec![Gone(path.rsplit_once('/').map_or(path, |(above, _)| above))]
    }),
    ("file above it", |path| {
        vec![
            path.rsplit_once('/')
                .map_or(File(path), |(above, _)| File(above)),
        ]
    }),
];

const DEV_PROC_SYS: &[Target] = &[
    Target {
        path: "proc",
        lines: "",
        step: "mount proc on /proc",
        proof: "test -d /proc/1 && ! sh -c 'echo x > /proc/sys/kernel/core_pattern' 2>/dev/null",
    },
    Target {
        path: "sys",
        lines: "",
        step: "mount sysfs on /sys",
        proof: "test -d /sys/class",
    },
    Target {
        path: "sys/fs/cgroup",
        // By force: with a namespace of cgroups it is left to the init to mount them, as with LXC.
        lines: "lxc.mount.auto =\nlxc.mount.auto = proc cgroup:mixed:force",
        step: "mount cgroups on /sys/fs/cgroup",
        proof: "grep -q ' /sys/fs/cgroup[ /]' /proc/self/mounts",
    },
    Target {
        path: "dev",
        lines: "",
        step: "a tmpfs of 500000 bytes on /dev",
        proof: "test -c /dev/null -a -c /dev/console -a -c /dev/ptmx",
    },
];

const OWN_DEV: &[Target] = &[
    Target {
        path: "dev",
        lines: "lxc.autodev = 0",
        step: "/dev",
        proof: "test -c /dev/console -a -d /dev/pts",
    },
    Target {
        path: "dev/pts",
        lines: "lxc.autodev = 0",
        step: "on /dev/pts|on /dev/shm",
        proof: "grep -q ' /dev/pts devpts ' /proc/self/mounts",
    },
    Target {
        path: "dev/ptmx",
        lines: "lxc.autodev = 0\nlxc.pty.max = 8",
        step: "on /dev/pts|on /dev/shm",
        proof: "test -c /dev/ptmx && exec 3<>/dev/ptmx",
    },
    Target {
        path: "dev/console",
        lines: "lxc.autodev = 0",
        step: "set up the console|on /dev/shm",
        proof: "test -c /dev/console",
    },
    Target {
        path: "dev/tty1",
        lines: "lxc.autodev = 0\nlxc.tty.max = 1",
        step: "set up the console|on /dev/shm",
        proof: "test -c /dev/tty1",
    },
    Target {
        path: "dev/lxc",
        lines: "lxc.autodev = 0\nlxc.tty.dir = lxc\nlxc.tty.max = 1",
        step: "set up the console|on /dev/shm",
        proof: "test -c /dev/lxc/tty1 -a -c /dev/lxc/console -a -c /dev/console",
    },
    Target {
        path: "dev/lxc/tty1",
        lines: "lxc.autodev = 0\nlxc.tty.dir = lxc\nlxc.tty.max = 1",
        step: "set up the console|on /dev/shm",
        proof: "test -c /dev/lxc/tty1",
    },
    Target {
        path: "dev/stdin",
        lines: "lxc.autodev = 0",
        step: "link /dev/fd|on /dev/shm",
        proof: "true",
    },
];

const MOUNT_ENTRIES: &[Target] = &[
    Target {
        path: "above/t",
        lines: "lxc.mount.entry = SENTINEL above/t none bind,ro 0 0",
        step: "on /above/t",
        proof: "grep -q ' ro,' /proc/self/mountinfo",
    },
    Target {
        path: "above/t",
        lines: "lxc.mount.entry = SENTINEL above/t/x/y none bind,ro,create=dir 0 0",
        step: "on /above/t/x/y",
        proof: "test -f /above/t/x/y/file",
    },
    Target {
        path: "above/t",
        lines: "lxc.mount.entry = SENTINEL/file above/t none bind,ro,create=file 0 0",
        step: "on /above/t",
        proof: "test \"$(cat /above/t)\" = keep",
    },
    Target {
        path: "above/t",
        lines: "lxc.mount.entry = SENTINEL/file above/t/x none bind,ro,create=file 0 0",
        step: "on /above/t/x",
        proof: "test \"$(cat /above/t/x)\" = keep",
    },
    Target {
        path: "above/t",
        lines: "lxc.mount.entry = tmpfs above/t tmpfs size=64k,create=dir 0 0",
        step: "on /above/t",
        proof: "grep -q ' tmpfs .*size=64k' /proc/self/mounts",
    },
    Target {
        path: "above/t",
        lines: "lxc.mount.entry = above/t mnt none bind,relative 0 0",
        step: "on /mnt",
        proof: "grep -q ' /mnt ' /proc/self/mounts",
    },
];

const INIT: &[Target] = &[
    Target {
        path: "above/init",
        lines: "lxc.init.cmd = /above/init",
        step: "execute /above/init",
        proof: "true",
    },
    Target {
        path: "above/cwd",
        lines: "lxc.init.cwd = /above/cwd\nlxc.init.cmd = /bin/sleep 1000",
        step: "execute /bin/sleep",
        proof: "! test -e /proc/1/cwd/file",
    },
];

/// Why it failed, in a word: the errno of the call, or the sentence when no call was made.
fn why(scene: &Scene, ran: &Ran) -> String {
    let errno = |line: &str| {
        let (_, errno) = line.rsplit_once(" = ")?;
        let name = errno.split(' ').next()?;
        let is_one = name.len() > 2 && name.starts_with('E');
        (is_one && name.bytes().all(|byte| byte.is_ascii_uppercase())).then(|| name.to_owned())
    };
    let sentence = || {
        let first = ran.stderr.lines().next().unwrap_or_default();
        let first = first.split(" (lxc.").next().unwrap_or_default();
        first.replace(&scene.name, "NAME")
    };
    ran.stderr.lines().find_map(errno).unwrap_or_else(sentence)
}

fn every_obstacle(test: &str, targets: &[Target]) -> Option<String> {
    let scene = Scene::new(test)?;
    let mut golden = String::new();
    for target in targets {
        let lines = target.lines.replace('\n', ", ");
        writeln!(golden, "{} [{lines}]", target.path).expect("a text takes all");
        for (obstacle, plants) in OBSTACLES {
            scene.arrange(target.lines);
            for plant in plants(target.path) {
                plant.put(&scene.rootfs(), scene.sentinel());
            }
            let started = scene.start();
            let told = format!("{}, {lines}: {obstacle}\n{started}", target.path);
            let outcome = outcome(&scene, target, &started, &told);
            writeln!(golden, "  {obstacle}: {outcome}").expect("a text takes all");
        }
    }
    Some(golden)
}

/// One word or sentence for the golden file; what may never be is refused here.
fn outcome(scene: &Scene, target: &Target, started: &Ran, told: &str) -> String {
    let outcome = match started.code() {
        0 => {
            let ran = scene.lab.inside(&scene.name, &["sh", "-c", target.proof]);
            assert!(ran.code() == 0, "it started, but:\n{ran}\n{told}");
            scene.lab.kill(&scene.name);
            "works".to_owned()
        }
        1 => {
            let sentence = started.stderr.lines().next().unwrap_or_default();
            let named = target.step.split('|').any(|step| sentence.contains(step));
            assert!(named, "the step is not named\n{told}");
            why(scene, started)
        }
        _ => panic!("neither works nor fails\n{told}"),
    };
    scene.nothing_is_left();
    scene.host_is_untouched(told);
    outcome
}

#[test]
fn whatever_lies_where_dev_proc_and_sys_belong() {
    const TEST: &str = "whatever_lies_where_dev_proc_and_sys_belong";
    if let Some(golden) = every_obstacle(TEST, DEV_PROC_SYS) {
        insta::assert_snapshot!(TEST, golden);
    }
}

#[test]
fn whatever_lies_in_a_dev_of_the_rootfs() {
    const TEST: &str = "whatever_lies_in_a_dev_of_the_rootfs";
    if let Some(golden) = every_obstacle(TEST, OWN_DEV) {
        insta::assert_snapshot!(TEST, golden);
    }
}

#[test]
fn whatever_lies_where_something_is_mounted() {
    const TEST: &str = "whatever_lies_where_something_is_mounted";
    if let Some(golden) = every_obstacle(TEST, MOUNT_ENTRIES) {
        insta::assert_snapshot!(TEST, golden);
    }
}

#[test]
fn whatever_lies_where_init_and_its_directory_belong() {
    const TEST: &str = "whatever_lies_where_init_and_its_directory_belong";
    if let Some(golden) = every_obstacle(TEST, INIT) {
        insta::assert_snapshot!(TEST, golden);
    }
}

/// A target upon which something is mounted already is covered, and nothing below it is touched.
#[test]
fn what_is_mounted_in_a_rootfs_is_covered() {
    let Some(scene) = Scene::new("what_is_mounted_in_a_rootfs_is_covered") else {
        return;
    };
    for (target, lines, proof) in [
        ("proc", "", "test -d /proc/1"),
        ("sys", "", "test -d /sys/class"),
        ("dev", "", "test -c /dev/null"),
        (
            "dev",
            "lxc.autodev = 0",
            "test -c /dev/console -a -d /dev/pts",
        ),
        (
            "mnt",
            "lxc.mount.entry = SENTINEL mnt none bind,ro 0 0",
            "test -f /mnt/file",
        ),
    ] {
        scene.arrange(lines);
        let point = scene.rootfs().join(target);
        fs::create_dir_all(&point).expect("the rootfs is ours");
        let mounted = Mounted::tmpfs(&point);
        let started = scene.start().exits(0);
        scene.lab.inside(&scene.name, &["sh", "-c", proof]).exits(0);
        scene.lab.kill(&scene.name);
        drop(mounted);
        scene.nothing_is_left();
        scene.host_is_untouched(format!("{target} {lines}\n{started}"));
    }
}

/// A tmpfs, until this is dropped.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn tmpfs(point: &Path) -> Mounted<'_> {
        let mount = Call::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "cover"]);
        mount.arg(point).run().exits(0);
        Mounted(point)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        Call::new("umount").arg("-l").arg(self.0).run();
    }
}

/// Names at and beyond what a filesystem takes, and a path as deep as one can be written.
#[test]
fn long_names_and_deep_paths_are_made_or_refused() {
    let Some(scene) = Scene::new("long_names_and_deep_paths_are_made_or_refused") else {
        return;
    };
    let rows = [
        (LONGEST.to_owned(), true),
        (format!("{LONGEST}x"), false),
        ("d/".repeat(500) + "t", true),
        ("d/".repeat(2100) + "t", false),
    ];
    for (target, works) in rows {
        let entry = format!("lxc.mount.entry = SENTINEL {target} none bind,ro,create=dir 0 0");
        scene.arrange(&entry);
        let started = scene.start();
        let told = format!("a path of {} bytes\n{started}", target.len());
        if works {
            assert!(started.code() == 0, "{told}");
            let inside = format!("/{target}/file");
            scene
                .lab
                .inside(&scene.name, &["test", "-f", &inside])
                .exits(0);
            scene.lab.kill(&scene.name);
        } else {
            assert!(started.code() == 1, "{told}");
            assert!(
                started.stderr.contains("too long") || started.stderr.contains("ENAMETOOLONG"),
                "{told}"
            );
        }
        scene.nothing_is_left();
        scene.host_is_untouched(told);
    }
}
