//! lxc-config: settings of the installation, beside Debian's.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

const PEER: &str = "/usr/bin/lxc-config";

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lxc"))
        .arg0("lxc-config")
        .args(words)
        .output()
        .expect("the program can be started")
}

/// Exit status, and what is printed; nothing may stand on standard error.
fn answer(output: &Output) -> (Option<i32>, String) {
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

#[test]
fn the_items_are_listed() {
    let (code, text) = answer(&run(&["-l"]));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("lxc-config-l", text);
    assert_eq!(answer(&run(&["--list", "ignored"])), (code, text));
}

#[test]
fn help_is_printed_for_nothing_and_for_its_beginnings() {
    let (code, text) = answer(&run(&[]));
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("lxc-config--help", text);
    for word in ["", "-", "-h", "--", "--he", "--help"] {
        assert_eq!(answer(&run(&[word])), (Some(0), text.clone()), "{word:?}");
    }
}

#[test]
fn what_is_not_an_item_is_told_on_standard_output() {
    for word in ["-lx", "--helpx", "lxc.nope", "lxc.bdev.rbd.rbdpool"] {
        let wanted = format!("Unknown configuration item: {word}\n");
        assert_eq!(answer(&run(&[word])), (Some(1), wanted));
    }
}

#[test]
fn every_word_is_answered_as_debian_answers_it() {
    let words = [
        &["-l"][..],
        &["lxc"],
        &["lxc.lxcpath"],
        &["lxc.default_config"],
        &["lxc.bdev"],
        &["lxc.bdev.lvm.t", "ignored"],
        &["lxc.bdev.zfs.root"],
        &["lxc.cgroup"],
        &["lxc.cgroup.pattern"],
        &["lxc.cgroup.patternx"],
        &["--version"],
    ];
    for words in words {
        let Ok(theirs) = Command::new(PEER).args(words).output() else {
            println!(
                "COULD NOT RUN: every_word_is_answered_as_debian_answers_it: there is no {PEER}"
            );
            return;
        };
        assert_eq!(answer(&run(words)), answer(&theirs), "{words:?}");
    }
}
