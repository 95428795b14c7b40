//! Spawning from this test program, which has threads.

use super::*;
use crate::fd::{memfd_sealed, read_all_small};
use crate::file::open_path;
use crate::process::{Ended, wait_pidfd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

fn words(words: &[&str]) -> Vec<CString> {
    words.iter().map(|it| CString::new(*it).unwrap()).collect()
}

fn shell() -> OwnedFd {
    open_path(Path::new("/bin/sh")).unwrap()
}

/// Runs a script with its output on a pipe and more descriptors; `change` may alter the rest.
fn run<'a>(
    shell: &'a OwnedFd,
    script: &str,
    more: &[(BorrowedFd<'a>, RawFd)],
    change: impl FnOnce(&mut SpawnSpec),
) -> (String, Ended) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let mut spec = SpawnSpec {
        program: shell.as_fd(),
        argv: words(&["sh", "-c", script]),
        env: words(&["PATH=/bin:/usr/bin", "GREETING=hello"]),
        fds: vec![(writer.as_fd(), 1)],
        new_session: false,
        close_from: None,
        reset_signals: false,
    };
    spec.fds.extend(more);
    change(&mut spec);
    let (_, pidfd) = spawn(&spec).unwrap();
    drop(spec);
    drop(writer);
    let said = read_all_small(reader.as_fd(), 1 << 20).unwrap();
    let ended = wait_pidfd(pidfd.as_fd(), true).unwrap().unwrap();
    (String::from_utf8(said).unwrap(), ended)
}

fn output(script: &str, change: impl FnOnce(&mut SpawnSpec)) -> (String, Ended) {
    run(&shell(), script, &[], change)
}

#[test]
fn a_program_runs_with_its_environment() {
    let (said, ended) = output("echo $GREETING $0; exit 3", |_| {});
    assert_eq!((said.as_str(), ended), ("hello sh\n", Ended::Exited(3)));
    let (_, ended) = output("kill -9 $$", |_| {});
    assert_eq!(
        ended,
        Ended::Killed {
            signal: 9,
            core: false
        }
    );
}

#[test]
fn descriptors_come_at_their_numbers_however_they_overlap() {
    let shell = shell();
    let [one, two, three] =
        ["one", "two", "three"].map(|it| memfd_sealed(it, it.as_bytes()).unwrap());
    let numbers = [&one, &two, &shell].map(|it| it.as_raw_fd());
    // One and two change places, the third takes that of the program.
    let [low, high, program] = numbers;
    let more = [
        (one.as_fd(), high),
        (two.as_fd(), low),
        (three.as_fd(), program),
        (one.as_fd(), 600),
    ];
    let script = [high, low, program, 600].map(|it| format!("cat /proc/self/fd/{it}; echo;"));
    let (said, _) = run(&shell, &script.concat(), &more, |_| {});
    assert_eq!(said, "one\ntwo\nthree\none\n");
    let (said, _) = run(&shell, &script.concat(), &more, |spec| {
        spec.close_from = Some(3)
    });
    assert_eq!(said, "one\ntwo\nthree\none\n");
}

#[test]
fn every_number_can_be_asked_for_at_once() {
    let shell = shell();
    let [odd, even] = ["odd", "even"].map(|it| memfd_sealed(it, it.as_bytes()).unwrap());
    let numbers = || (3..=60).rev();
    let source = |number| if number % 2 == 0 { &even } else { &odd };
    let more: Vec<_> = numbers().map(|it| (source(it).as_fd(), it)).collect();
    let script = "for n in $(seq 3 60); do cat /proc/self/fd/$n; done";
    let (said, _) = run(&shell, script, &more, |_| {});
    assert_eq!(said, "oddeven".repeat(29));
}

#[test]
fn nothing_else_is_left_open() {
    let shell = shell();
    let stray = memfd_sealed("stray", b"").unwrap();
    let kept = memfd_sealed("kept", b"").unwrap();
    crate::fd::set_cloexec(stray.as_fd(), false).unwrap();
    let stray = crate::fd::raise_above(stray, 300).unwrap();
    crate::fd::set_cloexec(stray.as_fd(), false).unwrap();
    let list = "for fd in /proc/self/fd/*; do echo ${fd##*/}; done";
    let listed = |close_from| {
        let more = [(kept.as_fd(), 700)];
        let (said, _) = run(&shell, list, &more, |spec| spec.close_from = close_from);
        let numbers = said.lines().filter_map(|line| line.parse().ok());
        numbers.collect::<Vec<i32>>()
    };
    let all = listed(None);
    assert!(
        all.contains(&700) && all.contains(&stray.as_raw_fd()),
        "{all:?}"
    );
    let few = listed(Some(3));
    assert!(
        few.contains(&700) && !few.contains(&stray.as_raw_fd()),
        "{few:?}"
    );
    // 0, 1, 2, 700, and what the shell needs to list them.
    assert!(few.len() <= 5, "{few:?}");
}

#[test]
fn a_session_of_its_own() {
    let (said, _) = output("ps -o sid= -p $$; echo $$", |spec| spec.new_session = true);
    let numbers: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(numbers[0], numbers[1], "{said}");
}

#[test]
fn signals_are_inherited_or_reset() {
    // Masks and this program's ignored signals: SIGPIPE is ignored by Rust's runtime.
    let (pipe, usr1) = (1u64 << (libc::SIGPIPE - 1), 1u64 << (libc::SIGUSR1 - 1));
    let spare = std::thread::spawn(move || {
        crate::signals::block_all_but_fatal().unwrap();
        let script = "while read -r key value; do case $key in SigBlk:|SigIgn:) echo $value;; esac; \
                      done </proc/self/status";
        for (reset, blocked, ignored) in [(false, usr1, pipe), (true, 0, 0)] {
            let (said, _) = output(script, |spec| spec.reset_signals = reset);
            let sets: Vec<u64> = said
                .lines()
                .map(|line| u64::from_str_radix(line, 16).unwrap())
                .collect();
            assert_eq!(sets[0] & usr1, blocked, "reset {reset}: {said}");
            assert_eq!(sets[1] & pipe, ignored, "reset {reset}: {said}");
        }
        crate::signals::SignalFd::all_blocked().unwrap()
    });
    spare.join().unwrap();
}

#[test]
fn a_program_that_cannot_run_is_reported() {
    let shell = open_path(Path::new("/bin/sh")).unwrap();
    let plain = |program| SpawnSpec {
        program,
        argv: words(&["x"]),
        env: vec![],
        fds: vec![],
        new_session: false,
        close_from: None,
        reset_signals: false,
    };
    let directory = open_path(Path::new("/")).unwrap();
    let text = memfd_sealed("text", b"no program").unwrap();
    for (program, errno) in [(&directory, Errno::ACCESS), (&text, Errno::ACCESS)] {
        let error = spawn(&plain(program.as_fd())).unwrap_err();
        assert_eq!((error.call, error.errno), ("execveat", errno), "{error}");
    }
    let fd = shell.as_fd();
    for spec in [
        SpawnSpec {
            argv: vec![],
            ..plain(fd)
        },
        SpawnSpec {
            fds: vec![(fd, 4), (fd, 4)],
            ..plain(fd)
        },
        SpawnSpec {
            fds: vec![(fd, -1)],
            ..plain(fd)
        },
        SpawnSpec {
            fds: vec![(fd, i32::MAX)],
            ..plain(fd)
        },
        SpawnSpec {
            close_from: Some(-1),
            ..plain(fd)
        },
    ] {
        assert!(spawn(&spec).unwrap_err().is(Errno::INVAL), "{spec:?}");
    }
    // A number beyond the limit for open files.
    let error = spawn(&SpawnSpec {
        fds: vec![(fd, 1 << 30)],
        ..plain(fd)
    })
    .unwrap_err();
    assert!(matches!(error.call, "fcntl" | "dup3"), "{error}");
}

#[test]
fn many_threads_spawn_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    // Allocation in the other threads goes on meanwhile.
                    let (said, ended) = output("echo $GREETING", |_| {});
                    assert_eq!((said.as_str(), ended), ("hello\n", Ended::Exited(0)));
                }
            });
        }
    });
}
