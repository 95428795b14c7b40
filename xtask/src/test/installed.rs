//! An installation as its users find it, at a path with a blank in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::verdicts::Verdicts;
use crate::build::{self, Profile, Programs};
use crate::install::{self, Extent};
use crate::output::bounded;
use crate::project::{Outcome, Project};

/// No program that is tried takes a second; the compiler and man take less than this.
const LIMIT: Duration = Duration::from_secs(60);

/// Installs below `target/test` and looks at it.
pub fn check(project: &Project) -> Outcome<Verdicts> {
    let programs = build::programs(project, Profile::Release)?;
    let library = build::library(project, Profile::Release)?;
    let prefix = project.target.join("test/a prefix");
    let everything = Extent::Everything(&library);
    install::afresh(project, &programs, everything, &prefix)?;
    let scene = Scene {
        project,
        programs,
        library,
        prefix,
    };
    let mut verdicts = Verdicts::default();
    for (name, look) in LOOKS {
        let verdict = match look(&scene) {
            Ok(None) => {
                println!("{name}");
                Verdicts::passed()
            }
            Ok(Some(missing)) => Verdicts::could_not_run(&format!("installed: {name}"), &missing),
            Err(error) => {
                println!("not so: {name}: {error}");
                Verdicts::failed()
            }
        };
        verdicts = verdicts.and(verdict);
    }
    Ok(verdicts)
}

struct Scene<'a> {
    project: &'a Project,
    programs: Programs,
    library: PathBuf,
    prefix: PathBuf,
}

/// What is looked at; `Some` is what this machine lacks for it.
type Look = fn(&Scene) -> Outcome<Option<String>>;

const LOOKS: &[(&str, Look)] = &[
    ("everything has its place and mode", everything_is_there),
    (
        "a second installation changes nothing",
        a_second_changes_nothing,
    ),
    ("texts name the prefix", texts_name_the_prefix),
    (
        "a C program is compiled against it and runs",
        a_c_program_runs,
    ),
    ("manual pages are shown without a warning", pages_are_clean),
];

/// One file of each kind, and how it shall be there.
const PLACES: &[(&str, u32)] = &[
    ("bin/lxc-start", 0o755),
    ("bin/lxc-config", 0o755),
    ("bin/lxc-update-config", 0o755),
    ("etc/lxc/default.conf", 0o644),
    ("include/lxc/attach_options.h", 0o644),
    ("include/lxc/lxccontainer.h", 0o644),
    ("include/lxc/version.h", 0o644),
    ("lib/liblxc.so", 0o644),
    ("lib/liblxc.so.1", 0o644),
    ("lib/lxc/rootfs/README", 0o644),
    ("lib/pkgconfig/lxc.pc", 0o644),
    ("libexec/lxc/lxc-monitor", 0o755),
    ("share/lxc/config/common.conf", 0o644),
    ("share/lxc/config/common.conf.d/README", 0o644),
    ("share/lxc/config/common.seccomp", 0o644),
    ("share/lxc/config/nesting.conf", 0o644),
    ("share/lxc/config/oci.common.conf", 0o644),
    ("share/lxc/config/userns.conf", 0o644),
    ("share/lxc/config/userns.conf.d/README", 0o644),
    ("share/lxc/hooks/clonehostname", 0o755),
    ("share/lxc/lxc.functions", 0o644),
    ("share/lxc/templates/lxc-busybox", 0o755),
    ("share/man/man1/lxc-start.1", 0o644),
    ("share/man/man5/lxc.conf.5", 0o644),
    ("share/man/man5/lxc.container.conf.5", 0o644),
    ("share/man/man7/lxc.7", 0o644),
];

fn everything_is_there(scene: &Scene) -> Outcome<Option<String>> {
    for (place, mode) in PLACES {
        let metadata =
            fs::metadata(scene.prefix.join(place)).map_err(|error| format!("{place}: {error}"))?;
        let found = metadata.permissions().mode() & 0o7777;
        if !metadata.is_file() || found != *mode {
            return Err(
                format!("{place}: a file of mode {mode:o}, not {found:o}, is wanted").into(),
            );
        }
    }
    let link = fs::read_link(scene.prefix.join("lib/liblxc.so.1"))?;
    match link.to_str() {
        Some(name) if name.starts_with("liblxc.so.1.") => Ok(None),
        _ => Err(format!("lib/liblxc.so.1 leads to {}", link.display()).into()),
    }
}

fn a_second_changes_nothing(scene: &Scene) -> Outcome<Option<String>> {
    let before = listing(&scene.prefix)?;
    let everything = Extent::Everything(&scene.library);
    let place = &scene.prefix;
    install::install(scene.project, &scene.programs, everything, place, place)?;
    let after = listing(&scene.prefix)?;
    let gone = before.iter().filter(|line| !after.contains(line));
    let new = after.iter().filter(|line| !before.contains(line));
    let changes: Vec<_> = gone.chain(new).cloned().collect();
    match changes.is_empty() {
        true => Ok(None),
        false => Err(format!("it changed {}", changes.join(", ")).into()),
    }
}

/// Path, mode and size of everything.
fn listing(prefix: &Path) -> Outcome<Vec<String>> {
    let mut lines = Vec::new();
    let mut left = vec![prefix.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let metadata = fs::symlink_metadata(&path)?;
            let mode = metadata.permissions().mode();
            lines.push(format!("{} {mode:o} {}", path.display(), metadata.len()));
            if metadata.is_dir() {
                left.push(path);
            }
        }
    }
    Ok(lines)
}

fn texts_name_the_prefix(scene: &Scene) -> Outcome<Option<String>> {
    let place = |below: &str| scene.prefix.join(below);
    let mut tool = bounded(LIMIT, place("bin/lxc-config"));
    expect(
        tool.arg("lxc.default_config"),
        &place("etc/lxc/default.conf"),
    )?;
    let mut shell = bounded(LIMIT, "sh");
    shell.args(["-euc", ". \"$0\"; echo \"$templatedir\""]);
    shell.arg(place("share/lxc/lxc.functions"));
    expect(&mut shell, &place("share/lxc/templates"))?;
    Ok(None)
}

fn expect(command: &mut Command, path: &Path) -> Outcome {
    let said = said(command)?;
    match said.trim_end() == path.to_string_lossy() {
        true => Ok(()),
        false => Err(format!("{command:?} printed {said:?}, not {}", path.display()).into()),
    }
}

fn a_c_program_runs(scene: &Scene) -> Outcome<Option<String>> {
    let scratch = scene.project.target.join("test/probe");
    fs::create_dir_all(&scratch)?;
    let (source, program) = (scratch.join("probe.c"), scratch.join("probe"));
    fs::write(&source, include_str!("probe.c"))?;
    let library = scene.prefix.join("lib");
    // A shell takes apart what pkg-config prints, as in a Makefile.
    let script = "eval \"cc -Wall -Werror -o '$1' '$0' $(pkg-config --cflags --libs lxc)\"";
    let mut compiler = bounded(LIMIT, "sh");
    compiler.args(["-euc", script]).args([&source, &program]);
    compiler.env("PKG_CONFIG_PATH", library.join("pkgconfig"));
    said(&mut compiler)?;
    let mut probe = bounded(LIMIT, &program);
    let said = said(probe.env("LD_LIBRARY_PATH", &library))?;
    let configuration = scene.prefix.join("etc/lxc/default.conf");
    match said.trim_end().splitn(3, ' ').collect::<Vec<_>>()[..] {
        [header, library, file] if header == library && Path::new(file) == configuration => {
            Ok(None)
        }
        _ => Err(format!("it printed {said:?}").into()),
    }
}

fn pages_are_clean(scene: &Scene) -> Outcome<Option<String>> {
    if bounded(LIMIT, "groff")
        .arg("--version")
        .output()?
        .status
        .code()
        == Some(127)
    {
        return Ok(Some("groff is not installed".to_owned()));
    }
    let mut count = 0;
    for section in fs::read_dir(scene.prefix.join("share/man"))? {
        for page in fs::read_dir(section?.path())? {
            let page = page?.path();
            let mut groff = bounded(LIMIT, "groff");
            groff.args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page);
            let output = groff.output()?;
            let complaint = String::from_utf8_lossy(&output.stderr);
            if !output.status.success() || !complaint.is_empty() {
                return Err(format!("{}: {complaint}", page.display()).into());
            }
            count += 1;
        }
    }
    match count {
        0 => Err("there are no pages".into()),
        _ => Ok(None),
    }
}

/// What it prints.
fn said(command: &mut Command) -> Outcome<String> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {text}{error}", output.status).into())
}
