//! The program as its users call it: names, options, texts, exit statuses. No container is needed.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use rstest::rstest;

const TOOLS: [&str; 17] = [
    "lxc-attach",
    "lxc-autostart",
    "lxc-cgroup",
    "lxc-console",
    "lxc-create",
    "lxc-destroy",
    "lxc-execute",
    "lxc-freeze",
    "lxc-info",
    "lxc-ls",
    "lxc-monitor",
    "lxc-start",
    "lxc-stop",
    "lxc-top",
    "lxc-unfreeze",
    "lxc-unshare",
    "lxc-wait",
];

/// Tools that are about no single container.
const NAMELESS: [&str; 4] = ["lxc-autostart", "lxc-ls", "lxc-monitor", "lxc-top"];

/// Tools without the options that all others have.
const PLAIN_TOOLS: [&str; 3] = ["lxc-config", "lxc-update-config", "lxc-usernsexec"];

/// Runs the program under the name `program`.
fn run(program: &str, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lxc"))
        .arg0(program)
        .args(words)
        .env_remove("POSIXLY_CORRECT")
        .output()
        .expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The scene of a failed expectation.
fn scene(output: &Output) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    format!(
        "{status}\nstdout: {}\nstderr: {}",
        text(stdout),
        text(stderr)
    )
}

#[rstest]
fn help_and_usage(#[values("--help", "--usage")] option: &str) {
    for tool in TOOLS {
        let output = run(tool, &[option]);
        assert!(
            output.status.success() && output.stdout.is_empty(),
            "{}",
            scene(&output)
        );
        insta::assert_snapshot!(format!("{tool}{option}"), text(&output.stderr));
    }
}

/// Every option of Debian's tools is one of ours, in the same place and form.
#[rstest]
fn usage_covers_the_peer(
    #[values(
        "lxc-attach",
        "lxc-autostart",
        "lxc-cgroup",
        "lxc-create",
        "lxc-destroy",
        "lxc-execute",
        "lxc-freeze",
        "lxc-info",
        "lxc-ls",
        "lxc-monitor",
        "lxc-start",
        "lxc-stop",
        "lxc-top",
        "lxc-unfreeze",
        "lxc-unshare",
        "lxc-wait"
    )]
    tool: &str,
) {
    let peer = Path::new("/usr/bin").join(tool);
    let Ok(theirs) = Command::new(&peer).arg("--usage").output() else {
        println!(
            "COULD NOT RUN: usage_covers_the_peer: there is no {}",
            peer.display()
        );
        return;
    };
    let brackets = |usage: &[u8]| -> Vec<String> {
        let usage = text(usage).replace("\n\t", "");
        usage
            .split("] ")
            .filter_map(|part| part.split_once('['))
            .map(|part| part.1.to_owned())
            .collect()
    };
    let ours = brackets(&run(tool, &["--usage"]).stderr);
    let theirs = brackets(&theirs.stderr);
    // One of their tools lists its help twice.
    let once = theirs.iter().enumerate();
    let once =
        once.filter(|(at, option)| *option != "-h|--help" || !theirs[at + 1..].contains(option));
    let theirs: Vec<&String> = once.map(|(_, option)| option).collect();
    assert!(theirs.len() >= 10, "{theirs:?}");
    let mut left = ours.iter();
    for option in theirs {
        assert!(
            left.any(|ours| ours == option),
            "{option} is missing in {ours:?}"
        );
    }
}

#[rstest]
fn version(#[values("lxc-info", "lxc-ls")] tool: &str) {
    let output = run(tool, &["--vers"]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        scene(&output)
    );
    // Scripts compare it with LXC's.
    assert_eq!(
        text(&output.stdout),
        format!("{}\n", lxc_runtime::LXC_VERSION)
    );
}

/// What is refused, with which exit status, in which words on stderr.
#[rstest]
#[case::no_name("lxc-info", &[], 1, "lxc-info: No container name specified\n")]
#[case::unknown_option("lxc-info", &["--nope", "x"], 1, "lxc-info: unrecognized option '--nope'\nUsage: ")]
#[case::ambiguous("lxc-info", &["--st"], 1, "lxc-info: option '--st' is ambiguous")]
#[case::question_mark("lxc-info", &["-?"], 1, "Usage: lxc-info ")]
#[case::help_first("lxc-info", &["--help", "--nope"], 0, "Usage: lxc-info ")]
#[case::two_paths("lxc-info", &["-Pa", "-Pb", "x"], 1, "only accepts 1 -P,--lxcpath")]
#[case::wait_without_state("lxc-wait", &["x"], 1, "Missing state option to wait for")]
#[case::wait_wrong_state("lxc-wait", &["x", "-s", "FOO"], 1, "FOO")]
#[case::wait_wrong_timeout("lxc-wait", &["x", "-s", "RUNNING", "-t", "soon"], 1, "Invalid timeout soon")]
#[case::stop_timeout("lxc-stop", &["-t", "-2", "x"], 1, "Invalid timeout -2")]
#[case::stop_kill_reboot("lxc-stop", &["-kr", "x"], 1, "-k can't be used with -r")]
#[case::stop_nolock("lxc-stop", &["--nolock", "x"], 1, "--nolock may only be used with -k")]
#[case::attach_privilege("lxc-attach", &["-e=CAP", "x"], 1, "\"=CAP\" is none of")]
#[case::attach_namespace("lxc-attach", &["-s", "FOO", "x"], 1, "\"FOO\" is none of MOUNT")]
#[case::attach_uid("lxc-attach", &["-uroot", "x"], 1, "--uid root: a number")]
#[case::attach_lsm("lxc-attach", &["x", "-e", "-clabel"], 1, "Cannot combine elevated LSM")]
#[case::cgroup_no_file("lxc-cgroup", &["x"], 1, "Missing state object")]
#[case::start_define("lxc-start", &["-s", "foo", "x"], 1, "KEY=VALUE is expected")]
#[case::create_no_template("lxc-create", &["x"], 1, "A template must be specified")]
#[case::create_dir("lxc-create", &["--dir", "foo", "-tn", "x"], 1, "--dir should use absolute path")]
#[case::create_storage("lxc-create", &["-tn", "-B", "lvmm", "x"], 1, "lvmm is not a valid backing storage type")]
#[case::ls_regex("lxc-ls", &["--filter", "("], 1, "an opening parenthesis without")]
#[case::ls_column("lxc-ls", &["-f", "-F", "name,foo"], 0, "Invalid key: foo\n")]
fn refusals(
    #[case] tool: &str,
    #[case] words: &[&str],
    #[case] code: i32,
    #[case] words_of_refusal: &str,
) {
    let output = run(tool, words);
    assert_eq!(output.status.code(), Some(code), "{}", scene(&output));
    assert!(
        text(&output.stderr).contains(words_of_refusal),
        "{}",
        scene(&output)
    );
    assert!(output.stdout.is_empty(), "{}", scene(&output));
}

/// Options of LXC that do nothing yet say so and stop the tool.
#[rstest]
#[case("lxc-attach", &["-R"])]
#[case("lxc-create", &["-t", "none", "--lvname", "x"])]
#[case("lxc-create", &["-t", "none", "-4", "1G"])]
#[case("lxc-create", &["-t", "none", "-B", "zfs"])]
#[case("lxc-ls", &["--nesting=2"])]
#[case("lxc-destroy", &["-s"])]
fn not_implemented_yet(#[case] tool: &str, #[case] words: &[&str]) {
    let output = run(tool, &[words, &["-n", "c1"]].concat());
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{}", scene(&output));
    assert!(message.contains("is refused: "), "{}", scene(&output));
    assert!(message.ends_with("implemented yet\n"), "{}", scene(&output));
    assert_eq!(message.lines().count(), 1, "{}", scene(&output));
}

#[rstest]
#[case("a/b")]
#[case("/")]
#[case(".")]
#[case("..")]
#[case("")]
fn names_that_cannot_be_one(#[case] name: &str) {
    let place = tempfile::tempdir().expect("a directory for containers");
    let path = place.path().to_str().expect("a path in UTF-8");
    for tool in TOOLS.into_iter().filter(|tool| !NAMELESS.contains(tool)) {
        let mut words = vec!["-P", path, "-l", "DEBUG", "-n", name];
        words.extend(match tool {
            "lxc-create" => ["-t", "none"],
            "lxc-wait" => ["-s", "STOPPED"],
            _ => ["--", "true"],
        });
        let output = run(tool, &words);
        assert_eq!(output.status.code(), Some(1), "{tool}: {}", scene(&output));
        assert!(!output.stderr.is_empty(), "{tool}: {}", scene(&output));
    }
    let left: Vec<_> = std::fs::read_dir(path)
        .expect("it is still there")
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn a_message_is_one_line_and_quiet_is_quiet() {
    let place = tempfile::tempdir().expect("a directory for containers");
    let path = place.path().to_str().expect("a path in UTF-8");
    let loud = run("lxc-info", &["-P", path, "-s", "nosuch"]);
    assert_eq!(loud.status.code(), Some(1), "{}", scene(&loud));
    let message = text(&loud.stderr);
    assert!(
        message.starts_with("lxc-info: nosuch: doesn't exist"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1, "{message}");
    let quiet = run("lxc-info", &["-P", path, "-qs", "nosuch"]);
    assert_eq!(
        (quiet.status.code(), quiet.stderr.len()),
        (Some(1), 0),
        "{}",
        scene(&quiet)
    );
}

/// LXC's scripts tell "not running" from other failures by the exit status.
#[test]
fn stopping_what_does_not_run_is_status_2() {
    let place = tempfile::tempdir().expect("a directory for containers");
    let path = place.path().to_str().expect("a path in UTF-8");
    let output = run("lxc-stop", &["-P", path, "nosuch"]);
    assert_eq!(output.status.code(), Some(2), "{}", scene(&output));
    assert_eq!(
        text(&output.stderr),
        "lxc-stop: nosuch: nosuch is not running\n"
    );
}

#[test]
fn an_empty_store_lists_nothing() {
    let place = tempfile::tempdir().expect("a directory for containers");
    let missing = place.path().join("missing");
    for words in [&["-f"][..], &["-1"], &[], &["-f", "--running"]] {
        let output = run(
            "lxc-ls",
            &[&["-P", missing.to_str().expect("UTF-8")], words].concat(),
        );
        let quiet = output.stdout.is_empty() && output.stderr.is_empty();
        assert!(
            output.status.success() && quiet,
            "{words:?}: {}",
            scene(&output)
        );
    }
    let output = run(
        "lxc-ls",
        &["-P", missing.to_str().expect("UTF-8"), "--json"],
    );
    assert_eq!(text(&output.stdout), "[]\n", "{}", scene(&output));
}

#[rstest]
#[case::by_path("/usr/sbin/lxc-info", &["--version"], 0)]
#[case::as_command("lxc", &["info", "--version"], 0)]
#[case::no_command("lxc", &[], 1)]
#[case::help("lxc", &["--help"], 1)]
#[case::unknown_command("lxc", &["frobnicate"], 1)]
#[case::template_is_no_command("lxc", &["busybox"], 1)]
#[case::another_name("something", &["wait"], 1)]
fn program_names(#[case] program: &str, #[case] words: &[&str], #[case] code: i32) {
    let output = run(program, words);
    assert_eq!(output.status.code(), Some(code), "{}", scene(&output));
}

#[test]
fn the_help_of_a_template_follows_that_of_create() {
    let output = run("lxc-create", &["-t", "busybox", "-h"]);
    assert!(output.status.success(), "{}", scene(&output));
    assert!(
        text(&output.stderr).starts_with("Usage: lxc-create "),
        "{}",
        scene(&output)
    );
    assert!(
        text(&output.stdout).starts_with("Usage: lxc-busybox "),
        "{}",
        scene(&output)
    );
}

#[test]
fn the_known_commands_are_listed() {
    let message = text(&run("lxc", &["frobnicate"]).stderr);
    assert!(
        message.starts_with("Unsupported command 'frobnicate'\n"),
        "{message}"
    );
    for tool in TOOLS.into_iter().chain(PLAIN_TOOLS) {
        let command = tool.strip_prefix("lxc-").expect("a tool's name");
        assert!(
            message.contains(&format!("\n  {command}\n")),
            "{command}: {message}"
        );
    }
}

#[test]
fn link_names_for_an_installation() {
    let names = text(&run("lxc", &["--applets"]).stdout);
    let tools = TOOLS.into_iter().chain(PLAIN_TOOLS);
    let others = ["libexec/lxc-monitord", "templates/lxc-busybox"];
    let mut wanted: Vec<&str> = tools.chain(others).collect();
    wanted.sort_unstable();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, wanted);
}

#[test]
fn an_argument_that_is_no_text_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let output = Command::new(env!("CARGO_BIN_EXE_lxc"))
        .arg0("lxc-info")
        .arg(OsStr::from_bytes(b"\xff"))
        .output()
        .expect("the program can be started");
    assert_eq!(output.status.code(), Some(1), "{}", scene(&output));
    assert!(
        text(&output.stderr).contains("not valid UTF-8"),
        "{}",
        scene(&output)
    );
}
