//! The repository's own scenarios, and what is written about them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lxc_harness::image;
use lxc_harness::scenario::{Act, Scenario, Subject, Wrong, load};

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// Those below `dir`, with the kernels that there are.
fn scenarios(dir: &Path) -> Vec<Scenario> {
    let kernels = image::kernels(&root()).unwrap();
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    load(dir, &names).unwrap_or_else(|wrong| {
        let shown: Vec<String> = wrong.iter().map(Wrong::to_string).collect();
        panic!("{}", shown.join("\n"))
    })
}

#[test]
fn the_repositorys_scenarios_are_right() {
    let scenarios = scenarios(&root().join("scenarios"));
    for scenario in &scenarios {
        assert!(
            scenario.title.len() <= 100,
            "{}: too long a title",
            scenario.file
        );
        assert!(!scenario.kernels.is_empty(), "{}", scenario.file);
    }
    let in_ci = scenarios.iter().filter(|scenario| scenario.ci).count();
    // Each costs some seconds of every test run: two kernels, three machines.
    assert!(
        (12..=40).contains(&in_ci),
        "{in_ci} scenarios belong to every test run"
    );
}

/// Whatever is started must be ended, or the census would have to say so on every kernel.
#[test]
fn every_container_that_is_started_is_ended() {
    for scenario in scenarios(&root().join("scenarios")) {
        for subject in Subject::ALL {
            let mut running = BTreeMap::new();
            for step in scenario.steps_of(subject) {
                match &step.act {
                    Act::Start(name) => running.insert(name, &step.at),
                    Act::Kill(name) | Act::Stop { name, .. } | Act::Wait { name, .. } => {
                        running.remove(name)
                    }
                    // A script may do anything; the refused start of a running one does nothing.
                    Act::Run(script) if script.contains("lxc-stop") => {
                        running.clear();
                        None
                    }
                    Act::Run(_)
                    | Act::Create(_)
                    | Act::Attach { .. }
                    | Act::Reboot { .. }
                    | Act::Freeze(_)
                    | Act::Unfreeze(_)
                    | Act::Cgroup { .. }
                    | Act::ConsoleLog(_)
                    | Act::Destroy(_) => None,
                };
            }
            let fails = |at: &&&String| {
                let step = scenario.steps.iter().find(|step| &step.at == **at).unwrap();
                step.expected(subject)
                    .ending
                    .is(lxc_guest::protocol::Ended::Exit(0))
            };
            let left: Vec<_> = running.values().filter(fails).collect();
            assert_eq!(left, Vec::<&&String>::new(), "{}", scenario.file);
        }
    }
}

#[test]
fn a_shell_understands_every_script() {
    for scenario in scenarios(&root().join("scenarios")) {
        let steps = scenario.steps.iter().filter_map(|step| match &step.act {
            Act::Run(script) => Some((&step.at, script)),
            _ => None,
        });
        let prepared = scenario.prepared.iter();
        let prepared = prepared.map(|prepared| (&prepared.at, &prepared.script));
        for (at, script) in steps.chain(prepared) {
            let ran = Command::new("sh")
                .args(["-n", "-c", script])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{at}: {said}");
        }
    }
}

#[test]
fn the_readme_tells_the_truth() {
    let readme = fs::read_to_string(root().join("scenarios/README.md")).unwrap();
    let examples: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let [whole, step, differs, left] = examples[..] else {
        panic!("{examples:#?}")
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder
        .path()
        .join("start/a-stopped-container-can-be-started-again.toml");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, whole).unwrap();
    let [scenario] = &scenarios(folder.path())[..] else {
        panic!("{whole}")
    };
    // The parts stand for themselves, and together.
    fs::write(&file, [whole, step, differs, left].concat()).unwrap();
    scenarios(folder.path());

    let config = scenario.containers[0].config.replace("demo", "NAME");
    let indented: String = config.lines().map(|line| format!("    {line}\n")).collect();
    assert!(readme.contains(&format!("\n\n{indented}\n")), "{indented}");
    let first = format!("its first line is line {}", config.lines().count() + 1);
    assert!(readme.contains(&first), "{first}");
}
