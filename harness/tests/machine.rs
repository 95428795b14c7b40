//! Real machines: booted, saved, restored, lost.
#![forbid(unsafe_code)]

mod lab;

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::{ANSWER, BOOT, Lab, marked, sh};
use lxc_guest::protocol::{Ended, Layout, Request};
use lxc_harness::machine::{Lost, Machine, Spec};

/// Set in a copy of this test that is about to be killed: the directory for its files.
const VICTIM: &str = "LXC_MACHINE_TEST_VICTIM";

#[test]
fn a_restored_machine_is_the_saved_one_and_changes_nobody_elses() {
    let Some(lab) = Lab::open("a_restored_machine_is_the_saved_one") else {
        return;
    };
    for image in &lab.images {
        let spec = lab.spec(image, "serial");
        let (mut machine, hello) = Machine::boot(&lab.qemu, &spec, BOOT).unwrap();
        assert_eq!(hello.layout, Layout::V2);
        assert!(hello.kernel.starts_with(&image.name), "{hello:?}");
        assert_eq!(sh(&mut machine, "echo before >/tmp/file").0, Ended::Exit(0));
        let snapshot = lab.path("snapshot");
        machine.save(&snapshot, ANSWER).unwrap();

        let first = lab.spec(image, "first");
        let second = lab.spec(image, "second");
        let (mut one, again) = Machine::restore(&lab.qemu, &first, &snapshot, BOOT).unwrap();
        assert_eq!(again.kernel, hello.kernel);
        let (mut two, _) = Machine::restore(&lab.qemu, &second, &snapshot, BOOT).unwrap();
        let changed = sh(
            &mut one,
            "echo after >>/tmp/file; cat /tmp/file; echo seen >/dev/console",
        );
        assert_eq!(changed, (Ended::Exit(0), "before\nafter\n".to_owned()));
        assert_eq!(sh(&mut two, "cat /tmp/file").1, "before\n");
        assert_eq!(one.serial_tail(), ["seen"]);
        drop((one, two));
        let (mut three, _) = Machine::restore(&lab.qemu, &first, &snapshot, BOOT).unwrap();
        assert_eq!(sh(&mut three, "cat /tmp/file").1, "before\n");
        // Much data in one answer, and in one question.
        let (_, out) = sh(
            &mut three,
            "dd if=/dev/zero bs=1000 count=200 2>/dev/null | tr '\\0' x",
        );
        assert_eq!(out.len(), 200_000);
        let comment = format!("true; # {}", "y".repeat(100_000));
        assert_eq!(sh(&mut three, &comment).0, Ended::Exit(0));
        let lost = three.save(&lab.path("no"), ANSWER).unwrap_err();
        assert!(lost.why.contains("cannot be saved"), "{lost}");
        println!("{}: booted, saved, restored three times", image.name);
    }
    assert_eq!(marked(&lab.mark), [""; 0]);
}

#[test]
fn each_loss_has_its_sentence() {
    let Some(lab) = Lab::open("each_loss_has_its_sentence") else {
        return;
    };
    let image = &lab.images[0];
    let lost = |spec: &Spec, within| -> Lost {
        Machine::boot(&lab.qemu, spec, within).expect_err("it is broken")
    };
    let mut broken = lab.spec(image, "serial");
    broken
        .append
        .push("rdinit=/nowhere root=/dev/nothing".to_owned());
    let panicked = lost(&broken, BOOT);
    assert!(
        panicked.why.starts_with("the kernel panicked: VFS: "),
        "{panicked}"
    );
    assert!(!panicked.serial_tail.is_empty());

    let missing = Spec {
        elf: "/nowhere/vmlinux".into(),
        ..lab.spec(image, "serial")
    };
    let ended = lost(&missing, BOOT).why;
    assert!(ended.starts_with("QEMU ended: exit status 1, "), "{ended}");
    assert!(ended.contains("/nowhere/vmlinux"), "{ended}");

    let slow = lost(&lab.spec(image, "serial"), Duration::from_millis(300)).why;
    assert_eq!(slow, "the agent did not answer Hello within 300 ms");

    let (mut machine, _) = Machine::boot(&lab.qemu, &lab.spec(image, "serial"), BOOT).unwrap();
    let hung = machine
        .ask(&Request::Hang, Duration::from_secs(1))
        .unwrap_err();
    assert_eq!(hung.why, "the agent did not answer Hang within 1 s");
    drop(machine);
    assert_eq!(marked(&lab.mark), [""; 0]);
}

#[test]
fn a_damaged_snapshot_is_no_machine() {
    let Some(lab) = Lab::open("a_damaged_snapshot_is_no_machine") else {
        return;
    };
    let (spec, snapshot) = lab.saved(&lab.images[0]);
    let length = snapshot.metadata().unwrap().len();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&snapshot)
        .unwrap();
    file.set_len(length - 200_000).unwrap();
    let lost = Machine::restore(&lab.qemu, &spec, &snapshot, ANSWER).unwrap_err();
    assert!(
        lost.why.starts_with("QEMU ended: exit status 1, "),
        "{lost}"
    );
    let other = Spec {
        memory_mib: 256,
        ..spec
    };
    let lost = Machine::restore(&lab.qemu, &other, &snapshot, ANSWER).unwrap_err();
    assert!(
        lost.why.contains("snapshot of another machine") || lost.why.contains("too short"),
        "{lost}"
    );
    assert_eq!(marked(&lab.mark), [""; 0]);
}

#[test]
fn twenty_machines_leave_nothing() {
    let Some(lab) = Lab::open("twenty_machines_leave_nothing") else {
        return;
    };
    let (spec, snapshot) = lab.saved(&lab.images[0]);
    let files = || std::fs::read_dir(lab.directory.path()).unwrap().count();
    let before = files();
    std::thread::scope(|scope| {
        for worker in ["a", "b"] {
            let spec = Spec {
                serial: lab.path("serial"),
                ..spec.clone()
            };
            let (lab, snapshot) = (&lab, &snapshot);
            scope.spawn(move || {
                let spec = Spec {
                    serial: lab.path(worker),
                    ..spec
                };
                for _ in 0..10 {
                    let (mut machine, _) =
                        Machine::restore(&lab.qemu, &spec, snapshot, BOOT).unwrap();
                    assert_eq!(sh(&mut machine, "true").0, Ended::Exit(0));
                }
            });
        }
    });
    assert_eq!(files(), before + 2, "two logs and nothing else");
    assert_eq!(marked(&lab.mark), [""; 0]);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open: Vec<_> = open
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .collect();
    let own = open
        .iter()
        .filter(|path| path.starts_with(lab.directory.path()));
    assert_eq!(own.count(), 0, "{open:?}");
}

/// Not a test of its own: what the next one kills.
#[test]
fn victim() {
    let Some(directory) = std::env::var_os(VICTIM) else {
        return;
    };
    let Some(mut lab) = Lab::open("victim") else {
        return;
    };
    lab.mark = format!("lxc.mark={}", Path::new(&directory).display());
    let (machine, _) = Machine::boot(&lab.qemu, &lab.spec(&lab.images[0], "serial"), BOOT).unwrap();
    println!("\nUP");
    std::thread::sleep(BOOT);
    drop(machine);
}

#[test]
fn no_machine_outlives_us_however_we_end() {
    let Some(lab) = Lab::open("no_machine_outlives_us_however_we_end") else {
        return;
    };
    use rustix::process::{Pid, Signal, kill_process_group};
    // The whole process group, as the terminal does it at Ctrl-C.
    for (signal, number) in [(Signal::KILL, 9), (Signal::INT, 2), (Signal::TERM, 15)] {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(VICTIM, lab.directory.path())
            // What it cannot remove itself goes with ours.
            .env("TMPDIR", lab.directory.path())
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap() == "UP"),
            "the victim's machine did not come up"
        );
        assert_eq!(marked(&lab.mark).len(), 1);
        let group = Pid::from_raw(victim.id() as i32).unwrap();
        kill_process_group(group, signal).unwrap();
        assert_eq!(victim.wait().unwrap().signal(), Some(number));
        let end = Instant::now() + Duration::from_secs(10);
        while !marked(&lab.mark).is_empty() {
            assert!(Instant::now() < end, "QEMU outlives signal {number}");
            std::thread::yield_now();
        }
    }
}

/// Best, median and worst of some times, in milliseconds.
fn figures(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |index: usize| times[index].as_millis();
    format!("{} {} {}", at(0), at(times.len() / 2), at(times.len() - 1))
}

#[test]
#[ignore = "a measurement: cargo test -p lxc-harness --test machine -- --ignored --nocapture"]
fn how_long_it_takes() {
    let Some(lab) = Lab::open("how_long_it_takes") else {
        return;
    };
    println!("milliseconds, best median worst; QEMU {}", lab.qemu.version);
    for image in &lab.images {
        let spec = lab.spec(image, "serial");
        let snapshot = lab.path("snapshot");
        let (mut boots, mut saves) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let start = Instant::now();
            let (machine, _) = Machine::boot(&lab.qemu, &spec, BOOT).unwrap();
            boots.push(start.elapsed());
            let start = Instant::now();
            machine.save(&snapshot, ANSWER).unwrap();
            saves.push(start.elapsed());
        }
        let restores = |serial: &str| -> Vec<Duration> {
            let spec = lab.spec(image, serial);
            let once = |_| {
                let start = Instant::now();
                let restored = Machine::restore(&lab.qemu, &spec, &snapshot, BOOT);
                let took = start.elapsed();
                restored.unwrap();
                took
            };
            (0..20).map(once).collect()
        };
        let alone = restores("alone");
        let pair = std::thread::scope(|scope| {
            let workers = ["one", "two"].map(|serial| scope.spawn(|| restores(serial)));
            workers.map(|worker| worker.join().unwrap()).concat()
        });
        use std::os::unix::fs::MetadataExt;
        let size = snapshot.metadata().unwrap().blocks() / 2048;
        println!(
            "{}: boot {}, save {}, restore alone {}, two at once {}; snapshot {size} MiB",
            image.name,
            figures(boots),
            figures(saves),
            figures(alone),
            figures(pair),
        );
    }
}
