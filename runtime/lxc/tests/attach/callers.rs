//! Callers with many threads, callers that die, and containers that take nobody.

use std::fs;
use std::io::{Read, Write, pipe};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lxc_runtime::{AttachOptions, Command, Container, ErrorKind};
use rustix::io::Errno;
use rustix::process::WaitOptions;

use super::support::{Peer, could_not_run, eventually};
use super::{alone, lab, must, read, running};

/// Whatever the other threads hold at the moment: heap, report sockets, pidfds.
#[test]
fn twenty_threads_attach_at_once() {
    let Some(lab) = lab("twenty_threads_attach_at_once") else {
        return;
    };
    let container = running(&lab, "");
    let before = lab.census();
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut kept = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    kept.push(vec![0u8; 1000 + kept.len() % 7000]);
                    kept.truncate(500);
                }
            });
        }
        let threads: Vec<_> = (0..20)
            .map(|number| {
                let container = &container;
                scope.spawn(move || {
                    let options = AttachOptions::default();
                    if number % 4 == 0 {
                        let attached = must(container.attach(&AttachOptions {
                            command: Command::Program(vec!["/bin/true".into()]),
                            ..options
                        }));
                        return (number, must(attached.wait()));
                    }
                    let attached = must(container.attach_function(&options, move || {
                        let made: Vec<String> = (0..100).map(|n| n.to_string()).collect();
                        number + made.len() as i32
                    }));
                    (number, must(attached.wait()))
                })
            })
            .collect();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        stop.store(true, Ordering::Relaxed);
        for ended in ended {
            let (number, status) = ended.expect("a thread's own words stand above");
            let want = if number % 4 == 0 { 0 } else { number + 100 };
            assert_eq!(status, want << 8, "thread {number}");
        }
    });
    // A copy of a report that stays open somewhere costs its reader the whole deadline.
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
    lab.is_as(&before);
}

/// A function that lasts keeps copies of what the caller had open; a program attached meanwhile must
/// not wait for them.
#[test]
fn a_lasting_function_does_not_keep_others_waiting() {
    let Some(lab) = lab("a_lasting_function_does_not_keep_others_waiting") else {
        return;
    };
    let container = running(&lab, "");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let attaches = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let attached = must(container.attach(&AttachOptions {
                    command: Command::Program(vec!["/bin/true".into()]),
                    ..AttachOptions::default()
                }));
                slowest = slowest.max(begun.elapsed());
                assert_eq!(must(attached.wait()), 0);
            }
            slowest
        });
        let mut lasting = Vec::new();
        for _ in 0..40 {
            let (mut waits, go) = pipe().expect("a pipe can be made");
            let attached = must(
                container.attach_function(&AttachOptions::default(), move || {
                    let _ = waits.read_exact(&mut [0]);
                    0
                }),
            );
            lasting.push((attached, go));
        }
        stop.store(true, Ordering::Relaxed);
        let slowest = attaches.join().expect("its own words stand above");
        for (_, go) in &mut lasting {
            go.write_all(b"x").expect("it reads");
        }
        for (attached, _) in lasting {
            assert_eq!(must(attached.wait()), 0);
        }
        assert!(slowest.as_secs() < 5, "an attach took {slowest:?}");
    });
}

#[test]
fn nothing_runs_in_a_stopped_or_frozen_container() {
    const TEST: &str = "nothing_runs_in_a_stopped_or_frozen_container";
    let Some(lab) = lab(TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, TEST) else {
        return;
    };
    let ran = lab.files().join("ran");
    let run = || i32::from(fs::write(&ran, "").is_err());
    let container = running(&lab, "");
    lab.peer("lxc-freeze", &["-n", container.name()])
        .run()
        .exits(0);
    let frozen = container.attach_function(&AttachOptions::default(), run);
    let error = frozen.map(|_| ()).expect_err("it is frozen");
    assert!(error.to_string().contains("is frozen"), "{error}");
    lab.peer("lxc-unfreeze", &["-n", container.name()])
        .run()
        .exits(0);
    must(container.stop());
    for stopped in [
        container.attach_function(&AttachOptions::default(), run),
        container.attach(&AttachOptions::default()),
    ] {
        let error = stopped.map(|_| ()).expect_err("it is stopped");
        assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
        assert_eq!(error.errno(), Some(111), "{error}");
    }
    assert!(!ran.exists());
}

/// Where the victim of the next test finds its container.
const VICTIM: &str = "LXC_TEST_ATTACH_VICTIM";

/// Executed by the next test, in a process of its own; otherwise there is nothing to do.
#[test]
fn victim_of_the_next_test() {
    let Ok(directory) = std::env::var(VICTIM) else {
        return;
    };
    let directory = PathBuf::from(directory);
    let name = directory.file_name().and_then(|name| name.to_str());
    let container = Container::open(name.unwrap_or_default(), directory.parent());
    let _ = must(container).attach_function(&AttachOptions::default(), || {
        i32::from(fs::write("/tmp/ran", "").is_err())
    });
}

/// The helper is held half-way by a freezer; the caller dies; nobody is left to answer for the
/// function.
#[test]
fn a_caller_that_is_killed_half_way_leaves_nothing() {
    const TEST: &str = "a_caller_that_is_killed_half_way_leaves_nothing";
    // All orphans of this process become its own: those of other tests are none of its business.
    if !alone("callers", TEST) {
        return;
    }
    let Some(lab) = lab(TEST) else {
        return;
    };
    let container = running(&lab, "");
    let me = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(me)).expect("anybody may");
    let before = lab.census();
    let Some(freezer) = Freezer::of(&container) else {
        return could_not_run(TEST, "no freezer is mounted");
    };
    freezer.set(true);
    let mut victim = Program::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "callers::victim_of_the_next_test"])
        .env(VICTIM, container.directory())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("it is this very program");
    // The helper is held where it entered the frozen cgroup.
    eventually("the helper is in the container's cgroup", || {
        freezer.processes().len() > 1
    });
    victim.kill().expect("it is ours");
    victim.wait().expect("it is ours");
    freezer.set(false);
    // Until they are reaped, the container's pid namespace could not end.
    eventually("the orphans are gone", || {
        matches!(
            rustix::process::wait(WaitOptions::NOHANG),
            Err(Errno::CHILD)
        )
    });
    assert_eq!(freezer.processes().len(), 1, "only init is left");
    lab.is_as(&before);
    let ran = lab.rootfs(container.name()).join("tmp/ran");
    assert!(!ran.exists(), "the function ran for nobody");
}

/// The container's freezer, without a word to the monitor.
struct Freezer {
    file: PathBuf,
    words: [&'static str; 2],
}

impl Freezer {
    fn of(container: &Container) -> Option<Freezer> {
        let payload = format!("lxc.payload.{}", container.name());
        let init = container.init_pid().ok().flatten()?;
        let cgroup = read(&format!("/proc/{init}/cgroup"));
        let path = |controller: &str| {
            let line = cgroup.lines().find(|line| line.contains(controller))?;
            line.rsplit_once(":/").map(|(_, path)| path.to_owned())
        };
        if let Some(path) = path(":freezer:") {
            assert!(path.contains(&payload), "{path}");
            let file = Path::new("/sys/fs/cgroup/freezer")
                .join(path)
                .join("freezer.state");
            return Some(Freezer {
                file,
                words: ["THAWED", "FROZEN"],
            });
        }
        let file = Path::new("/sys/fs/cgroup")
            .join(path("0::")?)
            .join("cgroup.freeze");
        file.exists().then_some(Freezer {
            file,
            words: ["0", "1"],
        })
    }

    fn set(&self, frozen: bool) {
        fs::write(&self.file, self.words[usize::from(frozen)]).expect("the cgroup can be frozen");
    }

    fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for directory in [".", ".lxc"] {
            let procs = self.file.with_file_name(directory).join("cgroup.procs");
            found.extend(read(&procs.to_string_lossy()).lines().map(str::to_owned));
        }
        found.retain(|line| line.parse::<i32>().is_ok());
        found
    }
}
