//! Which kernel modules a machine gets: the wanted ones, and all that they need.
//!
//! Debian's packages come without an index of dependencies, and its tool would have to be
//! installed; each module says itself what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::elf::{self, Modinfo, plain};
use super::list::Wanted;
use super::unpacked::Runs;

/// The directory of modules in the machine.
const IN_THE_MACHINE: &str = "/lib/modules";

/// Where modules lie that are wished for by an alias: wishes are for algorithms, and reading all
/// of two thousand modules to find one would take seconds.
const ALGORITHMS: [&str; 3] = ["crypto/", "arch/", "lib/"];

/// Every module of a kernel, packed, and the names of what is built in.
#[derive(Default)]
pub(super) struct Modules {
    packed: BTreeMap<String, Packed>,
    built_in: BTreeSet<String>,
    algorithms_are_read: bool,
}

struct Packed {
    /// Path below `kernel/`.
    path: String,
    bytes: Vec<u8>,
    /// Unpacked and read when first looked at.
    opened: Option<Opened>,
}

struct Opened {
    elf: Vec<u8>,
    info: Modinfo,
}

/// What a machine gets.
pub(super) struct Chosen {
    /// The text of the index, see [`lxc_guest::protocol::MODULES_INDEX`].
    pub(super) index: String,
    /// Name and content of each module, unpacked.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Modules {
    /// Takes in a file `PATH` below `kernel/`; what is no module is left alone.
    pub(super) fn add(&mut self, path: &str, read: &mut dyn Read) -> std::io::Result<()> {
        let file = path.rsplit('/').next().unwrap_or_default();
        let Some((name, _)) = file.split_once(".ko") else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        read.read_to_end(&mut bytes)?;
        let packed = Packed {
            path: path.to_string(),
            bytes,
            opened: None,
        };
        self.packed.insert(plain(name), packed);
        Ok(())
    }

    /// Takes in `modules.builtin`: a path a line.
    pub(super) fn add_built_in(&mut self, text: &str) {
        let names = text
            .lines()
            .filter_map(|line| line.rsplit('/').next()?.strip_suffix(".ko"));
        self.built_in.extend(names.map(plain));
    }

    /// The wanted modules and all that they need, each after what it needs.
    ///
    /// What is built in is left out. A name that the kernel does not know at all is an error,
    /// unless it is optional.
    pub(super) fn choose(mut self, wanted: &Wanted, runs: Runs) -> Result<Chosen, String> {
        let mut order = Vec::new();
        let devices = match runs {
            Runs::InQemu => wanted.qemu.as_slice(),
            Runs::AsProcess => &[],
        };
        for name in devices.iter().chain(&wanted.required) {
            let name = plain(name);
            if !self.visit(&name, &mut order)? && !self.built_in.contains(&name) {
                return Err(format!(
                    "the module {name} is neither in its packages nor built in; take it out of \
                     vm-images/modules.toml, or name it there as optional"
                ));
            }
        }
        for name in &wanted.optional {
            self.visit(&plain(name), &mut order)?;
        }
        self.write(&order)
    }

    /// Puts a module into `order` behind what it needs; false if there is no such module.
    ///
    /// Wishes may go round in circles: whoever is being visited has its place already.
    fn visit(&mut self, name: &str, order: &mut Vec<Step>) -> Result<bool, String> {
        if order.iter().any(|step| step.name == name) {
            return Ok(true);
        }
        let Some(info) = self.open(name)? else {
            return Ok(false);
        };
        let (needs, wishes) = (info.needs.clone(), info.wishes.clone());
        order.push(Step {
            name: name.to_string(),
            after: BTreeSet::new(),
            done: false,
        });
        let mut after = Vec::new();
        for need in needs {
            if !self.visit(&need, order)? && !self.built_in.contains(&need) {
                return Err(format!("the module {name} needs {need}, which is nowhere"));
            }
            after.push(need);
        }
        for wish in wishes {
            for found in self.find(&wish)? {
                self.visit(&found, order)?;
                after.push(found);
            }
        }
        finish(order, name, after);
        Ok(true)
    }

    /// The modules that a wish means: one of that name, or all with that alias.
    fn find(&mut self, wish: &str) -> Result<Vec<String>, String> {
        let name = plain(wish);
        if self.packed.contains_key(&name) {
            return Ok(vec![name]);
        }
        if self.built_in.contains(&name) {
            return Ok(Vec::new());
        }
        self.read_algorithms()?;
        let has = |packed: &Packed| {
            let aliases = packed.opened.iter().flat_map(|opened| &opened.info.aliases);
            aliases.map(String::as_str).any(|alias| alias == wish)
        };
        Ok(self
            .packed
            .iter()
            .filter(|(_, p)| has(p))
            .map(|(name, _)| name.clone())
            .collect())
    }

    fn read_algorithms(&mut self) -> Result<(), String> {
        if !self.algorithms_are_read {
            self.algorithms_are_read = true;
            let among = |p: &Packed| ALGORITHMS.iter().any(|prefix| p.path.starts_with(prefix));
            let names: Vec<String> = self
                .packed
                .iter()
                .filter(|(_, p)| among(p))
                .map(|(n, _)| n.clone())
                .collect();
            for name in names {
                self.open(&name)?;
            }
        }
        Ok(())
    }

    /// What a module says of itself; `None` if there is no such module.
    fn open(&mut self, name: &str) -> Result<Option<&Modinfo>, String> {
        let Some(packed) = self.packed.get_mut(name) else {
            return Ok(None);
        };
        if packed.opened.is_none() {
            let wrong = |what: String| format!("the module {}: {what}", packed.path);
            let elf = unpack(&packed.path, std::mem::take(&mut packed.bytes)).map_err(wrong)?;
            let info = elf::modinfo(&elf).map_err(wrong)?;
            packed.opened = Some(Opened { elf, info });
        }
        Ok(packed.opened.as_ref().map(|opened| &opened.info))
    }

    fn write(mut self, order: &[Step]) -> Result<Chosen, String> {
        let mut index = String::new();
        let mut aliases = String::new();
        let mut files = Vec::new();
        for Step { name, after, .. } in order {
            // In the order in which they are loaded.
            let before = order
                .iter()
                .map(|step| &step.name)
                .filter(|name| after.contains(*name));
            let before: Vec<&str> = before.map(String::as_str).collect();
            let before = if before.is_empty() {
                "-".to_string()
            } else {
                before.join(",")
            };
            index += &format!("module {name} {IN_THE_MACHINE}/{name}.ko {before}\n");
            let Some(Opened { elf, info }) = self.packed.remove(name).and_then(|p| p.opened) else {
                return Err(format!("the module {name} was chosen and not read"));
            };
            for alias in &info.aliases {
                aliases += &format!("alias {alias} {name}\n");
            }
            files.push((name.clone(), elf));
        }
        Ok(Chosen {
            index: index + &aliases,
            files,
        })
    }
}

/// A module's place in the order.
struct Step {
    name: String,
    /// All that is loaded before it, the needs of its needs included.
    after: BTreeSet<String>,
    done: bool,
}

/// Moves a visited module behind all that it needs.
fn finish(order: &mut Vec<Step>, name: &str, after: Vec<String>) {
    let Some(at) = order.iter().position(|step| step.name == name) else {
        return;
    };
    let mut step = order.remove(at);
    for need in after {
        // What is built in has no place; what is not done yet is our own caller, in a circle.
        if let Some(before) = order.iter().find(|step| step.name == need && step.done) {
            step.after.extend(before.after.iter().cloned());
            step.after.insert(need);
        }
    }
    step.done = true;
    order.push(step);
}

fn unpack(path: &str, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut elf = Vec::new();
    let packing = path.rsplit('.').next().unwrap_or_default();
    let read = match packing {
        "ko" => return Ok(bytes),
        "xz" => lzma_rust2::XzReader::new(bytes.as_slice(), true).read_to_end(&mut elf),
        "zst" => match ruzstd::decoding::StreamingDecoder::new(bytes.as_slice()) {
            Ok(mut decoder) => decoder.read_to_end(&mut elf),
            Err(error) => return Err(format!("its zstd frame is damaged: {error}")),
        },
        other => return Err(format!("its packing {other} is none of xz and zst")),
    };
    read.map_err(|error| format!("its {packing} packing is damaged: {error}"))?;
    Ok(elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Modules that say what is given here: name, needs, wishes, alias.
    fn modules(rows: &[(&str, &str, &str, &str)]) -> Modules {
        let mut modules = Modules::default();
        for (name, needs, wishes, alias) in rows {
            let info = Modinfo {
                name: plain(name),
                needs: needs.split_whitespace().map(plain).collect(),
                wishes: wishes.split_whitespace().map(str::to_string).collect(),
                aliases: alias.split_whitespace().map(str::to_string).collect(),
            };
            let opened = Some(Opened {
                elf: name.as_bytes().to_vec(),
                info,
            });
            let path = format!("crypto/{name}.ko");
            modules.packed.insert(
                plain(name),
                Packed {
                    path,
                    bytes: Vec::new(),
                    opened,
                },
            );
        }
        modules.add_built_in("kernel/fs/libfs.ko\nkernel/lib/built-in-one.ko\n");
        modules
    }

    fn wanted(required: &[&str], optional: &[&str]) -> Wanted {
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Wanted {
            required: strings(required),
            qemu: Vec::new(),
            optional: strings(optional),
        }
    }

    #[test]
    fn each_module_comes_after_all_that_it_needs() {
        let rows = [
            (
                "ext4",
                "jbd2 mbcache libfs",
                "crc32c built-in-one nowhere",
                "fs-ext4",
            ),
            ("jbd2", "deep-one", "", ""),
            ("deep-one", "", "", ""),
            ("mbcache", "", "", ""),
            ("crc32c_generic", "", "", "crc32c"),
            ("crc32c_intel", "", "", "crypto-crc32c crc32c"),
            ("unwanted", "", "", ""),
        ];
        let chosen = modules(&rows)
            .choose(&wanted(&["ext4", "libfs"], &["absent"]), Runs::InQemu)
            .unwrap();
        let expected = "\
            module deep_one /lib/modules/deep_one.ko -\n\
            module jbd2 /lib/modules/jbd2.ko deep_one\n\
            module mbcache /lib/modules/mbcache.ko -\n\
            module crc32c_generic /lib/modules/crc32c_generic.ko -\n\
            module crc32c_intel /lib/modules/crc32c_intel.ko -\n\
            module ext4 /lib/modules/ext4.ko deep_one,jbd2,mbcache,crc32c_generic,crc32c_intel\n\
            alias crc32c crc32c_generic\n\
            alias crypto-crc32c crc32c_intel\n\
            alias crc32c crc32c_intel\n\
            alias fs-ext4 ext4\n";
        assert_eq!(chosen.index, expected);
        let names: Vec<&str> = chosen.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), 6);
        assert!(!names.contains(&"unwanted"));
        assert_eq!(chosen.files[0].1, b"deep-one");
    }

    #[test]
    fn wishes_may_go_round_in_a_circle() {
        let rows = [("a", "", "b", ""), ("b", "c", "a", ""), ("c", "", "a", "")];
        let chosen = modules(&rows)
            .choose(&wanted(&["a"], &["b"]), Runs::InQemu)
            .unwrap();
        let expected = "\
            module c /lib/modules/c.ko -\n\
            module b /lib/modules/b.ko c\n\
            module a /lib/modules/a.ko c,b\n";
        assert_eq!(chosen.index, expected);
    }

    #[test]
    fn what_is_nowhere_is_an_error_unless_it_is_optional() {
        let rows = [("a", "gone", "", "")];
        let choose = |wanted: &Wanted| {
            modules(&rows)
                .choose(wanted, Runs::InQemu)
                .map(|_| ())
                .unwrap_err()
        };
        assert!(choose(&wanted(&["absent"], &[])).contains("absent is neither in its packages"));
        assert_eq!(
            choose(&wanted(&["a"], &[])),
            "the module a needs gone, which is nowhere"
        );
        assert!(
            modules(&rows)
                .choose(&wanted(&["built_in-one"], &["absent"]), Runs::InQemu)
                .is_ok()
        );
    }

    #[test]
    fn damaged_modules_are_errors() {
        for (path, reason) in [
            ("fs/x.ko", "no ELF file"),
            ("fs/x.ko.xz", "xz packing is damaged"),
            ("fs/x.ko.zst", "zstd frame is damaged"),
            ("fs/x.ko.gz", "none of xz and zst"),
        ] {
            let mut modules = Modules::default();
            modules.add(path, &mut b"nonsense".as_slice()).unwrap();
            modules.add("fs/README", &mut b"".as_slice()).unwrap();
            let error = modules
                .choose(&wanted(&["x"], &[]), Runs::InQemu)
                .map(|_| ())
                .unwrap_err();
            assert!(error.contains(path) && error.contains(reason), "{error}");
        }
    }
}
