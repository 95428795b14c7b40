//! The pages that are written from the tables.

use std::io::Write;
use std::process::{Command, Stdio};

/// The reference page as it is checked in, beside the source.
const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/KEYS.md");
/// Set to anything, it has the page written anew.
const RENEW: &str = "RENEW_KEYS";

#[test]
fn the_reference_page_is_up_to_date() {
    let page = lxc_config::reference();
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(CHECKED_IN, &page).expect("the page is written");
    }
    let checked_in = std::fs::read_to_string(CHECKED_IN).unwrap_or_default();
    assert!(
        page == checked_in,
        "KEYS.md is out of date; renew it with\n  {RENEW}=1 cargo test -p lxc-config --test reference"
    );
}

/// What `program` has to say about `page`; `None` when it is not installed.
fn complaints(program: &str, arguments: &[&str], page: &str) -> Option<String> {
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("could not run: {program} is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(page.as_bytes()).expect("the page is read");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(format!(
        "{text}{}",
        if output.status.success() {
            ""
        } else {
            "failed"
        }
    ))
}

#[test]
fn manual_pages_are_good_roff() {
    for page in [lxc_config::manual(), lxc_config::global_manual()] {
        assert!(
            page.is_ascii(),
            "roff wants its own words for other letters"
        );
        for (program, arguments) in [
            ("man", &["--warnings", "-l", "-"][..]),
            ("groff", &["-man", "-Tutf8", "-ww"][..]),
        ] {
            let complaints = complaints(program, arguments, &page);
            assert_eq!(complaints.unwrap_or_default(), "", "{program}");
        }
    }
}
