//! Where races are run: a root that is the attacker's, and a directory beside it that is the host's.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use lxc_kernel::inroot::Root;
use rustix::fs::{CWD, FileType, Mode, fstat, mknodat};

use crate::storm::Storm;

/// The ground of one race.
///
/// The host has `outside/{secret, deep/secret}`; the attacker has `rootfs` and the directory `attic`
/// beside it, into which he may move what is his.
pub struct Ground {
    top: tempfile::TempDir,
    before: BTreeMap<PathBuf, String>,
}

/// How the attacker rearranges the root.
#[derive(Clone, Copy, Debug)]
pub enum Swap {
    /// `dir` and an absolute link to the host's directory.
    DirAndAbsoluteLink,
    /// `dir` and a link that climbs to the host's directory.
    DirAndClimbingLink,
    /// `dir` and a link to the root's parent.
    DirAndParentLink,
    /// `dir` and a directory outside the root: who is in `dir` finds himself outside.
    DirAndOutside,
    /// `dir/deep` and a directory outside, one level nearer to the top.
    DeepAndOutside,
    /// `dir` and a file.
    DirAndFile,
    /// The file `dir/file` and a fifo.
    FileAndFifo,
    /// The file `dir/file` and a link to the host's file.
    FileAndLink,
    /// `dir` and a link to itself.
    DirAndLoop,
}

impl Swap {
    /// All of them.
    pub const ALL: [Swap; 9] = [
        Swap::DirAndAbsoluteLink,
        Swap::DirAndClimbingLink,
        Swap::DirAndParentLink,
        Swap::DirAndOutside,
        Swap::DeepAndOutside,
        Swap::DirAndFile,
        Swap::FileAndFifo,
        Swap::FileAndLink,
        Swap::DirAndLoop,
    ];

    /// The two names that are exchanged, relative to the ground.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Swap::DirAndAbsoluteLink => ("rootfs/dir", "rootfs/absolute"),
            Swap::DirAndClimbingLink => ("rootfs/dir", "rootfs/climbing"),
            Swap::DirAndParentLink => ("rootfs/dir", "rootfs/parent"),
            Swap::DirAndOutside => ("rootfs/dir", "attic/dir"),
            Swap::DeepAndOutside => ("rootfs/dir/deep", "attic/dir"),
            Swap::DirAndFile => ("rootfs/dir", "rootfs/file"),
            Swap::FileAndFifo => ("rootfs/dir/file", "rootfs/fifo"),
            Swap::FileAndLink => ("rootfs/dir/file", "rootfs/filelink"),
            Swap::DirAndLoop => ("rootfs/dir", "rootfs/loop"),
        }
    }
}

impl Ground {
    /// A new one, in memory where there is such a place.
    pub fn new() -> Ground {
        let top = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .expect("a directory can be made");
        let at = |name: &str| top.path().join(name);
        for name in ["outside/deep", "rootfs/dir/deep", "attic/dir/deep"] {
            fs::create_dir_all(at(name)).expect("it is ours");
        }
        let mut files = vec![];
        files
            .extend(["outside/secret", "outside/deep/secret", "outside/file"].map(|f| (f, "host")));
        files.extend(["rootfs/file", "rootfs/dir/file", "attic/dir/file"].map(|f| (f, "inside")));
        for (name, text) in files {
            fs::write(at(name), text).expect("it is ours");
        }
        let outside = at("outside").display().to_string();
        for (name, target) in [
            ("rootfs/absolute", outside.as_str()),
            ("rootfs/climbing", "../../../../../../../../outside"),
            ("rootfs/parent", "../outside"),
            ("rootfs/filelink", "../../outside/secret"),
            ("rootfs/loop", "loop"),
        ] {
            symlink(target, at(name)).expect("it is ours");
        }
        mknodat(CWD, at("rootfs/fifo"), FileType::Fifo, Mode::RWXU, 0).expect("it is ours");
        let mut ground = Ground {
            before: BTreeMap::new(),
            top,
        };
        ground.before = ground.picture();
        ground
    }

    /// A path on it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// The attacker's root.
    pub fn root(&self) -> Root {
        Root::open(&self.at("rootfs")).expect("it is there")
    }

    /// Begins to rearrange it.
    pub fn storm(&self, swap: Swap) -> Storm {
        let (one, other) = swap.names();
        Storm::exchanging(&self.at(one), &self.at(other))
    }

    /// Whether a descriptor is of something that is the host's, the ground itself included.
    pub fn is_the_hosts(&self, found: &OwnedFd) -> bool {
        let id = |path: &Path| {
            let meta = fs::symlink_metadata(path).expect("the host's are where they were");
            (meta.dev(), meta.ino())
        };
        let found = fstat(found.as_fd()).expect("it is open");
        let found = (found.st_dev, found.st_ino);
        let top = self.top.path().to_owned();
        let hosts = self.before.keys().chain([&top]);
        let attic = self.at("attic");
        hosts.chain([&attic]).any(|path| id(path) == found)
    }

    /// Fails unless the host's directory is as it was.
    #[track_caller]
    pub fn host_is_untouched(&self, told: impl std::fmt::Display) {
        assert_eq!(self.picture(), self.before, "{told}");
        let mut names: Vec<_> = fs::read_dir(self.top.path())
            .expect("it is ours")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["attic", "outside", "rootfs"], "{told}");
        let attic = fs::read_dir(self.at("attic")).expect("it is ours").count();
        assert_eq!(attic, 1, "{told}: made beside the root");
    }

    fn picture(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.at("outside")];
        while let Some(path) = left.pop() {
            let meta = fs::symlink_metadata(&path).expect("it is ours");
            let mut content = String::new();
            if meta.is_dir() {
                let entries = fs::read_dir(&path).expect("it is ours");
                left.extend(entries.map(|entry| entry.expect("an entry").path()));
            } else {
                content = fs::read_to_string(&path).expect("it is ours");
            }
            let times = (meta.ctime(), meta.ctime_nsec());
            let what = format!("{:o} {} {times:?} {content}", meta.mode(), meta.ino());
            found.insert(path, what);
        }
        found
    }
}
