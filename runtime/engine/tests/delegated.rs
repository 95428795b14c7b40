//! Cgroups of a user who is not root: made, entered, limited, frozen, left and removed where the
//! administrator has delegated a directory, and nowhere else.
//!
//! A test program of its own kind: it runs itself as that user, and then has one thread, because only
//! such a process may fork. Speaks as much of libtest's command line as cargo and nextest use.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lxc_engine::facts;
use lxc_engine::step::cgroup::Cgroups;
use lxc_kernel::process::{self, CloneSpec, Cloned};
use lxc_plan::{CgroupNames, HierarchyFact};

/// Nobody on this host.
const USER: u32 = 54_321;
/// Says to the test program that it is run as that user: what it has to find.
const TURN: &str = "LXC_TEST_DELEGATED";

/// What the user's side says at its end.
const TRIED: &str = "all of it was tried";
const TEST: &str = "a_user_has_cgroups_where_they_are_delegated";

fn main() {
    if let Ok(turn) = std::env::var(TURN) {
        as_the_user(&turn);
        println!("{TRIED}");
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|it| it == word);
    let named = |word: &String| word.starts_with('-') || word == "terse" || TEST.contains(&**word);
    match (has("--ignored") || !words.iter().all(named), has("--list")) {
        (true, _) => {}
        (false, true) => println!("{TEST}: test"),
        (false, false) => {
            a_user_has_cgroups_where_they_are_delegated();
            println!("test {TEST} ... ok");
        }
    }
}

/// Which files of a delegated directory the user may write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Given {
    /// v2: those that the kernel lists; v1: the directory and the files that move processes.
    All,
    /// v2: all but cgroup.procs: no process can be moved in or out.
    AllButProcs,
    /// v1: the directory alone, as pam_cgfs does it.
    DirectoryAlone,
    /// v2: the directory alone: not delegated.
    Nothing,
}

/// A delegated directory of one hierarchy; it goes when this goes.
struct Delegated(PathBuf);

impl Delegated {
    fn new(hierarchy: &Path, given: Given) -> Delegated {
        let name = format!("cgroups-{}-{given:?}", std::process::id());
        let directory = hierarchy.join(name);
        fs::create_dir(&directory).expect("we are root");
        let delegated = Delegated(directory);
        delegated.give("");
        let files: &[&str] = match given {
            Given::All => &[
                "cgroup.procs",
                "tasks",
                "cgroup.threads",
                "cgroup.subtree_control",
            ],
            Given::AllButProcs => &["cgroup.threads", "cgroup.subtree_control"],
            Given::DirectoryAlone | Given::Nothing => &[],
        };
        files.iter().for_each(|file| delegated.give(file));
        delegated
    }

    fn give(&self, file: &str) {
        let path = self.0.join(file);
        if path.exists() {
            chown(&path, Some(USER), Some(USER)).expect("we are root");
        }
    }

    /// Runs the test `turn` as the user, in this directory.
    fn run(&self, turn: &str) {
        let enter = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";
        let user = USER.to_string();
        let output = Command::new("sh")
            .args(["-c", enter, "sh"])
            .arg(&self.0)
            .args([
                "setpriv",
                "--reuid",
                &user,
                "--regid",
                &user,
                "--clear-groups",
            ])
            // The build directory may be closed to others.
            .arg(reachable_program())
            .env(TURN, turn)
            .output()
            .expect("sh is there");
        let told = format!(
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            output.status.success(),
            "{turn} in {}:\n{told}",
            self.0.display()
        );
        assert!(told.contains(TRIED), "nothing was tried:\n{told}");
        let left: Vec<_> = fs::read_dir(&self.0)
            .expect("it is ours")
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()))
            .map(|entry| entry.file_name())
            .collect();
        // Where no process may be, or may come, the monitor leaves for a cgroup that stays.
        let handed_down = fs::read_to_string(self.0.join("cgroup.subtree_control"));
        let closed = handed_down.is_ok_and(|text| !text.trim().is_empty());
        let closed = closed && !turn.starts_with("v2 filled");
        let expected: &[&str] = match closed || turn == "v1 directory" {
            true => &["lxc.pivot"],
            // It was there before, and is empty now: `fs::remove_dir` takes nothing else.
            false if turn.starts_with("v2 filled") => &["c"],
            false => &[],
        };
        assert_eq!(left, expected, "{turn}");
        let empty = left
            .iter()
            .all(|name| fs::remove_dir(self.0.join(name)).is_ok());
        assert!(empty, "{turn}: something is left in {left:?}");
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        // What a failed test has left in it.
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// Root in the user namespace of [`Guest`].
const GUEST_ROOT: u32 = 100_000;

/// A process of the user in a user namespace of many ids, as newuidmap makes it.
struct Guest(Child);

impl Guest {
    fn new() -> Guest {
        let user = USER.to_string();
        let process = Command::new("setpriv")
            .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
            .args(["unshare", "--user", "sleep", "100"])
            .spawn()
            .expect("setpriv and unshare are there");
        let guest = Guest(process);
        let own = fs::read_link("/proc/self/ns/user").expect("we run");
        let file = |name: &str| format!("/proc/{}/{name}", guest.0.id());
        let end = Instant::now() + Duration::from_secs(5);
        while fs::read_link(file("ns/user")).is_ok_and(|theirs| theirs == own) {
            assert!(Instant::now() < end, "no user namespace");
            std::thread::sleep(Duration::from_millis(5));
        }
        for map in ["uid_map", "gid_map"] {
            fs::write(file(map), format!("0 {GUEST_ROOT} 65536")).expect("we are root");
        }
        guest
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Delegated {
    /// Makes a container's cgroup with what its root would make in it.
    fn fill(&self) {
        let container = self.0.join("c");
        for path in ["", "a", "a/deeper", "a/deeper/still", "b"] {
            let path = container.join(path);
            fs::create_dir(&path).expect("we are root");
            chown(&path, Some(GUEST_ROOT), Some(GUEST_ROOT)).expect("we are root");
        }
        chown(&container, Some(USER), Some(GUEST_ROOT)).expect("we are root");
        let mode = fs::Permissions::from_mode(0o775);
        fs::set_permissions(&container, mode).expect("we are root");
    }
}

/// This program where any user can execute it.
fn reachable_program() -> PathBuf {
    let own = std::env::current_exe().expect("we run");
    let copy = std::env::temp_dir().join(format!("cgroups-{}-program", std::process::id()));
    if !copy.exists() {
        fs::copy(own, &copy).expect("there is room");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    copy
}

/// The mount of v2 and of one v1 controller.
fn mounts() -> (Option<PathBuf>, Option<PathBuf>) {
    let root = Path::new("/sys/fs/cgroup");
    let v2 = [root.to_owned(), root.join("unified")];
    let v1 = [root.join("pids"), root.join("freezer")];
    let found =
        |places: &[PathBuf], file: &str| places.iter().find(|p| p.join(file).exists()).cloned();
    (found(&v2, "cgroup.subtree_control"), found(&v1, "tasks"))
}

fn a_user_has_cgroups_where_they_are_delegated() {
    if !rustix::process::geteuid().is_root() {
        println!("COULD NOT RUN: {TEST}: it needs root");
        return;
    }
    let (v2, v1) = mounts();
    match v2 {
        Some(mount) => {
            Delegated::new(&mount, Given::All).run("v2");
            Delegated::new(&mount, Given::AllButProcs).run("v2 unmovable");
            Delegated::new(&mount, Given::Nothing).run("nothing");
            let filled = Delegated::new(&mount, Given::All);
            let guest = Guest::new();
            filled.fill();
            filled.run(&format!("v2 filled by {}", guest.0.id()));
        }
        None => println!("COULD NOT RUN: {TEST}: no v2 hierarchy"),
    }
    match v1 {
        Some(mount) => {
            Delegated::new(&mount, Given::All).run("v1");
            Delegated::new(&mount, Given::DirectoryAlone).run("v1 directory");
        }
        None => println!("COULD NOT RUN: {TEST}: no v1 hierarchy"),
    }
    // No harm if it stays: it is in the directory for temporary files.
    let _ = fs::remove_file(reachable_program());
}

/// The user's side.
fn as_the_user(turn: &str) {
    let found = facts::cgroups(false).expect("a list");
    if turn == "nothing" {
        assert!(found.is_empty(), "{found:?}");
        return;
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].unified, turn.starts_with("v2"), "{found:?}");
    assert!(found[0].base.starts_with("cgroups-"), "{found:?}");

    if let Some(guest) = turn.strip_prefix("v2 filled by ") {
        return emptied(&found, guest);
    }
    let mut cgroups = Cgroups::claim(CgroupNames::of("demo"), &found).expect("ours");
    if turn == "v2 unmovable" {
        let refused = cgroups
            .enter_monitor(false)
            .expect_err("the kernel says no");
        assert!(refused.to_string().contains("cgroup.procs"), "{refused}");
        cgroups.remove_monitor().expect("it is empty");
        return;
    }
    in_place(&mut cgroups);
}

fn in_place(cgroups: &mut Cgroups) {
    cgroups.enter_monitor(false).expect("the monitor's");
    let own = where_is("thread-self");
    assert!(own.contains("/lxc.monitor.demo"), "{own}");
    cgroups.create_payload().expect("the container's");
    cgroups.create_inner("in").expect("below it");
    if cgroups.payload_unified().is_some() {
        let limited = cgroups.limit(true, "cgroup.max.descendants", b"7");
        limited.expect("a limit");
    }
    guest_lives_and_dies(cgroups);
    cgroups.leave(false).expect("a way out");
    cgroups.remove_payload().expect("the container's");
    cgroups.remove_monitor().expect("the monitor's");
    let own = where_is("thread-self");
    assert!(!own.contains("demo"), "{own}");
}

/// A guest in the container's cgroup: born there and frozen on v2; on v1 it goes there by itself.
fn guest_lives_and_dies(cgroups: &Cgroups) {
    let Some(directory) = cgroups.payload_unified() else {
        cgroups.enter_payload(false).expect("the container's");
        assert!(where_is("thread-self").contains("/lxc.payload.demo/in"));
        cgroups.enter_monitor(false).expect("back again");
        return;
    };
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: Some(directory),
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    match process::clone_bare(&spec).expect("a guest") {
        Cloned::Child => loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        },
        Cloned::Parent { pid, pidfd } => {
            assert!(where_is(&pid.to_string()).contains("/lxc.payload.demo/in"));
            cgroups.limit(true, "cgroup.freeze", b"1").expect("frozen");
            cgroups.limit(true, "cgroup.freeze", b"0").expect("thawed");
            process::pidfd_signal(pidfd.as_fd(), libc::SIGKILL).expect("our child");
            process::wait_pidfd(pidfd.as_fd(), true).expect("our child");
        }
    }
}

fn where_is(process: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/cgroup")).expect("it lives")
}

/// What the container's root has made goes, though the user may not remove it.
fn emptied(found: &[HierarchyFact], guest: &str) {
    let names = CgroupNames {
        monitor: "m".to_string(),
        payload: "c".to_string(),
        exact: true,
        ..CgroupNames::of("demo")
    };
    let mut cgroups = Cgroups::claim(names, found).expect("ours");
    cgroups.create_payload().expect("it is there");
    let refused = cgroups.remove_payload().expect_err("another's");
    assert_eq!(refused.errno, lxc_kernel::Errno::ACCESS, "{refused}");
    let owner = fs::File::open(format!("/proc/{guest}/ns/user")).expect("our own process");
    cgroups.owner = Some(owner.into());
    cgroups.remove_payload().expect("by its root");
    cgroups.remove_monitor().expect("the monitor's");
}
