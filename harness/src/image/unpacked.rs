//! A kernel in the cache: a directory that is made once, whole, and checked each time it is used.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::digest::{self, Memory};
use super::list::{Kernel, Locked};
use super::modules::{Chosen, Modules};
use super::turn::{self, InUse};
use super::{deb, vmlinux};

/// The name of a kernel's directory says what it was made from; this stands for the code that
/// unpacks and chooses: whoever changes what comes out, changes it.
const RECIPE: &str = "1";

/// Lists what the directory must hold, and says at its end that it is whole.
const CONTENTS: &str = "contents";
const VMLINUX: &str = "vmlinux";
/// The kernel that is a program, instead of [`VMLINUX`].
const PROGRAM: &str = "linux.uml";
const INDEX: &str = "index";

/// What a kernel needs to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// A machine, which QEMU makes.
    InQemu,
    /// Nothing but a host's process: user-mode Linux.
    AsProcess,
}

impl Runs {
    /// The kernel's file in the directory.
    fn file(self) -> &'static str {
        match self {
            Runs::InQemu => VMLINUX,
            Runs::AsProcess => PROGRAM,
        }
    }
}

/// A kernel, ready to be booted, and its modules. Nobody removes the files while this lives.
#[derive(Debug)]
pub struct KernelFiles {
    /// Its series, as scenarios name it.
    pub name: String,
    /// As `uname -r` will say.
    pub release: String,
    /// The kernel itself: an ELF file for QEMU's `-kernel`, or a program.
    pub elf: PathBuf,
    /// What it needs to run.
    pub runs: Runs,
    /// Stands for all of it: equal digests, equal kernel and modules.
    pub digest: String,
    /// The text for [`lxc_guest::protocol::MODULES_INDEX`].
    pub(super) index: String,
    /// Where in the machine → file of the cache, and its digest.
    pub(super) modules: BTreeMap<String, (PathBuf, String)>,
    _in_use: InUse,
}

/// The directory of a kernel below `kernels`, whether it is there or not.
pub(super) fn place(kernels: &Path, kernel: &Kernel) -> PathBuf {
    let mut inputs = format!("{RECIPE} {:?}", kernel.modules);
    for Locked {
        package,
        version,
        sha256,
        ..
    } in &kernel.packages
    {
        inputs += &format!(" {package} {version} {sha256}");
    }
    let key = digest::of_bytes(inputs.as_bytes());
    kernels.join(format!("{}-{}", kernel.image, &key[..16]))
}

/// What a kernel's directory holds, if all of it is as it was made.
///
/// # Errors
/// The first thing that is not.
pub(super) fn check(name: &str, dir: &Path, memory: &Memory) -> Result<KernelFiles, String> {
    let contents = fs::read_to_string(dir.join(CONTENTS)).map_err(|e| format!("contents: {e}"))?;
    let (lines, end) = contents
        .trim_end()
        .rsplit_once('\n')
        .ok_or("contents: cut short")?;
    if end != format!("end {}", digest::of_bytes(lines.as_bytes())) {
        return Err("contents: not as it was written".to_string());
    }
    let mut lines = lines.lines();
    let release = lines.next().and_then(|line| line.strip_prefix("release "));
    let release = release.ok_or("contents: no release")?.to_string();
    let mut modules = BTreeMap::new();
    let mut runs = Runs::InQemu;
    for line in lines {
        let (expected, file) = line
            .split_once(' ')
            .ok_or("contents: not a digest and a name")?;
        let path = dir.join(file);
        let found = memory
            .digest(&path)
            .map_err(|error| format!("{file}: {error}"))?;
        if found != expected {
            return Err(format!("{file}: its sha256 is {found}, not {expected}"));
        }
        if file == PROGRAM {
            runs = Runs::AsProcess;
        }
        if let Some(module) = file.strip_prefix("modules/") {
            modules.insert(format!("/lib/modules/{module}"), (path, found));
        }
    }
    let index = fs::read_to_string(dir.join(INDEX)).map_err(|error| format!("index: {error}"))?;
    let in_use = turn::in_use(dir).map_err(|error| format!("flock: {error}"))?;
    Ok(KernelFiles {
        name: name.to_string(),
        release,
        elf: dir.join(runs.file()),
        runs,
        digest: digest::of_bytes(contents.as_bytes()),
        index,
        modules,
        _in_use: in_use,
    })
}

/// Tells the memory what was written into `dir` just now.
pub(super) fn learn(dir: &Path, memory: &Memory) {
    let contents = fs::read_to_string(dir.join(CONTENTS)).unwrap_or_default();
    for (digest, file) in contents.lines().filter_map(|line| line.split_once(' ')) {
        memory.learn(&dir.join(file), digest);
    }
}

/// Fills the new directory `dir` from packages.
pub(super) fn make(kernel: &Kernel, packages: &[PathBuf], dir: &Path) -> Result<(), String> {
    let mut found = Found::default();
    for package in packages {
        deb::each_file(package, |path, content| found.take(path, content))?;
    }
    let (image, runs) = found.image.ok_or("its packages contain no kernel")?;
    let wrong = |what: String| format!("its kernel image: {what}");
    let release = match runs {
        Runs::InQemu => vmlinux::release(&image).map_err(wrong)?,
        // It says its release when it runs; its modules lie in a directory of that name.
        Runs::AsProcess => {
            let first = found.releases.first();
            first.ok_or("its packages contain no modules")?.clone()
        }
    };
    // A kernel loads modules of its own release only.
    if let Some(other) = found.releases.iter().find(|other| **other != release) {
        return Err(format!(
            "its kernel calls itself {release}, its modules are for {other}"
        ));
    }
    let Chosen { index, files } = found.modules.choose(&kernel.modules, runs)?;
    let elf = match runs {
        Runs::InQemu => vmlinux::extract(&image).map_err(wrong)?,
        Runs::AsProcess => image,
    };

    let mut contents = format!("release {release}");
    let mut write = |name: &str, bytes: &[u8]| {
        contents += &format!("\n{} {name}", digest::of_bytes(bytes));
        fs::write(dir.join(name), bytes).map_err(|error| format!("{}: {error}", dir.display()))
    };
    fs::create_dir(dir.join("modules")).map_err(|error| format!("{}: {error}", dir.display()))?;
    write(runs.file(), &elf)?;
    write(INDEX, index.as_bytes())?;
    for (name, bytes) in &files {
        write(&format!("modules/{name}.ko"), bytes)?;
    }
    if runs == Runs::AsProcess {
        let program = dir.join(runs.file());
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .map_err(|error| format!("{}: {error}", program.display()))?;
    }
    let end = digest::of_bytes(contents.as_bytes());
    let contents = format!("{contents}\nend {end}\n");
    fs::write(dir.join(CONTENTS), contents).map_err(|error| format!("{}: {error}", dir.display()))
}

/// What was found in the packages.
#[derive(Default)]
struct Found {
    image: Option<(Vec<u8>, Runs)>,
    releases: std::collections::BTreeSet<String>,
    modules: Modules,
}

impl Found {
    /// Keeps a file if it is wanted.
    ///
    /// Kernels lie in boot/ and, from 7.2 on, beside their modules; modules in lib/modules/RELEASE
    /// and, from 6.12 on, below usr/. A kernel that is a program has them in a place of its own.
    fn take(&mut self, path: &str, content: &mut dyn Read) -> std::io::Result<()> {
        let path = path.strip_prefix("usr/").unwrap_or(path);
        let beside = ["lib/modules/", "lib/uml/modules/"]
            .iter()
            .find_map(|directory| path.strip_prefix(directory))
            .and_then(|rest| rest.split_once('/'));
        let runs = match (path, beside) {
            ("bin/linux.uml", _) => Some(Runs::AsProcess),
            (_, Some((_, "vmlinuz"))) => Some(Runs::InQemu),
            _ => path.starts_with("boot/vmlinuz-").then_some(Runs::InQemu),
        };
        if let Some(runs) = runs {
            let (image, _) = self.image.insert((Vec::new(), runs));
            content.read_to_end(image)?;
        }
        let Some((release, file)) = beside else {
            return Ok(());
        };
        self.releases.insert(release.to_string());
        if file == "modules.builtin" {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            self.modules.add_built_in(&text);
        } else if let Some(file) = file.strip_prefix("kernel/") {
            self.modules.add(file, content)?;
        }
        Ok(())
    }
}
