//! What can be had from, and done to, a running container through the library.

#[path = "../../tools/tests/support/mod.rs"]
mod support;

mod scene;

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use lxc_runtime::{
    ConsoleLogRequest, ConsoleOptions, Container, ErrorKind, Family, StartOptions, State,
};
use scene::{FREEZABLE, Scene, inside, must, refused};
use support::{Peer, Side, eventually};

/// Errno values that clients of the C interface know.
const EBADF: i32 = 9;
const EFAULT: i32 = 14;
const EINVAL: i32 = 22;
const ENOENT: i32 = 2;
const ENODATA: i32 = 61;
const ECONNREFUSED: i32 = 111;

/// A running container that can be frozen, with two terminals and a devpts of its own.
fn running(scene: &Scene) -> Container {
    let more = format!("{FREEZABLE}\nlxc.tty.max = 2\nlxc.pty.max = 16");
    let name = scene.busybox("c1", &more);
    let container = scene.open(&name);
    must(container.start(&StartOptions::default()));
    container
}

#[test]
fn a_stopped_container_answers_as_the_interface_says() {
    let Some(scene) = Scene::new("a_stopped_container_answers_as_the_interface_says") else {
        return;
    };
    let shared = "lxc.mount.auto = shmounts:/run/lxc-nowhere";
    let name = scene.defined("c1", &format!("lxc.uts.name = c1\n{shared}"));
    let mut stopped = scene.open(&name);
    stopped.set_timeout(Some(Duration::from_secs(1)));
    assert_eq!(must(stopped.state()), State::Stopped);
    must(stopped.unfreeze());
    let request = ConsoleLogRequest::default();
    for (what, error) in [
        ("freeze", refused(stopped.freeze())),
        ("init_pidfd", refused(stopped.init_pidfd())),
        ("devpts_fd", refused(stopped.devpts_fd())),
        ("listener", refused(stopped.seccomp_notify_fd_active())),
        ("tty", refused(stopped.tty(-1))),
        ("console_log", refused(stopped.console_log(&request))),
        ("set", refused(stopped.set_cgroup_item("pids.max", "5"))),
        ("mount", refused(stopped.mount(None, "/mnt", None, 0, None))),
        ("interface", refused(stopped.attach_interface("none", None))),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotRunning, "{what}: {error}");
        assert_eq!(error.errno(), Some(ECONNREFUSED), "{what}: {error}");
        assert!(error.to_string().contains(&name), "{what}: {error}");
    }
    assert!(must(stopped.addresses(None, None, 0)).is_empty());
    assert!(must(stopped.snapshots()).is_empty());
    assert_eq!(
        refused(stopped.snapshot(None)).kind(),
        ErrorKind::NotImplemented
    );
    must(stopped.clear_config_item("lxc.mount.auto"));
    let unshared = refused(stopped.mount(None, "/mnt", None, 0, None));
    assert_eq!(unshared.errno(), Some(EINVAL), "{unshared}");
    let undefined = scene.open(&scene.name("none"));
    assert_eq!(refused(undefined.snapshots()).kind(), ErrorKind::NotDefined);
    assert_eq!(refused(undefined.unfreeze()).kind(), ErrorKind::NotDefined);
    assert!(
        scene.lock_directory().metadata().is_err(),
        "asking takes no lock"
    );
}

#[test]
fn snapshots_are_listed_in_both_layouts() {
    let Some(scene) = Scene::new("snapshots_are_listed_in_both_layouts") else {
        return;
    };
    let name = scene.defined("c1", "lxc.uts.name = c1");
    let container = scene.open(&name);
    let new = scene.directory(&name).join("snaps");
    let old = std::path::PathBuf::from(format!("{}snaps/{name}", scene.lxcpath().display()));
    for holds in [&new, &old] {
        for (snapshot, file, text) in [
            ("snap0", "config", ""),
            ("snap0", "ts", "2026:11:21 22:39:05"),
            ("snap1", "config", ""),
            ("unfinished", "ts", "2026:11:21 22:39:05"),
        ] {
            let directory = holds.join(snapshot);
            std::fs::create_dir_all(&directory).expect("the test's own directory");
            std::fs::write(directory.join(file), text).expect("the test's own file");
        }
        let mut found = must(container.snapshots());
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let names: Vec<_> = found.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["snap0", "snap1"], "{}", holds.display());
        assert_eq!(found[0].timestamp.as_deref(), Some("2026:11:21 22:39:05"));
        assert_eq!(found[1].timestamp, None);
        assert_eq!(found[0].comment, holds.join("snap0/comment"));
        assert_eq!(&found[0].lxcpath, holds);
    }
    let gone = refused(container.destroy_snapshot("snap7"));
    assert_eq!(gone.errno(), Some(ENOENT), "{gone}");
    let error = refused(container.destroy_snapshot("snap0"));
    assert_eq!(error.kind(), ErrorKind::NotImplemented);
    // A part of the census, but not of what the laboratory removes.
    std::fs::remove_dir_all(&old).expect("the test's own directory");
}

#[test]
fn whatever_runs_inside_stops_until_it_is_thawed() {
    let Some(scene) = Scene::new("whatever_runs_inside_stops_until_it_is_thawed") else {
        return;
    };
    let container = running(&scene);
    let before = scene.census();
    must(container.unfreeze());
    assert_eq!(must(container.state()), State::Running);
    for _ in 0..3 {
        must(container.freeze());
        assert_eq!(must(container.state()), State::Frozen);
        must(container.freeze());
        must(container.unfreeze());
        assert_eq!(must(container.state()), State::Running);
        assert_eq!(inside(&container, "exit 4"), 4 << 8);
    }
    let name = container.name();
    let waits = std::thread::scope(|scope| {
        let waiter =
            scope.spawn(|| container.wait(&[State::Frozen], Some(Duration::from_secs(10))));
        must(container.freeze());
        waiter.join().expect("its own words stand above")
    });
    assert!(must(waits));
    // A frozen container is killed all the same.
    must(container.stop());
    assert_eq!(must(container.state()), State::Stopped);
    // The monitor's last process ends a moment after its socket.
    eventually(&format!("nothing of {name} is left"), || {
        let now = scene.census().since(&before);
        now.iter().all(|line| line.starts_with("gone"))
    });
}

#[test]
fn both_sides_freeze_each_others_containers() {
    const TEST: &str = "both_sides_freeze_each_others_containers";
    let Some(scene) = Scene::new(TEST) else {
        return;
    };
    let Some(_peer) = Peer::of(&scene, TEST) else {
        return;
    };
    for side in Side::BOTH {
        let name = scene.busybox(&format!("{side:?}"), FREEZABLE);
        side.start(&scene, &name);
        let container = scene.open(&name);
        must(container.freeze());
        let words = ["-n", &name, "-sH"];
        scene
            .peer("lxc-info", &words)
            .run()
            .exits(0)
            .prints("FROZEN\n");
        scene.peer("lxc-unfreeze", &["-n", &name]).run().exits(0);
        assert_eq!(must(container.state()), State::Running, "{side:?}");
        scene.peer("lxc-freeze", &["-n", &name]).run().exits(0);
        assert_eq!(must(container.state()), State::Frozen, "{side:?}");
        must(container.unfreeze());
        scene
            .peer("lxc-info", &words)
            .run()
            .exits(0)
            .prints("RUNNING\n");
        must(container.stop());
    }
}

#[test]
fn descriptors_are_what_they_are_called() {
    let Some(scene) = Scene::new("descriptors_are_what_they_are_called") else {
        return;
    };
    let container = running(&scene);
    let pidfd = must(container.init_pidfd());
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    let pid = must(container.init_pid()).expect("it runs");
    let info = info.unwrap_or_default();
    let named = info.lines().find_map(|l| l.strip_prefix("Pid:"));
    assert_eq!(named.map(str::trim), Some(pid.to_string().as_str()));
    for fd in [pidfd.as_fd(), must(container.devpts_fd()).as_fd()] {
        let flags = rustix::io::fcntl_getfd(fd).expect("it is open");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
    let devpts = must(container.devpts_fd());
    let found = rustix::fs::fstatfs(&devpts).expect("a mount");
    assert_eq!(found.f_type as u64, 0x1cd1, "a devpts");
    let none = refused(container.seccomp_notify_fd_active());
    assert_eq!(none.errno(), Some(EBADF), "{none}");
    let none = refused(container.console_log(&ConsoleLogRequest {
        read: true,
        ..ConsoleLogRequest::default()
    }));
    assert_eq!(none.errno(), Some(EFAULT), "{none}");
    must(container.stop());
    let ended = rustix::event::poll(
        &mut [rustix::event::PollFd::new(
            &pidfd,
            rustix::event::PollFlags::IN,
        )],
        Some(&rustix::event::Timespec::default()),
    );
    assert_eq!(ended, Ok(1), "init's pidfd tells its end");
}

#[test]
fn terminals_are_lent_to_one_at_a_time_and_shown() {
    let Some(scene) = Scene::new("terminals_are_lent_to_one_at_a_time_and_shown") else {
        return;
    };
    let container = running(&scene);
    let first = must(container.tty(-1));
    assert_eq!(first.number, 1);
    for taken in [1, 3, i32::MAX, i32::MIN, -2] {
        let error = refused(container.tty(taken));
        assert_eq!(error.errno(), Some(EBADF), "{taken}: {error}");
    }
    assert_eq!(must(container.tty(2)).number, 2);
    drop(first);
    eventually("the first terminal is free again", || {
        container.tty(1).is_ok()
    });

    let (keys, mut keyboard) = std::io::pipe().expect("a pipe");
    let (mut screen, shown) = std::io::pipe().expect("a pipe");
    std::thread::scope(|scope| {
        let console = scope.spawn(|| {
            let leaves = container.console(&ConsoleOptions {
                tty: 1,
                input: keys.as_fd(),
                output: shown.as_fd(),
                escape: Some(1),
                greeting: None,
            });
            drop(shown);
            leaves
        });
        // Somebody inside holds the terminal, asks, and answers; when it is let go of, the console ends.
        let script = "exec <>/dev/tty1 >&0; echo ask; read -t 10 line; echo heard $line";
        let guest = scope.spawn(|| inside(&container, script));
        let mut until = |what: &str| {
            let mut text = String::new();
            while !text.contains(what) {
                let mut part = [0; 256];
                let count = screen.read(&mut part).expect("the console writes");
                assert!(
                    count > 0,
                    "the console ended before it showed {what}: {text}"
                );
                text += &String::from_utf8_lossy(&part[..count]);
            }
        };
        until("ask");
        keyboard.write_all(b"typed\n").expect("it listens");
        until("heard typed");
        assert_eq!(guest.join().expect("its own words stand above"), 0);
        keyboard.write_all(b"\x01q").ok();
        must(console.join().expect("its own words stand above"));
    });
    must(container.stop());
}

#[test]
fn limits_are_set_where_they_are_read() {
    let Some(scene) = Scene::new("limits_are_set_where_they_are_read") else {
        return;
    };
    let container = running(&scene);
    must(container.set_cgroup_item("pids.max", "40"));
    let read = must(container.cgroup_item("pids.max")).unwrap_or_default();
    assert_eq!(read.trim(), "40");
    must(container.set_cgroup_item("devices.deny", "c 1:5 rwm"));
    assert_ne!(inside(&container, "head -c 1 /dev/zero > /dev/null"), 0);
    must(container.set_cgroup_item("devices.allow", "c 1:5 rwm"));
    assert_eq!(inside(&container, "head -c 1 /dev/zero > /dev/null"), 0);
    for (file, value, errno) in [
        ("pids.max", "", EINVAL),
        ("", "1", EINVAL),
        ("../pids.max", "1", EINVAL),
        ("pids.max", "many", EINVAL),
        ("pids.nonsense", "1", ENOENT),
        ("nonsense.max", "1", ENOENT),
        ("devices.allow", "nonsense", EINVAL),
    ] {
        let error = refused(container.set_cgroup_item(file, value));
        assert_eq!(error.errno(), Some(errno), "{file} = {value:?}: {error}");
    }
    must(container.stop());
}

#[test]
fn addresses_are_chosen_by_interface_family_and_scope() {
    let Some(scene) = Scene::new("addresses_are_chosen_by_interface_family_and_scope") else {
        return;
    };
    let container = running(&scene);
    let script = "ip link set lo up && ip address add 10.9.8.7/32 dev lo";
    assert_eq!(inside(&container, script), 0);
    let ask = |interface, family| must(container.addresses(interface, family, 0));
    assert!(ask(None, None).is_empty(), "lo only when it is named");
    assert_eq!(
        ask(Some("lo"), Some(Family::Inet)),
        ["10.9.8.7", "127.0.0.1"]
    );
    assert!(!ask(Some("lo"), Some(Family::Inet6)).contains(&"10.9.8.7".to_owned()));
    assert!(ask(Some("eth7"), None).is_empty());
    must(container.stop());
}

/// A monitor that does not answer must not keep its clients for longer than they said.
#[test]
fn a_state_that_is_not_told_in_time_is_an_error() {
    let Some(scene) = Scene::new("a_state_that_is_not_told_in_time_is_an_error") else {
        return;
    };
    let mut container = running(&scene);
    let monitor = scene.monitor_pid(container.name()).expect("it runs");
    let signal = |signal| rustix::process::kill_process(monitor, signal).expect("ours");
    signal(rustix::process::Signal::STOP);
    container.set_timeout(Some(Duration::from_millis(200)));
    let begun = Instant::now();
    let late = container.state().map_err(|error| error.kind());
    signal(rustix::process::Signal::CONT);
    assert_eq!(late, Err(ErrorKind::TimedOut));
    assert!(begun.elapsed() >= Duration::from_millis(200));
    container.set_timeout(None);
    assert_eq!(must(container.state()), State::Running);
    must(container.stop());
}

#[test]
fn the_last_words_of_the_console_are_read_once() {
    let Some(scene) = Scene::new("the_last_words_of_the_console_are_read_once") else {
        return;
    };
    // What is in the log is in the buffer already.
    let log = scene.files().join("console.log");
    let more = format!(
        "{FREEZABLE}\nlxc.pty.max = 16\nlxc.console.buffer.size = 4kB\nlxc.console.logfile = {}",
        log.display()
    );
    let name = scene.busybox("c1", &more);
    let container = scene.open(&name);
    let all = ConsoleLogRequest {
        read: true,
        ..ConsoleLogRequest::default()
    };
    let says = |words: &str| {
        let script = format!("echo {words} > /dev/console");
        assert_eq!(inside(&container, &script), 0);
        eventually("it is logged", || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            text.ends_with(&format!("{words}\r\n"))
        });
    };
    for _ in ["a first start", "another"] {
        must(container.start(&StartOptions::default()));
        let none = refused(container.console_log(&all));
        assert_eq!(none.errno(), Some(ENODATA), "{none}");
        says("one");
        says("two");
        let some = ConsoleLogRequest { read_max: 7, ..all };
        assert_eq!(must(container.console_log(&some)), b"one\r\ntw");
        assert_eq!(must(container.console_log(&all)), b"o\r\n");
        says("three");
        let clear = ConsoleLogRequest {
            clear: true,
            ..ConsoleLogRequest::default()
        };
        assert_eq!(must(container.console_log(&clear)), b"");
        let none = refused(container.console_log(&all));
        assert_eq!(none.errno(), Some(ENODATA), "{none}");
        // What nobody reads is not there after the next start.
        says("four");
        must(container.stop());
    }
}

/// Who has the console has it alone, and gives it back by letting go of it, however that comes.
#[test]
fn the_console_is_lent_to_one_at_a_time() {
    let Some(scene) = Scene::new("the_console_is_lent_to_one_at_a_time") else {
        return;
    };
    let container = running(&scene);
    for _ in 0..20 {
        let console = must(container.tty(0));
        assert_eq!(console.number, 0);
        assert!(rustix::termios::isatty(&console.master));
        let taken = refused(container.tty(0));
        assert_eq!(taken.errno(), Some(EBADF), "{taken}");
        assert_eq!(inside(&container, "echo seen > /dev/console"), 0);
        let mut text = Vec::new();
        while !text.ends_with(b"seen\r\n") {
            let mut part = [0; 64];
            let count = rustix::io::read(&console.master, &mut part).expect("it is shown");
            text.extend_from_slice(&part[..count]);
        }
        drop(console);
        eventually("the console is free again", || container.tty(0).is_ok());
        // Its viewer gone, what is said is not waited for.
        assert_eq!(inside(&container, "seq 2000 > /dev/console"), 0);
    }
    must(container.stop());
}
