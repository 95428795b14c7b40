//! lxc-update-config on files: what is written, and what is kept. The lines stand in unit tests.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

const OLD: &str = "# made by hand\nlxc.rootfs = /srv/c1\nlxc.utsname = c1\n\
                   lxc.network.type = veth\nlxc.network.ipv4.gateway = auto\n";
const NEW: &str = "# made by hand\nlxc.rootfs.path = dir:/srv/c1\nlxc.uts.name = c1\n\
                   lxc.net.0.type = veth\nlxc.net.0.ipv4.gateway = auto\n";

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lxc"))
        .arg0("lxc-update-config")
        .args(words)
        .output()
        .expect("the program can be started")
}

fn update(file: &Path) -> Output {
    run(&["-c", file.to_str().expect("a path in UTF-8")])
}

#[track_caller]
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_rewritten_and_its_old_text_kept() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("config");
    fs::write(&file, OLD).expect("it can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("ours");
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root {
        chown(&file, Some(1234), Some(4321)).expect("root may");
    }
    let before = fs::metadata(&file).expect("it is there");
    let output = update(&file);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let backup = place.path().join("config.backup");
    for (path, text) in [(&file, NEW), (&backup, OLD)] {
        assert_eq!(fs::read_to_string(path).expect("it is there"), text);
        let after = fs::metadata(path).expect("it is there");
        let facts = |of: &fs::Metadata| (of.mode(), of.uid(), of.gid());
        assert_eq!(facts(&after), facts(&before), "{}", path.display());
    }
    assert_eq!(names(place.path()), ["config", "config.backup"]);
}

#[test]
fn a_second_run_changes_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("config");
    fs::write(&file, OLD).expect("it can be written");
    update(&file);
    let inode = fs::metadata(&file).expect("it is there").ino();
    assert!(update(&file).status.success());
    assert_eq!(fs::metadata(&file).expect("it is there").ino(), inode);
    let backup = fs::read_to_string(place.path().join("config.backup"));
    assert_eq!(backup.expect("it is there"), OLD);
}

#[test]
fn a_link_stays_one() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, link) = (place.path().join("real"), place.path().join("config"));
    fs::write(&file, OLD).expect("it can be written");
    symlink("real", &link).expect("a link can be made");
    assert!(update(&link).status.success());
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&file).expect("it is there"), NEW);
    assert_eq!(names(place.path()), ["config", "real", "real.backup"]);
}

#[test]
fn what_cannot_be_rewritten_is_told_and_left_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let missing = place.path().join("missing");
    let binary = place.path().join("binary");
    fs::write(&binary, b"lxc.utsname = \xff\n").expect("it can be written");
    for (file, words) in [
        (missing.as_path(), "cannot find"),
        (place.path(), "cannot read"),
        (&binary, "cannot read"),
    ] {
        let output = update(file);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let whole = format!("lxc-update-config: {words} {}", file.display());
        assert!(said.starts_with(&whole), "{said}");
    }
    for words in [&["config"][..], &["-c"], &["--nope"], &["-c", "a", "b"]] {
        assert_eq!(run(words).status.code(), Some(1), "{words:?}");
    }
    assert_eq!(names(place.path()), ["binary"]);
}

#[test]
fn without_words_it_explains_itself() {
    let output = run(&[]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    insta::assert_snapshot!(
        "lxc-update-config--help",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(run(&["-h"]).stdout, output.stdout);
}

#[test]
fn debian_writes_the_same() {
    let place = tempfile::tempdir().expect("a directory");
    let (ours, theirs) = (place.path().join("ours"), place.path().join("theirs"));
    let text = format!(
        "{OLD}lxc.id_map = u 0 1 2\n#lxc.pts = 9\nlxc.tty=4\nlxc.mount = /x\n\
         lxc.mount.entry = a b c\nlxc.aa_profile = x\nlxc.se_context = y\nlxc.loglevel = 1\n\
         lxc.init_cmd = /i\nlxc.kmsg = 0\nlxc.network.ipv4 = 10.0.0.2/24\n\
         lxc.network.type = empty\nlxc.network.hwaddr = aa\nlxc.stopsignal = SIGKILL\n"
    );
    fs::write(&ours, &text).expect("it can be written");
    fs::write(&theirs, &text).expect("it can be written");
    let peer = Command::new("/usr/bin/lxc-update-config")
        .arg("-c")
        .arg(&theirs)
        .status();
    if !peer.is_ok_and(|status| status.success()) {
        println!("COULD NOT RUN: debian_writes_the_same: there is no lxc-update-config");
        return;
    }
    assert!(update(&ours).status.success());
    let read = |path: &Path| fs::read_to_string(path).expect("it is there");
    assert_eq!(read(&ours), read(&theirs));
}
