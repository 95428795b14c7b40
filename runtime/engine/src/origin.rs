//! Where this code comes from: the installation, or the build directory, whose monitor program,
//! templates and defaults belong to it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static LIBRARY: OnceLock<PathBuf> = OnceLock::new();

/// Tells from which file this code was loaded as a library. Only the first call counts; without one
/// it is a part of the running program.
pub fn set_library(file: &Path) {
    // Behind links, as `liblxc.so.1` is one: what belongs together lies around the file itself.
    let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    // Only the first call counts.
    let _ = LIBRARY.set(real);
}

/// What may be the `PREFIX` of the installation, best first: `PREFIX/lib/liblxc.so.1` and
/// `PREFIX/lib/MULTIARCH/liblxc.so.1` are libraries, `PREFIX/bin/lxc-start` is a program.
pub fn prefixes() -> Vec<PathBuf> {
    let library = LIBRARY.get().map(PathBuf::as_path);
    prefixes_around(library, program().as_deref())
}

/// The file that is running.
fn program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

fn prefixes_around(library: Option<&Path>, program: Option<&Path>) -> Vec<PathBuf> {
    let of_library = library.and_then(|file| {
        // A library that lies elsewhere was installed by nobody: what is above it may be anyone's.
        let lib = |level| file.ancestors().nth(level).filter(|d| d.ends_with("lib"));
        lib(1).or_else(|| lib(2))?.parent()
    });
    let of_program = program.and_then(|file| file.ancestors().nth(2));
    distinct(
        [of_library, of_program]
            .into_iter()
            .flatten()
            .map(Path::to_path_buf),
    )
}

/// Where a helper program can be: below an installation's libexec, beside the library or the running
/// program in a build directory, and where installations usually are.
pub fn places_of(helper: &str) -> Vec<PathBuf> {
    let library = LIBRARY.get().map(PathBuf::as_path);
    places_around(library, program().as_deref(), helper)
}

fn places_around(library: Option<&Path>, program: Option<&Path>, helper: &str) -> Vec<PathBuf> {
    let installed = |prefix: &Path| prefix.join("libexec/lxc").join(helper);
    let of_prefix = prefixes_around(library, program);
    let beside = [
        library.and_then(Path::parent),
        program.and_then(Path::parent),
        // Tests of cargo lie one directory deeper than what they test.
        program.and_then(|file| file.ancestors().nth(2)),
    ];
    let usual = ["/usr", "/usr/local"].map(Path::new);
    distinct(
        of_prefix
            .iter()
            .map(|prefix| installed(prefix))
            .chain(beside.into_iter().flatten().map(|d| d.join(helper)))
            .chain(usual.map(installed)),
    )
}

fn distinct(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut kept = Vec::new();
    for path in paths {
        if !kept.contains(&path) {
            kept.push(path);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_own_installation_comes_first() {
        let check = |library: Option<&str>, program: &str, expected: &[&str]| {
            let library = library.map(Path::new);
            let places = places_around(library, Some(Path::new(program)), "lxc-monitor");
            let places: Vec<_> = places.iter().map(|p| p.to_string_lossy()).collect();
            assert_eq!(places, expected, "{library:?} {program}");
        };
        check(
            Some("/opt/lxc/lib/x86_64-linux-gnu/liblxc.so.1.8.0"),
            "/usr/bin/python3",
            &[
                "/opt/lxc/libexec/lxc/lxc-monitor",
                "/usr/libexec/lxc/lxc-monitor",
                "/opt/lxc/lib/x86_64-linux-gnu/lxc-monitor",
                "/usr/bin/lxc-monitor",
                "/usr/lxc-monitor",
                "/usr/local/libexec/lxc/lxc-monitor",
            ],
        );
        check(
            Some("/src/target/debug/liblxc_capi.so"),
            "/usr/bin/python3",
            &[
                "/usr/libexec/lxc/lxc-monitor",
                "/src/target/debug/lxc-monitor",
                "/usr/bin/lxc-monitor",
                "/usr/lxc-monitor",
                "/usr/local/libexec/lxc/lxc-monitor",
            ],
        );
        check(
            None,
            "/src/target/debug/deps/containers-1",
            &[
                "/src/target/debug/libexec/lxc/lxc-monitor",
                "/src/target/debug/deps/lxc-monitor",
                "/src/target/debug/lxc-monitor",
                "/usr/libexec/lxc/lxc-monitor",
                "/usr/local/libexec/lxc/lxc-monitor",
            ],
        );
    }
}
