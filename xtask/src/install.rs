//! `cargo xtask install`: the programs and their files, laid out below a directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::build::{self, Profile, Programs};
use crate::output::bounded;
use crate::project::{Outcome, Project};

/// Parts of an LXC installation that this tree does not build yet.
const NOT_YET: &str = "lib/liblxc.so.1, include/lxc, the man pages";

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    let prefix = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--prefix", directory] if !directory.is_empty() => std::path::absolute(directory)?,
        _ => return Err("say where to: cargo xtask install --prefix DIR".into()),
    };
    let programs = build::programs(project, Profile::Release)?;
    install(project, &programs, &prefix, &prefix)?;
    println!(
        "installed below {}; not there yet: {NOT_YET}",
        prefix.display()
    );
    Ok(())
}

/// Lays out `programs` and the shared files below `place`; the files' texts name `prefix`, the
/// absolute path at which all of it will be found.
///
/// Each file is replaced in one rename: who runs or reads it sees the old or the new one. A
/// default.conf that differs from ours is kept.
fn install(project: &Project, programs: &Programs, place: &Path, prefix: &Path) -> Outcome {
    let layout = Layout::below(place);
    let source = project.root.join("runtime/tools/share");

    let lxc = layout.bin.join("lxc");
    put(
        &lxc,
        &fs::read(&programs.lxc).map_err(at(&programs.lxc))?,
        0o755,
    )?;
    for name in names(&lxc)? {
        let below = match name.starts_with("templates/") {
            true => &layout.data,
            false => &layout.bin,
        };
        link(&lxc, &below.join(name))?;
    }
    let monitor = layout.libexec.join("lxc-monitor");
    put(
        &monitor,
        &fs::read(&programs.monitor).map_err(at(&programs.monitor))?,
        0o755,
    )?;

    put(
        &layout.lib.join("rootfs/README"),
        ROOTFS_README.as_bytes(),
        0o644,
    )?;
    for (folder, mode) in [("config", 0o644), ("hooks", 0o755), ("templates", 0o755)] {
        for file in files_below(&source.join(folder))? {
            if file.file_stem().is_some_and(|stem| stem == "README") {
                continue; // about the sources, not about an installation
            }
            let text = filled(&source.join(folder).join(&file), prefix)?;
            let place = match (folder, file.to_str()) {
                ("config", Some("default.conf")) => {
                    put_unless_changed(&layout.etc.join("default.conf"), &text)?;
                    continue;
                }
                _ => layout.data.join(folder).join(&file),
            };
            put(&place, text.as_bytes(), mode)?;
        }
    }
    Ok(())
}

/// Installs for our own use below `target`, where nobody's changes are to be kept.
pub fn afresh(project: &Project, programs: &Programs, prefix: &Path) -> Outcome {
    staged(project, programs, prefix, prefix)
}

/// Like [`afresh`] in `place`, for a machine that will have it at `prefix`.
pub fn staged(project: &Project, programs: &Programs, place: &Path, prefix: &Path) -> Outcome {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(place)(error).into()),
        _ => install(project, programs, place, prefix),
    }
}

/// What stands in lib/lxc/rootfs, over which a container's root is mounted while it starts.
const ROOTFS_README: &str =
    "Containers' root file systems are mounted here, each in a mount namespace of its own.\n";

struct Layout {
    bin: PathBuf,
    data: PathBuf,
    etc: PathBuf,
    lib: PathBuf,
    libexec: PathBuf,
}

impl Layout {
    fn below(prefix: &Path) -> Layout {
        Layout {
            bin: prefix.join("bin"),
            data: prefix.join("share/lxc"),
            etc: prefix.join("etc/lxc"),
            lib: prefix.join("lib/lxc"),
            libexec: prefix.join("libexec/lxc"),
        }
    }
}

/// The names that the program answers to, from the program itself.
fn names(lxc: &Path) -> Outcome<Vec<String>> {
    let output = bounded(Duration::from_secs(10), lxc)
        .arg("--applets")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    match program_names(&text) {
        Some(names) if output.status.success() => Ok(names),
        _ => Err(format!(
            "`{} --applets` should print one tool a line; it ended with {} and printed {text:?} {:?}",
            lxc.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}

/// The lines, each `lxc-NAME` or `templates/lxc-NAME`; None if a line is neither, or there is none.
fn program_names(lines: &str) -> Option<Vec<String>> {
    let plausible = |line: &str| {
        let name = line.strip_prefix("templates/").unwrap_or(line);
        let name = name.strip_prefix("lxc-").unwrap_or_default();
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    };
    let names: Vec<String> = lines.lines().map(String::from).collect();
    (!names.is_empty() && names.iter().all(|name| plausible(name))).then_some(names)
}

/// The text of `file` with `@PREFIX@` and its kin replaced by paths below `prefix`.
fn filled(file: &Path, prefix: &Path) -> Outcome<String> {
    let mut text = fs::read_to_string(file).map_err(at(file))?;
    for (word, below) in [
        ("@PREFIX@", ""),
        ("@BINDIR@", "bin"),
        ("@DATADIR@", "share"),
        ("@LIBDIR@", "lib"),
        ("@LIBEXECDIR@", "libexec"),
        ("@LOCALSTATEDIR@", "var"),
        ("@SYSCONFDIR@", "etc"),
    ] {
        let path = if below.is_empty() {
            prefix.to_path_buf()
        } else {
            prefix.join(below)
        };
        let path = path
            .to_str()
            .ok_or("the prefix must be UTF-8: it is written into files")?;
        text = text.replace(word, path);
    }
    match placeholder(&text) {
        None => Ok(text),
        Some(word) => {
            Err(format!("{}: {word} is not a placeholder known here", file.display()).into())
        }
    }
}

/// The first word of the form `@LETTERS@`.
fn placeholder(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split('@').collect();
    let inner = words.get(1..words.len().saturating_sub(1))?;
    let word = inner
        .iter()
        .find(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()))?;
    Some(format!("@{word}@"))
}

/// Paths of the files below `directory`, relative to it; none when it is not there.
fn files_below(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(here) = left.pop() {
        let entries = match fs::read_dir(directory.join(&here)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&directory.join(&here))(error).into()),
        };
        for entry in entries {
            let entry = entry?;
            let path = here.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                left.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    Ok(found)
}

fn put_unless_changed(place: &Path, text: &str) -> Outcome {
    match fs::read(place) {
        Ok(present) if present != text.as_bytes() => {
            println!(
                "kept {} as it is; the new one is default.conf.new",
                place.display()
            );
            put(
                &place.with_file_name("default.conf.new"),
                text.as_bytes(),
                0o644,
            )
        }
        _ => put(place, text.as_bytes(), 0o644),
    }
}

/// Writes a file aside and renames it into place.
fn put(place: &Path, content: &[u8], mode: u32) -> Outcome {
    let aside = aside(place)?;
    fs::write(&aside, content).map_err(at(&aside))?;
    fs::set_permissions(&aside, Permissions::from_mode(mode)).map_err(at(&aside))?;
    Ok(fs::rename(&aside, place).map_err(at(place))?)
}

/// Gives `file` a second name, replacing what has it.
fn link(file: &Path, name: &Path) -> Outcome {
    let aside = aside(name)?;
    fs::hard_link(file, &aside).map_err(at(&aside))?;
    Ok(fs::rename(&aside, name).map_err(at(name))?)
}

/// A free name beside `place`, in a directory that exists.
fn aside(place: &Path) -> Outcome<PathBuf> {
    let name = place.file_name().ok_or("a file must have a name")?;
    let directory = place.parent().ok_or("a file must be in a directory")?;
    fs::create_dir_all(directory).map_err(at(directory))?;
    let aside = directory.join(format!(".{}.new", name.to_string_lossy()));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(&aside)(error).into()),
        _ => Ok(aside),
    }
}

/// Adds the path to an error of the file system, which does not name it.
fn at(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn unknown_placeholders_are_found() {
        for (text, expected) in [
            ("a = @DATADIR@/x", Some("@DATADIR@")),
            ("mail me@home.org, you@home.org", None),
            ("@@", None),
            ("nothing", None),
            ("user@HOST", None),
        ] {
            assert_eq!(placeholder(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_file_and_its_second_name_are_replaced() {
        let sh = xshell::Shell::new().unwrap();
        let directory = sh.create_temp_dir().unwrap();
        let (file, name) = (
            directory.path().join("bin/lxc"),
            directory.path().join("bin/lxc-ls"),
        );
        for content in ["old", "new"] {
            put(&file, content.as_bytes(), 0o755).unwrap();
            link(&file, &name).unwrap();
            assert_eq!(fs::read_to_string(&name).unwrap(), content);
            assert_eq!(fs::metadata(&name).unwrap().nlink(), 2);
        }
        assert_eq!(
            fs::read_dir(directory.path().join("bin")).unwrap().count(),
            2
        );
    }

    #[test]
    fn a_changed_configuration_is_kept() {
        let sh = xshell::Shell::new().unwrap();
        let directory = sh.create_temp_dir().unwrap();
        let file = directory.path().join("default.conf");
        put_unless_changed(&file, "ours 1").unwrap();
        fs::write(&file, "theirs").unwrap();
        put_unless_changed(&file, "ours 2").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        let new = directory.path().join("default.conf.new");
        assert_eq!(fs::read_to_string(new).unwrap(), "ours 2");
    }

    #[test]
    fn the_program_names_its_tools() {
        for (lines, expected) in [
            (
                "lxc-ls\ntemplates/lxc-busybox\n",
                Some(vec!["lxc-ls", "templates/lxc-busybox"]),
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
