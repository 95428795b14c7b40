//! What the C interface costs, counted in system calls.

mod c_client;
#[path = "../../tools/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use c_client::{Door, Headers};
use support::{Call, could_not_run};

const OWNER: &str = "m7";
const LIMIT: Duration = Duration::from_secs(30);

/// Calls of the allocator, which come when it wants; of threads' and signals' bookkeeping; and the random
/// numbers that the first hash table of a thread draws for all that come after it.
const NOT_WORK: &[&str] = &[
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "madvise",
    "futex",
    "rt_sigprocmask",
    "getrandom",
];

struct Scene {
    door: Door,
    name: String,
    /// Lines of strace of the C program; what its children do is not among them.
    trace: Vec<String>,
}

/// The C program, traced, on a container whose configuration includes two files and a directory.
fn traced(test: &str) -> Option<Scene> {
    let door = Door::new(OWNER, test)?;
    if Call::new("sh")
        .args(["-c", "command -v strace"])
        .run()
        .code()
        != 0
    {
        could_not_run(test, "strace is not installed");
        return None;
    }
    let lab = door.lab();
    let files = lab.files();
    std::fs::create_dir(files.join("below")).expect("the laboratory is ours");
    lab.file("below/three.conf", 0o644, "lxc.group = three\n");
    lab.file("two.conf", 0o644, "lxc.group = two\n");
    let one = format!(
        "lxc.group = one\nlxc.include = {}/two.conf\n",
        files.display()
    );
    lab.file("one.conf", 0o644, &one);
    let includes = format!(
        "lxc.include = {0}/one.conf\nlxc.include = {0}/below/",
        files.display()
    );
    let name = lab.busybox("c1", &includes);
    let program = door.compiled("calls", Headers::Ours);
    let out = files.join("trace");
    let library_path = format!("LD_LIBRARY_PATH={}", door.prefix().join("lib").display());
    Call::new("strace")
        .args(["-qq", "-s", "4096", "-E", &library_path, "-o"])
        .arg(&out)
        .arg(&program)
        .arg(lab.lxcpath())
        .arg(&name)
        .within(LIMIT)
        .run()
        .exits(0);
    let trace = lines_of(&out);
    Some(Scene { door, name, trace })
}

fn lines_of(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("strace has written it");
    text.lines().map(String::from).collect()
}

impl Scene {
    /// The lines between two marks, without what is no work.
    fn between(&self, begin: &str, end: &str) -> Vec<&str> {
        let at = |mark: &str| {
            let mark = format!("\"mark {mark}\"");
            let found = self.trace.iter().position(|line| line.contains(&mark));
            found.unwrap_or_else(|| panic!("{mark} is not in the trace"))
        };
        let lines = self.trace[at(begin) + 1..at(end)]
            .iter()
            .map(String::as_str);
        lines.filter(|line| is_work(line)).collect()
    }
}

/// Neither bookkeeping, nor a signal that came (`--- SIGCHLD …`), nor what the standard library checks
/// before each close in a build with debug assertions, such as the tests'.
fn is_work(line: &str) -> bool {
    let checked = call_of(line) == "fcntl" && line.contains("F_GETFD");
    !NOT_WORK.contains(&call_of(line)) && !line.starts_with("---") && !checked
}

fn call_of(line: &str) -> &str {
    line.split('(').next().unwrap_or_default()
}

#[test]
fn each_file_of_a_configuration_is_opened_once() {
    let Some(scene) = traced("each_file_of_a_configuration_is_opened_once") else {
        return;
    };
    let lines = scene.between("open", "opened");
    let files = scene.door.lab().files();
    let own = scene.door.lab().directory(&scene.name).join("config");
    let expected: [PathBuf; 4] = [
        own,
        files.join("one.conf"),
        files.join("two.conf"),
        files.join("below/three.conf"),
    ];
    for file in expected {
        let named = format!("\"{}\"", file.display());
        let opened = lines
            .iter()
            .filter(|line| call_of(line).starts_with("open") && line.contains(&named));
        assert_eq!(opened.count(), 1, "{named} in\n{}", lines.join("\n"));
    }
}

#[test]
fn a_value_of_a_stopped_container_costs_no_system_call() {
    let Some(scene) = traced("a_value_of_a_stopped_container_costs_no_system_call") else {
        return;
    };
    assert_eq!(scene.between("get", "got"), Vec::<&str>::new());
}

#[test]
fn a_start_through_c_costs_no_more_than_our_tool() {
    let Some(scene) = traced("a_start_through_c_costs_no_more_than_our_tool") else {
        return;
    };
    let counted = |lines: &[&str]| {
        let mut counts = BTreeMap::<String, usize>::new();
        for line in lines.iter().filter(|line| is_work(line)) {
            *counts.entry(call_of(line).to_owned()).or_default() += 1;
        }
        counts
    };
    let lab = scene.door.lab();
    let out = lab.files().join("trace-of-the-tool");
    Call::new("strace")
        .args(["-qq", "-o"])
        .arg(&out)
        .arg(lab.prefix().join("bin/lxc-start"))
        .arg("-P")
        .arg(lab.lxcpath())
        .args(["-n", &scene.name, "--", "/bin/sleep", "1000"])
        .within(LIMIT)
        .run()
        .exits(0);
    lab.kill(&scene.name);
    let tool = lines_of(&out);
    let tool = counted(&tool.iter().map(String::as_str).collect::<Vec<_>>());
    let start = scene.between("start", "started");
    // The tool reads the configuration as well, so that it may do more; of nothing may C do more.
    let more: Vec<_> = counted(&start)
        .into_iter()
        .filter(|(call, count)| *count > tool.get(call).copied().unwrap_or(0))
        .map(|(call, count)| (tool.get(&call).copied().unwrap_or(0), call, count))
        .collect();
    assert!(
        more.is_empty(),
        "(by the tool, call, through C): {more:?}\n{}",
        start.join("\n")
    );
}
