//! The lock, written anew with what the mirrors have now.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::fetch::State;
use super::list::{self, KernelEntry, LockLine, Locked, star};
use super::packages::{self, IN_LOCK, PackageEntry};
use super::{Cache, Unavailable};

/// Pins the newest version of each kernel's packages in `vm-images/images.lock` of the repository
/// at `root`, and returns the lines that are new.
///
/// # Errors
/// A mirror cannot be asked, or has nothing that matches; the lock is then as it was.
pub fn relock(
    root: &Path,
    cache: &Cache,
    progress: &dyn Fn(&str),
) -> Result<Vec<String>, Unavailable> {
    let mut entries = list::entries(root).map_err(|wrong| Unavailable(wrong.to_string()))?;
    entries.retain(|entry| entry.like.is_none());
    let packages = packages::entries(root).map_err(|wrong| Unavailable(wrong.to_string()))?;
    let _turn = cache.turn("relock", progress)?;
    let tmp = cache.empty_tmp("relock")?;
    let mut suites: BTreeMap<String, Vec<Locked>> = BTreeMap::new();
    let mut lines = Vec::new();
    let wanted = entries.iter().map(|entry| &entry.suite);
    for suite in wanted.chain(packages.iter().map(|entry| &entry.suite)) {
        if !suites.contains_key(suite) {
            progress(&format!("asking the mirror for {suite}"));
            let state = State::fetch(&cache.apt, suite, tmp.0.join(suite));
            let text = state.and_then(|state| state.available());
            let text = text.map_err(|what| not_asked(suite, &what))?;
            suites.insert(suite.clone(), parse(&text));
        }
    }
    for entry in &entries {
        let all = suites
            .get(&entry.suite)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for locked in newest(entry, all)? {
            let (kernel, suite) = (entry.name.clone(), entry.suite.clone());
            lines.push(LockLine {
                kernel,
                suite,
                locked,
            });
        }
    }
    for entry in &packages {
        let all = suites.get(&entry.suite).into_iter().flatten();
        let (kernel, suite) = (IN_LOCK.to_owned(), entry.suite.clone());
        lines.push(LockLine {
            kernel,
            suite,
            locked: newest_of(entry, all)?,
        });
    }
    let before = std::fs::read_to_string(root.join("vm-images/images.lock")).unwrap_or_default();
    list::write_lock(root, &lines).map_err(Unavailable)?;
    let text = list::lock_text(&lines);
    let new = text
        .lines()
        .filter(|line| !before.lines().any(|old| old == *line));
    Ok(new.map(str::to_string).collect())
}

fn not_asked(suite: &str, what: &str) -> Unavailable {
    Unavailable(format!(
        "the packages of {suite} are not known: {what}; connect this machine to a Debian mirror"
    ))
}

/// The packages that `apt-cache dumpavail` describes: stanzas of `Field: value`.
fn parse(text: &str) -> Vec<Locked> {
    let field = |stanza: &str, name: &str| {
        let value = stanza
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::to_string)
    };
    let stanzas = text.split("\n\n").filter_map(|stanza| {
        Some(Locked {
            package: field(stanza, "Package")?,
            version: field(stanza, "Version")?,
            bytes: field(stanza, "Size")?.parse().ok()?,
            sha256: field(stanza, "SHA256")?,
        })
    });
    stanzas.collect()
}

/// The newest packages that match all of a kernel's patterns with the same text and version.
fn newest(entry: &KernelEntry, all: &[Locked]) -> Result<Vec<Locked>, Unavailable> {
    let mut best: Option<Vec<Locked>> = None;
    let first = entry
        .packages
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    for candidate in all {
        let Some(text) = star(first, &candidate.package) else {
            continue;
        };
        let set: Option<Vec<Locked>> = entry
            .packages
            .iter()
            .map(|pattern| {
                let name = pattern.replacen('*', text, 1);
                let same = |p: &&Locked| p.package == name && p.version == candidate.version;
                all.iter().find(same).cloned()
            })
            .collect();
        let Some(set) = set else { continue };
        let newer = match best.as_ref().and_then(|best| best.first()) {
            Some(best) => is_newer(&candidate.version, &best.version)?,
            None => true,
        };
        if newer {
            best = Some(set);
        }
    }
    best.ok_or_else(|| {
        let KernelEntry {
            name,
            suite,
            packages,
            ..
        } = entry;
        Unavailable(format!(
            "the mirror has nothing in {suite} that matches {} (of the kernel {name}); change \
             vm-images/kernels.toml",
            packages.join(", ")
        ))
    })
}

/// The newest version of a package.
fn newest_of<'a>(
    entry: &PackageEntry,
    all: impl Iterator<Item = &'a Locked>,
) -> Result<Locked, Unavailable> {
    let mut best: Option<&Locked> = None;
    for candidate in all.filter(|candidate| candidate.package == entry.name) {
        if match best {
            Some(best) => is_newer(&candidate.version, &best.version)?,
            None => true,
        } {
            best = Some(candidate);
        }
    }
    best.cloned().ok_or_else(|| {
        let PackageEntry { name, suite, .. } = entry;
        Unavailable(format!(
            "the mirror has no package {name} in {suite}; change vm-images/packages.toml"
        ))
    })
}

/// Which of two versions is newer; dpkg knows.
fn is_newer(version: &str, than: &str) -> Result<bool, Unavailable> {
    let status = Command::new("dpkg")
        .args(["--compare-versions", version, "gt", than])
        .status();
    let status =
        status.map_err(|error| Unavailable(format!("dpkg --compare-versions: {error}")))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "e7d02b943971edcb8790e256c02cfab3bca6c3d37c1bf25392a57c71300615ee";

    fn entry(packages: &str) -> KernelEntry {
        let text = format!("name = \"7.3\"\nsuite = \"s\"\npackages = {packages}\n");
        toml::from_str(&text).unwrap()
    }

    fn available(rows: &[(&str, &str)]) -> Vec<Locked> {
        let stanza = |(package, version): &(&str, &str)| {
            format!("Package: {package}\nVersion: {version}\nSize: 7\nSHA256: {SHA}\n")
        };
        parse(&rows.iter().map(stanza).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn the_newest_complete_set_is_taken() {
        let all = available(&[
            ("linux-a-7.3.9-x", "7.3.9-1"),
            ("linux-b-7.3.9-x", "7.3.9-1"),
            ("linux-a-7.3.10-x", "7.3.10-1"),
            ("linux-b-7.3.10-x", "7.3.10-1"),
            // One half is missing, or is another version.
            ("linux-a-7.3.11-x", "7.3.11-1"),
            ("linux-a-7.3.12-x", "7.3.12-1"),
            ("linux-b-7.3.12-x", "7.3.12-2"),
            ("linux-a-7.4.1-x", "7.4.1-1"),
            ("linux-b-7.4.1-x", "7.4.1-1"),
        ]);
        assert_eq!(all.len(), 9);
        let found = newest(&entry("[\"linux-a-7.3.*-x\", \"linux-b-7.3.*-x\"]"), &all).unwrap();
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["linux-a-7.3.10-x 7.3.10-1", "linux-b-7.3.10-x 7.3.10-1"]
        );
    }

    #[test]
    fn nothing_that_matches_is_said() {
        let error = newest(
            &entry("[\"linux-9.*-x\"]"),
            &available(&[("linux-8-x", "8")]),
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("nothing in s that matches linux-9.*-x"),
            "{error}"
        );
        assert!(parse("Package: half\n\nnonsense\n").is_empty());
    }
}
