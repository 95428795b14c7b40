//! A monitor that has run out of descriptors comes to itself again, and does not spin meanwhile.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use lxc_engine::wire::{Address, Client, Request, State};
use lxc_kernel::{Errno, socket};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::fake::Monitor;

const HELPER: &str = "exhaustion::serve_on_behalf_of_a_test";

/// Not a test by itself: the other one runs it as another process.
#[test]
#[ignore = "run by another test, with few descriptors"]
fn serve_on_behalf_of_a_test() {
    let monitor = Monitor::start();
    // Telling where a client lives takes descriptors too; here they are to run out at the door.
    monitor.scene().init = None;
    let highest = monitor.raw();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(highest.as_raw_fd() as u64 + 8);
    setrlimit(Resource::Nofile, limit).unwrap();
    println!("serving\t{}\t{}", monitor.lxcpath, monitor.name);
    // Until the other one has seen enough.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_monitor_without_descriptors_recovers() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", HELPER, "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept to the end: the helper has a verdict of its own to print.
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let serving = output
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            line.split_once("serving\t")
                .map(|(_, rest)| rest.to_owned())
        })
        .expect("the helper serves");
    let (lxcpath, name) = serving.split_once('\t').unwrap();
    let address = Address::of(lxcpath, name);
    // Those who wait for a state may stay, so none of them makes room.
    let mut wanted = [0; State::COUNT];
    wanted[State::Frozen.index()] = 1;
    let (header, payload) = Request::AddStateClient { wanted }.encode();
    let bytes = [&header.encode()[..], &payload].concat();
    let waiting: Vec<OwnedFd> = (0..40)
        .map(|_| {
            let connection = socket::abstract_connect(address.as_bytes()).unwrap();
            socket::send(connection.as_fd(), &bytes, &[], true).unwrap();
            connection
        })
        .collect();
    let hear = |connection: &OwnedFd| {
        socket::set_receive_timeout(connection.as_fd(), Some(Duration::from_secs(1))).unwrap();
        socket::receive(connection.as_fd(), &mut [0; 16], 0)
    };
    assert_eq!(hear(&waiting[0]).unwrap().bytes, 16);
    let last = hear(&waiting[39]).unwrap_err();
    assert_eq!(last.errno, Errno::AGAIN, "there was room for all: {last}");
    drop(waiting);
    let client = Client::new(lxcpath, name).with_timeout(Some(Duration::from_secs(10)));
    assert_eq!(client.state().unwrap(), State::Running);
    let ticks = processor_ticks(child.id());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    // Spinning for that second would have cost a hundred, whatever the kernel's own clock is.
    assert!(ticks < 50, "{ticks} ticks of processor time spent");
}

/// Gives the time a process has spent in user and kernel mode: fields 14 and 15 of its stat file.
fn processor_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum()
}
