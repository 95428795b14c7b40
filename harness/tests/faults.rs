//! What goes wrong around a scenario is never taken for a pass, and is known within its deadline.
#![forbid(unsafe_code)]

mod lab;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use lab::{BOOT, Lab, marked};
use lxc_guest::protocol::Request;
use lxc_harness::machine::{Machine, Spec};
use lxc_harness::scenario::{self, Subject};
use lxc_harness::story;
use lxc_harness::verdict::Verdict;

/// A machine that has been saved, for as many scenarios as one likes.
struct Saved {
    lab: Lab,
    spec: Spec,
    snapshot: PathBuf,
}

impl Saved {
    fn open(test: &str) -> Option<Saved> {
        let lab = Lab::open(test)?;
        let (spec, snapshot) = lab.saved(&lab.images[0]);
        Some(Saved {
            lab,
            spec,
            snapshot,
        })
    }

    fn restored(&self) -> Machine {
        let restored = Machine::restore(&self.lab.qemu, &self.spec, &self.snapshot, BOOT);
        restored.unwrap().0
    }

    /// Plays a scenario of these steps; gives its verdict and how long it took.
    fn played(&self, machine: &mut Machine, steps: &str) -> (Verdict, Duration) {
        let directory = self.lab.path("scenarios");
        let area = directory.join("faults");
        std::fs::create_dir_all(&area).unwrap();
        std::fs::write(directory.join("subjects.toml"), "").unwrap();
        let text = format!("title = \"a fault\"\n{steps}");
        std::fs::write(area.join("a-fault.toml"), text).unwrap();
        let scenario = scenario::load(&directory, &["6.1"]).unwrap().remove(0);
        let way = story::ways(&scenario, &[Subject::Ours])[0];
        let begun = Instant::now();
        let ending = story::tell(machine, &scenario, way);
        (ending.verdict, begun.elapsed())
    }
}

fn could_not_run(verdict: &Verdict, why: &str) {
    assert!(
        matches!(verdict, Verdict::CouldNotRun(text) if text.contains(why)),
        "{why}: {verdict:?}"
    );
}

fn failed(verdict: &Verdict, why: &str) {
    assert!(
        matches!(verdict, Verdict::Failed(text) if text.contains(why)),
        "{why}: {verdict:?}"
    );
}

#[test]
fn a_kernel_that_panics_could_not_run_the_scenario() {
    let Some(saved) = Saved::open("a_kernel_that_panics") else {
        return;
    };
    let step = "[[step]]\nrun = \"echo c > /proc/sysrq-trigger\"\n";
    let (verdict, took) = saved.played(&mut saved.restored(), step);
    could_not_run(&verdict, "the kernel panicked: ");
    // The last lines of the console say more than the sentence.
    could_not_run(&verdict, "\n  | ");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_qemu_that_is_killed_is_noticed_at_once() {
    let Some(saved) = Saved::open("a_qemu_that_is_killed") else {
        return;
    };
    let mut machine = saved.restored();
    let pids = marked(&saved.lab.mark);
    assert_eq!(pids.len(), 1);
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        Command::new("kill").args(["-KILL", &pids[0]]).status()
    });
    let step = "[[step]]\nrun = \"sleep 60\"\nwithin = \"100s\"\n";
    let (verdict, took) = saved.played(&mut machine, step);
    assert!(killer.join().unwrap().unwrap().success());
    could_not_run(&verdict, "QEMU ended: ");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn an_agent_that_hangs_could_not_run_the_scenario() {
    let Some(saved) = Saved::open("an_agent_that_hangs") else {
        return;
    };
    let mut machine = saved.restored();
    let limit = Duration::from_secs(1);
    let begun = Instant::now();
    machine.ask(&Request::Hang, limit).unwrap_err();
    let step = "[[step]]\nrun = \"true\"\n";
    let (verdict, _) = saved.played(&mut machine, step);
    could_not_run(&verdict, "the agent did not answer");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_step_that_hangs_fails_when_its_time_is_up() {
    let Some(saved) = Saved::open("a_step_that_hangs") else {
        return;
    };
    let step = "[[step]]\nrun = \"sleep 100 & sleep 100\"\nwithin = \"2s\"\n";
    let (verdict, took) = saved.played(&mut saved.restored(), step);
    failed(&verdict, "it was not done within 2s");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_full_disk_is_no_pass() {
    let Some(saved) = Saved::open("a_full_disk") else {
        return;
    };
    let full = "[[step]]\nrun = \"dd if=/dev/zero of=/var/fill bs=1M\"\nwithin = \"60s\"\n";
    // The disk is full when the container is started, and the file is left behind.
    for steps in [
        format!("[container.demo]\n{full}"),
        format!("[container.demo]\n{full}exit = 1\n[[step]]\nstart = \"demo\"\n"),
        format!("[container.demo]\n{full}exit = 1\n"),
    ] {
        let (verdict, took) = saved.played(&mut saved.restored(), &steps);
        assert_ne!(verdict, Verdict::Passed, "{steps}");
        assert!(took < Duration::from_secs(100), "{took:?}");
    }
}

#[test]
fn a_process_that_stays_behind_fails() {
    let Some(saved) = Saved::open("a_process_that_stays_behind") else {
        return;
    };
    let step = "[[step]]\nrun = \"setsid sleep 1000 < /dev/null > /dev/null 2>&1 &\"\n";
    let (verdict, _) = saved.played(&mut saved.restored(), step);
    failed(&verdict, "sleep 1000");
}

#[test]
fn without_qemu_nothing_could_run() {
    let directory = tempfile::tempdir().unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let command = |qemu: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vm-test"));
        command.current_dir(root).env("QEMU", qemu);
        command.args([
            "--scenario",
            "start/*",
            "--agent",
            "/nowhere",
            "--prefix",
            "/nowhere",
        ]);
        command.arg("--cache").arg(directory.path());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said)
    };
    for qemu in ["/nowhere/qemu", "/bin/false"] {
        let (status, said) = command(qemu);
        assert_eq!(status, Some(69), "{said}");
        assert!(said.contains("0 passed, 0 failed, "), "{said}");
        assert!(said.contains(&format!("  {qemu}")), "{said}");
    }
}
