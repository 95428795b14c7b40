//! What is logged where. Logging is the process' own: one test goes through it all.

#[path = "../../tools/tests/support/mod.rs"]
mod support;

mod scene;

use std::os::unix::fs::PermissionsExt;

use lxc_runtime::log::{LogOptions, close, init};
use scene::{Scene, must, refused};

#[test]
fn a_log_is_begun_once_until_it_is_closed() {
    let Some(scene) = Scene::new("a_log_is_begun_once_until_it_is_closed") else {
        return;
    };
    let path = |name: &str| scene.files().join(name).display().to_string();
    let text = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default();
    let (first, second) = (path("deep/first.log"), path("second.log"));
    let options = |file, level| LogOptions {
        name: Some("c1"),
        lxcpath: scene.lxcpath().to_str(),
        file,
        level,
        prefix: "p",
        quiet: true,
    };
    must(init(&options(Some(&first), Some("warn"))));
    let mode = std::fs::metadata(&first)
        .expect("it was made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o640);
    log::error!("one\ntwo");
    log::warn!("three");
    log::info!("four");
    let lines: Vec<String> = text("deep/first.log").lines().map(String::from).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let words: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(
        (words[0], words[1], words[3]),
        ("p", "c1", "ERROR"),
        "{lines:?}"
    );
    let stamp = words[2].split_once('.').expect("milliseconds");
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    assert!(stamp.0.len() == 14 && stamp.1.len() == 3 && digits(stamp.0) && digits(stamp.1));
    assert!(lines[0].ends_with("- one two"), "{lines:?}");

    // While it is open nothing changes it; not even what would fail.
    must(init(&options(Some(&second), None)));
    must(init(&options(Some("/proc/none/x.log"), None)));
    log::error!("five");
    assert!(text("deep/first.log").contains("five") && text("second.log").is_empty());
    close();
    log::error!("six");
    must(init(&options(Some(&second), Some("CRIT"))));
    log::error!("seven");
    close();
    must(init(&options(Some(&second), Some("NOTICE"))));
    log::info!("eight");
    log::warn!("nine");
    close();
    assert!(!text("deep/first.log").contains("six"));
    let second = text("second.log");
    assert!(
        second.contains("nine") && second.lines().count() == 1,
        "{second}"
    );

    let error = refused(init(&options(Some("/proc/none/x.log"), None)));
    assert!(
        error.errno().is_some() && error.to_string().contains("/proc/none"),
        "{error}"
    );
    let error = refused(init(&options(None, Some("LOUD"))));
    assert!(error.to_string().contains("LOUD"), "{error}");
    must(init(&options(Some("none"), None)));
    log::error!("ten");
    // Of another lxcpath than root's own the default file is the container's.
    must(init(&options(None, None)));
    log::error!("eleven");
    close();
    let own = scene.directory("c1").join("c1.log");
    let own = std::fs::read_to_string(own).unwrap_or_default();
    assert!(own.contains("eleven") && !own.contains("ten\n"), "{own}");
}
