//! `cargo xtask tidy`: the house rules that a machine can check.

mod manifests;
mod rust_text;
mod security;
mod sources;
mod status;
mod tree;

use self::tree::Tree;
use crate::command_line::no_arguments;
use crate::project::{Outcome, Project};

/// The crates of the house from the ground up: folder, package, the packages it may use.
///
/// One goes down the stairs, never up.
const STAIRS: &[(&str, &str, &[&str])] = &[
    ("runtime/kernel", "lxc-kernel", &[]),
    ("runtime/config", "lxc-config", &[]),
    ("runtime/config/fuzz", "lxc-config-fuzz", &["lxc-config"]),
    ("runtime/plan", "lxc-plan", &["lxc-config"]),
    (
        "runtime/engine",
        "lxc-engine",
        &["lxc-config", "lxc-plan", "lxc-kernel"],
    ),
    (
        "runtime/lxc",
        "lxc-runtime",
        &["lxc-config", "lxc-plan", "lxc-engine"],
    ),
    ("runtime/capi", "lxc-capi", &["lxc-runtime"]),
    ("runtime/tools", "lxc-tools", &["lxc-runtime"]),
    ("xtask", "xtask", &[]),
];

/// The two doors, to Linux and to C, behind which `unsafe` may stand.
const UNSAFE_CRATES: &[&str] = &["runtime/kernel", "runtime/capi"];

/// All that may lie at top level, besides dot files.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE",
    "runtime",
    "harness",
    "vm-images",
    "scenarios",
    "benches",
    "ci",
    "xtask",
];

/// Rust files of these names hold whatever found no better place.
const NAMES_OF_NOTHING: &[&str] = &["utils.rs", "common.rs", "misc.rs"];

/// A rule and where it is broken.
type Rule = (&'static str, fn(&Tree) -> Vec<String>);

const RULES: &[Rule] = &[
    ("stairs", manifests::stairs),
    ("argued-dependencies", manifests::argued_dependencies),
    ("unsafe", sources::unsafe_tokens),
    ("forbid-unsafe", sources::forbid_unsafe),
    ("crate-head", sources::crate_heads),
    ("top-level", sources::top_level),
    ("file-name", sources::file_names),
    ("machine-path", sources::machine_paths),
    ("status-table", status::agrees),
    ("security-table", security::proofs_exist),
];

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    no_arguments(arguments)?;
    let tree = Tree::read(&project.root)?;
    let broken = broken(&tree);
    if broken.is_empty() {
        println!(
            "tidy: {} rules hold for {} files",
            RULES.len(),
            tree.files.len()
        );
        return Ok(());
    }
    Err(format!("{} broken:\n{}", broken.len(), broken.join("\n")).into())
}

/// `rule: place: what is wrong`, in the order of the rules.
fn broken(tree: &Tree) -> Vec<String> {
    let broken_in = |(name, rule): &Rule| {
        rule(tree)
            .into_iter()
            .map(|what| format!("{name}: {what}"))
            .collect::<Vec<_>>()
    };
    RULES.iter().flat_map(broken_in).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xshell::Shell;

    const HEAD: &str = "//! A crate.\n//!\n//! **Is** one. **Knows** it. **Never** else.\n\
                        #![forbid(unsafe_code)]\n";

    /// A tree in which every rule holds.
    fn tidy_tree() -> Vec<(&'static str, String)> {
        let workspace = "[workspace]\n[workspace.dependencies]\n# Ours.\nlxc-plan = { path = \
                         \"runtime/plan\" }\n\nlibc = \"0.2\" # numbers\n";
        let plan = "[package]\nname = \"lxc-plan\"\n[dependencies]\nlxc-config.workspace = true\n";
        let kernel = "//! **Is** a. **Knows** b. **Never** c.\nfn f() { unsafe { g() } }\n";
        vec![
            ("Cargo.toml", workspace.to_string()),
            ("README.md", "Read /srv/work/ and /tmp/demo.\n".to_string()),
            (".ci/run", "#!/bin/sh\n".to_string()),
            ("runtime/plan/Cargo.toml", plan.to_string()),
            (
                "runtime/plan/src/lib.rs",
                format!("{HEAD}// unsafe is only a word here\n"),
            ),
            (
                "runtime/kernel/Cargo.toml",
                "[package]\nname = \"lxc-kernel\"\n".to_string(),
            ),
            ("runtime/kernel/src/lib.rs", kernel.to_string()),
        ]
    }

    /// The rules broken in the tidy tree after `path` got another text.
    fn broken_by(path: &str, text: &str) -> Vec<String> {
        let sh = Shell::new().unwrap();
        let directory = sh.create_temp_dir().unwrap();
        for (path, text) in tidy_tree() {
            sh.write_file(directory.path().join(path), text).unwrap();
        }
        sh.write_file(directory.path().join(path), text).unwrap();
        broken(&Tree::read(directory.path()).unwrap())
    }

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        let broken = broken_by(path, text);
        assert_eq!(broken.len(), expected.len(), "{path}: {broken:?}");
        for (broken, expected) in broken.iter().zip(expected) {
            assert!(
                broken.starts_with(expected),
                "{path}: {broken}, expected {expected}"
            );
        }
    }

    #[test]
    fn this_repository_is_tidy() {
        let project = Project::find().unwrap();
        let broken = broken(&Tree::read(&project.root).unwrap());
        assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    }

    #[test]
    fn a_tidy_tree_is_left_in_peace() {
        check("README.md", "Read.\n", &[]);
        check("runtime/kernel/tests/mounts.rs", "unsafe fn f() {}\n", &[]);
        check(
            "runtime/plan/src/text.rs",
            "const A: &str = \"unsafe { }\";\n",
            &[],
        );
    }

    #[test]
    fn a_crate_that_climbs_the_stairs_is_seen() {
        let manifest = |text: &str| format!("[package]\nname = \"lxc-plan\"\n{text}");
        for text in [
            "[dependencies]\nlxc-engine.workspace = true\n",
            "[dev-dependencies]\nlxc-kernel = { path = \"../kernel\" }\n",
            "[build-dependencies]\nlxc-kernel.workspace = true\n",
            "[target.'cfg(unix)'.dependencies]\nlxc-runtime.workspace = true\n",
            "[dependencies]\nhidden = { package = \"lxc-kernel\", path = \"../kernel\" }\n",
        ] {
            check(
                "runtime/plan/Cargo.toml",
                &manifest(text),
                &["stairs: runtime/plan"],
            );
        }
        check(
            "xtask/Cargo.toml",
            "[package]\nname = \"xtask\"\n[dependencies]\nlxc-config.workspace = true\n",
            &["stairs: xtask", "crate-head: xtask"],
        );
        let stranger = "[package]\nname = \"lxc-moon\"\n";
        let expected = [
            "stairs: runtime/moon: no such step",
            "crate-head: runtime/moon",
        ];
        check("runtime/moon/Cargo.toml", stranger, &expected);
        check(
            "runtime/plan/Cargo.toml",
            "[package\n",
            &["stairs: runtime/plan/Cargo.toml: "],
        );
    }

    #[test]
    fn a_dependency_without_its_reason_is_seen() {
        let text = "[workspace.dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n\nc = \"1\"\n\
                    d = { version = \"1\" } # because\n\n[profile.release]\nlto = \"thin\"\n";
        check(
            "Cargo.toml",
            text,
            &["argued-dependencies: Cargo.toml:6: c "],
        );
    }

    #[test]
    fn unsafe_outside_its_two_crates_is_seen() {
        let lib = "runtime/plan/src/lib.rs";
        check(
            lib,
            &format!("{HEAD}fn f() {{\n    unsafe {{}}\n}}\n"),
            &[&format!("unsafe: {lib}:6")],
        );
        let test = "runtime/plan/tests/x.rs";
        check(
            test,
            "/* unsafe */ unsafe fn f() {}\n",
            &[&format!("unsafe: {test}:1")],
        );
    }

    #[test]
    fn a_crate_root_that_does_not_forbid_unsafe_is_seen() {
        let head = "//! **Is** a. **Knows** b. **Never** c.\n";
        check(
            "runtime/plan/src/lib.rs",
            head,
            &["forbid-unsafe: runtime/plan/src/lib.rs"],
        );
        let commented = format!("{head}// #![forbid(unsafe_code)]\n");
        check(
            "runtime/plan/src/lib.rs",
            &commented,
            &["forbid-unsafe: runtime/plan/src/lib.rs"],
        );
        let program = "runtime/plan/src/bin/lxc-x.rs";
        check(
            program,
            "fn main() {}\n",
            &[&format!("forbid-unsafe: {program}")],
        );
    }

    #[test]
    fn a_crate_head_without_its_three_words_is_seen() {
        let head = "//! **Is** a. **Knows** b.\n#![forbid(unsafe_code)]\n// **Never** c.\n";
        check(
            "runtime/plan/src/lib.rs",
            head,
            &["crate-head: runtime/plan/src/lib.rs: no **Never"],
        );
    }

    #[test]
    fn a_stranger_at_top_level_is_seen() {
        check("notes.txt", "x\n", &["top-level: notes.txt"]);
        check("docs/a.md", "x\n", &["top-level: docs"]);
    }

    #[test]
    fn a_file_named_after_nothing_is_seen() {
        let path = "runtime/plan/src/utils.rs";
        check(path, "//! Things.\n", &[&format!("file-name: {path}")]);
    }

    #[test]
    fn a_status_table_that_says_something_else_is_seen() {
        let source = "const fn yes(name: &str) {}\nE: &[\n    yes(\"a\"),\n    no(\"b\"),\n];\n";
        let table = |first: &str, second: &str| {
            format!("| extension | implemented |\n|---|---|\n{first}\n{second}\n\n| `c` | yes |\n")
        };
        let told = |readme: String| {
            let sh = Shell::new().unwrap();
            let directory = sh.create_temp_dir().unwrap();
            let place = directory.path();
            sh.write_file(place.join("runtime/lxc/src/extensions.rs"), source)
                .unwrap();
            sh.write_file(place.join("README.md"), readme).unwrap();
            status::agrees(&Tree::read(place).unwrap())
        };
        assert!(told(table("| `a` | yes, all |", "| `b` | in part |")).is_empty());
        let wrong = told(table("| `a` | not yet |", "| `b` | yes |"));
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        let swapped = told(table("| `b` | not yet |", "| `a` | yes |"));
        assert!(swapped[0].contains("differs"), "{swapped:?}");
        assert_eq!(told(String::new()).len(), 1);
    }

    #[test]
    fn a_row_of_known_attacks_without_a_proof_is_seen() {
        let told = |rows: &str| {
            let sh = Shell::new().unwrap();
            let directory = sh.create_temp_dir().unwrap();
            let place = directory.path();
            let head = "| id | what was broken | proof |\n|---|---|---|\n";
            sh.write_file(place.join("runtime/security.md"), format!("{head}{rows}"))
                .unwrap();
            sh.write_file(place.join("scenarios/hostile/a.toml"), "")
                .unwrap();
            sh.write_file(place.join("runtime/x.rs"), "fn holds() {}\n")
                .unwrap();
            security::proofs_exist(&Tree::read(place).unwrap())
        };
        let good = "| 1 | a | `hostile/a.toml` |\n| 2 | b | `runtime/x.rs::holds`, `hostile/a.toml` |\n\
                    | 3 | c | later: images |\n";
        assert_eq!(told(good), Vec::<String>::new());
        for (row, expected) in [
            ("| 1 | a | |\n", "runtime/security.md:3: 1 has no proof"),
            (
                "| 1 | a | later: |\n",
                "runtime/security.md:3: 1 is for later",
            ),
            (
                "| 1 | a | `hostile/b.toml` |\n",
                "runtime/security.md:3: 1 names hostile/b.toml",
            ),
            (
                "| 1 | a | `runtime/x.rs::hold` |\n",
                "runtime/security.md:3: 1 names runtime/x.rs",
            ),
            (
                "| 1 | a | `runtime/x.rs` |\n",
                "runtime/security.md:3: 1 names runtime/x.rs",
            ),
            (
                "| 1 | a | later: x |\n| 1 | b | later: x |\n",
                "runtime/security.md:4: 1 stands",
            ),
            ("", "runtime/security.md: no row"),
        ] {
            let told = told(row);
            assert!(
                told.len() == 1 && told[0].starts_with(expected),
                "{row}: {told:?}"
            );
        }
    }

    #[test]
    fn a_path_of_somebodys_machine_is_seen() {
        for path in tree::MACHINE_PATHS {
            for text in [format!("cd {path}main\n"), format!("x=\"{path}x\"\n")] {
                check("ci/job.sh", &text, &["machine-path: ci/job.sh:1"]);
            }
        }
    }
}
