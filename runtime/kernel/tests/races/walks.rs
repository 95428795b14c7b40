//! Finding, making, reading and removing below a root in a storm of renames.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use lxc_kernel::inroot::Root;
use lxc_kernel::{Errno, Result, errno_name, file};

use crate::both_ways;
use crate::ground::{Ground, Swap};
use crate::storm::{ROUNDS, rounds};

/// What is done in each round, and with which errors it may be refused.
struct Victim {
    name: &'static str,
    act: fn(&Root, u32) -> Result<Option<OwnedFd>>,
    refusals: &'static [Errno],
}

/// In none of these storms is anything ever missing, but for what a directory that was exchanged
/// does not hold.
const VICTIMS: &[Victim] = &[
    Victim {
        name: "resolve dir/deep/../file",
        act: |root, _| root.resolve("dir/deep/../file").map(Some),
        refusals: &[Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::AGAIN],
    },
    Victim {
        name: "resolve dir/deep/../..",
        act: |root, _| root.resolve("dir/deep/../..").map(Some),
        refusals: &[Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::AGAIN],
    },
    Victim {
        name: "resolve_nofollow dir/deep",
        act: |root, _| root.resolve_nofollow("dir/deep").map(Some),
        refusals: &[Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::AGAIN],
    },
    Victim {
        name: "mkdirs dir/deep/../made/N",
        act: |root, round| {
            root.mkdirs(&format!("dir/deep/../made/{}", round % 7), 0o755)
                .map(Some)
        },
        refusals: &[Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::AGAIN],
    },
    Victim {
        name: "create_file dir/deep/N",
        act: |root, round| {
            root.create_file(&format!("dir/deep/{}", round % 7), 0o644)
                .map(Some)
        },
        refusals: &[Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::AGAIN],
    },
    Victim {
        name: "create_file dir/file",
        act: |root, _| root.create_file("dir/file", 0o644).map(Some),
        refusals: &[Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::AGAIN],
    },
    Victim {
        name: "read_file dir/file",
        act: |root, _| {
            let text = root.read_file("dir/file", 64)?;
            assert_ne!(text, b"host", "the host's file was read");
            Ok(None)
        },
        refusals: &[
            Errno::NOENT,
            Errno::NOTDIR,
            Errno::LOOP,
            Errno::AGAIN,
            Errno::ACCESS,
        ],
    },
];

#[test]
fn no_race_is_won_outside() {
    both_ways(|how| {
        for swap in Swap::ALL {
            let ground = Ground::new();
            let root = ground.root();
            let storm = ground.storm(swap);
            for victim in VICTIMS {
                let told = format!("{how}, {swap:?}, {}", victim.name);
                for round in 0..rounds(ROUNDS) {
                    match (victim.act)(&root, round) {
                        Ok(Some(found)) => {
                            assert!(!ground.is_the_hosts(&found), "{told}: it left the root");
                        }
                        Ok(None) => {}
                        Err(error) => assert!(
                            victim.refusals.contains(&error.errno),
                            "{told}: {} is no refusal of it",
                            errno_name(error.errno)
                        ),
                    }
                }
                assert!(storm.turns() > 0);
            }
            drop(storm);
            ground.host_is_untouched(format!("{how}, {swap:?}"));
        }
    });
}

/// The harness catches who checks a path and then uses it: without this, no other test here says
/// anything.
#[test]
fn who_checks_first_and_acts_later_is_caught() {
    let ground = Ground::new();
    let _storm = ground.storm(Swap::DirAndParentLink);
    let (dir, file) = (ground.at("rootfs/dir"), ground.at("rootfs/dir/file"));
    let begun = Instant::now();
    let caught = || {
        let checked = fs::symlink_metadata(&dir).is_ok_and(|found| found.is_dir());
        checked && fs::read(&file).is_ok_and(|text| text == b"host")
    };
    while !caught() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no race was ever won: this storm is too weak to say anything"
        );
    }
}

/// Removal in a storm: it may have to give up, and what lies outside stays.
#[test]
fn a_removal_takes_nothing_outside_along() {
    both_ways(|how| {
        let mut ends = BTreeSet::new();
        for swap in Swap::ALL {
            for round in 0..rounds(40) {
                let ground = Ground::new();
                let rootfs = ground.at("rootfs");
                for wide in 0..8 {
                    let deep = rootfs.join(format!("dir/{wide}/deep/deep"));
                    fs::create_dir_all(deep).expect("it is ours");
                }
                let storm = ground.storm(swap);
                let top = file::open_dir(&ground.at(".")).expect("it is there");
                let told = format!("{how}, {swap:?}, round {round}");
                match file::remove_tree(top.as_fd(), "rootfs", &[]) {
                    Ok(()) => ends.insert("gone".to_owned()),
                    // The tree was moved while it was removed. That a file became a directory, or a
                    // directory had something in it again, is no reason to give up.
                    Err(error) => {
                        assert_eq!(error.errno, Errno::AGAIN, "{told}: {error}");
                        ends.insert(errno_name(error.errno).to_owned())
                    }
                };
                drop(storm);
                for name in ["outside/secret", "outside/deep/secret", "outside/file"] {
                    let text = fs::read_to_string(ground.at(name)).unwrap_or_default();
                    assert_eq!(text, "host", "{told}: {name}");
                }
            }
        }
        assert!(ends.contains("gone"), "{how}: {ends:?}");
    });
}
