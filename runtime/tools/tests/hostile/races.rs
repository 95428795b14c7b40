//! Whole starts, attaches and a removal while the tree is rearranged. They work, or fail with a
//! sentence; the host does not notice.

use std::fs;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags};

use crate::scene::Plant::{self, Dir, Fifo, File, Link};
use crate::scene::Scene;
use crate::support::{Ran, Storm, rounds};

/// How often a container is started in each storm of an ordinary run.
const STARTS: u32 = 12;

/// What is exchanged (the second is planted beside the first, as the first is named), in which
/// configuration.
struct Race {
    /// The name that a start looks for.
    one: &'static str,
    /// The other, with what is there.
    other: Plant,
    other_name: &'static str,
    lines: &'static str,
}

/// One row of a race.
const fn race(
    one: &'static str,
    other_name: &'static str,
    other: Plant,
    lines: &'static str,
) -> Race {
    Race {
        one,
        other,
        other_name,
        lines,
    }
}

const OWN: &str = "lxc.autodev = 0\nlxc.tty.max = 1";
const OWN_DIR: &str = "lxc.autodev = 0\nlxc.tty.max = 1\nlxc.tty.dir = lxc";
const ENTRY: &str = "lxc.mount.entry = SENTINEL t/x/y none bind,ro,create=dir 0 0";
const FILE_ENTRY: &str = "lxc.mount.entry = SENTINEL/file t/f none bind,ro,create=file 0 0";
const CWD: &str = "lxc.init.cwd = /t/new\nlxc.init.cmd = /bin/sleep 1000";

const RACES: &[Race] = &[
    race("proc", "swap", Link("swap", "SENTINEL"), ""),
    race("sys", "swap", Link("swap", "SENTINEL"), ""),
    race("dev", "swap", Link("swap", "SENTINEL"), ""),
    race("dev", "swap", Link("swap", "SENTINEL"), OWN),
    race("dev/pts", "dev/swap", Link("dev/swap", "SENTINEL"), OWN),
    race(
        "dev/console",
        "dev/swap",
        Link("dev/swap", "SENTINEL/file"),
        OWN,
    ),
    race(
        "dev/ptmx",
        "dev/swap",
        Link("dev/swap", "SENTINEL/file"),
        OWN,
    ),
    race("dev/tty1", "dev/swap", Fifo("dev/swap"), OWN),
    race("dev/lxc", "dev/swap", Link("dev/swap", "SENTINEL"), OWN_DIR),
    race("t", "swap", Link("swap", "SENTINEL"), ENTRY),
    race(
        "t",
        "swap",
        Link("swap", "../../../../../../../..SENTINEL/sub"),
        ENTRY,
    ),
    race("t", "swap", File("swap"), ENTRY),
    race("t/f", "t/swap", Link("t/swap", "SENTINEL/file"), FILE_ENTRY),
    race("t/f", "t/swap", Fifo("t/swap"), FILE_ENTRY),
    race("t", "swap", Link("swap", "SENTINEL"), CWD),
];

/// Names that must be there to be exchanged.
const GROUND: &[Plant] = &[
    Dir("dev/pts"),
    Dir("dev/lxc"),
    File("dev/console"),
    File("dev/ptmx"),
    File("dev/tty1"),
    Dir("t"),
    File("t/f"),
];

/// It worked, or it says where it failed.
#[track_caller]
fn told_well(ran: &Ran, told: &str) {
    let failed = ran.code() == 1 && ran.stderr.starts_with("lxc-");
    assert!(ran.code() == 0 || failed, "{told}\n{ran}");
    assert!(!ran.stderr.contains("panicked"), "{told}\n{ran}");
}

#[test]
fn a_start_in_a_storm_works_inside_or_says_where_it_failed() {
    const TEST: &str = "a_start_in_a_storm_works_inside_or_says_where_it_failed";
    let Some(scene) = Scene::new(TEST) else {
        return;
    };
    for race in RACES {
        scene.arrange(race.lines);
        let rootfs = scene.rootfs();
        for plant in GROUND.iter().chain([&race.other]) {
            plant.put(&rootfs, scene.sentinel());
        }
        let storm = Storm::exchanging(&rootfs.join(race.one), &rootfs.join(race.other_name));
        for round in 0..rounds(STARTS) {
            let told = format!(
                "{} ↔ {}, {}, round {round}",
                race.one, race.other_name, race.lines
            );
            storm.blows();
            let started = scene.start();
            told_well(&started, &told);
            if started.code() == 0 {
                scene.lab.kill(&scene.name);
            }
            scene.host_is_untouched(&told);
        }
        drop(storm);
        scene.nothing_is_left();
    }
}

/// What the guest does with its own files while somebody attaches decides nothing outside.
#[test]
fn an_attach_in_a_storm_works_inside_or_says_why_not() {
    const TEST: &str = "an_attach_in_a_storm_works_inside_or_says_why_not";
    let Some(scene) = Scene::new(TEST) else {
        return;
    };
    scene.arrange("lxc.init.cmd = /bin/sleep 1000");
    let rootfs = scene.rootfs();
    Link("bin/swap", "SENTINEL/file").put(&rootfs, scene.sentinel());
    Fifo("etc/swap").put(&rootfs, scene.sentinel());
    Link("swap", "SENTINEL").put(&rootfs, scene.sentinel());
    let _ = scene.start().exits(0);
    let inside = |name: &str| {
        let init = scene.lab.init_pid(&scene.name);
        std::path::PathBuf::from(format!("/proc/{init}/root")).join(name)
    };
    // The program, the file that names the shell, the directory to begin in.
    for (one, other, words) in [
        ("bin/true", "bin/swap", &["--", "/bin/true"][..]),
        ("etc/passwd", "etc/swap", &[]),
        ("tmp", "swap", &["--", "/bin/true"]),
    ] {
        let storm = Storm::exchanging(&inside(one), &inside(other));
        for round in 0..rounds(2 * STARTS) {
            let told = format!("{one} ↔ {other}, round {round}");
            storm.blows();
            let attach = scene.lab.tool("lxc-attach", &["-n", &scene.name]);
            let ran = attach.args(words).within(Duration::from_secs(15)).run();
            // 255: links that the storm left going round, which execve names.
            let known = [0, 1, 126, 127, 255];
            assert!(known.contains(&ran.code()), "{told}\n{ran}");
            scene.host_is_untouched(&told);
        }
    }
    scene.lab.kill(&scene.name);
    scene.nothing_is_left();
}

/// Whoever shares the rootfs moves its directories while it is destroyed.
#[test]
fn a_destroy_in_a_storm_removes_nothing_outside() {
    const TEST: &str = "a_destroy_in_a_storm_removes_nothing_outside";
    let Some(scene) = Scene::new(TEST) else {
        return;
    };
    let rootfs = scene.rootfs();
    for round in 0..rounds(STARTS) {
        let name = scene.lab.name(&format!("d{round}"));
        let directory = scene.lab.directory(&name);
        let own = directory.join("rootfs");
        fs::create_dir_all(own.join("a/b/c")).expect("it is ours");
        let config = format!("lxc.rootfs.path = dir:{}\n", own.display());
        fs::write(directory.join("config"), config).expect("it is ours");
        Link("swap", "SENTINEL").put(&own, scene.sentinel());
        for wide in 0..20 {
            fs::create_dir_all(own.join(format!("a/b/{wide}/x"))).expect("it is ours");
        }
        let storm = Storm::exchanging(&own.join("a"), &own.join("swap"));
        let ran = scene.lab.tool("lxc-destroy", &["-n", &name]).run();
        drop(storm);
        let told = format!("round {round}\n{ran}");
        told_well(&ran, &told);
        scene.host_is_untouched(&told);
        // One that gave up is destroyed in the calm.
        if directory.exists() {
            scene.lab.tool("lxc-destroy", &["-n", &name]).run().exits(0);
        }
    }
    assert!(rootfs.is_dir(), "the other container is in its place");
    scene.nothing_is_left();
}

/// While mounts come and go on the host, each start still cuts its own off from them: not line by line
/// of a table that changes, but in one call.
#[test]
fn mounts_that_come_and_go_bring_none_of_the_guests_to_the_host() {
    const TEST: &str = "mounts_that_come_and_go_bring_none_of_the_guests_to_the_host";
    let Some(scene) = Scene::new(TEST) else {
        return;
    };
    let places: Vec<_> = (0..8)
        .map(|n| scene.lab.files().join(format!("m{n}")))
        .collect();
    for place in &places {
        fs::create_dir(place).expect("it is ours");
    }
    let storm = Storm::of(move || {
        for place in &places {
            let mounted = rustix::mount::mount("storm", place, "tmpfs", MountFlags::empty(), None);
            mounted.expect("root may");
        }
        for place in &places {
            rustix::mount::unmount(place, UnmountFlags::DETACH).expect("it is mounted");
        }
    });
    let root = scene.rootfs();
    for round in 0..rounds(2 * STARTS) {
        storm.blows();
        scene.start().exits(0);
        let table = fs::read_to_string("/proc/self/mountinfo").expect("there is one");
        let of_the_guest = |line: &&str| {
            let point = line.split(' ').nth(4).unwrap_or_default();
            point.starts_with(&root.display().to_string()) || line.contains("lxc/rootfs")
        };
        let found: Vec<_> = table.lines().filter(of_the_guest).collect();
        assert!(found.is_empty(), "round {round}: {found:?}");
        scene.lab.kill(&scene.name);
    }
    drop(storm);
    scene.nothing_is_left();
}
