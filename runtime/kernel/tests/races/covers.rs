//! Mounts in a storm: mounts that race with renames, and files of a procfs that somebody mounts upon.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use lxc_kernel::mount::{self, Propagation};
use lxc_kernel::procfs::Proc;
use lxc_kernel::{Errno, errno_name, file, process, users};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::both_ways;
use crate::ground::{Ground, Swap};
use crate::storm::{ROUNDS, Storm, rounds};

/// Gives the calling thread, and those it starts, mounts of their own; `false`, and a line about
/// `test`, without the right to.
fn own_mounts(test: &str) -> bool {
    if users::euid() != 0 {
        println!("COULD NOT RUN: {test}: it needs root");
        return false;
    }
    process::unshare(NEW_MOUNTS).expect("root may");
    mount::set_propagation(Path::new("/"), Propagation::Private, true).expect("root may");
    true
}

/// CLONE_NEWNS, of <linux/sched.h>.
const NEW_MOUNTS: u64 = 0x0002_0000;

/// What this thread sees mounted, by mount point.
fn mount_points() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/thread-self/mountinfo").expect("there is one");
    let point = |line: &str| line.split(' ').nth(4).map(PathBuf::from);
    table.lines().filter_map(point).collect()
}

/// A mount goes onto the descriptor that was found, never onto what has that name by now.
#[test]
fn no_mount_lands_outside() {
    if !own_mounts("no_mount_lands_outside") {
        return;
    }
    both_ways(|how| {
        for swap in Swap::ALL {
            let ground = Ground::new();
            let root = ground.root();
            let options = ["size=64k".to_owned()];
            let mut mounted = 0;
            let storm = ground.storm(swap);
            for round in 0..rounds(ROUNDS / 4) {
                storm.blows();
                let told = format!("{how}, {swap:?}, round {round}");
                let Ok(target) = root.mkdirs("dir/target", 0o755) else {
                    continue;
                };
                let tmpfs =
                    mount::new_mount("tmpfs", Some("storm"), &options, 0).expect("root may");
                match mount::attach(tmpfs.as_fd(), target.as_fd()) {
                    Ok(()) => mounted += 1,
                    // The target was removed or moved out of sight.
                    Err(error) => {
                        assert!(
                            error.is(Errno::NOENT) || error.is(Errno::INVAL),
                            "{told}: {error}"
                        );
                        continue;
                    }
                }
                let outside = ground.at("outside");
                let hit = mount_points()
                    .into_iter()
                    .find(|at| at.starts_with(&outside));
                assert!(hit.is_none(), "{told}: mounted on {hit:?}");
                mount::detach_fd(tmpfs.as_fd()).expect("it is mounted");
            }
            drop(storm);
            assert!(
                mounted > 0 || matches!(swap, Swap::DirAndLoop),
                "{how}, {swap:?}"
            );
            ground.host_is_untouched(format!("{how}, {swap:?}"));
        }
    });
}

/// Binds `fake` upon `real` and takes it away again.
fn cover(fake: PathBuf, real: PathBuf) -> Storm {
    Storm::of(move || {
        let bound = rustix::mount::mount(&fake, &real, "", MountFlags::BIND, None);
        if bound.is_ok() {
            // Whoever looks has it open, so that only a lazy unmount never fails.
            let _ = rustix::mount::unmount(&real, UnmountFlags::DETACH);
        }
    })
}

/// Labels and settings are written to, and read from, the kernel's own files only.
#[test]
fn no_file_of_proc_is_taken_for_another() {
    if !own_mounts("no_file_of_proc_is_taken_for_another") {
        return;
    }
    let me = std::process::id();
    let scratch = tempfile::tempdir().expect("a directory can be made");
    let (fake, fake_dir) = (scratch.path().join("fake"), scratch.path().join("dir"));
    fs::create_dir_all(&fake_dir).expect("it is ours");
    fs::write(fake_dir.join("comm"), "fake").expect("it is ours");
    // What is covered: the file itself, or a directory above it.
    let rows = [
        ("comm", &fake, format!("/proc/{me}/comm")),
        ("comm", &fake_dir, format!("/proc/{me}")),
    ];
    both_ways(|how| {
        for (name, fake, real) in &rows {
            fs::write(scratch.path().join("fake"), "fake").expect("it is ours");
            let proc = Proc::host().expect("a procfs");
            let mut seen = BTreeSet::new();
            let storm = cover(fake.to_path_buf(), real.into());
            for _ in 0..rounds(ROUNDS) {
                let told = format!("{how}, {real}");
                match proc.read(&format!("{me}/{name}"), 64) {
                    Ok(text) => {
                        assert_ne!(text, b"fake", "{told}: the cover was read");
                        seen.insert("read");
                    }
                    Err(error) => {
                        let refusals = [Errno::XDEV, Errno::AGAIN, Errno::NOENT];
                        assert!(refusals.contains(&error.errno), "{told}: {error}");
                        seen.insert(errno_name(error.errno));
                    }
                }
                // What the kernel takes as a name is no text of a file.
                if let Err(error) = proc.write(&format!("{me}/{name}"), b"storm") {
                    let refusals = [Errno::XDEV, Errno::AGAIN, Errno::NOENT];
                    assert!(refusals.contains(&error.errno), "{told}: {error}");
                }
            }
            drop(storm);
            let text = fs::read_to_string(scratch.path().join("fake")).expect("it is ours");
            assert_eq!(text, "fake", "{how}, {real}: the cover was written");
            let text = fs::read_to_string(fake_dir.join("comm")).expect("it is ours");
            assert_eq!(text, "fake", "{how}, {real}: the cover was written");
            assert!(seen.contains("read"), "{how}, {real}: {seen:?}");
        }
    });
}

/// A tree that mounts come and go in is not removed beyond them.
#[test]
fn a_removal_does_not_enter_what_is_mounted_meanwhile() {
    if !own_mounts("a_removal_does_not_enter_what_is_mounted_meanwhile") {
        return;
    }
    both_ways(|how| {
        for round in 0..rounds(100) {
            let ground = Ground::new();
            for wide in 0..8 {
                let deep = ground.at(&format!("rootfs/dir/{wide}/deep"));
                fs::create_dir_all(deep).expect("it is ours");
            }
            let storm = cover(ground.at("outside"), ground.at("rootfs/dir/deep"));
            let top = file::open_dir(&ground.at(".")).expect("it is there");
            // It may be in the way all the time, or never.
            if let Err(error) = file::remove_tree(top.as_fd(), "rootfs", &[]) {
                let refusals = [Errno::XDEV, Errno::BUSY, Errno::AGAIN];
                assert!(refusals.contains(&error.errno), "{how}: {error}");
            }
            drop(storm);
            for name in ["outside/secret", "outside/deep/secret"] {
                let text = fs::read_to_string(ground.at(name)).unwrap_or_default();
                assert_eq!(text, "host", "{how}, round {round}: {name}");
            }
        }
    });
}
