//! Cgroups of a user who is not root: made, entered, limited, frozen, left and removed where the
//! administrator has delegated a directory, and nowhere else.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use lxc_engine::facts;
use lxc_engine::step::cgroup::Cgroups;
use lxc_kernel::process::{self, CloneSpec, Cloned};
use lxc_plan::CgroupNames;

/// Nobody on this host.
const USER: u32 = 54_321;
/// Says to the test program that it is run as that user: what it has to find.
const TURN: &str = "LXC_TEST_DELEGATED";

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
            .args(["--exact", "as_the_user", "--ignored", "--nocapture"])
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
        assert!(told.contains("1 passed"), "nothing was tried:\n{told}");
        let left: Vec<_> = fs::read_dir(&self.0)
            .expect("it is ours")
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()))
            .map(|entry| entry.file_name())
            .collect();
        // Where no process may be, or may come, the monitor leaves for a cgroup that stays.
        let handed_down = fs::read_to_string(self.0.join("cgroup.subtree_control"));
        let closed = handed_down.is_ok_and(|text| !text.trim().is_empty());
        let expected: &[&str] = match closed || turn == "v1 directory" {
            true => &["lxc.pivot"],
            false => &[],
        };
        assert_eq!(left, expected, "{turn}");
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

/// This program where any user can execute it.
fn reachable_program() -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
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

#[test]
fn a_user_has_cgroups_where_they_are_delegated() {
    const TEST: &str = "a_user_has_cgroups_where_they_are_delegated";
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

/// The user's side; run by the test above.
#[test]
#[ignore = "the other test runs it as a user"]
fn as_the_user() {
    let Ok(turn) = std::env::var(TURN) else {
        return;
    };
    let found = facts::cgroups(false).expect("a list");
    if turn == "nothing" {
        assert!(found.is_empty(), "{found:?}");
        return;
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].unified, turn.starts_with("v2"), "{found:?}");
    assert!(found[0].base.starts_with("cgroups-"), "{found:?}");

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
