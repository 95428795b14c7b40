//! What it takes to compile programs against the library: headers, and pkg-config's file.

use std::fs;

use super::Layout;
use super::filling::Filling;
use super::placing::{at, files_below, put};
use crate::project::{Outcome, Project};

/// What `lxc/version.h` says of the library.
pub struct Version {
    /// `MAJOR.MINOR.MICRO` behind `liblxc.so.`
    pub abi: String,
    /// The version of LXC that it stands for.
    pub lxc: String,
}

impl Version {
    pub fn read(project: &Project) -> Outcome<Version> {
        let file = project.root.join("runtime/capi/include/lxc/version.h");
        let text = fs::read_to_string(&file).map_err(at(&file))?;
        let find = |name| {
            defined(&text, name).ok_or_else(|| format!("{}: no {name} in it", file.display()))
        };
        Ok(Version {
            abi: find("LXC_VERSION_ABI")?,
            lxc: find("LXC_VERSION")?,
        })
    }
}

/// The text that `#define NAME "TEXT"` gives a name.
fn defined(header: &str, name: &str) -> Option<String> {
    header.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        if words.next()? != "#define" || words.next()? != name {
            return None;
        }
        let text = words.next()?.strip_prefix('"')?.strip_suffix('"')?;
        Some(text.to_owned())
    })
}

/// Lays out include/ and lib/pkgconfig/.
pub fn install(project: &Project, layout: &Layout, filling: &Filling) -> Outcome {
    let capi = project.root.join("runtime/capi");
    let headers = capi.join("include");
    for file in files_below(&headers)? {
        let source = headers.join(&file);
        let content = fs::read(&source).map_err(at(&source))?;
        put(&layout.include.join(&file), &content, 0o644)?;
    }
    let version = Version::read(project)?;
    let text = filling.and("@VERSION@", &version.lxc);
    let text = text.file(&capi.join("lxc.pc.in"))?;
    put(&layout.lib.join("pkgconfig/lxc.pc"), text.as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_its_header() {
        let header = "#define LXC_VERSION_ABI \"1.8.0\"\n# define X\n#define LXC_VERSION  \"6.0.0\" /* x */\n\
                      #define LXC_VERSION_MAJOR 6\n";
        assert_eq!(defined(header, "LXC_VERSION").as_deref(), Some("6.0.0"));
        assert_eq!(defined(header, "LXC_VERSION_ABI").as_deref(), Some("1.8.0"));
        assert_eq!(defined(header, "LXC_VERSION_MAJOR"), None);
        assert_eq!(defined(header, "LXC"), None);
    }
}
