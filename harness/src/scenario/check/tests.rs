//! Every mistake a file can hold, at its line; and what a right one means.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use lxc_guest::protocol::{Feature, Layout, Rootfs, User};
use tempfile::TempDir;

use super::super::{Act, Door, Ending, Scenario, State, Subject, Wrong, load};

const KERNELS: &[&str] = &["5.10", "6.1", "6.12", "7.3"];

/// A folder of scenarios with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::with_prefix("scen-").unwrap();
    for (path, text) in files {
        let path = folder.path().join("scenarios").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load_all(files: &[(&str, &str)]) -> Result<Vec<Scenario>, Vec<Wrong>> {
    load(&folder(files).path().join("scenarios"), KERNELS)
}

/// The mistakes of `start/it-starts.toml` with this text, as they are shown.
fn mistakes(text: &str) -> Vec<String> {
    let wrong = load_all(&[("start/it-starts.toml", text)]).expect_err(text);
    wrong.iter().map(Wrong::to_string).collect()
}

/// A right beginning, three lines long; what is tried is appended.
const HEAD: &str = "title = \"it starts\"\n[container.demo]\n\n";

/// The same with one right step, three lines long.
const STEP: &str = "title = \"it starts\"\n[[step]]\nrun = \"true\"\n";

#[test]
fn every_value_is_resolved() {
    let text = r##"
title = "it starts, at last"
kernels = ["<6.1", "newest"]
cgroups = ["v2"]
needs = ["idmapped-mounts", "cgroup2"]
doors = ["tools", "library", "c"]
ci = true

[container.demo]
config = """
lxc.tty.max = 2
"""
rootfs = "empty"
[container.demo.files]
"hooks/fail" = "#!/bin/sh\nexit 1\n"

[[step]]
attach = "demo"
command = ["id", "-u"]
stdin = "x"
exit = [0, 3]
stdout = "0"
stderr_is = ""
state = { demo = "RUNNING" }
within = "2500ms"
[step.debian-lxc]
stdout = ["1", "2"]

[[step]]
wait = "demo"
until = "STOPPED|FROZEN"
signal = 9
[step.debian-lxc]
differs = "it never waits"
exit = 7

[after]
left_behind = [{ what = "file /root/*", why = "it is so", subject = "ours" }]
"##;
    let subjects =
        "[[left_behind]]\nwhat = \"file /run/lxc/*\"\nwhy = \"locks\"\nsubject = \"debian-lxc\"\n";
    let files = [
        ("start/it-starts.toml", text),
        ("subjects.toml", subjects),
        ("README.md", ""),
        ("security.md", ""),
    ];
    let scenarios = load_all(&files).unwrap();
    let [scenario] = &scenarios[..] else {
        panic!("{scenarios:?}")
    };
    assert_eq!(scenario.id(), "start/it-starts");
    assert_eq!(scenario.file, "scenarios/start/it-starts.toml");
    assert_eq!(
        scenario.kernels,
        ["5.10", "7.3"].map(String::from).into_iter().collect()
    );
    assert!(scenario.applies("7.3", Layout::V2));
    assert!(!scenario.applies("6.1", Layout::V2));
    assert!(!scenario.applies("7.3", Layout::V1));
    assert_eq!(scenario.needs, [Feature::IdmappedMounts, Feature::Cgroup2]);
    assert!(scenario.ci);
    let ways: Vec<String> = scenario.ways.iter().map(ToString::to_string).collect();
    let everybodys = [
        "ours",
        "ours, library",
        "ours, C library",
        "debian-lxc",
        "debian-lxc, C library",
    ];
    assert_eq!(ways, everybodys);

    let container = &scenario.containers[0];
    assert_eq!(
        (container.name.as_str(), container.rootfs),
        ("demo", Rootfs::Empty)
    );
    assert!(
        container
            .config
            .starts_with("lxc.rootfs.path = dir:/var/lib/lxc/demo/rootfs\n")
    );
    assert!(container.config.ends_with("\nlxc.tty.max = 2\n"));
    assert!(container.files.contains_key("hooks/fail"));

    let [attach, wait] = &scenario.steps[..] else {
        panic!("{:?}", scenario.steps)
    };
    assert_eq!(attach.at, "scenarios/start/it-starts.toml:17");
    assert_eq!(
        attach.act.argv(Door::Tools).join(" "),
        "lxc-attach -n demo -- id -u"
    );
    assert_eq!(attach.within, Duration::from_millis(2_500));
    assert_eq!(attach.asked(Subject::Ours), BTreeSet::from(["demo"]));
    let ours = attach.expected(Subject::Ours);
    let debian = attach.expected(Subject::DebianLxc);
    assert_eq!(ours.ending, Ending::Exit(vec![0, 3]));
    assert_eq!(ours.stdout.contains, ["0"]);
    assert_eq!(ours.stderr.is.as_deref(), Some(""));
    assert_eq!(ours.states["demo"], State::Running);
    // Without a reason to differ, more is asked of it, not less.
    assert_eq!(debian.stdout.contains, ["0", "1", "2"]);
    assert_eq!(debian.ending, ours.ending);

    assert_eq!(wait.expected(Subject::Ours).ending, Ending::Signal(9));
    assert_eq!(
        wait.expected(Subject::DebianLxc).ending,
        Ending::Exit(vec![7])
    );
    let differences: Vec<&str> = scenario
        .differences(Subject::DebianLxc)
        .map(|(_, reason)| reason)
        .collect();
    assert_eq!(differences, ["it never waits"]);
    assert!(matches!(&wait.act, Act::Wait { timeout: 10, .. }));

    let allowed: Vec<(&str, &str)> = scenario
        .allowed
        .iter()
        .map(|allowed| (allowed.at.as_str(), allowed.what.as_str()))
        .collect();
    let expected = [
        ("scenarios/start/it-starts.toml:38", "file /root/*"),
        ("scenarios/subjects.toml:1", "file /run/lxc/*"),
    ];
    assert_eq!(allowed, expected);
}

#[test]
fn ordinary_users_have_their_own_places() {
    let text = r##"
title = "it starts"
[files]
"/etc/lxc/lxc-usernet" = "alice veth br0 1"
"/home/alice/.config/lxc/default.conf" = ""
[container.hers]
owner = "alice"
shift = 200000
prepare = "ln -s / escape"
[container.roots]
[[step]]
user = "alice"
start = "hers"
[[step]]
start = "roots"
"##;
    let scenario = load_all(&[("start/it-starts.toml", text)])
        .unwrap()
        .remove(0);
    let files: Vec<_> = scenario
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.owner))
        .collect();
    let expected = [
        ("/etc/lxc/lxc-usernet", User::Root),
        ("/home/alice/.config/lxc/default.conf", User::Alice),
    ];
    assert_eq!(files, expected);
    let rootfs = "/home/alice/.local/share/lxc/hers/rootfs";
    let [hers, roots] = &scenario.containers[..] else {
        panic!("{:?}", scenario.containers)
    };
    assert_eq!((hers.owner, hers.shift), (User::Alice, 200_000));
    assert_eq!((roots.owner, roots.shift), (User::Root, 0));
    assert!(
        hers.config
            .starts_with(&format!("lxc.rootfs.path = dir:{rootfs}\n"))
    );
    let [prepared] = &scenario.prepared[..] else {
        panic!("{:?}", scenario.prepared)
    };
    assert_eq!(
        (prepared.rootfs.as_str(), prepared.script.as_str()),
        (rootfs, "ln -s / escape")
    );
    let users: Vec<User> = scenario.steps.iter().map(|step| step.user).collect();
    assert_eq!(users, [User::Alice, User::Root]);
}

#[test]
fn a_scenario_is_found_by_area_id_and_title() {
    let scenarios = load_all(&[("start/it-starts.toml", STEP)]).unwrap();
    for (pattern, expected) in [
        ("start", true),
        ("start/*", true),
        ("*/it-starts", true),
        ("it starts", true),
        ("it*", true),
        ("*", true),
        ("stop", false),
        ("it-starts", false),
        ("star", false),
    ] {
        assert_eq!(scenarios[0].matches(pattern), expected, "{pattern}");
    }
}

#[test]
fn a_form_that_is_not_kept_is_refused_at_its_line() {
    let rows: &[(String, usize, &str)] = &[
        ("title = \"it starts\"\nnonsense".into(), 2, ""),
        ("title = \"it starts".into(), 1, "string"),
        ("title = 3".into(), 1, "invalid type: integer `3`"),
        ("\ncgroups = [\"v2\"]".into(), 1, "missing field `title`"),
        (
            format!("{HEAD}[[step]]\nrun = \"true\"\nexpects = 0"),
            6,
            "unknown field `expects`",
        ),
        (format!("colour = 1\n{STEP}"), 1, "unknown field `colour`"),
        (format!("{HEAD}root = \"x\""), 4, "unknown field `root`"),
        (
            format!("{HEAD}rootfs = \"debian\""),
            4,
            "unknown variant `debian`",
        ),
        (
            format!("cgroups = [\n\"v2\",\n\"v3\"]\n{STEP}"),
            3,
            "unknown variant `v3`",
        ),
        (
            format!("needs = [\n\"flying\"]\n{STEP}"),
            2,
            "unknown variant `flying`",
        ),
        (
            format!("subjects = [\"crun\"]\n{STEP}"),
            1,
            "unknown variant `crun`",
        ),
        (
            format!("{STEP}only = \"crun\""),
            4,
            "unknown variant `crun`",
        ),
        (format!("{STEP}exit = \"zero\""), 4, "invalid type"),
        (format!("{STEP}exit = [0,\n true]"), 5, "invalid type"),
        (format!("{STEP}exit = 99999999999"), 4, "invalid value"),
        (format!("{STEP}stdout = 3"), 4, "invalid type"),
        (format!("{STEP}within = \"soon\""), 4, "\"soon\" is no time"),
        (format!("{STEP}within = \"0s\""), 4, "is no time"),
        (format!("{STEP}within = \"1e3s\""), 4, "is no time"),
        (format!("{STEP}within = \"\""), 4, "is no time"),
        (
            format!("{STEP}within = \"301s\""),
            4,
            "too long; at most 300s",
        ),
        (
            format!("{STEP}within = \"99999999999999999999s\""),
            4,
            "is no time",
        ),
        (
            format!("{STEP}within = \"9999999999999999999m\""),
            4,
            "is no time",
        ),
        (
            format!("{STEP}state = {{ demo = \"ASLEEP\" }}"),
            4,
            "unknown variant `ASLEEP`",
        ),
        (
            format!("{HEAD}[[step]]\nwait = \"demo\"\nuntil = \"STOPPED|\""),
            6,
            "\"\" is no state",
        ),
        (format!("{STEP}run = \"false\""), 4, "duplicate key"),
        (
            format!("{STEP}ours = {{ stdout = \"a\", stout = \"b\" }}"),
            4,
            "unknown field `stout`",
        ),
        (
            format!("{HEAD}[[step]]\ncgroup = {{ name = \"demo\" }}"),
            5,
            "missing field `file`",
        ),
        (
            format!(
                "{HEAD}[[step]]\ncgroup = {{ name = \"demo\", file = \"x\", content = \"y\" }}"
            ),
            5,
            "unknown field `content`",
        ),
        (
            format!("{STEP}[after]\nleft_behind = [{{ what = \"file /x\" }}]"),
            5,
            "missing field `why`",
        ),
    ];
    for (text, line, expected) in rows {
        let mistakes = mistakes(text);
        let place = format!("scenarios/start/it-starts.toml:{line}: ");
        assert_eq!(mistakes.len(), 1, "{text}\n{mistakes:?}");
        assert!(mistakes[0].starts_with(&place), "{text}\n{mistakes:?}");
        assert!(mistakes[0].contains(expected), "{text}\n{mistakes:?}");
        assert!(!mistakes[0].contains('\n'), "{mistakes:?}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_at_its_line() {
    let wait = "[[step]]\nwait = \"demo\"\nuntil = \"STOPPED\"";
    let rows: &[(String, usize, &str)] = &[
        (
            STEP.replace("it starts", "it stops"),
            1,
            "begin with the same words: it-starts here, it-stops",
        ),
        (
            STEP.replace("it starts", "it startsnow"),
            1,
            "begin with the same words",
        ),
        (
            format!("kernels = [\n\"6.1\",\n\"6.2\"]\n{STEP}"),
            3,
            "\"6.2\" is not in vm-images/kernels.toml",
        ),
        (
            format!("kernels = [\">=8\"]\n{STEP}"),
            1,
            "no kernel is >=8",
        ),
        (format!("kernels = []\n{STEP}"), 1, "kernels is empty"),
        (format!("cgroups = []\n{STEP}"), 1, "cgroups is empty"),
        (
            format!("cgroups = [\"v2\", \"v2\"]\n{STEP}"),
            1,
            "names something twice",
        ),
        (format!("\nsubjects = []\n{STEP}"), 2, "subjects is empty"),
        ("title = \"it starts\"".into(), 1, "there is no [[step]]"),
        (
            format!("files.\"etc/x\" = \"\"\n{STEP}"),
            1,
            "is no absolute path",
        ),
        (
            format!("files.\"/etc/../x\" = \"\"\n{STEP}"),
            1,
            "is no absolute path",
        ),
        (
            format!("{STEP}[container.a]\nshift = 0"),
            5,
            "moves nothing",
        ),
        (
            format!("{STEP}[container.a]\nprepare = \"\""),
            5,
            "it needs a line",
        ),
        (
            format!("{STEP}[container.a]\nrootfs = \"none\"\nprepare = \"true\""),
            6,
            "and the container one",
        ),
        (format!("{STEP}start = \"demo\""), 4, "not run and start"),
        (
            format!("{HEAD}[[step]]\nexit = 1"),
            4,
            "this does none: run, create,",
        ),
        (format!("{HEAD}[[step]]\nrun = \" \""), 5, "run is empty"),
        (
            format!("{HEAD}[[step]]\nstart = \"demmo\""),
            5,
            "no container is called \"demmo\"",
        ),
        (
            format!("{STEP}state = {{ x = \"STOPPED\" }}"),
            4,
            "no container is called \"x\"",
        ),
        (
            format!("{HEAD}[[step]]\ncreate = \"demo\""),
            5,
            "\"demo\" is there already",
        ),
        (
            format!("{HEAD}[[step]]\ncreate = \"a/b\""),
            5,
            "\"a/b\" is no name of a container",
        ),
        (
            format!("{STEP}[container.\"..\"]"),
            4,
            "is no name of a container",
        ),
        (
            format!("{STEP}[container.{}]", "n".repeat(65)),
            4,
            "at most 64",
        ),
        (
            format!("{HEAD}files = {{ \"../x\" = \"\" }}\n[[step]]\nstart = \"demo\""),
            4,
            "is no path below",
        ),
        (
            format!("{HEAD}files = {{ \"/etc/x\" = \"\" }}\n[[step]]\nstart = \"demo\""),
            4,
            "is no path below",
        ),
        (
            format!("{HEAD}files = {{ \"config\" = \"\" }}\n[[step]]\nstart = \"demo\""),
            4,
            "config is made",
        ),
        (
            format!("{HEAD}[[step]]\nattach = \"demo\""),
            5,
            "attach needs command",
        ),
        (
            format!("{HEAD}[[step]]\nattach = \"demo\"\ncommand = []"),
            6,
            "attach needs command",
        ),
        (
            format!("{STEP}command = [\"id\"]"),
            4,
            "command belongs to attach, not to run",
        ),
        (
            format!("{HEAD}[[step]]\nfreeze = \"demmo\""),
            5,
            "no container is called \"demmo\"",
        ),
        (
            format!("{HEAD}[[step]]\nconsole_log = \"demo\""),
            1,
            "no tool reads a console's buffer",
        ),
        (
            format!("{HEAD}[[step]]\nunfreeze = \"demo\"\ntimeout = 3"),
            6,
            "timeout belongs to wait, stop and reboot, not to unfreeze",
        ),
        (
            format!("{HEAD}[[step]]\ncgroup = {{ name = \"demmo\", file = \"pids.max\" }}"),
            5,
            "no container is called \"demmo\"",
        ),
        (
            format!(
                "{HEAD}[[step]]\nfreeze = \"demo\"\ncgroup = {{ name = \"demo\", file = \"pids.max\" }}"
            ),
            6,
            "not freeze and cgroup",
        ),
        (
            format!("{HEAD}[[step]]\ncgroup = {{ name = \"demo\", file = \"\" }}"),
            5,
            "cgroup needs a file",
        ),
        (
            format!(
                "{HEAD}[[step]]\ncgroup = {{ name = \"demo\", file = \"x\", value = \"a\\u0000b\" }}"
            ),
            5,
            "has a NUL",
        ),
        (
            format!("{HEAD}[[step]]\nwait = \"demo\""),
            5,
            "wait needs until",
        ),
        (
            format!("{STEP}until = \"STOPPED\""),
            4,
            "until belongs to wait, not to run",
        ),
        (
            format!("{HEAD}[[step]]\nkill = \"demo\"\ntimeout = 3"),
            6,
            "timeout belongs to wait, stop and reboot",
        ),
        (
            format!("{HEAD}{wait}\ntimeout = 20"),
            7,
            "ends after the step, which has 20s",
        ),
        (format!("{STEP}exit = 256"), 4, "from 0 to 255"),
        (format!("{STEP}exit = []"), 4, "from 0 to 255"),
        (format!("{STEP}signal = 0"), 4, "0 is no signal"),
        (format!("{STEP}exit = 1\nsignal = 9"), 5, "not by both"),
        (
            format!("subjects = [\"ours\"]\n{STEP}only = \"debian-lxc\""),
            5,
            "debian-lxc is not in subjects",
        ),
        (
            format!("subjects = [\"ours\"]\n{STEP}[step.debian-lxc]\nstdout = \"x\""),
            5,
            "debian-lxc is not in subjects",
        ),
        (
            format!("{STEP}only = \"ours\"\n[step.ours]\nstdout = \"x\""),
            5,
            "for one subject only",
        ),
        (
            format!("{STEP}[step.debian-lxc]\nexit = 1"),
            4,
            "say why: differs",
        ),
        (
            format!("{STEP}[step.ours]\nstate = {{}}"),
            4,
            "say why: differs",
        ),
        (
            format!("{STEP}[step.ours]\ndiffers = \"so\"\nexit = 1"),
            5,
            "ours never differs",
        ),
        (
            format!("{STEP}[step.debian-lxc]\ndiffers = \" \"\nexit = 1"),
            5,
            "say what differs, and why",
        ),
        (
            format!("{STEP}[step.debian-lxc]\ndiffers = \"so\""),
            4,
            "this is what everybody does",
        ),
        (
            format!("{STEP}only = \"ours\""),
            1,
            "no step is for debian-lxc",
        ),
        (
            format!("doors = [\"library\"]\n{STEP}"),
            1,
            "\"debian-lxc\" has no Rust library",
        ),
        (
            format!("subjects = [\"debian-lxc\"]\ndoors = [\"library\"]\n{STEP}"),
            2,
            "only \"ours\" has the library's door",
        ),
        (
            // Through the C library Debian's go as well.
            format!(
                "doors = [\"c\", \"tools\"]\n{STEP}[[step]]\nrun = \"lxc-ls\"\nonly = \"debian-lxc\"\n"
            ),
            1,
            "the C library's door has no lxc-ls",
        ),
        (
            format!(
                "doors = [\"library\", \"tools\"]\n{}",
                STEP.replace("\"true\"", "\"lxc-ls\"")
            ),
            1,
            "no lxc-ls, which scenarios/start/it-starts.toml:3 names",
        ),
        (
            format!("{STEP}[after]\nleft_behind = [{{ what = \"/x\", why = \"y\" }}]"),
            5,
            "begins with process,",
        ),
        (
            format!("{STEP}[after]\nleft_behind = [{{ what = \"gone link x\", why = \"\" }}]"),
            5,
            "say why this may",
        ),
    ];
    for (text, line, expected) in rows {
        let mistakes = mistakes(text);
        let place = format!("scenarios/start/it-starts.toml:{line}: ");
        let right = |mistake: &&String| mistake.starts_with(&place) && mistake.contains(expected);
        assert_eq!(
            mistakes.iter().filter(right).count(),
            1,
            "{text}\nexpected {place}… {expected}\n{mistakes:#?}"
        );
    }
}

#[test]
fn all_mistakes_of_all_files_are_told_at_once() {
    let files = [
        ("a/it-starts.toml", STEP),
        ("b/it-starts.toml", STEP),
        (
            "c/it-starts.toml",
            "kernels = [\"1\", \"2\"]\ntitle = \"x\"\n",
        ),
        ("c/broken.toml", "title ="),
        ("c/notes.txt", "hm"),
        ("c/.hidden", ""),
        ("c/it-starts.toml~", ""),
        ("c/deeper/it-starts.toml", STEP),
        ("stray.toml", STEP),
        (
            "subjects.toml",
            "[[left_behind]]\nwhat = \"file *\"\nwhy = \"\"\n",
        ),
    ];
    let wrong = load_all(&files).unwrap_err();
    let shown: Vec<String> = wrong
        .iter()
        .map(|wrong| format!("{}:{}", wrong.file, wrong.line))
        .collect();
    let expected = [
        "scenarios/b/it-starts.toml:0",
        "scenarios/c/broken.toml:1",
        "scenarios/c/deeper:0",
        "scenarios/c/it-starts.toml:1",
        "scenarios/c/it-starts.toml:1",
        "scenarios/c/it-starts.toml:1",
        "scenarios/c/it-starts.toml:2",
        "scenarios/c/notes.txt:0",
        "scenarios/stray.toml:0",
        "scenarios/subjects.toml:3",
    ];
    assert_eq!(shown, expected, "{wrong:#?}");
    let twice = wrong[0].to_string();
    assert!(
        twice.contains("that of scenarios/a/it-starts.toml too"),
        "{twice}"
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = folder(&[("a/it-starts.toml", STEP)]);
    let dir = folder.path().join("scenarios");
    fs::write(dir.join("a/latin.toml"), b"title = \"\xe9\"").unwrap();
    fs::write(dir.join("a/large.toml"), vec![b'#'; 300 << 10]).unwrap();
    std::os::unix::fs::symlink("/nowhere", dir.join("a/link.toml")).unwrap();
    let wrong = load(&dir, KERNELS).unwrap_err();
    let shown: Vec<String> = wrong.iter().map(Wrong::to_string).collect();
    for (shown, (file, what)) in shown.iter().zip([
        ("large.toml", "no plain file of at most 256 KiB"),
        (
            "latin.toml",
            "cannot read it: stream did not contain valid UTF-8",
        ),
        ("link.toml", "cannot stat it: No such file"),
    ]) {
        assert!(
            shown.starts_with(&format!("scenarios/a/{file}: ")),
            "{shown}"
        );
        assert!(shown.contains(what), "{shown}");
    }
    assert_eq!(shown.len(), 3, "{shown:?}");
    let missing = load(&folder.path().join("nothing"), KERNELS).unwrap_err();
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].what.starts_with("cannot list it"), "{missing:?}");
}
