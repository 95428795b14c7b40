//! Who is tried: an install tree of ours, or Debian's LXC as this host has it installed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::elf;
use super::payload::Payload;

/// Where our install tree lies in the machine.
const OURS: &str = "/opt/lxc-runtime";

/// Where the tools of Debian's LXC lie in the machine.
const PEER: &str = "/opt/debian-lxc";

/// How paths of the tools begin on a host.
const TOOLS_THERE: &str = "/usr/bin/lxc-";

/// Debian's packages of LXC.
const PACKAGES: [&str; 3] = ["lxc", "liblxc1", "liblxc-common"];

/// The tools that scenarios use. Each is a megabyte, so the others stay behind.
const TOOLS: [&str; 17] = [
    "attach",
    "autostart",
    "cgroup",
    "console",
    "create",
    "destroy",
    "execute",
    "freeze",
    "info",
    "ls",
    "monitor",
    "start",
    "stop",
    "unfreeze",
    "unshare",
    "usernsexec",
    "wait",
];

/// Where files of the packages are taken from, beside the tools.
const TREES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/lxc/",
    "/usr/libexec/lxc/",
    "/usr/sbin/init.lxc",
    "/usr/share/lxc/",
];

/// Files of those that only the tools left behind use.
const LEFT_OUT: [&str; 5] = [
    "/usr/libexec/lxc/lxc-containers",
    "/usr/libexec/lxc/lxc-net",
    "/usr/libexec/lxc/lxc-user-nic",
    "/usr/share/lxc/selinux/",
    "/usr/share/lxc/lxc-patch.py",
];

/// Where both find the beginning of new containers' configs.
const DEFAULT: &str = "/etc/lxc/default.conf";

/// The config of containers that name none. The host's own may be anything.
const DEFAULT_CONFIG: &str = "lxc.net.0.type = empty\n";

/// Where the loader looks for libraries, in its order.
const LIBRARIES: [&str; 4] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib",
    "/usr/lib",
];

/// Adds an install tree of ours, as `cargo xtask install` makes it, at /opt/lxc-runtime.
///
/// # Errors
/// The tree has no bin/lxc, or a library that a program of it needs is not on this host.
pub fn ours(payload: &mut Payload, prefix: &Path) -> Result<(), String> {
    let program = prefix.join("bin/lxc");
    if !program.is_file() {
        return Err(format!(
            "{} is not there; make the tree with `cargo xtask install --prefix {}`",
            program.display(),
            prefix.display()
        ));
    }
    payload.copy(OURS, prefix);
    // One file for everybody: a scenario that writes another means both.
    payload
        .text(DEFAULT, DEFAULT_CONFIG, 0o644)
        .link(&format!("{OURS}{DEFAULT}"), DEFAULT);
    add_libraries(payload)
}

/// Adds Debian's LXC, as installed on this host, and returns its version.
///
/// All is at its own paths but the tools, which are in /opt/debian-lxc/bin: where a scenario tries
/// ours, a tool that we lack must be missing.
///
/// # Errors
/// It is not installed, or a library that a program of it needs is not on this host.
pub fn debian_lxc(payload: &mut Payload) -> Result<String, String> {
    let remedy = "install the package lxc";
    let version = dpkg_query(&["-W", "-f", "${Version}", "lxc"])
        .map_err(|what| format!("Debian's lxc is not installed ({what}); {remedy}"))?;
    let mut words = vec!["-L"];
    words.extend(PACKAGES);
    let files = dpkg_query(&words).map_err(|what| {
        format!(
            "not all of {} are installed ({what}); {remedy}",
            PACKAGES.join(", ")
        )
    })?;
    for path in files.lines().filter(|path| is_wanted(path)) {
        let meta =
            fs::symlink_metadata(path).map_err(|error| format!("{path}: {error}; {remedy}"))?;
        if meta.is_dir() {
            payload.directory(path, 0o755);
        } else {
            payload.copy(&place(path), Path::new(path));
        }
    }
    payload.text(DEFAULT, DEFAULT_CONFIG, 0o644);
    if !payload.has(&place("/usr/bin/lxc-start")) {
        return Err(format!(
            "Debian's lxc {version} has no /usr/bin/lxc-start; {remedy}"
        ));
    }
    add_libraries(payload)?;
    Ok(version)
}

/// Where a file of the packages lies in the machine.
fn place(path: &str) -> String {
    match path.strip_prefix(TOOLS_THERE) {
        Some(tool) => format!("{PEER}/bin/lxc-{tool}"),
        None => path.to_owned(),
    }
}

fn is_wanted(path: &str) -> bool {
    if let Some(tool) = path.strip_prefix(TOOLS_THERE) {
        return TOOLS.contains(&tool);
    }
    TREES.iter().any(|tree| path.starts_with(tree))
        && !LEFT_OUT.iter().any(|part| path.starts_with(part))
}

fn dpkg_query(words: &[&str]) -> Result<String, String> {
    let ran = Command::new("dpkg-query")
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output();
    let ran = ran.map_err(|error| format!("dpkg-query cannot be started: {error}"))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(said
            .lines()
            .next()
            .unwrap_or("dpkg-query failed")
            .to_string());
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// Adds the loaders and libraries that the payload's programs need, and those that these need.
///
/// # Errors
/// A library is not on this host.
pub fn add_libraries(payload: &mut Payload) -> Result<(), String> {
    let mut open: Vec<(PathBuf, io::Result<Vec<u8>>)> = payload.contents().collect();
    let mut seen = BTreeSet::new();
    while let Some((program, content)) = open.pop() {
        let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", program.display());
        let content = content.map_err(|error| wrong(&error))?;
        let Some(linkage) = elf::linkage(&content).map_err(|error| wrong(&error))? else {
            continue;
        };
        let loader = linkage.loader.map(PathBuf::from);
        let libraries = linkage.libraries.iter().map(|name| {
            let paths = LIBRARIES.map(|dir| Path::new(dir).join(name));
            let there = |path: &&PathBuf| path.to_str().is_some_and(|path| payload.has(path));
            if paths.iter().any(|path| there(&path)) {
                return Ok(None);
            }
            match paths.into_iter().find(|path| path.is_file()) {
                Some(found) => Ok(Some(found)),
                // Ours has liblxc.so.1 at a place that the loader is told.
                None if payload.has(&format!("{OURS}/lib/{name}")) => Ok(None),
                None => Err(wrong(&format!(
                    "it needs {name}, which is in none of {}",
                    LIBRARIES.join(", ")
                ))),
            }
        });
        let libraries: Vec<Option<PathBuf>> = libraries.collect::<Result<_, _>>()?;
        let libraries = libraries.into_iter().flatten();
        for path in loader.into_iter().chain(libraries) {
            // The loader knows a library by its file name, and counts as one itself.
            if seen.insert(path.file_name().map(ToOwned::to_owned)) {
                let name = path
                    .to_str()
                    .ok_or_else(|| wrong(&"a library's name is no UTF-8"))?;
                // A link is followed: in the machine the file has the name asked for.
                payload.file(name, &path, 0o755);
                let content = fs::read(&path);
                open.push((path, content));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_lxc_comes_with_all_that_it_needs() {
        let mut payload = Payload::new();
        let version = match debian_lxc(&mut payload) {
            Ok(version) => version,
            Err(what) => return assert!(what.ends_with("; install the package lxc"), "{what}"),
        };
        assert!(!version.is_empty());
        payload.check().unwrap();
        for path in [
            "/opt/debian-lxc/bin/lxc-start",
            "/usr/lib/x86_64-linux-gnu/lxc/rootfs",
            "/usr/share/lxc/config/common.conf",
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib/x86_64-linux-gnu/liblxc.so.1",
        ] {
            assert!(payload.has(path), "{path}");
        }
        assert!(
            !payload.has("/opt/debian-lxc/bin/lxc-top")
                && !payload.has("/usr/bin/lxc-start")
                && !payload.has("/usr/share/lxc/selinux/lxc.te")
        );
    }

    #[test]
    fn a_tree_of_ours_without_its_program_is_refused_with_the_command_that_makes_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = ours(&mut Payload::new(), dir.path()).unwrap_err();
        assert!(error.contains("bin/lxc is not there") && error.contains("cargo xtask install"));
    }

    #[test]
    fn a_library_that_is_nowhere_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        let mut program = fs::read(std::env::current_exe().unwrap()).unwrap();
        let name = b"libc.so.6\0";
        let at = program
            .windows(name.len())
            .position(|bytes| bytes == name)
            .unwrap();
        program[at..at + 4].copy_from_slice(b"libX");
        fs::write(dir.path().join("bin/lxc"), program).unwrap();
        let error = ours(&mut Payload::new(), dir.path()).unwrap_err();
        assert!(error.contains("it needs libX.so.6"), "{error}");
    }
}
