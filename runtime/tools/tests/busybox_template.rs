//! The busybox template against Debian's shell script of that name: same tree, same lines.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

const PEER: &str = "/usr/share/lxc/templates/lxc-busybox";
const NAME: &str = "tools-template";

/// Runs a template as lxc-create does, in a directory of its own with a config in it.
fn fill(program: &str, place: &Path, more: &[&str]) -> Output {
    std::fs::create_dir_all(place).expect("a directory for the container");
    std::fs::write(place.join("config"), "lxc.net.0.type = empty\n").expect("a config");
    Command::new(program)
        .arg0("lxc-busybox")
        .arg(format!("--path={}", place.display()))
        .arg(format!("--name={NAME}"))
        .arg(format!("--rootfs={}", place.join("rootfs").display()))
        .args(more)
        .output()
        .expect("the template can be started")
}

fn fill_ours(place: &Path, more: &[&str]) -> Output {
    fill(env!("CARGO_BIN_EXE_lxc"), place, more)
}

/// Why this cannot be tested here.
fn missing() -> Option<&'static str> {
    let owner = std::fs::metadata("/proc/self")
        .map(|meta| meta.uid())
        .unwrap_or(u32::MAX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    if owner != 0 {
        Some("root is needed")
    } else if !std::env::split_paths(&path).any(|dir| dir.join("busybox").is_file()) {
        Some("there is no busybox in PATH")
    } else {
        None
    }
}

/// Path → type, mode, number of names, link target of everything below a directory.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            let meta = path.symlink_metadata().expect("an entry that stays");
            let mode = meta.permissions().mode();
            let what = if meta.is_symlink() {
                format!(
                    "link to {}",
                    std::fs::read_link(&path).expect("a link").display()
                )
            } else if meta.is_dir() {
                left.push(path.clone());
                format!("directory {mode:o}")
            } else {
                format!("file {mode:o} names {}", meta.nlink())
            };
            let path = path.strip_prefix(root).expect("below the root");
            found.insert(path.display().to_string(), what);
        }
    }
    found
}

/// The settings of a config: no comments, blanks or quotes.
fn settings(place: &Path) -> Vec<String> {
    let config = std::fs::read_to_string(place.join("config")).expect("a config");
    let place = place.to_str().expect("a path in UTF-8");
    config
        .lines()
        .filter(|line| line.starts_with("lxc."))
        .map(|line| line.replace(['"', ' '], "").replace(place, "PLACE"))
        .collect()
}

fn scene(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!(
        "{}\n{out}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_same_as_debians() {
    if let Some(why) = missing().or((!Path::new(PEER).is_file()).then_some("there is no peer")) {
        println!("COULD NOT RUN: the_same_as_debians: {why}");
        return;
    }
    let place = tempfile::tempdir().expect("a place for two containers");
    let (ours, theirs) = (place.path().join("ours"), place.path().join("theirs"));
    let output = fill_ours(&ours, &[]);
    assert!(output.status.success(), "{}", scene(&output));
    std::fs::create_dir_all(theirs.join("rootfs")).expect("a rootfs");
    let output = fill(PEER, &theirs, &[]);
    assert!(output.status.success(), "{}", scene(&output));

    assert_eq!(settings(&ours), settings(&theirs));
    let (our_tree, mut their_tree) = (tree(&ours.join("rootfs")), tree(&theirs.join("rootfs")));
    // Debian's script gives the directory of udhcpc's script the mode meant for a file.
    for what in their_tree
        .values_mut()
        .filter(|what| *what == "directory 40644")
    {
        *what = "directory 40755".to_owned();
    }
    assert_eq!(our_tree, their_tree);
    let content = |place: &Path, file: &str| std::fs::read(place.join("rootfs").join(file)).ok();
    for file in [
        "etc/passwd",
        "etc/group",
        "etc/fstab",
        "etc/shadow",
        "bin/busybox",
    ] {
        assert!(
            content(&ours, file) == content(&theirs, file),
            "{file} differs"
        );
    }
    // Comments apart, init shall do the same.
    for file in ["etc/inittab", "etc/init.d/rcS"] {
        let lines = |place: &Path| -> Vec<String> {
            let text = String::from_utf8(content(place, file).expect(file)).expect("text");
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(lines(&ours), lines(&theirs), "{file}");
    }
}

/// The shell of the guest itself must be able to read the scripts.
#[test]
fn the_scripts_are_shell() {
    if let Some(why) = missing() {
        println!("COULD NOT RUN: the_scripts_are_shell: {why}");
        return;
    }
    let place = tempfile::tempdir().expect("a place for a container");
    let output = fill_ours(place.path(), &[]);
    assert!(output.status.success(), "{}", scene(&output));
    let rootfs = place.path().join("rootfs");
    let scripts = tree(&rootfs)
        .into_keys()
        .filter(|path| path.ends_with("/rcS") || path.ends_with("/default.script"));
    let mut read = 0;
    for script in scripts {
        let shell = rootfs.join("bin/busybox");
        let output = Command::new(shell)
            .args(["sh", "-n"])
            .arg(rootfs.join(script))
            .output();
        let output = output.expect("busybox can be started");
        assert!(output.status.success(), "{}", scene(&output));
        read += 1;
    }
    assert_eq!(read, 2);
}

#[test]
fn what_it_refuses_changes_nothing() {
    if let Some(why) = missing() {
        println!("COULD NOT RUN: what_it_refuses_changes_nothing: {why}");
        return;
    }
    for (more, words) in [
        (&["--nope"][..], "unrecognized option '--nope'"),
        (
            &["--busybox-path=/nonexistent"],
            "no busybox at /nonexistent",
        ),
        (&["--busybox-path=/bin/true"], "it is no busybox"),
        (&["word"], "\"word\" is not understood"),
        (&["--name=a\nb"], "cannot be written into a configuration"),
    ] {
        let place = tempfile::tempdir().expect("a place for a container");
        let output = fill_ours(place.path(), more);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{more:?}: {}",
            scene(&output)
        );
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(words), "{more:?}: {}", scene(&output));
        assert_eq!(settings(place.path()), ["lxc.net.0.type=empty"], "{more:?}");
        assert!(!place.path().join("rootfs").exists(), "{more:?}");
    }
}

#[test]
fn a_link_in_the_rootfs_is_not_followed() {
    if let Some(why) = missing() {
        println!("COULD NOT RUN: a_link_in_the_rootfs_is_not_followed: {why}");
        return;
    }
    let place = tempfile::tempdir().expect("a place for a container");
    let outside = tempfile::tempdir().expect("a directory of the host");
    std::fs::create_dir(place.path().join("rootfs")).expect("a rootfs");
    std::os::unix::fs::symlink(outside.path(), place.path().join("rootfs/etc")).expect("a link");
    let output = fill_ours(place.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", scene(&output));
    assert_eq!(
        std::fs::read_dir(outside.path())
            .expect("it is there")
            .count(),
        0
    );
    assert_eq!(settings(place.path()), ["lxc.net.0.type=empty"]);
}

#[test]
fn its_help_succeeds() {
    let output = Command::new(env!("CARGO_BIN_EXE_lxc"))
        .arg0("lxc-busybox")
        .arg("-h")
        .output();
    let output = output.expect("the program can be started");
    assert!(output.status.success(), "{}", scene(&output));
    insta::assert_snapshot!("lxc-busybox-help", String::from_utf8_lossy(&output.stdout));
}
