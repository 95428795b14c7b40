//! lxc-create: makes a container, usually by running a template.

use std::path::{Path, PathBuf};
use std::process::Command;

use lxc_runtime::{CreateOptions, Template};

use crate::applet::{self, Applet};
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::{Effect, Opt, Short, Takes};
use crate::output;

#[derive(Default)]
pub struct Create {
    template: Option<String>,
    config: Option<PathBuf>,
    storage: Option<String>,
    dir: Option<PathBuf>,
}

/// The words LXC takes for `--bdev` beside `dir`.
const OTHER_STORAGE: [&str; 9] = [
    "best",
    "btrfs",
    "loop",
    "lvm",
    "nbd",
    "overlay",
    "overlayfs",
    "rbd",
    "zfs",
];

const LVM: &str = "storage on LVM is";
const RBD: &str = "storage on Ceph RBD is";
const ZFS: &str = "storage on ZFS is";
const BLOCK: &str = "storage on block devices is";

impl Applet for Create {
    const WORDS: Words = Words {
        program: "lxc-create",
        synopsis: "[--name=]NAME --template=TEMPLATE [OPTION...] [-- TEMPLATE-OPTION...]",
        about: "lxc-create makes the container NAME by running a template.",
        notes: "What follows -- is handed to the template; lxc-create -t TEMPLATE -h shows\n\
                what it understands.",
    };

    const OPTIONS: &'static [Opt<Create>] = &[
        Opt {
            long: "bdev",
            short: Short::Listed('B'),
            effect: Effect::Value("TYPE", |create, word| {
                create.storage = Some(word.to_owned());
                Ok(())
            }),
            help: "Type of storage for the rootfs (default dir, a directory)",
        },
        Opt {
            long: "config",
            short: Short::Listed('f'),
            effect: Effect::Value("FILE", |create, file| {
                create.config = Some(PathBuf::from(file));
                Ok(())
            }),
            help: "First configuration (default: lxc.default_config of lxc.conf)",
        },
        Opt {
            long: "template",
            short: Short::Listed('t'),
            effect: Effect::Value("TEMPLATE", |create, template| {
                create.template = Some(template.to_owned());
                Ok(())
            }),
            help: "Template to run: a name, an absolute path, or none for no rootfs",
        },
        later("lvname", '0', "LV", LVM, "Name of the logical volume"),
        later("vgname", '1', "VG", LVM, "Name of the volume group"),
        later("thinpool", '2', "POOL", LVM, "Name of the thin pool"),
        later(
            "fstype",
            '3',
            "TYPE",
            BLOCK,
            "Type of file system on a block device",
        ),
        later(
            "fssize",
            '4',
            "SIZE[U]",
            BLOCK,
            "Size of a block device; U is one of bBkKmMgGtT",
        ),
        later("zfsroot", '5', "PATH", ZFS, "Dataset below which to create"),
        Opt {
            long: "dir",
            short: Short::Unlisted('6'),
            effect: Effect::Value("DIR", |create, dir| {
                if !dir.starts_with('/') {
                    return Err(format!("--dir should use absolute path, not {dir}"));
                }
                create.dir = Some(PathBuf::from(dir));
                Ok(())
            }),
            help: "Absolute path of the rootfs directory",
        },
        later("rbdname", '7', "NAME", RBD, "Name of the RBD image"),
        later("rbdpool", '8', "POOL", RBD, "Name of the RBD pool"),
        later("rbduser", '9', "USER", RBD, "Name of the RBD user"),
    ];

    fn run(self, common: &mut Common, rest: Vec<String>) -> Result<u8, Failure> {
        let template = self.template()?;
        let storage = self.storage()?;
        let mut container = common.open_as_it_is()?;
        container.create(&CreateOptions {
            only_new: true,
            template,
            config: self.config.as_deref(),
            storage,
            dir: self.dir.as_deref(),
            args: &rest,
            quiet: common.quiet,
        })?;
        Ok(0)
    }

    /// With a template given, its own help follows.
    fn after_help(&self) {
        let Some(template) = self.template.as_deref().filter(|word| !means_none(word)) else {
            return;
        };
        if applet::run_template(template, &["-h"]) {
            return;
        }
        if !template.starts_with('/') {
            output::complain("To see the help of this template, give its absolute path.");
            return;
        }
        if let Err(error) = Command::new(template).arg("-h").status() {
            output::complain(&format!("lxc-create: cannot run {template}: {error}"));
        }
    }
}

const fn later(
    long: &'static str,
    short: char,
    value: &'static str,
    what: &'static str,
    help: &'static str,
) -> Opt<Create> {
    Opt {
        long,
        short: Short::Unlisted(short),
        effect: Effect::Later(Takes::Value(value), what),
        help,
    }
}

impl Create {
    fn template(&self) -> Result<Option<Template>, Failure> {
        let word = self.template.as_deref().unwrap_or_default();
        if word.is_empty() {
            return Err(Failure::new(
                "A template must be specified (--template; none for a container without a rootfs)",
            ));
        }
        Ok(if means_none(word) {
            None
        } else if word.starts_with('/') {
            Some(Template::Path(Path::new(word).to_owned()))
        } else {
            Some(Template::Named(word.to_owned()))
        })
    }

    fn storage(&self) -> Result<Option<&'static str>, Failure> {
        let Some(word) = self.storage.as_deref() else {
            return Ok(None);
        };
        if word == "dir" || means_none(word) {
            return Ok(Some("dir"));
        }
        let known = word
            .split(',')
            .all(|part| part == "dir" || OTHER_STORAGE.contains(&part));
        Err(Failure::new(if known {
            format!("--bdev {word} is refused: of the storage types only dir is implemented yet")
        } else {
            format!("{word} is not a valid backing storage type")
        }))
    }
}

/// LXC takes every non-empty beginning of "none" for it.
fn means_none(word: &str) -> bool {
    !word.is_empty() && "none".starts_with(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, Ok(None))]
    #[case(Some("dir"), Ok(Some("dir")))]
    #[case(Some("none"), Ok(Some("dir")))]
    #[case(Some("n"), Ok(Some("dir")))]
    #[case(Some("lvm"), Err("lvm is refused"))]
    #[case(Some("zfs,dir"), Err("zfs,dir is refused"))]
    #[case(Some("lvmm"), Err("lvmm is not a valid"))]
    #[case(Some(""), Err("not a valid"))]
    fn storage_words(
        #[case] word: Option<&str>,
        #[case] wanted: Result<Option<&'static str>, &str>,
    ) {
        let create = Create {
            storage: word.map(str::to_owned),
            ..Create::default()
        };
        match (create.storage(), wanted) {
            (Ok(found), Ok(wanted)) => assert_eq!(found, wanted),
            (Err(failure), Err(part)) => assert!(failure.text.contains(part), "{}", failure.text),
            (found, wanted) => panic!("{found:?}, not {wanted:?}"),
        }
    }
}
