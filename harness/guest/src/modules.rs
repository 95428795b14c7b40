//! Kernel modules: the image's index of them, loading, and what the kernel runs as modprobe.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::ExitCode;

use lxc_guest::protocol::MODULES_INDEX;
use lxc_kernel::Errno;
use rustix::fs::{Mode, OFlags};
use rustix::system::finit_module;

use crate::trouble::{Calling, Outcome};

mod pattern;

/// The modules there are, by name, and the names under which the kernel may ask for them.
#[derive(Debug, Default)]
pub struct Index {
    modules: BTreeMap<String, Module>,
    aliases: Vec<(String, String)>,
}

#[derive(Debug)]
struct Module {
    path: String,
    needs: Vec<String>,
}

/// What the kernel executes when it wants a module: `modprobe -q -- ALIAS`. Says nothing.
pub fn modprobe(words: &[String]) -> ExitCode {
    let wanted = words.iter().rfind(|word| !word.starts_with('-'));
    let loaded = wanted.ok_or_else(String::new).and_then(|wanted| {
        let index = Index::read()?;
        index.load_alias(wanted)
    });
    match loaded {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

impl Index {
    /// Reads the image's index.
    pub fn read() -> Outcome<Index> {
        let text = fs::read_to_string(MODULES_INDEX).calling("open", MODULES_INDEX)?;
        Index::parse(&text)
    }

    fn parse(text: &str) -> Outcome<Index> {
        let mut index = Index::default();
        for (number, line) in text.lines().enumerate() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields[..] {
                [] => {}
                ["module", name, path, needs] => {
                    let needs = needs.split(',').filter(|need| *need != "-");
                    let module = Module {
                        path: path.to_owned(),
                        needs: needs.map(pattern::normal).collect(),
                    };
                    index.modules.insert(pattern::normal(name), module);
                }
                ["alias", alias, name] => {
                    let alias = pattern::normal(alias);
                    index.aliases.push((alias, pattern::normal(name)));
                }
                _ => {
                    return Err(format!(
                        "{MODULES_INDEX}:{}: {line:?} is neither a module nor an alias",
                        number + 1
                    ));
                }
            }
        }
        Ok(index)
    }

    /// Loads a module if the index has it; otherwise it is part of the kernel, or of no use here.
    pub fn load_known(&self, name: &str) -> Outcome {
        match self.modules.contains_key(name) {
            true => self.load(name, &mut BTreeSet::new()),
            false => Ok(()),
        }
    }

    /// Loads every module that answers to a name the kernel uses.
    fn load_alias(&self, wanted: &str) -> Outcome {
        let names = self.named(wanted);
        if names.is_empty() {
            return Err(format!("no module is called {wanted}"));
        }
        let mut seen = BTreeSet::new();
        names
            .into_iter()
            .try_for_each(|name| self.load(name, &mut seen))
    }

    /// The modules that a name means: the module itself, or those with such an alias.
    fn named(&self, wanted: &str) -> BTreeSet<&str> {
        let wanted = pattern::normal(wanted);
        if let Some((name, _)) = self.modules.get_key_value(&wanted) {
            return BTreeSet::from([name.as_str()]);
        }
        let matching = self
            .aliases
            .iter()
            .filter(|(alias, _)| pattern::matches(alias, &wanted));
        matching.map(|(_, name)| name.as_str()).collect()
    }

    fn load<'a>(&'a self, name: &'a str, seen: &mut BTreeSet<&'a str>) -> Outcome {
        let Some(module) = self.modules.get(name) else {
            return Err(format!("{MODULES_INDEX} names no module {name}"));
        };
        if !seen.insert(name) {
            return Ok(());
        }
        let mut refused = Vec::new();
        for need in &module.needs {
            // Some needs are only wishes: whether one was necessary shows in the module itself.
            refused.extend(self.load(need, seen).err());
        }
        insert(&module.path).map_err(|why| match refused.is_empty() {
            true => why,
            false => format!("{why}, after {}", refused.join(", ")),
        })
    }
}

fn insert(path: &str) -> Outcome {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .calling("open", path)?;
    match finit_module(&file, c"", 0) {
        Err(Errno::EXIST) => Ok(()),
        other => other.calling("finit_module", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
module crc32c /lib/modules/crc32c.ko -
module veth /lib/modules/veth.ko -
module virtio-ring /lib/modules/virtio_ring.ko crc32c,veth

alias rtnl-link-veth veth
alias fs-over* virtio_ring
alias pci:v00001AF4d* virtio_ring
";

    #[test]
    fn names_and_aliases_lead_to_modules() {
        let index = Index::parse(TEXT).unwrap();
        assert_eq!(index.modules["virtio_ring"].needs, ["crc32c", "veth"]);
        assert!(index.modules["veth"].needs.is_empty());
        for (wanted, names) in [
            ("veth", vec!["veth"]),
            ("virtio-ring", vec!["virtio_ring"]),
            ("rtnl_link-veth", vec!["veth"]),
            ("fs-overlay", vec!["virtio_ring"]),
            ("pci:v00001AF4d00001000", vec!["virtio_ring"]),
            ("nothing", vec![]),
        ] {
            assert_eq!(index.named(wanted), names.into_iter().collect(), "{wanted}");
        }
    }

    #[test]
    fn a_broken_index_says_where() {
        for (text, line) in [("module x /x\n", 1), ("\nalias x\n", 2), ("modul a b -", 1)] {
            let why = Index::parse(text).unwrap_err();
            assert!(why.contains(&format!(":{line}: ")), "{why}");
        }
    }

    #[test]
    fn what_is_missing_is_named_and_circles_end() {
        let index = Index::parse("module a /nowhere/a.ko b\nmodule b /nowhere/b.ko a,c\n").unwrap();
        let why = index.load_alias("a").unwrap_err();
        assert!(why.contains("open(/nowhere/a.ko) = ENOENT"), "{why}");
        assert!(why.contains("names no module c"), "{why}");
        assert!(index.load_known("virtio_pci").is_ok());
        assert!(index.load_alias("z").is_err());
    }
}
