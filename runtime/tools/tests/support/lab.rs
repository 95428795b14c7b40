//! A laboratory: a directory of containers that belongs to one test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::call::Call;
use super::census::{self, Census};
use super::{SETTLING, within};

/// How long a tool may take to clean up.
const CLEANING: Duration = Duration::from_secs(10);

/// The configuration a container begins with: no template, no host file adds to it.
const BEGINNING: &str = "lxc.net.0.type = empty\n";

/// Says in the form the test command counts that `test` could not run.
pub fn could_not_run(test: &str, reason: &str) {
    println!("COULD NOT RUN: {test}: {reason}");
}

/// A directory of containers of one test. Whatever was started in it is stopped and removed when it
/// is dropped, and the test fails if anything of it is still on the host then.
pub struct Lab {
    tag: String,
    root: PathBuf,
    lxcpath: PathBuf,
    prefix: PathBuf,
}

impl Lab {
    /// A new one for a program that uses the library itself, which must find the monitor program beside
    /// it; else as [`Lab::new`].
    pub fn of_the_library(owner: &str, test: &str) -> Option<Lab> {
        let program = std::env::current_exe().ok()?;
        let built = program.parent()?.with_file_name("lxc-monitor");
        if !built.is_file() {
            let remedy = format!(
                "{} is missing; build it with 'cargo build -p lxc-engine'",
                built.display()
            );
            could_not_run(test, &remedy);
            return None;
        }
        Lab::new(owner, test)
    }

    /// A new one whose names begin with `owner`; `None`, and a line about `test`, where containers
    /// cannot be run.
    ///
    /// # Panics
    /// Its directories cannot be made.
    #[track_caller]
    pub fn new(owner: &str, test: &str) -> Option<Lab> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !geteuid().is_root() {
            could_not_run(test, "it needs root");
            return None;
        }
        let Some(prefix) = std::env::var_os("LXC_TEST_PREFIX").map(PathBuf::from) else {
            let remedy = "LXC_TEST_PREFIX names no installation; use 'cargo xtask test host'";
            could_not_run(test, remedy);
            return None;
        };
        if !prefix.join("bin/lxc-start").is_file() {
            let reason = format!("there is no installation in {}", prefix.display());
            could_not_run(test, &reason);
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // The last hyphen keeps one tag from being the beginning of another.
        let tag = format!("{owner}-{}-{number}-", process::id());
        let root = std::env::temp_dir().join(&tag);
        let lab = Lab {
            lxcpath: root.join("lxc"),
            tag,
            root,
            prefix,
        };
        for directory in [&lab.root, &lab.lxcpath, &lab.files()] {
            fs::create_dir(directory).expect("a directory for the test can be made");
            // Some tests come back as another user.
            let open = fs::Permissions::from_mode(0o755);
            fs::set_permissions(directory, open).expect("the directory is ours");
        }
        Some(lab)
    }

    /// What every name in it begins with, and nothing else on this host contains.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Its lxcpath.
    pub fn lxcpath(&self) -> &Path {
        &self.lxcpath
    }

    /// A directory for whatever else the test needs; not part of the census.
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// The installation under test.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// The name `short` gets in this laboratory.
    pub fn name(&self, short: &str) -> String {
        format!("{}{short}", self.tag)
    }

    /// Directory of the container `name`.
    pub fn directory(&self, name: &str) -> PathBuf {
        self.lxcpath.join(name)
    }

    /// Its rootfs.
    pub fn rootfs(&self, name: &str) -> PathBuf {
        self.directory(name).join("rootfs")
    }

    /// Writes a file of the test's own, with `mode`, and says where it is.
    ///
    /// # Panics
    /// It cannot be written.
    #[track_caller]
    pub fn file(&self, name: &str, mode: u32, text: &str) -> PathBuf {
        let path = self.files().join(name);
        fs::write(&path, text).expect("a file for the test can be written");
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&path, mode).expect("the file is ours");
        path
    }

    /// A call of our `tool` with `words` on this lxcpath.
    pub fn tool(&self, tool: &str, words: &[&str]) -> Call {
        let program = self.prefix.join("bin").join(tool);
        Call::new(program).arg("-P").arg(&self.lxcpath).args(words)
    }

    /// A call of Debian's `tool` with `words` on this lxcpath.
    pub fn peer(&self, tool: &str, words: &[&str]) -> Call {
        let program = Path::new("/usr/bin").join(tool);
        Call::new(program).arg("-P").arg(&self.lxcpath).args(words)
    }

    /// A new container with the files of the busybox template; `more` is appended to its
    /// configuration. Says its full name.
    ///
    /// # Panics
    /// It cannot be created.
    #[track_caller]
    pub fn busybox(&self, short: &str, more: &str) -> String {
        let name = self.name(short);
        let beginning = self.file("beginning.conf", 0o644, BEGINNING);
        let beginning = beginning.to_string_lossy();
        let words = ["-n", &name, "-t", "busybox", "-f", &beginning];
        self.tool("lxc-create", &words).run().exits(0);
        self.configure(&name, more);
        name
    }

    /// A new container that shares the rootfs of `other`, which survives it. Says its full name.
    ///
    /// # Panics
    /// It cannot be written.
    #[track_caller]
    pub fn sibling(&self, other: &str, short: &str) -> String {
        let file = self.directory(other).join("config");
        let text = fs::read_to_string(file).expect("the other container has a configuration");
        let uts = format!("lxc.uts.name = {}", self.name(short));
        self.defined(short, &format!("{text}\n{uts}\nlxc.rootfs.managed = 0"))
    }

    /// A new container with only the configuration `text`. Says its full name.
    ///
    /// # Panics
    /// It cannot be written.
    #[track_caller]
    pub fn defined(&self, short: &str, text: &str) -> String {
        let name = self.name(short);
        fs::create_dir(self.directory(&name)).expect("the container is new");
        self.configure(&name, text);
        name
    }

    /// Appends `text` to the configuration of `name`.
    ///
    /// # Panics
    /// It cannot be written.
    #[track_caller]
    pub fn configure(&self, name: &str, text: &str) {
        let file = self.directory(name).join("config");
        let old = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, format!("{old}{text}\n")).expect("the configuration is ours");
    }

    /// Starts `name`.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    pub fn start(&self, name: &str) {
        self.tool("lxc-start", &["-n", name]).run().exits(0);
    }

    /// Kills `name`.
    ///
    /// # Panics
    /// It does not stop.
    #[track_caller]
    pub fn kill(&self, name: &str) {
        self.tool("lxc-stop", &["-n", name, "-k"]).run().exits(0);
    }

    /// Runs `words` inside `name`.
    #[track_caller]
    pub fn inside(&self, name: &str, words: &[&str]) -> super::Ran {
        let call = self.tool("lxc-attach", &["-n", name, "--"]);
        call.args(words).run()
    }

    /// The state of `name` as lxc-info says it.
    #[track_caller]
    pub fn state(&self, name: &str) -> String {
        let ran = self.tool("lxc-info", &["-n", name, "-sH"]).run().exits(0);
        ran.stdout.trim_end().to_owned()
    }

    /// The pid of the init of `name`.
    ///
    /// # Panics
    /// It does not run.
    #[track_caller]
    pub fn init_pid(&self, name: &str) -> Pid {
        let ran = self.tool("lxc-info", &["-n", name, "-pH"]).run().exits(0);
        let pid = ran.stdout.trim_end().parse().ok().and_then(Pid::from_raw);
        pid.unwrap_or_else(|| panic!("expected a pid\n{ran}"))
    }

    /// The pid of the monitor of `name`, if there is one.
    pub fn monitor_pid(&self, name: &str) -> Option<Pid> {
        let title = format!("[lxc monitor] {} {name}", self.lxcpath.display());
        let found = census::processes(name);
        let (pid, _) = found.iter().find(|(_, command)| *command == title)?;
        Pid::from_raw(*pid)
    }

    /// What on the host belongs to it now.
    pub fn census(&self) -> Census {
        Census::take(&self.tag, &self.lxcpath)
    }

    /// Fails unless the host is as `before`, at the latest when it had time to settle.
    ///
    /// # Panics
    /// Something was left behind or is gone.
    #[track_caller]
    pub fn is_as(&self, before: &Census) {
        let mut differences = Vec::new();
        let clean = within(SETTLING, || {
            differences = self.census().since(before);
            differences.is_empty()
        });
        assert!(
            clean,
            "the host is not as before:\n{}",
            differences.join("\n")
        );
    }

    /// Stops its containers the way a user would. They are not destroyed: lxc-destroy removes whatever
    /// a configuration names as the rootfs, and a test may name anything.
    fn stop_containers(&self) {
        let Ok(entries) = fs::read_dir(&self.lxcpath) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let stop = self.tool("lxc-stop", &["-n", &name, "-k"]);
            stop.within(CLEANING).run();
        }
    }

    /// Removes `directory`, which is below the root of this laboratory; nothing when a mount of ours
    /// is left, for what would be removed behind it is the host's.
    fn remove(&self, directory: &Path) {
        assert!(
            directory.starts_with(&self.root),
            "{directory:?} is not ours"
        );
        if !census::mounts(&self.tag).is_empty() {
            eprintln!("{} stays: something is mounted in it", directory.display());
            return;
        }
        if let Err(error) = fs::remove_dir_all(directory) {
            eprintln!("cannot remove {}: {error}", directory.display());
        }
    }

    /// Ends and removes by force what still carries the tag.
    fn sweep(&self) {
        let gone = |what: &str, list: &dyn Fn() -> usize| {
            if !within(CLEANING, || list() == 0) {
                eprintln!("{}: cannot remove all {what}", self.tag);
            }
        };
        gone("processes", &|| {
            let found = census::processes(&self.tag);
            for (pid, _) in &found {
                if let Some(pid) = Pid::from_raw(*pid) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            found.len()
        });
        gone("mounts", &|| {
            let found = census::mounts(&self.tag);
            for point in found.iter().rev() {
                let _ = unmount(point.as_str(), UnmountFlags::DETACH);
            }
            found.len()
        });
        gone("cgroups", &|| {
            let found = census::cgroups(&self.tag);
            for directory in found.iter().rev() {
                let _ = fs::remove_dir(directory);
            }
            found.len()
        });
        self.remove(&self.root);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the host at the failure:\n{}", self.census());
            self.sweep();
            return;
        }
        self.stop_containers();
        self.remove(&self.lxcpath);
        let mut left = Census::default();
        let clean = within(SETTLING, || {
            left = self.census();
            left.is_empty()
        });
        self.sweep();
        assert!(clean, "after everything was removed:\n{left}");
    }
}
