//! A container whose rootfs is rearranged before each start, and a directory of the host that must
//! not notice.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::OWNER;
use crate::support::{Call, Census, Lab, Ran, Side};

/// Something in the rootfs, in place of what was there. `SENTINEL` in a target is a directory of the
/// host.
pub enum Plant {
    /// A symbolic link.
    Link(&'static str, &'static str),
    /// A fifo.
    Fifo(&'static str),
    /// A socket.
    Socket(&'static str),
    /// A character device, the null device of the host.
    Device(&'static str),
    /// An empty file.
    File(&'static str),
    /// An empty directory.
    Dir(&'static str),
    /// Nothing.
    Gone(&'static str),
}
use Plant::{Device, Dir, Fifo, File, Gone, Link, Socket};

impl Plant {
    /// Puts it there, with directories above it where there are none.
    pub fn put(&self, rootfs: &Path, sentinel: &str) {
        let (Link(name, _)
        | Fifo(name)
        | Socket(name)
        | Device(name)
        | File(name)
        | Dir(name)
        | Gone(name)) = self;
        let path = rootfs.join(name);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&path).expect("the rootfs is ours"),
            Ok(_) => fs::remove_file(&path).expect("the rootfs is ours"),
            Err(_) => {}
        }
        if let (Some(parent), false) = (path.parent(), matches!(self, Gone(_))) {
            fs::create_dir_all(parent).expect("the rootfs is ours");
        }
        let node = |kind, device| {
            mknodat(CWD, &path, kind, Mode::from_raw_mode(0o666), device)
                .expect("a node can be made");
        };
        match self {
            Link(_, target) => {
                symlink(target.replace("SENTINEL", sentinel), &path).expect("a link can be made");
            }
            Fifo(_) => node(FileType::Fifo, 0),
            Socket(_) => drop(UnixListener::bind(&path).expect("a socket can be made")),
            Device(_) => node(FileType::CharacterDevice, makedev(1, 3)),
            File(_) => fs::write(&path, "").expect("a file can be made"),
            Dir(_) => fs::create_dir(&path).expect("a directory can be made"),
            Gone(_) => {}
        }
    }
}

/// What a start is to become.
pub enum Outcome {
    /// It works, and so does this script inside.
    Works(&'static str),
    /// It fails: the first line contains the one, the rest the other.
    Fails(&'static str, &'static str),
}
use Outcome::{Fails, Works};

/// Id maps that root writes himself, whatever /etc/subuid says: host id 0 is mapped, far up.
pub const MAPS: &str = "\
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536
lxc.idmap = u 70000 0 1
lxc.idmap = g 70000 0 1
";

/// Gives the files of the container `name` to its root under [`MAPS`].
#[track_caller]
pub fn give_to_its_root(lab: &Lab, name: &str) {
    let chown = Call::new("chown").args(["-R", "-h", "100000:100000"]);
    chown.arg(lab.rootfs(name)).run().exits(0);
}

/// What is planted, lines of configuration (`SENTINEL` filled in), what becomes of it.
pub type Row = (&'static [Plant], &'static str, Outcome);

/// One container, whose rootfs can be made new, and the host's directory beside it.
pub struct Scene {
    /// The container.
    pub name: String,
    sentinel: PathBuf,
    picture: BTreeMap<String, String>,
    core_pattern: String,
    base: String,
    before: Census,
    /// Last: it looks whether everything is gone.
    pub lab: Lab,
}

impl Scene {
    /// A new one for `test`; `None`, and a line about it, where it cannot run.
    #[track_caller]
    pub fn new(test: &str) -> Option<Scene> {
        let lab = Lab::new(OWNER, test)?;
        let name = lab.busybox("c1", "");
        let sentinel = lab.files().join("sentinel");
        fs::create_dir_all(sentinel.join("sub")).expect("a directory can be made");
        fs::write(sentinel.join("file"), "keep").expect("a file can be made");
        let config = lab.directory(&name).join("config");
        let base = fs::read_to_string(config).expect("it has a configuration");
        let pristine = lab.files().join("pristine");
        let copy = Call::new("cp").arg("-a").arg(lab.rootfs(&name));
        copy.arg(&pristine).run().exits(0);
        Some(Scene {
            picture: picture(&sentinel),
            core_pattern: core_pattern(),
            before: lab.census(),
            name,
            sentinel,
            base,
            lab,
        })
    }

    /// The directory of the host that nobody may touch.
    pub fn sentinel(&self) -> &str {
        self.sentinel.to_str().expect("a path in UTF-8")
    }

    /// The container's rootfs.
    pub fn rootfs(&self) -> PathBuf {
        self.lab.rootfs(&self.name)
    }

    /// Makes the rootfs new and gives the container these `lines` beside its usual ones.
    pub fn arrange(&self, lines: &str) {
        let rootfs = self.rootfs();
        // There is none after a test that moved it away.
        let _ = fs::remove_dir_all(&rootfs);
        let copy = Call::new("cp")
            .arg("-a")
            .arg(self.lab.files().join("pristine"));
        copy.arg(&rootfs).run().exits(0);
        let lines = lines.replace("SENTINEL", self.sentinel());
        let config = self.lab.directory(&self.name).join("config");
        fs::write(config, format!("{}\n{lines}\n", self.base)).expect("the configuration is ours");
    }

    /// Starts the container and waits for the outcome.
    #[track_caller]
    pub fn start(&self) -> Ran {
        let words = ["-n", &self.name];
        Side::Ours.tool(&self.lab, "lxc-start", &words).run()
    }

    /// Fails unless the host is as it was before the first start; `told` says what happened.
    #[track_caller]
    pub fn host_is_untouched(&self, told: impl std::fmt::Display) {
        let now = picture(&self.sentinel);
        assert_eq!(now, self.picture, "the host was touched\n{told}");
        assert_eq!(
            core_pattern(),
            self.core_pattern,
            "the host was touched\n{told}"
        );
    }

    /// Fails unless nothing of a start is left on the host.
    #[track_caller]
    pub fn nothing_is_left(&self) {
        self.lab.is_as(&self.before);
    }
}

fn core_pattern() -> String {
    fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default()
}

/// Everything about a tree that a stranger could change.
fn picture(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let meta = path.symlink_metadata().expect("the tree is ours");
        let content = match meta.is_dir() {
            true => {
                let entries = fs::read_dir(&path).expect("the tree is ours");
                left.extend(entries.map(|entry| entry.expect("a readable entry").path()));
                String::new()
            }
            false => fs::read_to_string(&path).expect("a readable file"),
        };
        let what = format!(
            "{:o} {}:{} {}.{} {content:?}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.ctime(),
            meta.ctime_nsec()
        );
        found.insert(path.display().to_string(), what);
    }
    found
}

/// Starts a container once for each row, from the same files.
#[track_caller]
pub fn check(test: &str, rows: &[Row]) {
    let Some(scene) = Scene::new(test) else {
        return;
    };
    for (number, (plants, lines, outcome)) in rows.iter().enumerate() {
        scene.arrange(lines);
        for plant in *plants {
            plant.put(&scene.rootfs(), scene.sentinel());
        }
        let started = scene.start();
        let told = format!("row {number}: {lines}\n{started}");
        match outcome {
            Works(script) => {
                assert!(started.code() == 0, "it should start\n{told}");
                let ran = scene.lab.inside(&scene.name, &["sh", "-c", script]);
                assert!(ran.code() == 0, "inside\n{ran}\n{told}");
                scene.lab.kill(&scene.name);
            }
            Fails(first, rest) => {
                let (line, others) = started.stderr.split_once('\n').unwrap_or_default();
                let said = line.contains(first) && others.contains(rest);
                assert!(
                    started.code() == 1 && said,
                    "expected {first:?}, {rest:?}\n{told}"
                );
                scene.nothing_is_left();
            }
        }
        scene.host_is_untouched(told);
    }
}
