//! Clients of `liblxc.so.1` that never heard of us: compiled here, run with our library and with
//! Debian's, their answers held against each other.
//!
//! **Is** the scene of a test of the C door: [`Door`].
//! **Knows** the compiler, both libraries and both sets of headers.
//! **Never** decides what an answer should be; that stands in the tests.

// Each test program is compiled with this module and uses its own part of it.
#![allow(dead_code, unused_imports)]

mod answers;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub use answers::{Difference, agree_but_for};

use crate::support::{Call, Lab, Ran, could_not_run};

/// A compiler that takes longer hangs.
const COMPILING: Duration = Duration::from_secs(60);

/// Whose `liblxc.so.1` a client is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// The one that cargo built beside this test.
    Ours,
    /// LXC in C, of Debian's package.
    Debians,
}

impl Library {
    /// Both.
    pub const BOTH: [Library; 2] = [Library::Ours, Library::Debians];
}

/// Whose headers a client is compiled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// Those in include/.
    Ours,
    /// Those of Debian's lxc-dev.
    Debians,
}

/// A laboratory with our library laid out as an installation has it, and Debian's where there is one.
pub struct Door {
    prefix: PathBuf,
    debians: Option<PathBuf>,
    // Last: it is the one that looks whether everything is gone.
    lab: Lab,
}

impl Door {
    /// A new one for `test`; `None`, and a line about it, where it cannot run.
    ///
    /// # Panics
    /// Its files cannot be laid out.
    #[track_caller]
    pub fn new(owner: &str, test: &str) -> Option<Door> {
        let test_program = std::env::current_exe().expect("a test has a program");
        let deps = test_program.parent().expect("it lies in a directory");
        // Cargo writes the library of the package under test here, whichever of its tests it builds.
        let library = deps.join("liblxc_capi.so");
        let monitor = deps.with_file_name("lxc-monitor");
        for (file, package) in [(&library, "lxc-capi"), (&monitor, "lxc-engine")] {
            if !file.is_file() {
                let remedy = format!(
                    "{} is missing; build it with 'cargo build -p {package}'",
                    file.display()
                );
                could_not_run(test, &remedy);
                return None;
            }
        }
        let lab = Lab::new(owner, test)?;
        let prefix = lab.files().join("prefix");
        place(&library, &prefix.join("lib/liblxc.so.1"));
        place(&monitor, &prefix.join("libexec/lxc/lxc-monitor"));
        for shared in ["share", "etc"] {
            let link = prefix.join(shared);
            symlink(lab.prefix().join(shared), link).expect("the prefix is ours");
        }
        let debians = debians_library();
        Some(Door {
            prefix,
            debians,
            lab,
        })
    }

    /// The laboratory.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Our installation.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Whether Debian's library is here; a line about `test` if not.
    pub fn has_debians(&self, test: &str) -> bool {
        let here = self.debians.is_some();
        if !here {
            could_not_run(
                test,
                "Debian's liblxc1 is not installed: nothing to compare with",
            );
        }
        here
    }

    /// What a container of `library` is called: whatever is left of it shows whose it was.
    pub fn name(&self, library: Library) -> String {
        self.lab.name(&format!("{library:?}").to_lowercase())
    }

    /// Removes the monitors' cgroups of containers that Debian's library has started: it leaves them
    /// behind, empty, where its lxc-start does not.
    fn forget_debians_monitors(&self) {
        let begins = format!("lxc.monitor.{}", self.name(Library::Debians));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut left: Vec<PathBuf> = mounts
            .lines()
            .filter(|line| line.contains(" - cgroup"))
            .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
            .collect();
        // Below whichever cgroup the init of our pid namespace is in.
        while let Some(directory) = left.pop() {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                if entry.file_name().to_string_lossy().starts_with(&begins) {
                    // One that is still used is the test's fault, and its census says so.
                    let _ = fs::remove_dir(entry.path());
                } else {
                    left.push(entry.path());
                }
            }
        }
    }

    /// The libraries that are here.
    pub fn libraries(&self) -> Vec<Library> {
        let mut found = Library::BOTH.to_vec();
        found.retain(|library| *library == Library::Ours || self.debians.is_some());
        found
    }

    /// The headers that are here.
    pub fn headers(&self) -> Vec<Headers> {
        let mut found = vec![Headers::Ours];
        if Path::new("/usr/include/lxc/lxccontainer.h").is_file() {
            found.push(Headers::Debians);
        }
        found
    }

    /// An empty directory to be the lxcpath of one library's own containers, which do not run.
    ///
    /// # Panics
    /// It cannot be made, or there is one of that name.
    pub fn lxcpath(&self, name: &str) -> PathBuf {
        let path = self.lab.files().join(name);
        fs::create_dir(&path).expect("the laboratory is ours");
        path
    }

    /// Compiles `tests/c/NAME.c` with `headers`, linked with our library; says where the program is.
    ///
    /// # Panics
    /// It does not compile without warnings.
    #[track_caller]
    pub fn compiled(&self, name: &str, headers: Headers) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/c/{name}.c"));
        self.compiled_source(&source, headers)
    }

    /// Compiles the program `source`, as [`Door::compiled`].
    ///
    /// # Panics
    /// It does not compile without warnings.
    #[track_caller]
    pub fn compiled_source(&self, source: &Path, headers: Headers) -> PathBuf {
        let name = source.file_stem().expect("a source has a name");
        let program = self.lab.files().join(format!(
            "{}-with-{headers:?}-headers",
            name.to_string_lossy()
        ));
        let mut compiler = Call::new("cc")
            .args(["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-pthread"])
            .args(["-Wall", "-Wextra", "-Werror"]);
        if headers == Headers::Ours {
            let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
            compiler = compiler.arg("-DOUR_HEADERS").arg("-I").arg(include);
        }
        compiler
            .arg("-o")
            .arg(&program)
            .arg(source)
            .arg(self.prefix.join("lib/liblxc.so.1"))
            .within(COMPILING)
            .run()
            .exits(0);
        program
    }

    /// A call of `program`, which will find `library`.
    ///
    /// # Panics
    /// It is Debian's, which is not here.
    pub fn call(&self, library: Library, program: impl AsRef<Path>) -> Call {
        let directory = match library {
            Library::Ours => self.prefix.join("lib"),
            Library::Debians => {
                let file = self.debians.as_ref().expect("has_debians was asked");
                file.parent()
                    .expect("a library lies in a directory")
                    .to_path_buf()
            }
        };
        Call::new(program.as_ref()).env("LD_LIBRARY_PATH", &directory.to_string_lossy())
    }

    /// Runs `program` with the library and `words`, within `limit`.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn answers<'w>(
        &self,
        library: Library,
        program: &Path,
        words: impl IntoIterator<Item = &'w Path>,
        limit: Duration,
    ) -> Ran {
        self.call(library, program)
            .args(words)
            .within(limit)
            .run()
            .exits(0)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.forget_debians_monitors();
        // LXC keeps the files of its locks for ever, and so do we; these are the laboratory's.
        let root = self.lab.files();
        let root = root.parent().expect("files are in the laboratory");
        let below = root.strip_prefix("/").expect("an absolute path");
        let _ = fs::remove_dir_all(Path::new("/run/lxc/lock").join(below));
    }
}

/// A second name for `file`, or a copy where that cannot be: a symbolic link would lead the library
/// back to where cargo built it.
fn place(file: &Path, name: &Path) {
    fs::create_dir_all(name.parent().expect("a file lies in a directory"))
        .expect("the prefix is ours");
    if fs::hard_link(file, name).is_err() {
        fs::copy(file, name).expect("a file can be copied into the prefix");
    }
}

/// Where the compiler finds Debian's library.
fn debians_library() -> Option<PathBuf> {
    let output = Command::new("cc")
        .arg("-print-file-name=liblxc.so.1")
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    // A compiler that finds nothing repeats the name.
    (path.is_absolute() && path.is_file())
        .then(|| fs::canonicalize(path).ok())
        .flatten()
}
