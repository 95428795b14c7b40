//! What machines get of Debian's packages: `vm-images/packages.toml`, read strictly, and the files.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::deb::{self, Kind};
use super::fetch::{self, Order};
use super::list::{self, Locked, Wrong};
use super::{Cache, Payload, Unavailable};

/// Where the packages are named.
const PACKAGES: &str = "vm-images/packages.toml";

/// What stands in the lock where a kernel's package has the kernel's name.
pub(super) const IN_LOCK: &str = "package";

/// A package of which machines have some files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Which part of it, and where it is published.
    pub(super) entry: PackageEntry,
    locked: Locked,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackagesFile {
    #[serde(default)]
    package: Vec<toml::Spanned<PackageEntry>>,
}

/// One `[[package]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackageEntry {
    pub(super) name: String,
    pub(super) suite: String,
    take: Vec<String>,
    /// The directory in machines where they get their places; nothing = `/`.
    #[serde(default)]
    below: String,
}

/// All packages of the repository at `root`.
///
/// # Errors
/// A file that cannot be read, a field that is not known or not right, a package that the lock
/// does not have.
pub fn packages(root: &Path) -> Result<Vec<Package>, Wrong> {
    let lock = list::lock(root)?;
    let locked = |entry: PackageEntry| {
        let mut lines = lock.iter();
        let line = lines.find(|line| {
            let of_this = line.kernel == IN_LOCK && line.suite == entry.suite;
            of_this && line.locked.package == entry.name
        });
        let locked = line.map(|line| line.locked.clone()).ok_or_else(|| {
            Wrong::new(format!(
                "{}: nothing is locked for the package {} ({}); re-lock with \
                 `cargo xtask vm-test --relock`",
                list::LOCK,
                entry.name,
                entry.suite
            ))
        })?;
        Ok(Package { entry, locked })
    };
    entries(root)?.into_iter().map(locked).collect()
}

/// The entries of `packages.toml`.
pub(super) fn entries(root: &Path) -> Result<Vec<PackageEntry>, Wrong> {
    parse(&list::read(root, PACKAGES)?)
}

fn parse(text: &str) -> Result<Vec<PackageEntry>, Wrong> {
    let file: PackagesFile = list::parse_toml(PACKAGES, text)?;
    let mut entries: Vec<PackageEntry> = Vec::new();
    for spanned in file.package {
        let at = spanned.span();
        let entry = spanned.into_inner();
        let twice = entries.iter().any(|other| other.name == entry.name);
        let absolute = |path: &String| path.starts_with('/') && path.len() > 1;
        let wrong = match () {
            () if twice => Some(format!("the package {} is named twice", entry.name)),
            () if !list::is_word(&entry.name, ".-+") => {
                Some(format!("{:?} is not the name of a package", entry.name))
            }
            () if !list::is_word(&entry.suite, ".-") => Some(format!(
                "the suite {:?} is not a name of a suite",
                entry.suite
            )),
            () if entry.take.is_empty() || !entry.take.iter().all(absolute) => {
                Some("take is a list of absolute paths".to_owned())
            }
            () if !entry.below.is_empty() && !entry.below.starts_with('/') => {
                Some(format!("below {:?} is no absolute path", entry.below))
            }
            () => None,
        };
        match wrong {
            Some(what) => return Err(list::wrong_at(PACKAGES, text, at, &what)),
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

impl PackageEntry {
    fn takes(&self, path: &str) -> bool {
        let wanted = |take: &String| match take.ends_with('/') {
            true => path.starts_with(take.as_str()),
            false => path == take,
        };
        self.take.iter().any(wanted)
    }
}

impl Cache {
    /// Adds what is taken of a package to a payload; fetched if it is not here yet.
    ///
    /// # Errors
    /// It cannot be fetched, or lacks something that is to be taken; the payload is then as it was.
    pub fn add_package(
        &self,
        package: &Package,
        payload: &mut Payload,
        progress: &dyn Fn(&str),
    ) -> Result<(), Unavailable> {
        let Package { entry, locked } = package;
        let deb = self.fetched(entry, locked, progress)?;
        let mut added = Payload::new();
        let mut missing: Vec<&String> = entry.take.iter().collect();
        let read = deb::each_entry(&deb, |file, content| {
            let path = format!("/{}", file.path);
            if !entry.takes(&path) {
                return Ok(());
            }
            missing.retain(|take| !path.starts_with(take.as_str()));
            let place = format!("{}{path}", entry.below);
            match &file.kind {
                Kind::File => {
                    let mut bytes = Vec::new();
                    content.read_to_end(&mut bytes)?;
                    added.bytes(&place, bytes, file.mode);
                }
                Kind::Link(target) => {
                    added.link(&place, target);
                }
            }
            Ok(())
        });
        let wrong = |what: String| {
            let name = &entry.name;
            Unavailable(format!("the package {name} cannot be used: {what}"))
        };
        read.map_err(wrong)?;
        if let Some(take) = missing.first() {
            return Err(wrong(format!("it has no {take}; change {PACKAGES}")));
        }
        payload.merge(&added);
        Ok(())
    }

    fn fetched(
        &self,
        entry: &PackageEntry,
        locked: &Locked,
        progress: &dyn Fn(&str),
    ) -> Result<PathBuf, Unavailable> {
        // One turn for all of them: they are few, and mostly here.
        let _turn = self.turn("packages", progress)?;
        let tmp = self.empty_tmp("packages")?;
        let order = Order {
            of: "the machines",
            suite: &entry.suite,
            packages: std::slice::from_ref(locked),
        };
        let debs = self.dir.join("debs");
        let mut paths = fetch::packages(&self.apt, &order, &debs, &tmp.0, progress)?;
        paths
            .pop()
            .ok_or_else(|| Unavailable(format!("{locked} was not fetched")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "[[package]]\nname = \"p\"\nsuite = \"s\"\ntake = [\"/a\", \"/b/\"]\n";

    #[test]
    fn the_repositorys_own_files_are_right() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let packages = packages(root).unwrap();
        assert!(
            packages
                .iter()
                .any(|package| package.entry.name == "uidmap")
        );
    }

    #[test]
    fn each_wrong_entry_is_refused_with_its_line() {
        assert_eq!(parse(ONE).unwrap().len(), 1);
        assert_eq!(parse("").unwrap().len(), 0);
        let wrong = |text: &str| parse(text).unwrap_err().to_string();
        assert!(
            wrong(&format!("{ONE}{ONE}")).starts_with("vm-images/packages.toml:5: the package")
        );
        assert!(wrong(&ONE.replace("\"p\"", "\"../p\"")).contains("not the name of a package"));
        assert!(wrong(&ONE.replace("\"s\"", "\"s main\"")).contains("name of a suite"));
        assert!(wrong(&ONE.replace("\"/a\"", "\"a\"")).contains("absolute paths"));
        assert!(wrong(&format!("{ONE}below = \"x\"\n")).contains("no absolute path"));
        assert!(wrong(&format!("{ONE}colour = 1\n")).contains("unknown field `colour`"));
    }

    #[test]
    fn a_directory_is_taken_with_all_that_is_in_it() {
        let entry = parse(ONE).unwrap().remove(0);
        for (path, taken) in [
            ("/a", true),
            ("/ab", false),
            ("/b/c/d", true),
            ("/b", false),
        ] {
            assert_eq!(entry.takes(path), taken, "{path}");
        }
    }
}
