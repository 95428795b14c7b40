//! The library's door: what a program gets from `Container` and `Store`.

#[path = "../../tools/tests/support/mod.rs"]
mod support;

#[allow(dead_code)] // its main is for cargo run
#[path = "../examples/one_container.rs"]
mod example;

mod scene;

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use lxc_runtime::{
    AttachOptions, Command, Container, ErrorKind, StartOptions, Started, State, Store,
};
use scene::{Scene, must};
use support::eventually;

#[test]
fn names_that_cannot_be() {
    let long = "n".repeat(256);
    for name in ["", ".", "..", "a/b", "/", "a\nb", "a\0b", &*long] {
        let refused = Container::open(name, Some(Path::new("/nonexistent")));
        let kind = refused.map(|_| ()).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::BadName), "{name:?}");
    }
    let longest = "n".repeat(255);
    for name in ["a", "a.b", "-", "web 1", "ünï", &*longest] {
        let opened = Container::open(name, Some(Path::new("/nonexistent")));
        assert!(opened.is_ok(), "{name:?}: {opened:?}");
    }
}

#[test]
fn what_is_not_there_is_stopped_and_cannot_be_used() {
    let Some(lab) = Scene::new("what_is_not_there_is_stopped_and_cannot_be_used") else {
        return;
    };
    let mut container = lab.open(&lab.name("none"));
    assert!(!container.is_defined());
    assert!(container.config().is_none());
    assert_eq!(must(container.state()), State::Stopped);
    assert_eq!(must(container.init_pid()), None);
    assert!(must(container.may_control()));
    assert!(must(container.ips()).is_empty());
    assert_eq!(must(container.running_config_item("lxc.uts.name")), None);
    must(container.stop());
    let kind = container
        .start(&StartOptions::default())
        .map_err(|e| e.kind());
    assert_eq!(kind, Err(ErrorKind::NotDefined));
    let kind = container.destroy().map_err(|e| e.kind());
    assert_eq!(kind, Err(ErrorKind::NotDefined));
    let attached = container.attach(&AttachOptions::default());
    let kind = attached.map(|_| ()).map_err(|e| e.kind());
    assert_eq!(kind, Err(ErrorKind::NotRunning));
    assert!(lab.census().is_empty(), "{}", lab.census());
}

#[test]
fn configuration_is_set_read_saved_and_loaded() {
    let Some(lab) = Scene::new("configuration_is_set_read_saved_and_loaded") else {
        return;
    };
    let name = lab.defined(
        "c1",
        "# mine\nlxc.uts.name = before\nlxc.cap.drop = sys_time",
    );
    let mut container = lab.open(&name);
    let item = |container: &Container, key: &str| must(container.config_item(key));
    assert_eq!(item(&container, "lxc.uts.name").as_deref(), Some("before"));
    assert_eq!(item(&container, "lxc.rootfs.path"), None);
    must(container.set_config_item("lxc.uts.name", "after"));
    must(container.set_config_item("lxc.cap.drop", ""));
    for (key, value, kind) in [
        ("lxc.colour", "green", ErrorKind::BadConfig),
        ("lxc.tty.max", "many", ErrorKind::BadConfig),
    ] {
        let refused = container.set_config_item(key, value).map_err(|e| e.kind());
        assert_eq!(refused, Err(kind), "{key} = {value}");
    }
    assert_eq!(
        item(&lab.open(&name), "lxc.uts.name").as_deref(),
        Some("before")
    );
    must(container.save_config());
    let reloaded = lab.open(&name);
    assert_eq!(item(&reloaded, "lxc.uts.name").as_deref(), Some("after"));
    assert_eq!(item(&reloaded, "lxc.cap.drop"), None);
    let text = std::fs::read_to_string(container.config_path()).unwrap_or_default();
    assert!(text.starts_with("# mine\n"), "{text}");

    let other = lab.file("other.conf", 0o644, "lxc.uts.name = other\n");
    must(container.use_config_file(&other));
    assert_eq!(container.config_path(), other);
    let missing = container.use_config_file(Path::new("/nonexistent"));
    assert_eq!(missing.map_err(|e| e.kind()), Err(ErrorKind::BadConfig));
    assert_eq!(item(&container, "lxc.uts.name").as_deref(), Some("other"));
}

#[test]
fn a_life_through_the_library() {
    let Some(lab) = Scene::new("a_life_through_the_library") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    let mut container = lab.open(&name);
    let store = Store::open(Some(lab.lxcpath()));
    assert_eq!(must(store.defined()), [&*name]);
    assert!(must(store.active()).is_empty());

    let plan = must(container.plan(&StartOptions::default()));
    assert!(plan.contains("execute /sbin/init"), "{plan}");
    let begun = Instant::now();
    assert!(!must(
        container.wait(&[State::Running], Some(Duration::from_millis(300)))
    ));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let started = must(container.start(&StartOptions::default()));
    let pid = must(container.init_pid());
    assert_eq!(
        Some(started),
        pid.map(|init_pid| Started::Daemon { init_pid })
    );
    assert_eq!(must(container.state()), State::Running);
    assert_eq!(must(store.active()), [&*name]);
    assert!(must(
        container.wait(&[State::Running], Some(Duration::ZERO))
    ));
    assert!(!must(
        container.wait(&[State::Stopped], Some(Duration::ZERO))
    ));
    let again = container
        .start(&StartOptions::default())
        .map_err(|e| e.kind());
    assert_eq!(again, Err(ErrorKind::AlreadyRunning));
    let uts = must(container.running_config_item("lxc.uts.name"));
    assert_eq!(uts.as_deref(), Some(&*name));
    assert_eq!(must(container.interfaces()), ["lo"]);
    let kind = container.destroy().map_err(|e| e.kind());
    assert_eq!(kind, Err(ErrorKind::Other));

    for (script, status) in [("exit 0", 0), ("exit 3", 3 << 8), ("kill -9 $$", 9)] {
        let command = ["/bin/sh", "-c", script].map(String::from);
        let attached = must(container.attach(&AttachOptions {
            command: Command::Program(command.to_vec()),
            ..AttachOptions::default()
        }));
        assert_eq!(must(attached.wait()), status, "{script}");
    }

    assert!(must(container.reboot(Some(Duration::from_secs(10)))));
    assert_ne!(must(container.init_pid()), pid);
    // An init that has only just begun has no handler yet, and the kernel drops the signal.
    eventually("the new init runs its services", || {
        lab.inside(&name, &["pidof", "syslogd"]).code() == 0
    });
    assert!(must(container.shutdown(Some(Duration::from_secs(10)))));
    assert_eq!(must(container.state()), State::Stopped);
    lab.is_as(&before);
    must(container.destroy());
    assert!(!container.is_defined());
    assert!(lab.census().is_empty(), "{}", lab.census());
}

#[test]
fn a_program_in_the_foreground() {
    let Some(lab) = Scene::new("a_program_in_the_foreground") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let container = lab.open(&name);
    for (script, status) in [("exit 0", 0), ("exit 7", 7 << 8)] {
        let ended = must(container.start(&StartOptions {
            argv: ["/bin/sh", "-c", script].map(String::from).to_vec(),
            mini_init: true,
            foreground: true,
            ..StartOptions::default()
        }));
        assert_eq!(ended, Started::Ended { status }, "{script}");
    }
    let failed = container.start(&StartOptions {
        argv: vec!["/no/program".into()],
        foreground: true,
        ..StartOptions::default()
    });
    let error = failed.expect_err("there is no such program");
    assert!(error.to_string().contains("/no/program"), "{error}");
    assert_eq!(error.errno(), Some(2), "{error}");
}

/// A program with 64 threads, as Incus or a test runner is one: none waits for another's lock, and
/// none's descriptors end up in another's container.
#[test]
fn sixty_four_threads_start_and_stop_as_many_containers() {
    let Some(lab) = Scene::new("sixty_four_threads_start_and_stop_as_many_containers") else {
        return;
    };
    let first = lab.busybox("c0", "");
    let names: Vec<String> = (1..=64)
        .map(|number| lab.sibling(&first, &format!("c{number}")))
        .collect();
    let before = lab.census();
    let (together, all_run) = (Barrier::new(names.len()), Barrier::new(names.len()));
    std::thread::scope(|scope| {
        let threads: Vec<_> = names
            .iter()
            .map(|name| {
                let (lab, together, all_run) = (&lab, &together, &all_run);
                scope.spawn(move || {
                    let container = lab.open(name);
                    together.wait();
                    let started = container.start(&StartOptions::default());
                    let running = container.state();
                    // Everybody arrives here, or the others would wait for ever.
                    all_run.wait();
                    let stopped = container.stop();
                    must(started);
                    assert_eq!(must(running), State::Running, "{name}");
                    must(stopped);
                    assert_eq!(must(container.state()), State::Stopped, "{name}");
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("a thread's own words stand above");
        }
    });
    lab.is_as(&before);
}

/// Included and not executed: a test run need not have built examples.
#[test]
fn the_example_runs() {
    let Some(lab) = Scene::new("the_example_runs") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let rootfs = lab.rootfs(&name);
    let status = example::from_create_to_destroy(&rootfs.to_string_lossy(), lab.lxcpath());
    assert_eq!(must(status), 0, "the attached command failed");
    let kept = rootfs.join("bin/sh").exists();
    assert!(kept, "the rootfs was not the example's to remove");
    let gone = !lab.open("example").is_defined();
    assert!(gone, "{}", lab.census());
}

/// A rootfs path that is a slip of the pen must not cost the host a directory.
#[test]
fn destroy_spares_what_cannot_be_a_rootfs() {
    let Some(lab) = Scene::new("destroy_spares_what_cannot_be_a_rootfs") else {
        return;
    };
    let top = std::path::PathBuf::from(format!("/lxc-test-top-{}", std::process::id()));
    std::fs::create_dir(&top).expect("root may make a directory");
    let file = lab.lxcpath().join("a-file");
    std::fs::write(&file, "precious").expect("a file");
    for path in [top.as_path(), lab.lxcpath(), file.as_path(), Path::new("/")] {
        let line = format!("lxc.rootfs.path = {}", path.display());
        let name = lab.defined("precious", &line);
        let refused = lab.open(&name).destroy();
        let spared = path.exists() && lab.open(&name).is_defined();
        std::fs::remove_dir_all(lab.lxcpath().join(&name)).expect("the test's own directory");
        assert!(
            refused.is_err() && spared,
            "{}: {refused:?}",
            path.display()
        );
    }
    std::fs::remove_dir(&top).expect("it is still there, and empty");
}
