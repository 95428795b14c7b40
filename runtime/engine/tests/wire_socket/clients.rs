//! Our client asks our server.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use lxc_engine::inquiry;
use lxc_engine::wire::{
    Address, Asked, BindError, Client, ClientError, ConsoleLog, DeviceKind, DeviceRule, Server,
    State, running,
};
use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::{Errno, process};

use crate::fake::Monitor;

/// Runs something as an ordinary user, on a thread of its own.
pub fn as_stranger<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        process::set_groups(&[]).unwrap();
        process::set_ids(4711, 4711).expect("could not run: needs root");
        what()
    });
    thread.join().unwrap()
}

fn same_file(left: &OwnedFd, right: &str) -> bool {
    let left = rustix::fs::fstat(left).unwrap();
    let right = rustix::fs::stat(right).unwrap();
    (left.st_dev, left.st_ino) == (right.st_dev, right.st_ino)
}

#[test]
fn a_monitor_tells_what_it_knows() {
    let monitor = Monitor::start();
    let client = monitor.client();
    let name = &monitor.name;
    assert_eq!(client.state().unwrap(), State::Running);
    // A time that no clock can count is no end.
    let patient = client.clone().with_timeout(Some(Duration::MAX));
    assert_eq!(patient.state().unwrap(), State::Running);
    let lasting = Duration::from_secs(1 << 40);
    let patient = client.clone().with_timeout(Some(lasting));
    assert_eq!(patient.state().unwrap(), State::Running);
    let pid = std::process::id() as i32;
    assert_eq!(client.init_pid().unwrap(), Asked::Answer(pid));
    assert_eq!(client.clone_flags().unwrap(), Asked::Answer(0x6e02_0000));
    assert_eq!(client.name().unwrap(), Asked::Answer(name.clone()));
    let lxcpath = client.lxcpath().unwrap().answer();
    assert_eq!(lxcpath.as_ref(), Some(&monitor.lxcpath));

    let item = |key: &str| client.config_item(key).unwrap().answer().unwrap();
    assert_eq!(item("lxc.uts.name").as_ref(), Some(name));
    assert_eq!(item("lxc.group"), None);
    assert_eq!(item("lxc.nope"), None);

    let cgroup = |controller, limit| client.cgroup(controller, limit).unwrap().answer().unwrap();
    assert_eq!(
        cgroup(Some("memory"), false),
        Some(format!("/lxc.payload.{name}"))
    );
    assert_eq!(
        cgroup(Some("memory"), true),
        Some(format!("/lxc.limit.{name}"))
    );
    assert_eq!(cgroup(Some("nope"), true), None);
    assert_eq!(cgroup(None, false), None);
    assert_eq!(client.systemd_scope().unwrap(), Asked::Answer(None));
}

#[test]
fn a_value_goes_into_the_file_and_a_device_rule_of_v2_to_the_monitor() {
    let monitor = Monitor::start();
    let client = monitor.client();
    let set = |file: &str, value: &str| {
        let set = inquiry::set_cgroup_item(&client, file, value);
        set.map_err(|error| error.errno())
    };
    let file = format!("{}/memory.high", monitor.lxcpath);
    std::fs::write(&file, "").unwrap();
    assert_eq!(set("memory.high", "5M").unwrap(), Asked::Answer(()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "5M");
    assert!(monitor.scene().device_rules.is_empty());

    // No such file is there, as in every directory of v2.
    for (file, rule) in [
        ("devices.allow", "c 1:5 rwm"),
        ("devices.deny", "b\t*:3\trw"),
        ("devices.deny", "a"),
    ] {
        assert_eq!(set(file, rule).unwrap(), Asked::Answer(()), "{file} {rule}");
    }
    let rule = |kind, major, minor, access: &str, allow| DeviceRule {
        kind,
        major,
        minor,
        access: access.to_owned(),
        allow,
    };
    let told = [
        rule(DeviceKind::Char, Some(1), Some(5), "rwm", true),
        rule(DeviceKind::Block, None, Some(3), "rw", false),
        rule(DeviceKind::All, None, None, "", false),
    ];
    assert_eq!(monitor.scene().device_rules, told);
    for (file, value, errno) in [
        ("devices.allow", "c 1:5", Errno::INVAL),
        ("devices.list", "c 1:5 rwm", Errno::NOENT),
        ("memory.nonsense", "5M", Errno::NOENT),
        ("nonsense.high", "5M", Errno::NOENT),
        ("../memory.high", "5M", Errno::INVAL),
        ("memory.high", "", Errno::INVAL),
    ] {
        assert_eq!(set(file, value), Err(Some(errno)), "{file} {value}");
    }
    assert_eq!(monitor.scene().device_rules.len(), told.len());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "5M");
}

#[test]
fn descriptors_arrive() {
    let monitor = Monitor::start();
    let client = monitor.client();
    let pidfd = client.init_pidfd().unwrap().answer().flatten().unwrap();
    process::pidfd_signal(pidfd.as_fd(), 0).unwrap();
    let context = client.cgroup_context().unwrap().answer().flatten().unwrap();
    assert_eq!((context.layout, context.utilities), (1, 0));
    assert_eq!(context.fds.len(), 20);
    assert!(same_file(&context.fds[19], &monitor.lxcpath));
    let cgroup = client
        .cgroup_fd("memory", false)
        .unwrap()
        .answer()
        .flatten()
        .unwrap();
    assert_eq!((cgroup.layout, cgroup.magic), (1, 0x0027_e0eb));
    assert!(same_file(&cgroup.fd, &monitor.lxcpath));
    assert!(
        client
            .cgroup_fd("nope", true)
            .unwrap()
            .answer()
            .flatten()
            .is_none()
    );
    assert!(client.cgroup2(false).unwrap().answer().flatten().is_none());
    assert!(client.devpts().unwrap().answer().flatten().is_none());
    assert!(
        client
            .seccomp_notify_fd()
            .unwrap()
            .answer()
            .flatten()
            .is_none()
    );

    let (notify, _) = lxc_kernel::fd::pair().unwrap();
    let served = client.add_seccomp_listener(notify.as_fd()).unwrap();
    assert_eq!(served, Asked::Answer(()));
    assert_eq!(monitor.scene().listeners, 1);
}

#[test]
fn refusals_carry_their_errno() {
    let monitor = Monitor::start();
    let client = monitor.client();
    let errno = |result: Result<Asked<()>, ClientError>| result.unwrap_err().errno();
    assert_eq!(errno(client.freeze(-1)), Some(Errno::NOENT));
    assert_eq!(errno(client.unfreeze(5)), Some(Errno::NOENT));
    let log = ConsoleLog {
        read: true,
        ..ConsoleLog::default()
    };
    assert_eq!(
        client.console_log(&log).unwrap_err().errno(),
        Some(Errno::NODATA)
    );
}

#[test]
fn a_long_console_log_arrives_whole() {
    let monitor = Monitor::start();
    let content: Vec<u8> = (0..4u32 << 20).map(|place| (place % 251) as u8).collect();
    monitor.scene().log = content.clone();
    let log = ConsoleLog {
        read: true,
        clear: true,
        ..ConsoleLog::default()
    };
    let read = monitor
        .client()
        .console_log(&log)
        .unwrap()
        .answer()
        .unwrap();
    assert!(read == content, "{} of {} bytes", read.len(), content.len());
    assert!(monitor.scene().log.is_empty());
}

#[test]
fn nobody_there_is_stopped() {
    let client = Client::new("/nonexistent", "lxcrt-wire-nobody");
    assert_eq!(client.state().unwrap(), State::Stopped);
    assert_eq!(client.init_pid().unwrap(), Asked::Stopped);
    assert_eq!(client.stop().unwrap(), Asked::Stopped);
    let soon = Instant::now() + Duration::from_millis(30);
    assert_eq!(client.wait(&[State::Running], Some(soon)).unwrap(), None);
    assert!(Instant::now() >= soon);
    let reached = client
        .wait(&[State::Running, State::Stopped], None)
        .unwrap();
    assert_eq!(reached, Some(State::Stopped));
}

#[test]
fn waiting_ends_with_the_state() {
    let mut monitor = Monitor::start();
    let client = monitor.client();
    let past = Some(Instant::now());
    assert_eq!(
        client.wait(&[State::Running], past).unwrap(),
        Some(State::Running)
    );
    assert_eq!(client.wait(&[State::Frozen], past).unwrap(), None);

    let waiting = |states: Vec<State>| {
        let client = client.clone();
        std::thread::spawn(move || client.wait(&states, None).unwrap())
    };
    let frozen = waiting(vec![State::Frozen, State::Stopped]);
    let rebooted = {
        let client = client.clone();
        std::thread::spawn(move || client.wait_for_reboot(None).unwrap())
    };
    let until = Instant::now() + Duration::from_secs(10);
    client.serve_state_clients(State::Thawed).unwrap();
    assert_eq!(client.state().unwrap(), State::Running);
    // Whoever registers later finds the state entered; whoever did before is told.
    client.serve_state_clients(State::Frozen).unwrap();
    assert_eq!(frozen.join().unwrap(), Some(State::Frozen));
    client.serve_state_clients(State::Running).unwrap();
    assert_eq!(
        client.wait(&[State::Running], Some(until)).unwrap(),
        Some(State::Running)
    );
    // It may have come too late for that announcement; this one it cannot miss once it waits.
    while !rebooted.is_finished() {
        assert!(
            Instant::now() < until,
            "nobody told that the container runs again"
        );
        monitor.reboot();
        client.state().unwrap();
    }
    assert_eq!(rebooted.join().unwrap(), Some(State::Running));

    let stopped = waiting(vec![State::Stopped]);
    // This one must have been heard before the monitor ends: without one it would look for it.
    let (registered, heard) = std::sync::mpsc::channel();
    let gone = {
        let client = client.clone();
        std::thread::spawn(move || {
            let tell = || {
                registered.send(()).expect("the test waits");
                Ok(())
            };
            client.wait_for_reboot_after(None, tell).unwrap()
        })
    };
    heard
        .recv_timeout(Duration::from_secs(10))
        .expect("the monitor answers");
    monitor.announce_frozen();
    client.state().unwrap();
    monitor.end();
    assert_eq!(stopped.join().unwrap(), Some(State::Stopped));
    assert_eq!(gone.join().unwrap(), Some(State::Stopped));
    assert_eq!(client.state().unwrap(), State::Stopped);
}

#[test]
fn reboots_keep_those_who_wait_for_them() {
    let monitor = Monitor::start();
    let waiting = |value: i32| {
        let socket = monitor.raw();
        let mut wanted = [0; State::COUNT];
        wanted[State::Running.index()] = value;
        let (header, payload) = lxc_engine::wire::Request::AddStateClient { wanted }.encode();
        lxc_kernel::socket::send(socket.as_fd(), &header.encode(), &[], true).unwrap();
        lxc_kernel::socket::send(socket.as_fd(), &payload, &[], false).unwrap();
        let mut answer = [0; 16];
        lxc_kernel::socket::receive(socket.as_fd(), &mut answer, 0).unwrap();
        assert_eq!(answer[..4], 8i32.to_ne_bytes());
        socket
    };
    monitor.scene().state = State::Starting;
    let (dropped, kept) = (waiting(1), waiting(2));
    monitor.reboot();
    let heard = |socket: &OwnedFd| {
        let mut notice = [0; 300];
        lxc_kernel::socket::receive(socket.as_fd(), &mut notice, 0)
            .unwrap()
            .bytes
    };
    assert_eq!(heard(&dropped), 0);
    assert_eq!(heard(&kept), 264);
    assert_eq!(heard(&kept), 0);
}

#[test]
fn a_terminal_is_busy_while_its_connection_is_open() {
    let monitor = Monitor::start();
    let client = monitor.client();
    let tty = client.tty(-1).unwrap().answer().flatten().unwrap();
    assert_eq!(tty.number, 1);
    assert!(client.tty(1).unwrap().answer().flatten().is_none());
    assert!(client.tty(7).unwrap().answer().flatten().is_none());
    let console = client.tty(0).unwrap().answer().flatten().unwrap();
    assert_eq!(monitor.scene().busy_ttys.len(), 2);
    drop(tty);
    let until = Instant::now() + Duration::from_secs(10);
    while client.tty(1).unwrap().answer().flatten().is_none() {
        assert!(Instant::now() < until, "the terminal stays busy");
    }
    drop(monitor);
    assert!(
        poll_one(
            console.connection.as_fd(),
            Interest::READ,
            Some(Duration::ZERO)
        )
        .unwrap()
    );
}

#[test]
fn stopping_waits_for_the_end() {
    let monitor = Monitor::start();
    assert_eq!(monitor.client().stop().unwrap(), Asked::Answer(()));
    assert_eq!(monitor.scene().stop_signals, 1);
    assert_eq!(monitor.client().state().unwrap(), State::Stopped);
}

#[test]
fn a_taken_address_is_said_so() {
    let monitor = Monitor::start();
    let taken = Server::bind(&monitor.address()).err().unwrap();
    assert!(matches!(&taken, BindError::Taken(_)), "{taken}");
    assert!(taken.to_string().contains("already running"), "{taken}");
}

#[test]
fn running_containers_are_listed() {
    let monitor = Monitor::start();
    assert_eq!(running(&monitor.lxcpath).unwrap(), [monitor.name.as_str()]);
    assert_eq!(
        running(&format!("{}//", monitor.lxcpath)).unwrap(),
        [monitor.name.as_str()]
    );
    let name = format!("lxcrt-wire-long-{}", std::process::id());
    let long = Monitor::start_as(&name, |path| format!("{path}/{}", "d".repeat(100)));
    assert!(long.address().to_string().starts_with("@lxc/"));
    assert_eq!(running(&long.lxcpath).unwrap(), [name.as_str()]);
    assert_eq!(running("/nonexistent").unwrap(), [""; 0]);
    assert_eq!(long.client().state().unwrap(), State::Running);
}

#[test]
fn whoever_may_not_ask_learns_it() {
    let monitor = Monitor::start();
    let client = monitor.client();
    let error = as_stranger(move || client.state()).unwrap_err();
    assert!(
        matches!(error, ClientError::Denied { uid: 0, .. }),
        "{error}"
    );
    let client = monitor.client();
    let error = as_stranger(move || client.config_item("lxc.uts.name")).unwrap_err();
    assert!(matches!(error, ClientError::Denied { .. }), "{error}");
}

#[test]
fn an_impostor_is_not_believed() {
    let directory = tempfile::Builder::new()
        .prefix("lxcrt-wire-")
        .tempdir()
        .unwrap();
    let lxcpath = directory.path().to_str().unwrap().to_owned();
    std::fs::create_dir(directory.path().join("c1")).unwrap();
    let address = Address::of(&lxcpath, "c1");
    let held = {
        let address = address.clone();
        as_stranger(move || lxc_kernel::socket::abstract_listener(address.as_bytes(), 0)).unwrap()
    };
    let client = Client::new(&lxcpath, "c1").with_timeout(Some(Duration::from_millis(100)));
    let error = client.state().unwrap_err();
    assert!(
        matches!(error, ClientError::Impostor { uid: 4711, .. }),
        "{error}"
    );

    // The owner of the container's directory may serve it, even if it never answers.
    std::os::unix::fs::chown(directory.path().join("c1"), Some(4711), None).unwrap();
    while lxc_kernel::socket::accept(held.as_fd()).unwrap().is_some() {}
    let error = client.state().unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    // Its queue is full now: not even a connection comes about.
    let error = client.init_pid().unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
}
