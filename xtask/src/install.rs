//! `cargo xtask install`: everything that is built, laid out below a directory.

mod development;
mod filling;
pub mod pages;
mod placing;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::filling::Filling;
use self::placing::{at, files_below, link, put, put_unless_changed, symlink};
use crate::build::{self, Profile, Programs};
use crate::output::bounded;
use crate::project::{Outcome, Project};

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    let prefix = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--prefix", directory] if !directory.is_empty() => std::path::absolute(directory)?,
        _ => return Err("say where to: cargo xtask install --prefix DIR".into()),
    };
    let programs = build::programs(project, Profile::Release)?;
    let library = build::library(project, Profile::Release)?;
    let prefix: PathBuf = prefix.components().collect();
    install(
        project,
        &programs,
        Extent::Everything(&library),
        &prefix,
        &prefix,
    )?;
    println!("installed below {}", prefix.display());
    Ok(())
}

/// How much is laid out; each includes what stands above it.
#[derive(Clone, Copy)]
pub enum Extent<'a> {
    /// Programs, templates and shared configuration.
    Programs,
    /// And this C library, for programs that load it.
    Library(&'a Path),
    /// And headers, pkg-config's file and manual pages.
    Everything(&'a Path),
}

/// Lays files out below `place`; their texts name `prefix`, the absolute path at which all of it will
/// be found.
///
/// Each file is replaced in one rename: who runs or reads it sees the old or the new one. A
/// default.conf that differs from ours is kept.
pub fn install(
    project: &Project,
    programs: &Programs,
    extent: Extent,
    place: &Path,
    prefix: &Path,
) -> Outcome {
    let layout = Layout::below(place);
    let filling = Filling::with(prefix)?;
    install_programs(programs, &layout)?;
    share(project, &layout, &filling)?;
    match extent {
        Extent::Programs => {}
        Extent::Library(library) => install_library(project, library, &layout)?,
        Extent::Everything(library) => {
            install_library(project, library, &layout)?;
            development::install(project, &layout, &filling)?;
            pages::write(&layout.bin.join("lxc"), &layout.man)?;
        }
    }
    Ok(())
}

/// Installs for our own use below `target`, where nobody's changes are to be kept.
pub fn afresh(project: &Project, programs: &Programs, extent: Extent, prefix: &Path) -> Outcome {
    staged(project, programs, extent, prefix, prefix)
}

/// Like [`afresh`] in `place`, for a machine that will have it at `prefix`.
pub fn staged(
    project: &Project,
    programs: &Programs,
    extent: Extent,
    place: &Path,
    prefix: &Path,
) -> Outcome {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(place)(error).into()),
        _ => install(project, programs, extent, place, prefix),
    }
}

/// What stands in lib/lxc/rootfs, over which a container's root is mounted while it starts.
const ROOTFS_README: &str =
    "Containers' root file systems are mounted here, each in a mount namespace of its own.\n";

struct Layout {
    bin: PathBuf,
    data: PathBuf,
    etc: PathBuf,
    include: PathBuf,
    lib: PathBuf,
    libexec: PathBuf,
    man: PathBuf,
}

impl Layout {
    fn below(prefix: &Path) -> Layout {
        Layout {
            bin: prefix.join("bin"),
            data: prefix.join("share/lxc"),
            etc: prefix.join("etc/lxc"),
            include: prefix.join("include"),
            lib: prefix.join("lib"),
            libexec: prefix.join("libexec/lxc"),
            man: prefix.join("share/man"),
        }
    }
}

/// The tools and templates, which are one file of many names, and the monitor.
fn install_programs(programs: &Programs, layout: &Layout) -> Outcome {
    let lxc = layout.bin.join("lxc");
    let read = |file: &Path| fs::read(file).map_err(at(file));
    put(&lxc, &read(&programs.lxc)?, 0o755)?;
    for name in names(&lxc)? {
        let place = match (
            name.starts_with("templates/"),
            name.strip_prefix("libexec/"),
        ) {
            (true, _) => layout.data.join(&name),
            (false, Some(helper)) => layout.libexec.join(helper),
            (false, None) => layout.bin.join(&name),
        };
        link(&lxc, &place)?;
    }
    let monitor = layout.libexec.join("lxc-monitor");
    put(&monitor, &read(&programs.monitor)?, 0o755)
}

/// Files that are the same for every container, from `runtime/tools/share`.
fn share(project: &Project, layout: &Layout, filling: &Filling) -> Outcome {
    let source = project.root.join("runtime/tools/share");
    let readme = layout.lib.join("lxc/rootfs/README");
    put(&readme, ROOTFS_README.as_bytes(), 0o644)?;
    let functions = filling.file(&source.join("lxc.functions"))?;
    put(
        &layout.data.join("lxc.functions"),
        functions.as_bytes(),
        0o644,
    )?;
    for (folder, mode) in [("apparmor", 0o644), ("config", 0o644), ("hooks", 0o755)] {
        for file in files_below(&source.join(folder))? {
            let text = filling.file(&source.join(folder).join(&file))?;
            if file == Path::new("default.conf") {
                put_unless_changed(&layout.etc.join("default.conf"), &text)?;
            } else {
                put(&layout.data.join(folder).join(&file), text.as_bytes(), mode)?;
            }
        }
    }
    Ok(())
}

/// The library under its own name, the one that programs load, and the one that they are linked with.
fn install_library(project: &Project, library: &Path, layout: &Layout) -> Outcome {
    let version = development::Version::read(project)?;
    let file = format!("liblxc.so.{}", version.abi);
    let content = fs::read(library).map_err(at(library))?;
    put(&layout.lib.join(&file), &content, 0o644)?;
    symlink(&file, &layout.lib.join("liblxc.so.1"))?;
    symlink("liblxc.so.1", &layout.lib.join("liblxc.so"))
}

/// The names that the program answers to, from the program itself.
fn names(lxc: &Path) -> Outcome<Vec<String>> {
    let text = said(lxc, &["--applets"])?;
    program_names(&text).ok_or_else(|| {
        let lxc = lxc.display();
        format!("`{lxc} --applets` should print one tool a line, not {text:?}").into()
    })
}

/// What the installed program prints for `words`.
fn said(lxc: &Path, words: &[&str]) -> Outcome<String> {
    let output = bounded(Duration::from_secs(10), lxc).args(words).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!(
        "`{} {}` ended with {} and printed {text:?} {:?}",
        lxc.display(),
        words.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

/// The lines, each `lxc-NAME` or `templates/lxc-NAME`; None if a line is neither, or there is none.
fn program_names(lines: &str) -> Option<Vec<String>> {
    let plausible = |line: &str| {
        let folders = ["templates/", "libexec/"];
        let name = folders.iter().find_map(|folder| line.strip_prefix(folder));
        let name = name.unwrap_or(line);
        let name = name.strip_prefix("lxc-").unwrap_or_default();
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    };
    let names: Vec<String> = lines.lines().map(String::from).collect();
    (!names.is_empty() && names.iter().all(|name| plausible(name))).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_names_its_tools() {
        for (lines, expected) in [
            (
                "lxc-ls\nlibexec/lxc-monitord\ntemplates/lxc-busybox\n",
                Some(vec![
                    "lxc-ls",
                    "libexec/lxc-monitord",
                    "templates/lxc-busybox",
                ]),
            ),
            ("Usage: lxc COMMAND\n", None),
            ("lxc-create\n../x\n", None),
            ("lxc-create\ntemplates/../x\n", None),
            ("lxc-create\n\n", None),
            ("", None),
        ] {
            let names = program_names(lines);
            let expected = expected.map(|names| names.into_iter().map(String::from).collect());
            assert_eq!(names, expected, "{lines:?}");
        }
    }
}
