//! What is inside a Debian package.
//!
//! dpkg-deb unpacks: it is on every Debian, knows every packing that Debian ever used, and runs
//! beside us on the second processor. The tar stream that it writes is read here, so nothing but
//! the few files that are wanted is ever kept.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// Seconds after which dpkg-deb is taken to hang; a package of 50 MB takes it 5.
const DEADLINE: &str = "300";

/// A file or a link in a package.
pub(super) struct Packed {
    /// Without a `/` before it.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    File,
    /// A symbolic link, and where it leads.
    Link(String),
}

/// Gives `take` the path (without `./`) and content of every regular file of a package.
///
/// `take` reads as much as it wants.
pub(super) fn each_file(
    deb: &Path,
    mut take: impl FnMut(&str, &mut dyn Read) -> std::io::Result<()>,
) -> Result<(), String> {
    each_entry(deb, |entry, content| match entry.kind {
        Kind::File => take(&entry.path, content),
        Kind::Link(_) => Ok(()),
    })
}

/// The same of links too, with all that is known of each.
pub(super) fn each_entry(
    deb: &Path,
    mut take: impl FnMut(&Packed, &mut dyn Read) -> std::io::Result<()>,
) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", deb.display());
    let mut child = Command::new("timeout")
        .args(["--kill-after=5", DEADLINE, "dpkg-deb", "--fsys-tarfile"])
        .arg(deb)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("timeout dpkg-deb cannot be started: {error}"))?;
    let read = match child.stdout.take() {
        Some(stdout) => read_all(stdout, &mut take),
        None => Ok(()),
    };
    let ended = child.wait_with_output().map_err(wrong)?;
    // The end of the stream is the consequence; what dpkg-deb says is the cause.
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let said = said.lines().next().unwrap_or("nothing");
        return Err(format!(
            "{}: dpkg-deb ended with {}: {said}",
            deb.display(),
            ended.status
        ));
    }
    read.map_err(wrong)
}

fn read_all(
    stream: impl Read,
    take: &mut dyn FnMut(&Packed, &mut dyn Read) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let target = entry.link_name()?.unwrap_or_default();
        let kind = match entry.header().entry_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_symlink() => Kind::Link(target.to_string_lossy().into_owned()),
            _ => continue,
        };
        let path = entry.path()?.to_string_lossy().into_owned();
        let packed = Packed {
            path: path.trim_start_matches("./").to_owned(),
            mode: entry.header().mode()?,
            kind,
        };
        take(&packed, &mut entry)?;
    }
    // The padding behind the last entry: dpkg-deb would die of a closed pipe.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_of_a_package_are_given_with_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        fs::create_dir_all(tree.join("boot")).unwrap();
        let control = "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m\nDescription: d\n";
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        fs::write(tree.join("boot/a"), "first").unwrap();
        fs::write(tree.join("boot/b"), vec![7; 300_000]).unwrap();
        let deb = dir.path().join("p.deb");
        let built = Command::new("dpkg-deb")
            .args(["--root-owner-group", "-b"])
            .args([&tree, &deb])
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");

        let mut seen = Vec::new();
        each_file(&deb, |path, content| {
            let mut bytes = Vec::new();
            if path == "boot/a" {
                content.read_to_end(&mut bytes)?;
            }
            seen.push((path.to_string(), String::from_utf8(bytes).unwrap()));
            Ok(())
        })
        .unwrap();
        seen.sort();
        let expected = [("boot/a", "first"), ("boot/b", "")];
        assert_eq!(seen, expected.map(|(a, b)| (a.to_string(), b.to_string())));
    }

    #[test]
    fn what_is_no_package_is_an_error_in_dpkg_debs_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.deb");
        fs::write(&path, "not a package").unwrap();
        let error = each_file(&path, |_, _| Ok(())).unwrap_err();
        assert!(
            error.contains("x.deb") && error.contains("dpkg-deb"),
            "{error}"
        );
    }
}
