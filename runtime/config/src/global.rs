//! lxc.conf(5): settings of the installation, not of one container.

use crate::diagnostic::Diagnostic;
use crate::file;
use crate::text::BLANKS;
use std::path::Path;

/// One key of lxc.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalKey {
    /// Its name.
    pub key: &'static str,
    /// What it is for, one sentence.
    pub doc: &'static str,
    /// Its value when the file does not set it; `None` = unset, or decided by the installation.
    pub default: Option<&'static str>,
}

/// Every key of lxc.conf.
pub const GLOBAL_KEYS: &[GlobalKey] = &[
    GlobalKey {
        key: "lxc.lxcpath",
        doc: "Directory of the containers.",
        default: None,
    },
    GlobalKey {
        key: "lxc.default_config",
        doc: "Configuration that new containers begin with.",
        default: None,
    },
    GlobalKey {
        key: "lxc.cgroup.pattern",
        doc: "Cgroup of a container; %n is its name.",
        default: None,
    },
    GlobalKey {
        key: "lxc.cgroup.use",
        doc: "The only cgroup v1 controllers used, separated by commas.",
        default: None,
    },
    GlobalKey {
        key: "lxc.bdev.lvm.vg",
        doc: "LVM volume group of new containers.",
        default: Some("lxc"),
    },
    GlobalKey {
        key: "lxc.bdev.lvm.thin_pool",
        doc: "LVM thin pool of new containers.",
        default: Some("lxc"),
    },
    GlobalKey {
        key: "lxc.bdev.zfs.root",
        doc: "ZFS dataset above those of new containers.",
        default: Some("lxc"),
    },
    GlobalKey {
        key: "lxc.bdev.rbd.rbdpool",
        doc: "RBD pool of new containers.",
        default: Some("lxc"),
    },
    GlobalKey {
        key: "lxc.bdev.rbd.rbduser",
        doc: "RBD user.",
        default: None,
    },
];

/// What a lxc.conf says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GlobalConfig {
    values: Vec<(&'static str, String)>,
}

impl GlobalConfig {
    /// What the file `path` says; a file that does not exist says nothing.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn load(path: &Path) -> Result<GlobalConfig, Diagnostic> {
        match file::read(path) {
            Ok(text) => Ok(GlobalConfig::parse(&text)),
            Err(error) if error.kind == crate::Kind::Io(std::io::ErrorKind::NotFound) => {
                Ok(GlobalConfig::default())
            }
            Err(error) => Err(error),
        }
    }

    /// What `text` says: `key = value` lines, the first for a key counts; `#` in the first column
    /// begins a comment; other lines and empty values mean nothing, as in LXC.
    pub fn parse(text: &str) -> GlobalConfig {
        let mut config = GlobalConfig::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let (key, value) = (key.trim_matches(BLANKS), value.trim_matches(BLANKS));
            let known = GLOBAL_KEYS
                .iter()
                .find(|known| known.key == key)
                .filter(|_| !value.is_empty());
            if let Some(GlobalKey { key, .. }) = known
                && !config.values.iter().any(|(set, _)| set == key)
            {
                config.values.push((key, value.to_owned()));
            }
        }
        config
    }

    /// The value of `key`, else its default; `None` for unset and for unknown keys
    /// ([`GLOBAL_KEYS`] tells them apart).
    pub fn get(&self, key: &str) -> Option<String> {
        let set = self
            .values
            .iter()
            .find(|(set, _)| *set == key)
            .map(|(_, value)| value.clone());
        let default = || {
            GLOBAL_KEYS
                .iter()
                .find(|known| known.key == key)?
                .default
                .map(str::to_owned)
        };
        set.or_else(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TEXT: &str = "# lxc.lxcpath = /commented\n  lxc.lxcpath=/srv/lxc \t\nlxc.lxcpath = /second\n\
                        unknown = 1\nlxc.cgroup.pattern =\nlxc.bdev.zfs.root = tank/a=b\nno assignment\n";

    #[rstest]
    #[case("lxc.lxcpath", Some("/srv/lxc"))]
    #[case("lxc.cgroup.pattern", None)]
    #[case("lxc.bdev.zfs.root", Some("tank/a=b"))]
    #[case("lxc.bdev.lvm.vg", Some("lxc"))]
    #[case("unknown", None)]
    fn the_first_line_for_a_key_counts(#[case] key: &str, #[case] expected: Option<&str>) {
        assert_eq!(GlobalConfig::parse(TEXT).get(key).as_deref(), expected);
    }

    #[test]
    fn a_missing_file_says_nothing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        assert_eq!(
            GlobalConfig::load(&dir.path().join("lxc.conf")),
            Ok(GlobalConfig::default())
        );
        let error = GlobalConfig::load(dir.path()).expect_err("a directory cannot be read");
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
