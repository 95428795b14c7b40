//! What ELF files say: modules of themselves, programs of the libraries that they need.

use object::LittleEndian;
use object::elf::{DT_NEEDED, DT_STRSZ, DT_STRTAB, FileHeader64, PT_DYNAMIC, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::read::{Object, ObjectSection};

type Header = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// What a kernel module says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Modinfo {
    /// Its name, with `_` for each `-`.
    pub(super) name: String,
    /// Modules that must be loaded before it.
    pub(super) needs: Vec<String>,
    /// Modules, or aliases of some, that should be loaded before it if they are there.
    pub(super) wishes: Vec<String>,
    /// Patterns under which the kernel asks for it.
    pub(super) aliases: Vec<String>,
}

/// Reads the section `.modinfo`: strings `key=value`, each with a zero behind it.
pub(super) fn modinfo(elf: &[u8]) -> Result<Modinfo, String> {
    let file = object::read::elf::ElfFile64::<LittleEndian>::parse(elf)
        .map_err(|error| format!("it is no ELF file of 64 bits: {error}"))?;
    let section = file
        .section_by_name(".modinfo")
        .ok_or("it has no section .modinfo")?;
    let data = section
        .data()
        .map_err(|error| format!(".modinfo: {error}"))?;
    Ok(parse_modinfo(data))
}

fn parse_modinfo(data: &[u8]) -> Modinfo {
    let mut info = Modinfo::default();
    for pair in data.split(|&byte| byte == 0) {
        let Some((key, value)) = std::str::from_utf8(pair)
            .ok()
            .and_then(|p| p.split_once('='))
        else {
            continue;
        };
        match key {
            "name" => info.name = plain(value),
            "depends" => {
                info.needs = value
                    .split(',')
                    .filter(|n| !n.is_empty())
                    .map(plain)
                    .collect();
            }
            "softdep" => info.wishes.extend(wishes(value)),
            // One with a blank could not be written into the index; the kernel asks for none.
            "alias" if !value.contains(char::is_whitespace) => info.aliases.push(value.to_string()),
            _ => {}
        }
    }
    info
}

/// `pre: a b post: c` wishes for a and b before; what comes after is not needed to run.
fn wishes(softdep: &str) -> Vec<String> {
    let mut before = false;
    let mut wishes = Vec::new();
    for word in softdep.split_whitespace() {
        match word.strip_suffix(':') {
            Some(when) => before = when == "pre",
            None if before => wishes.push(word.to_string()),
            None => {}
        }
    }
    wishes
}

/// A module's name as the kernel compares it.
pub(super) fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// What a program needs to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Linkage {
    /// The loader that the kernel starts for it; a static program has none.
    pub(super) loader: Option<String>,
    /// File names of shared libraries.
    pub(super) libraries: Vec<String>,
}

/// Reads how a program or library is linked; `None` if it is no ELF file at all.
pub(super) fn linkage(elf: &[u8]) -> Result<Option<Linkage>, String> {
    if !elf.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let wrong = |error: object::Error| format!("its ELF header is damaged: {error}");
    let header = Header::parse(elf).map_err(wrong)?;
    let segments = header.program_headers(LE, elf).map_err(wrong)?;
    let mut linkage = Linkage::default();
    for segment in segments {
        if segment.p_type(LE) == PT_INTERP {
            let data = segment
                .data(LE, elf)
                .map_err(|()| "its loader's name is cut off")?;
            let name = data.strip_suffix(&[0]).unwrap_or(data);
            linkage.loader = Some(String::from_utf8_lossy(name).into_owned());
        }
        if segment.p_type(LE) == PT_DYNAMIC {
            linkage.libraries = needed(elf, segments, segment)?;
        }
    }
    Ok(Some(linkage))
}

fn needed<S: ProgramHeader<Endian = LittleEndian>>(
    elf: &[u8],
    segments: &[S],
    dynamic: &S,
) -> Result<Vec<String>, String> {
    let entries = dynamic.dynamic(LE, elf).ok().flatten().unwrap_or_default();
    let value = |tag| {
        use object::read::elf::Dyn;
        entries
            .iter()
            .find(|entry| entry.tag(LE) == tag)
            .map(|entry| entry.val(LE))
    };
    let (Some(at), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return Ok(Vec::new());
    };
    let strings = segments
        .iter()
        .find_map(|part| part.data_range(LE, elf, at, size).ok()?);
    let strings = strings.ok_or("its table of names lies outside the file")?;
    let mut names = Vec::new();
    for entry in entries {
        use object::read::elf::Dyn;
        if entry.tag(LE) != DT_NEEDED {
            continue;
        }
        let start = usize::try_from(entry.val(LE)).unwrap_or(usize::MAX);
        let text = strings
            .get(start..)
            .ok_or("a library's name lies outside the file")?;
        let end = text
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(text.len());
        names.push(String::from_utf8_lossy(&text[..end]).into_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modinfo_is_read_line_by_line() {
        let data = b"license=GPL\0alias=fs-ext4\0alias=a b\0depends=jbd2,mb-cache\0\
            softdep=pre: crc32c a-b post: late\0name=ext4\0\0nonsense\0";
        let info = parse_modinfo(data);
        assert_eq!(info.name, "ext4");
        assert_eq!(info.needs, ["jbd2", "mb_cache"]);
        assert_eq!(info.wishes, ["crc32c", "a-b"]);
        assert_eq!(info.aliases, ["fs-ext4"]);
        assert!(parse_modinfo(b"depends=\0").needs.is_empty());
    }

    #[test]
    fn a_program_names_its_loader_and_libraries_and_a_static_one_none() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let linkage_of_this = linkage(&this).unwrap().unwrap();
        assert!(linkage_of_this.loader.unwrap().contains("ld-linux"));
        assert!(linkage_of_this.libraries.contains(&"libc.so.6".to_string()));
        let busybox = std::fs::read("/bin/busybox").unwrap();
        assert_eq!(linkage(&busybox).unwrap().unwrap(), Linkage::default());
        assert_eq!(linkage(b"#!/bin/sh").unwrap(), None);
    }

    #[test]
    fn damaged_files_are_errors() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(linkage(&this[..40]).unwrap_err().contains("damaged"));
        assert!(modinfo(b"\x7fELF").unwrap_err().contains("no ELF file"));
        for cut in (0..4096).step_by(61) {
            let _ = linkage(&this[..cut]);
            let _ = modinfo(&this[..cut]);
        }
    }
}
