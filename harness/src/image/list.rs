//! Which kernels there are, and which packages they come from: `vm-images/`, read strictly.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::Path;

use lxc_guest::protocol::Layout;
use serde::Deserialize;

/// Where the kernels are named.
const KERNELS: &str = "vm-images/kernels.toml";
/// Where their packages are pinned.
pub(super) const LOCK: &str = "vm-images/images.lock";
/// Where the modules are named that machines get.
const MODULES: &str = "vm-images/modules.toml";

/// What is wrong in a file of `vm-images/`: file, line and sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(String);

impl Wrong {
    pub(super) fn new(what: String) -> Wrong {
        Wrong(what)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// A kernel that machines can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// As scenarios name it: its series, or what a variant of one has in common with an older.
    pub name: String,
    /// The layouts with which it is tried when none is named.
    pub layouts: Vec<Layout>,
    /// Those of them on which Debian's LXC is tried too when nobody is named.
    pub peers: Vec<Layout>,
    /// CI tries it.
    pub in_ci: bool,
    /// The kernel whose files it has: itself, or the one it is a variant of.
    pub image: String,
    /// More kernel parameters.
    pub parameters: Vec<String>,
    /// Where its packages are published.
    pub(super) suite: String,
    /// Its packages.
    pub(super) packages: Vec<Locked>,
    /// The modules that the machine gets.
    pub(super) modules: Wanted,
}

/// A package, pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Locked {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.package, self.version)
    }
}

/// Modules by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Each kernel must have them, as modules or built in.
    pub(super) required: Vec<String>,
    /// So must each that QEMU boots: devices that it has.
    #[serde(default)]
    pub(super) qemu: Vec<String>,
    /// Taken where there.
    pub(super) optional: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KernelsFile {
    kernel: Vec<toml::Spanned<KernelEntry>>,
}

/// One `[[kernel]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KernelEntry {
    pub(super) name: String,
    /// A variant of that kernel, which stands above it, with other parameters.
    pub(super) like: Option<String>,
    #[serde(default)]
    pub(super) suite: String,
    /// Names with at most one `*`, which stands for the same text in each of them.
    #[serde(default)]
    pub(super) packages: Vec<String>,
    #[serde(default)]
    parameters: Vec<String>,
    #[serde(default)]
    default: Vec<Layout>,
    #[serde(default)]
    peer: Vec<Layout>,
    #[serde(default)]
    ci: bool,
}

/// One line of the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockLine {
    pub(super) kernel: String,
    pub(super) suite: String,
    pub(super) locked: Locked,
}

/// All kernels of the repository at `root`, oldest first.
///
/// # Errors
/// A file that cannot be read, a field that is not known or not right, a kernel without its
/// packages in the lock.
pub fn kernels(root: &Path) -> Result<Vec<Kernel>, Wrong> {
    let lock = lock(root)?;
    let modules: Wanted = parse_toml(MODULES, &read(root, MODULES)?)?;
    let mut kernels: Vec<Kernel> = Vec::new();
    for entry in entries(root)? {
        let like = kernels
            .iter()
            .find(|kernel| Some(&kernel.name) == entry.like.as_ref());
        let kernel = match like {
            Some(like) => variant(entry, like),
            None => locked(entry, &lock, &modules)?,
        };
        kernels.push(kernel);
    }
    Ok(kernels)
}

/// What has a kernel's files and its own parameters.
fn variant(entry: KernelEntry, like: &Kernel) -> Kernel {
    Kernel {
        name: entry.name,
        layouts: entry.default,
        peers: entry.peer,
        in_ci: entry.ci,
        parameters: entry.parameters,
        ..like.clone()
    }
}

/// What the lock of the repository at `root` says.
pub(super) fn lock(root: &Path) -> Result<Vec<LockLine>, Wrong> {
    parse_lock(&read(root, LOCK)?)
}

/// The entries of `kernels.toml`.
pub(super) fn entries(root: &Path) -> Result<Vec<KernelEntry>, Wrong> {
    parse_kernels(&read(root, KERNELS)?)
}

/// The lock, as its file should be.
pub(super) fn lock_text(lines: &[LockLine]) -> String {
    let mut text = String::from(
        "# Debian's packages for machines, a kernel's or others; written by `cargo xtask vm-test --relock`.\n\
         # kernel suite package version bytes sha256\n",
    );
    for LockLine {
        kernel,
        suite,
        locked,
    } in lines
    {
        let Locked {
            package,
            version,
            bytes,
            sha256,
        } = locked;
        text += &format!("{kernel} {suite} {package} {version} {bytes} {sha256}\n");
    }
    text
}

/// Writes the lock anew.
pub(super) fn write_lock(root: &Path, lines: &[LockLine]) -> Result<(), String> {
    let path = root.join(LOCK);
    let text = lock_text(lines);
    lxc_kernel::file::replace_file(&path, text.as_bytes(), 0o644)
        .map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn read(root: &Path, name: &str) -> Result<String, Wrong> {
    fs::read_to_string(root.join(name)).map_err(|error| Wrong(format!("{name}: {error}")))
}

pub(super) fn parse_toml<T: serde::de::DeserializeOwned>(
    file: &str,
    text: &str,
) -> Result<T, Wrong> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().unwrap_or_default();
        wrong_at(file, text, at, error.message())
    })
}

pub(super) fn wrong_at(file: &str, text: &str, at: Range<usize>, what: &str) -> Wrong {
    let line = text
        .bytes()
        .take(at.start)
        .filter(|&byte| byte == b'\n')
        .count()
        + 1;
    Wrong(format!("{file}:{line}: {what}"))
}

fn parse_kernels(text: &str) -> Result<Vec<KernelEntry>, Wrong> {
    let file: KernelsFile = parse_toml(KERNELS, text)?;
    let mut entries: Vec<KernelEntry> = Vec::new();
    for spanned in file.kernel {
        let at = spanned.span();
        let entry = spanned.into_inner();
        check_entry(&entry, &entries).map_err(|what| wrong_at(KERNELS, text, at, &what))?;
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(Wrong(format!("{KERNELS}: no kernel is named")));
    }
    Ok(entries)
}

/// Letters and digits, and after the first some `more`.
pub(super) fn is_word(text: &str, more: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fine)
}

/// Names become file names and words of the lock, suites lines of apt's list of sources.
fn check_entry(entry: &KernelEntry, before: &[KernelEntry]) -> Result<(), String> {
    let KernelEntry {
        name,
        suite,
        packages,
        ..
    } = entry;
    if !is_word(name, ".-") {
        return Err(format!(
            "the name {name:?} may have letters, digits, dots and hyphens only"
        ));
    }
    if name == super::packages::IN_LOCK {
        return Err(format!(
            "{name:?} is no name for a kernel: the lock uses it"
        ));
    }
    if before.iter().any(|other| other.name == *name) {
        return Err(format!("the kernel {name} is named twice"));
    }
    let plain = |text: &String| !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if !entry.parameters.iter().all(plain) {
        return Err(format!(
            "a parameter of {name} has a blank in it; write several"
        ));
    }
    if let Some(like) = &entry.like {
        let known = before
            .iter()
            .any(|other| other.name == *like && other.like.is_none());
        return match known && suite.is_empty() && packages.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "the variant {name} is like a kernel above it and has neither suite nor packages"
            )),
        };
    }
    if !is_word(suite, ".-") {
        return Err(format!("the suite {suite:?} is not a name of a suite"));
    }
    if packages.is_empty() {
        return Err(format!("the kernel {name} has no packages"));
    }
    for package in packages {
        if !is_word(package, ".-+*") || package.matches('*').count() > 1 {
            return Err(format!(
                "the package {package:?} is not a name with one `*` at most"
            ));
        }
    }
    Ok(())
}

fn parse_lock(text: &str) -> Result<Vec<LockLine>, Wrong> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| Wrong(format!("{LOCK}:{}: {what}", index + 1));
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[kernel, suite, package, version, bytes, sha256] = words.as_slice() else {
            return Err(wrong(
                "not the six words kernel suite package version bytes sha256",
            ));
        };
        let bytes = bytes
            .parse()
            .map_err(|_| wrong(&format!("{bytes:?} is not a size")))?;
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if sha256.len() != 64 || !sha256.chars().all(hex) {
            return Err(wrong(&format!(
                "{sha256:?} is not a SHA-256 in small letters"
            )));
        }
        // Both become part of a file name and of a command line.
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-+~:".contains(c);
        for word in [package, version] {
            if !word.starts_with(|c: char| c.is_ascii_alphanumeric()) || !word.chars().all(plain) {
                return Err(wrong(&format!(
                    "{word:?} is not the name or version of a package"
                )));
            }
        }
        let [kernel, suite, package, version, sha256] =
            [kernel, suite, package, version, sha256].map(str::to_string);
        let locked = Locked {
            package,
            version,
            bytes,
            sha256,
        };
        lines.push(LockLine {
            kernel,
            suite,
            locked,
        });
    }
    Ok(lines)
}

/// A kernel with its packages, in the order of `kernels.toml`.
fn locked(entry: KernelEntry, lock: &[LockLine], modules: &Wanted) -> Result<Kernel, Wrong> {
    let KernelEntry {
        name,
        suite,
        packages: patterns,
        parameters,
        default,
        peer,
        ci,
        ..
    } = entry;
    let of_this = |line: &&LockLine| line.kernel == name && line.suite == suite;
    let lines: Vec<&LockLine> = lock.iter().filter(of_this).collect();
    let mut packages = Vec::new();
    for pattern in &patterns {
        let matching = |line: &&&LockLine| star(pattern, &line.locked.package).is_some();
        let Some(line) = lines.iter().find(matching) else {
            return Err(Wrong(format!(
                "{LOCK}: nothing is locked for {pattern} of the kernel {name} ({suite}); \
                 re-lock with `cargo xtask vm-test --relock`"
            )));
        };
        packages.push(line.locked.clone());
    }
    let modules = modules.clone();
    Ok(Kernel {
        image: name.clone(),
        name,
        layouts: default,
        peers: peer,
        in_ci: ci,
        parameters,
        suite,
        packages,
        modules,
    })
}

/// What the `*` of a pattern stands for in a name that matches it; nothing in one that has none.
pub(super) fn star<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == name).then_some("");
    };
    name.strip_prefix(before)?.strip_suffix(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "[[kernel]]\nname = \"6.1\"\nsuite = \"s\"\npackages = [\"linux-6.1.*-x\"]\n";
    const SHA: &str = "e7d02b943971edcb8790e256c02cfab3bca6c3d37c1bf25392a57c71300615ee";

    fn wrong(text: &str) -> String {
        parse_kernels(text).unwrap_err().to_string()
    }

    #[test]
    fn the_repositorys_own_files_are_right() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let kernels = kernels(root).unwrap();
        let names = |wanted: fn(&Kernel) -> bool| -> Vec<String> {
            kernels
                .iter()
                .filter(|k| wanted(k))
                .map(|k| k.name.clone())
                .collect()
        };
        let all = [
            "5.10",
            "6.1",
            "6.12",
            "6.18",
            "7.3",
            "5.4-table",
            "uml-5.10",
        ];
        assert_eq!(names(|_| true), all);
        assert_eq!(names(|k| !k.layouts.is_empty()), all);
        assert_eq!(names(|k| !k.peers.is_empty()), ["5.10", "6.1", "7.3"]);
        assert_eq!(names(|k| k.image != k.name), ["5.4-table"]);
        assert_eq!(names(|k| k.in_ci), ["5.10", "7.3"]);
        // The lock is as --relock would write it: nothing by hand that the next one would lose.
        let text = read(root, LOCK).unwrap();
        assert_eq!(lock_text(&parse_lock(&text).unwrap()), text);
    }

    #[test]
    fn each_wrong_entry_is_refused_with_its_line() {
        assert_eq!(parse_kernels(ONE).unwrap().len(), 1);
        let unknown = format!("{ONE}colour = \"red\"\n");
        assert!(wrong(&unknown).starts_with("vm-images/kernels.toml:5: unknown field `colour`"));
        let twice = format!("{ONE}{ONE}");
        assert_eq!(
            wrong(&twice),
            "vm-images/kernels.toml:5: the kernel 6.1 is named twice"
        );
        assert!(wrong(&ONE.replace("6.1\"", "../x\"")).contains("toml:1: the name \"../x\""));
        assert!(wrong(&ONE.replace("\"s\"", "\"s main\\ndeb\"")).contains("suite"));
        assert!(wrong(&ONE.replace('*', "**")).contains("one `*` at most"));
        assert!(wrong(&ONE.replace("[\"linux-6.1.*-x\"]", "[]")).contains("no packages"));
        let like = format!("{ONE}[[kernel]]\nname = \"5.4\"\nlike = \"6.1\"\n");
        assert_eq!(parse_kernels(&like).unwrap().len(), 2);
        assert!(
            wrong(&like.replace("like = \"6.1\"", "like = \"6.2\"")).contains("a kernel above it")
        );
        assert!(wrong(&format!("{like}suite = \"s\"\n")).contains("neither suite nor packages"));
        assert!(wrong(&format!("{like}parameters = [\"a b\"]\n")).contains("a blank in it"));
        assert!(wrong("kernel = []").contains("no kernel is named"));
        assert!(wrong("kernel = 1").contains("kernels.toml:1: "));
    }

    #[test]
    fn the_lock_reads_back_as_it_was_written() {
        let locked = Locked {
            package: "linux-6.1.9-x".to_string(),
            version: "6.1.192-2~deb+1".to_string(),
            bytes: 26_713_492,
            sha256: SHA.to_string(),
        };
        let line = LockLine {
            kernel: "6.1".to_string(),
            suite: "s".to_string(),
            locked,
        };
        let lines = [line];
        assert_eq!(parse_lock(&lock_text(&lines)).unwrap(), lines);
        let entry = parse_kernels(ONE).unwrap().remove(0);
        let kernel = super::locked(entry.clone(), &lines, &Wanted::default()).unwrap();
        assert_eq!(kernel.packages[0].bytes, 26_713_492);
        let none = super::locked(entry, &[], &Wanted::default())
            .unwrap_err()
            .to_string();
        assert!(none.contains("linux-6.1.*-x of the kernel 6.1") && none.contains("--relock"));
    }

    #[test]
    fn each_wrong_line_of_the_lock_is_refused() {
        let refused = |line: &str| {
            parse_lock(&format!("# head\n{line}\n"))
                .unwrap_err()
                .to_string()
        };
        assert!(refused("6.1 s p 1 2").starts_with("vm-images/images.lock:2: not the six words"));
        assert!(refused(&format!("6.1 s p 1 many {SHA}")).contains("\"many\" is not a size"));
        assert!(refused("6.1 s p 1 2 abc").contains("SHA-256"));
        assert!(refused(&format!("6.1 s ../p 1 2 {SHA}")).contains("\"../p\""));
        assert!(refused(&format!("6.1 s p --x 2 {SHA}")).contains("\"--x\""));
    }

    #[test]
    fn a_star_stands_for_what_is_between() {
        assert_eq!(
            star("linux-6.1.*-cloud", "linux-6.1.0-5-cloud"),
            Some("0-5")
        );
        assert_eq!(star("linux-6.1.*-cloud", "linux-6.12.0-cloud"), None);
        assert_eq!(
            star("linux-6.1.*-cloud", "linux-6.1.0-5-cloud-unsigned"),
            None
        );
        assert_eq!(star("user-mode-linux", "user-mode-linux"), Some(""));
        assert_eq!(star("user-mode-linux", "user-mode-linux-doc"), None);
        // The two halves may not overlap.
        assert_eq!(star("ab*ba", "aba"), None);
    }
}
