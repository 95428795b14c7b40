//! What becomes of a configuration that is loaded, changed and saved, also by several at once.

#[path = "../../tools/tests/support/mod.rs"]
mod support;

mod scene;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FlockOperation;

use lxc_runtime::{Config, Container, ErrorKind, StartOptions, global_item};
use scene::{Scene, must, refused};

/// Keys with one value each, so that a lost one is seen.
const KEYS: [(&str, &str); 10] = [
    ("lxc.uts.name", "host"),
    ("lxc.tty.max", "3"),
    ("lxc.pty.max", "7"),
    ("lxc.start.auto", "1"),
    ("lxc.start.delay", "4"),
    ("lxc.start.order", "5"),
    ("lxc.rootfs.mount", "/mnt"),
    ("lxc.signal.stop", "9"),
    ("lxc.hook.version", "1"),
    ("lxc.log.level", "3"),
];

fn mode(path: &Path) -> u32 {
    let found = std::fs::metadata(path).expect("it is there");
    found.permissions().mode() & 0o7777
}

#[test]
fn ten_objects_that_save_at_once_lose_none_of_their_keys() {
    const ROUNDS: usize = 8;
    let Some(scene) = Scene::new("ten_objects_that_save_at_once_lose_none_of_their_keys") else {
        return;
    };
    let name = scene.defined("c1", "# mine\nlxc.arch = x86_64");
    let file = scene.directory(&name).join("config");
    let (together, done) = (Barrier::new(KEYS.len()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) {
                let config = Config::load(&file).unwrap_or_else(|error| panic!("{error}"));
                assert!(config.text().starts_with("# mine\n"), "{}", config.text());
                reads += 1;
            }
            reads
        });
        let savers: Vec<_> = KEYS
            .iter()
            .enumerate()
            .map(|(number, (key, value))| {
                let (scene, name, together) = (&scene, &name, &together);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let mut container = scene.open(name);
                        let variable = format!("T{number}R{round}=1");
                        // Everybody has loaded before anybody saves; and everybody arrives here, or
                        // the others would wait for ever.
                        together.wait();
                        let saved = container
                            .set_config_item(key, value)
                            .and_then(|()| container.set_config_item("lxc.environment", &variable))
                            .and_then(|()| container.save_config());
                        together.wait();
                        must(saved);
                    }
                })
            })
            .collect();
        let saved: Vec<_> = savers.into_iter().map(|saver| saver.join()).collect();
        done.store(true, Ordering::SeqCst);
        assert!(
            saved.iter().all(Result::is_ok),
            "their own words stand above"
        );
        assert!(reader.join().expect("the reader's own words stand above") > 0);
    });
    let saved = scene.open(&name);
    for (key, value) in KEYS {
        let found = must(saved.config_item(key)).unwrap_or_default();
        let named = key == "lxc.log.level" || !found.is_empty();
        assert!(
            named && scene.text(&name).contains(&format!("{key} = {value}")),
            "{key}"
        );
    }
    let variables = must(saved.config_item("lxc.environment")).unwrap_or_default();
    assert_eq!(
        variables.lines().count(),
        KEYS.len() * ROUNDS,
        "{variables}"
    );
}

#[test]
fn what_others_saved_meanwhile_stays_and_own_changes_go_on_top() {
    let Some(scene) = Scene::new("what_others_saved_meanwhile_stays_and_own_changes_go_on_top")
    else {
        return;
    };
    let name = scene.defined(
        "c1",
        "lxc.cap.drop = sys_time\nlxc.net.0.type = veth\nlxc.uts.name = first",
    );
    let mut ours = scene.open(&name);
    must(ours.set_config_item("lxc.cap.drop", ""));
    must(ours.set_config_item("lxc.net.0.hwaddr", "00:16:3e:xx:xx:xx"));
    must(ours.clear_config_item("lxc.uts.name"));
    let address = must(ours.config_item("lxc.net.0.hwaddr"));
    let mut theirs = scene.open(&name);
    must(theirs.set_config_item("lxc.tty.max", "2"));
    must(theirs.set_config_item("lxc.cap.drop", "sys_module"));
    must(theirs.save_config());
    must(ours.save_config());
    let saved = scene.open(&name);
    for container in [&ours, &saved] {
        let item = |key| must(container.config_item(key));
        assert_eq!(item("lxc.tty.max").as_deref(), Some("2"));
        assert_eq!(item("lxc.cap.drop"), None);
        assert_eq!(item("lxc.uts.name"), None);
        assert_eq!(item("lxc.net.0.hwaddr"), address);
    }
    // Saved again, nothing is put on top a second time.
    let text = scene.text(&name);
    must(ours.save_config());
    assert_eq!(scene.text(&name), text);
}

#[test]
fn a_file_that_others_have_broken_is_left_as_it_is() {
    let Some(scene) = Scene::new("a_file_that_others_have_broken_is_left_as_it_is") else {
        return;
    };
    let name = scene.defined("c1", "lxc.tty.max = 1");
    let mut container = scene.open(&name);
    must(container.set_config_item("lxc.uts.name", "mine"));
    scene.configure(&name, "lxc.tty.max = many");
    let before = scene.text(&name);
    let error = refused(container.save_config());
    assert_eq!(error.kind(), ErrorKind::BadConfig);
    assert!(error.to_string().contains("nothing was written"), "{error}");
    assert!(
        error.to_string().contains("config:2: lxc.tty.max"),
        "{error}"
    );
    assert_eq!(scene.text(&name), before);
    assert_eq!(
        must(container.config_item("lxc.uts.name")).as_deref(),
        Some("mine")
    );
}

#[test]
fn after_a_clear_the_file_is_replaced_wholly() {
    let Some(scene) = Scene::new("after_a_clear_the_file_is_replaced_wholly") else {
        return;
    };
    let name = scene.defined("c1", "# mine\nlxc.tty.max = 1");
    let mut container = scene.open(&name);
    container.clear_config();
    assert!(!container.has_config());
    must(container.set_config_item("lxc.uts.name", "new"));
    scene.configure(&name, "lxc.pty.max = 3");
    must(container.save_config());
    assert_eq!(scene.text(&name), "lxc.uts.name = new\n");

    let mut other = scene.open(&name);
    must(
        other
            .config_mut()
            .set("lxc.tty.max", "4")
            .map_err(Into::into),
    );
    scene.configure(&name, "lxc.pty.max = 3");
    must(other.save_config());
    assert_eq!(scene.text(&name), "lxc.uts.name = new\nlxc.tty.max = 4\n");
}

#[test]
fn loading_adds_and_a_fault_changes_nothing() {
    let Some(scene) = Scene::new("loading_adds_and_a_fault_changes_nothing") else {
        return;
    };
    let name = scene.defined("c1", "lxc.cap.drop = sys_time\nlxc.tty.max = 1");
    let more = scene.file(
        "more.conf",
        0o644,
        "lxc.cap.drop = sys_module\nlxc.tty.max = 2\n",
    );
    let bad = scene.file("bad.conf", 0o644, "lxc.pty.max = 5\nlxc.colour = green\n");
    let mut container = scene.open(&name);
    must(container.load_config(Some(&more)));
    let item = |container: &Container, key| must(container.config_item(key)).unwrap_or_default();
    assert_eq!(item(&container, "lxc.cap.drop"), "sys_time\nsys_module\n");
    assert_eq!(item(&container, "lxc.tty.max"), "2");
    let error = refused(container.load_config(Some(&bad)));
    assert_eq!(error.kind(), ErrorKind::BadConfig);
    assert!(error.to_string().contains("bad.conf:2"), "{error}");
    assert_eq!(item(&container, "lxc.pty.max"), "0");
    refused(container.load_config(Some(Path::new("/nonexistent"))));
    container.clear_config();
    must(container.load_config(None));
    assert_eq!(item(&container, "lxc.cap.drop"), "sys_time\n");
    assert_eq!(
        must(container.config_keys(Some("lxc.cap"))),
        ["drop", "keep"]
    );
    for (key, errno) in [("lxc.colour", 22), ("lxc.include", 38)] {
        assert_eq!(
            refused(container.config_item(key)).errno(),
            Some(errno),
            "{key}"
        );
    }
    let mut nobody = scene.open(&scene.name("none"));
    assert!(must(nobody.config_keys(None)).contains(&"lxc.uts.name".to_owned()));
    let error = refused(nobody.load_config(None));
    assert_eq!(error.kind(), ErrorKind::NotDefined);
    refused(nobody.set_config_item("lxc.colour", "green"));
    assert!(
        !nobody.has_config(),
        "what is refused makes no configuration"
    );
}

#[test]
fn saving_makes_the_directory_and_writes_whole_files() {
    let Some(scene) = Scene::new("saving_makes_the_directory_and_writes_whole_files") else {
        return;
    };
    let name = scene.name("c1");
    let mut container = scene.open(&name);
    must(container.set_config_item("lxc.uts.name", "c1"));
    let elsewhere = scene.files().join("copy.conf");
    must(container.save_config_as(Some(&elsewhere)));
    assert!(!container.is_defined());
    assert_eq!(mode(&scene.directory(&name)), 0o770);
    assert_eq!(mode(&elsewhere), 0o640);
    assert_eq!(
        std::fs::read_to_string(&elsewhere).unwrap_or_default(),
        "lxc.uts.name = c1\n"
    );
    must(container.save_config());
    assert!(container.is_defined());
    assert_eq!(mode(&container.config_path()), 0o640);
    let lock = scene.lock_directory().join(format!(".{name}"));
    assert_eq!(mode(&lock), 0o600);
    let entries = std::fs::read_dir(scene.directory(&name)).expect("it was made");
    assert_eq!(entries.count(), 1, "nothing but the file itself");

    let moved = scene.files().join("moved");
    container.set_lxcpath(&moved);
    assert_eq!(container.config_path(), moved.join(&name).join("config"));
    assert!(!container.is_defined() && container.has_config());
}

/// Whoever can write where the locks are gains no file elsewhere by it.
#[test]
fn nothing_is_locked_behind_a_link() {
    let Some(scene) = Scene::new("nothing_is_locked_behind_a_link") else {
        return;
    };
    let name = scene.defined("c1", "lxc.tty.max = 1");
    let mut container = scene.open(&name);
    must(container.save_config());
    let lock = scene.lock_directory().join(format!(".{name}"));
    let elsewhere = scene.directory(&name).join("elsewhere");
    for there in [false, true] {
        std::fs::remove_file(&lock).expect("it is the last one's");
        if there {
            std::fs::write(&elsewhere, "kept").expect("it is ours");
        }
        std::os::unix::fs::symlink(&elsewhere, &lock).expect("it is gone");
        must(container.set_config_item("lxc.tty.max", "2"));
        let error = refused(container.save_config());
        assert!(error.to_string().contains("lock"), "{error}");
        // Who only reads does without it.
        scene.open(&name);
        let found = std::fs::read_to_string(&elsewhere).ok();
        assert_eq!(found.as_deref(), there.then_some("kept"));
    }
    let saved = std::fs::read_to_string(scene.directory(&name).join("config"));
    assert!(saved.is_ok_and(|text| text.contains("lxc.tty.max = 1")));
}

#[test]
fn a_save_waits_for_whoever_has_the_lock() {
    let Some(scene) = Scene::new("a_save_waits_for_whoever_has_the_lock") else {
        return;
    };
    let name = scene.defined("c1", "lxc.tty.max = 1");
    let mut container = scene.open(&name);
    assert!(!scene.lock_directory().exists(), "opening makes no lock");
    must(container.save_config());
    let lock = scene.lock_directory().join(format!(".{name}"));
    let held = std::fs::File::options()
        .write(true)
        .open(&lock)
        .expect("it stays");
    // A process' lock: to those of open files it is somebody else's, also within one process.
    rustix::fs::fcntl_lock(&held, FlockOperation::LockExclusive).expect("nobody else has it");
    let released = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let saves = scope.spawn(|| {
            must(container.set_config_item("lxc.tty.max", "2"));
            must(container.save_config());
            released.load(Ordering::SeqCst)
        });
        // Reading waits too: C LXC writes in place.
        let reads = scope.spawn(|| {
            scene.open(&name);
            released.load(Ordering::SeqCst)
        });
        let waiting = || {
            let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
            let inode = std::fs::metadata(&lock).expect("it stays").ino();
            locks
                .lines()
                .filter(|l| l.contains("->") && l.contains(&format!(":{inode} ")))
                .count()
        };
        support::eventually("both wait for the lock", || waiting() == 2);
        released.store(true, Ordering::SeqCst);
        drop(held);
        assert!(
            saves.join().expect("its words stand above"),
            "saved without the lock"
        );
        assert!(
            reads.join().expect("its words stand above"),
            "read without the lock"
        );
    });
    assert!(scene.text(&name).contains("lxc.tty.max = 2"));
}

#[test]
fn keys_without_effect_are_refused_at_start_by_name_and_place() {
    let Some(scene) = Scene::new("keys_without_effect_are_refused_at_start_by_name_and_place")
    else {
        return;
    };
    let name = scene.busybox("c1", "lxc.log.syslog = daemon");
    let container = scene.open(&name);
    let before = scene.census();
    let daemon = StartOptions::default();
    let foreground = StartOptions {
        foreground: true,
        ..StartOptions::default()
    };
    for error in [
        refused(container.start(&daemon)),
        refused(container.start(&foreground)),
        refused(container.plan(&daemon)),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotImplemented);
        let text = error.to_string();
        assert!(
            text.contains("lxc.log.syslog") && text.contains("config:"),
            "{text}"
        );
    }
    scene.is_as(&before);
}

#[test]
fn settings_of_the_installation() {
    for (key, value) in [
        ("lxc.bdev.zfs.root", Some("lxc")),
        ("lxc.bdev.rbd.rbduser", None),
    ] {
        assert_eq!(must(global_item(key)).as_deref(), value, "{key}");
    }
    assert!(must(global_item("lxc.lxcpath")).is_some());
    assert!(must(global_item("lxc.default_config")).is_some_and(|p| p.ends_with("default.conf")));
    for key in ["lxc.nope", "", "lxc.uts.name"] {
        assert_eq!(refused(global_item(key)).errno(), Some(22), "{key:?}");
    }
}
