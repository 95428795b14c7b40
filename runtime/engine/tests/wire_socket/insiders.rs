//! A container's root that reaches the monitor's socket is not answered.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use lxc_engine::wire::{Client, State};

use crate::fake::Monitor;

const HELPER: &str = "insiders::ask_on_behalf_of_a_test";

/// Not a test by itself: the others run it as another process.
#[test]
#[ignore = "run by other tests, in other namespaces"]
fn ask_on_behalf_of_a_test() {
    let (Ok(lxcpath), Ok(name)) = (std::env::var("WIRE_LXCPATH"), std::env::var("WIRE_NAME"))
    else {
        panic!("could not run: only of use to the other tests");
    };
    match Client::new(&lxcpath, &name).state() {
        Ok(state) => println!("said {state}"),
        Err(error) => println!("said {:?}", error.errno().map(lxc_kernel::errno_name)),
    }
}

/// A process that lives in namespaces of its own until it is dropped.
struct Container(Child, i32);

impl Container {
    fn start(unshare: &[&str]) -> Container {
        let mut child = Command::new("unshare")
            .args(unshare)
            // The pid as the host sees it is that of unshare's only child.
            .args([
                "--kill-child",
                "--fork",
                "sh",
                "-c",
                "echo up; exec sleep 600",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("could not run: needs unshare");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "up\n");
        let pid = child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let init = children.trim().parse().unwrap();
        Container(child, init)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs the helper behind `wrapper` and gives what it said.
fn ask(monitor: &Monitor, wrapper: &[&str]) -> String {
    let own = std::env::current_exe().unwrap();
    let words = wrapper.iter().copied().chain([own.to_str().unwrap()]);
    let words = words.chain(["--ignored", "--exact", HELPER, "--nocapture"]);
    let output = Command::new("env")
        .args(words)
        .env("WIRE_LXCPATH", &monitor.lxcpath)
        .env("WIRE_NAME", &monitor.name)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().find_map(|line| line.split_once("said ")) {
        Some((_, said)) => said.to_owned(),
        None => panic!("{wrapper:?}: {output:?}"),
    }
}

#[test]
fn the_containers_processes_are_refused_and_the_hosts_are_not() {
    let check = |unshare: &[&str], join: &[&str]| {
        let monitor = Monitor::start();
        let container = Container::start(unshare);
        let init = container.1.to_string();
        monitor.scene().init = Some(container.1);
        let inside: Vec<&str> = ["nsenter", "-t", &init]
            .iter()
            .chain(join)
            .copied()
            .collect();
        let nested = [
            &inside[..],
            &["unshare", "--pid", "--user", "--map-root-user", "--fork"],
        ];

        assert_eq!(ask(&monitor, &[]), "RUNNING", "{unshare:?}");
        assert_eq!(ask(&monitor, &inside), "Some(\"EPERM\")", "{unshare:?}");
        assert_eq!(
            ask(&monitor, &nested.concat()),
            "Some(\"EPERM\")",
            "{unshare:?}"
        );
        // Namespaces of one's own are no crime.
        let sandbox = ["unshare", "--pid", "--fork"];
        assert_eq!(ask(&monitor, &sandbox), "RUNNING", "{unshare:?}");
        assert_eq!(monitor.client().state().unwrap(), State::Running);
    };
    check(&["--pid"], &["--pid"]);
    // Root inside is root outside: its uid says nothing.
    check(
        &["--user", "--map-root-user"],
        &["--user", "--preserve-credentials"],
    );
    check(
        &["--user", "--map-root-user", "--pid"],
        &["--user", "--preserve-credentials", "--pid"],
    );
}
