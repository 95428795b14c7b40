//! Machines whose QEMU is a script: whatever it does, the loss has a sentence and nothing is left.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;
use tempfile::TempDir;

/// A place with a fake QEMU in it.
struct Scene {
    directory: TempDir,
    qemu: Qemu,
    spec: Spec,
}

fn scene(script: &str) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("qemu");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let serial = directory.path().join("serial");
    Scene {
        spec: Spec::new("/k".into(), "/i".into(), Layout::V2, serial),
        qemu: Qemu {
            program,
            version: "0".to_owned(),
        },
        directory,
    }
}

impl Scene {
    fn boot(&self, within: Duration) -> Result<(Machine, Hello), Lost> {
        Machine::boot(&self.qemu, &self.spec, within)
    }

    fn loss(&self, within: Duration) -> Lost {
        self.boot(within).expect_err("a script is no machine")
    }
}

const LONG: Duration = Duration::from_secs(30);

/// Shell that says a frame on the agent's port after having read the request.
fn says(json: &str) -> String {
    let length = json.len();
    assert!(length < 64);
    format!("dd bs=1 count=11 <&3 >/dev/null 2>&1; printf '\\{length:03o}\\0\\0\\0%s' '{json}' >&3")
}

const HELLO: &str = r#"{"Hello":{"kernel":"5","layout":"v2","init_at_ms":1,"ready_at_ms":2}}"#;

/// The same for the longer greeting: its length is 69.
fn greets() -> String {
    assert_eq!(HELLO.len(), 69);
    format!("dd bs=1 count=11 <&3 >/dev/null 2>&1; printf '\\105\\0\\0\\0%s' '{HELLO}' >&3")
}

#[test]
fn a_qemu_that_ends_at_once_is_quoted() {
    let scene = scene("echo 'qemu: no such machine' >&2; exit 1");
    let lost = scene.loss(LONG);
    assert_eq!(lost.why, "QEMU ended: exit status 1, qemu: no such machine");
    assert!(lost.serial_tail.is_empty());
}

#[test]
fn a_qemu_that_hangs_meets_the_deadline_and_is_killed() {
    let scene = scene("echo $$ >\"${0%/*}/pid\"; echo booting >&6; exec sleep 1000");
    let start = Instant::now();
    let lost = scene.loss(Duration::from_millis(700));
    assert_eq!(lost.why, "the agent did not answer Hello within 700 ms");
    assert_eq!(lost.serial_tail, ["booting"]);
    assert!(start.elapsed() < Duration::from_secs(20));
    let pid = std::fs::read_to_string(scene.directory.path().join("pid")).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn a_closed_socket_of_a_qemu_that_lives_is_told() {
    let scene = scene("exec 3>&-; exec sleep 1000");
    assert_eq!(
        scene.loss(LONG).why,
        "QEMU closed its socket and still runs"
    );
}

#[test]
fn a_panic_is_the_reason() {
    let line = "[    0.5] Kernel panic - not syncing: VFS: Unable to mount root fs";
    for end in ["exit 0", "exec 3>&-; exec sleep 1000"] {
        let scene = scene(&format!("echo '{line}' >&6; {end}"));
        let lost = scene.loss(LONG);
        assert_eq!(
            lost.why,
            "the kernel panicked: VFS: Unable to mount root fs"
        );
        assert_eq!(lost.serial_tail, [line]);
    }
}

#[test]
fn an_agent_that_gives_up_is_quoted() {
    let scene = scene("echo 'guest-agent: cannot mount /proc: EPERM' >&6");
    assert_eq!(
        scene.loss(LONG).why,
        "the agent gave up: cannot mount /proc: EPERM"
    );
}

#[test]
fn what_is_no_hello_is_no_hello() {
    for (json, why) in [
        ("\"Done\"", "the agent answered Hello with Done"),
        ("{\"Failed\":\"no modules\"}", "the agent said: no modules"),
        (
            "{\"Helo\":1}",
            "the agent said something that is no answer to Hello: ",
        ),
    ] {
        let scene = scene(&format!("{}; exec sleep 1000", says(json)));
        let lost = scene.loss(LONG);
        assert!(lost.why.starts_with(why), "{lost}");
    }
    let scene = scene("printf '\\377\\377\\377\\377' >&3; exec sleep 1000");
    let lost = scene.loss(LONG);
    assert!(lost.why.contains("was announced"), "{lost}");
}

#[test]
fn a_machine_that_answers_is_asked_until_it_does_not() {
    let scene = scene(&format!("{}; exec sleep 1000", greets()));
    let (mut machine, hello) = scene.boot(LONG).unwrap();
    assert_eq!((hello.kernel.as_str(), hello.layout), ("5", Layout::V2));
    let lost = machine
        .ask(&Request::Census, Duration::from_millis(50))
        .unwrap_err();
    assert_eq!(lost.why, "the agent did not answer Census within 50 ms");
    // A late answer is never taken for another's.
    let start = Instant::now();
    assert_eq!(machine.ask(&Request::Hello, LONG).unwrap_err(), lost);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(
        machine
            .save(&scene.directory.path().join("s"), LONG)
            .unwrap_err(),
        lost
    );
}

/// A scene whose kernel is a script.
fn program(script: &str) -> Scene {
    let mut scene = scene(script);
    scene.spec.elf.clone_from(&scene.qemu.program);
    let initramfs = scene.directory.path().join("initramfs");
    std::fs::write(&initramfs, "").unwrap();
    scene.spec.initramfs = initramfs;
    scene
}

/// The machines that a program is: what its losses say.
fn program_loss(scene: &Scene, within: Duration) -> Lost {
    Machine::boot_program(&scene.spec, within).expect_err("a script is no machine")
}

#[test]
fn a_kernel_that_is_a_program_is_heard_before_it_is_asked() {
    let scene = program(&format!(
        "printf '\\006' >&3; {}; exec sleep 1000",
        greets()
    ));
    let (machine, hello) = Machine::boot_program(&scene.spec, LONG).unwrap();
    assert_eq!((hello.kernel.as_str(), hello.layout), ("5", Layout::V2));
    let lost = machine
        .save(&scene.directory.path().join("s"), LONG)
        .unwrap_err();
    assert!(lost.why.contains("cannot be saved"), "{lost}");
    let scene = program("printf x >&3; exec sleep 1000");
    let why = program_loss(&scene, LONG).why;
    assert_eq!(why, "the agent began with the byte 120");
}

#[test]
fn a_kernel_that_is_a_program_is_lost_like_any_other() {
    let panic = "Kernel panic - not syncing: VFS";
    for (script, why) in [
        (
            "echo 'no memory' >&2; exit 3",
            "user-mode Linux ended: exit status 3, no memory",
        ),
        (
            &format!("echo '{panic}' >&6; exit 1"),
            "the kernel panicked: VFS",
        ),
        (
            "exec 3>&-; exec sleep 1000",
            "the agent did not answer Hello within 900 ms",
        ),
        (
            "echo 'guest-agent: no line' >&6",
            "the agent gave up: no line",
        ),
    ] {
        let scene = program(script);
        let short = Duration::from_millis(900);
        let within = if script.contains("sleep") {
            short
        } else {
            LONG
        };
        assert_eq!(program_loss(&scene, within).why, why);
    }
    let mut scene = program("exit 0");
    scene.spec.elf = "/nowhere/linux".into();
    let why = program_loss(&scene, LONG).why;
    assert_eq!(
        why,
        "cannot open /nowhere/linux: No such file or directory (os error 2)"
    );
}

#[test]
fn a_hung_kernel_that_is_a_program_dies_with_all_its_processes() {
    // A word of its own finds its processes, one of which has left the session.
    let word = format!("{}.5", 100_000 + std::process::id());
    let script = format!("setsid sleep {word} & sleep {word}");
    let scene = program(&script);
    let lost = program_loss(&scene, Duration::from_secs(2));
    assert_eq!(lost.why, "the agent did not answer Hello within 2 s");
    let there = || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let mut lines = entries.map(|entry| std::fs::read(entry.path().join("cmdline")));
        lines.any(|line| {
            line.is_ok_and(|line| String::from_utf8_lossy(&line) == format!("sleep\0{word}\0"))
        })
    };
    let start = Instant::now();
    while there() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it is still there"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_save_that_fails_leaves_no_file() {
    let scene = scene(&format!("{}; exec 4>&-; exec sleep 1000", greets()));
    let (machine, _) = scene.boot(LONG).unwrap();
    let lost = machine
        .save(&scene.directory.path().join("s"), LONG)
        .unwrap_err();
    assert_eq!(lost.why, "QEMU closed its socket and still runs");
    let (machine, _) = scene.boot(LONG).unwrap();
    let lost = machine
        .save(&scene.directory.path().join("no/s"), LONG)
        .unwrap_err();
    assert!(lost.why.contains("no/s: No such file"), "{lost}");
    let mut left: Vec<_> = std::fs::read_dir(scene.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["qemu", "serial"]);
}

#[test]
fn what_cannot_begin_says_why() {
    let mut scene = scene("exit 0");
    let none = scene.directory.path().join("none");
    let restored = Machine::restore(&scene.qemu, &scene.spec, &none, LONG);
    assert!(
        restored
            .unwrap_err()
            .why
            .starts_with("cannot read the snapshot")
    );
    scene.spec.serial = scene.directory.path().join("no/serial");
    assert!(
        scene
            .loss(LONG)
            .why
            .starts_with("cannot write the serial log")
    );
}
