//! Manual pages as the program writes them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn man(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lxc"))
        .arg("--man")
        .args(words)
        .output()
        .expect("the program can be started")
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    String::from_utf8(output.stdout.clone()).expect("pages are UTF-8")
}

/// What groff writes for a page, and what it complains about; `None` where there is no groff.
fn set(page: &str) -> Option<(String, String)> {
    let mut groff = Command::new("groff")
        .args(["-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=90n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = groff.stdin.take().expect("a pipe");
    // A page is larger than a pipe: somebody has to read meanwhile.
    let page = page.to_owned();
    let writer = std::thread::spawn(move || input.write_all(page.as_bytes()));
    let output = groff.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("groff reads all");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr)))
}

#[test]
fn every_page_is_shown_without_a_warning() {
    let list = text(&man(&[]));
    for name in ["man1/lxc-ls.1", "man5/lxc.container.conf.5", "man7/lxc.7"] {
        assert!(list.lines().any(|line| line == name), "{name} in {list}");
    }
    for name in list.lines() {
        let page = text(&man(&[name]));
        let Some((shown, complaints)) = set(&page) else {
            println!("COULD NOT RUN: every_page_is_shown_without_a_warning: there is no groff");
            return;
        };
        assert_eq!(complaints, "", "{name}");
        assert!(
            shown.contains("NAME\n") && shown.contains("SEE ALSO\n"),
            "{name}:\n{shown}"
        );
    }
}

#[test]
fn a_page_says_what_the_help_says() {
    let page = text(&man(&["man1/lxc-stop.1"]));
    insta::assert_snapshot!("lxc-stop.1", page);
}

#[test]
fn a_page_that_there_is_not_is_refused() {
    let output = man(&["man1/lxc-nope.1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("there is no manual page \"man1/lxc-nope.1\""),
        "{said}"
    );
}
