//! Does the kernel have it? Each feature is tried once, for real, and undone.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use lxc_guest::protocol::{Feature, User};
use lxc_kernel::process::{self, CloneSpec, Cloned, clone_process, exit_now};
use lxc_kernel::seccomp;
use lxc_kernel::{Errno, SysError, errno_name};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;

use crate::children::ended_before;
use crate::watch::Watch;

mod cgroup;
mod filesystem;
mod link;

/// Nothing, or why the kernel lacks it: `mount_setattr: ENOSYS`.
type Had = Result<(), String>;

/// A probe may make the kernel load modules; this is enough for all of them.
const LASTS: Duration = Duration::from_secs(10);

const NEW_NETWORK: u64 = UnshareFlags::NEWNET.bits() as u64;
const NEW_USER: u64 = UnshareFlags::NEWUSER.bits() as u64;
const NEW_MOUNTS: u64 = UnshareFlags::NEWNS.bits() as u64;
const NEW_TIME: u64 = UnshareFlags::NEWTIME.bits() as u64;

/// Tries each; `None` where the kernel has it.
pub fn probe(watch: &mut Watch, wanted: &[Feature]) -> Vec<Option<String>> {
    let tried = wanted.iter().map(|feature| one(watch, *feature).err());
    tried.collect()
}

fn one(watch: &mut Watch, feature: Feature) -> Had {
    match feature {
        Feature::IdmappedMounts => filesystem::idmap(watch),
        Feature::IdmappedTmpfs => filesystem::idmapped_tmpfs(watch),
        Feature::Openat2 => openat2(),
        Feature::CloneIntoCgroup => cgroup::clone_into(watch),
        Feature::Pidfd => pidfd(),
        Feature::Cgroup2 => cgroup::unified().map(drop),
        Feature::CgroupV1 => cgroup::legacy(),
        Feature::MemoryController => cgroup::controller("memory"),
        Feature::MemoryControllerV1 => cgroup::v1_controller("memory"),
        Feature::PidsController => cgroup::controller("pids"),
        Feature::CgroupKill => cgroup::kill(),
        Feature::Freezer => cgroup::freezer(),
        Feature::Veth => in_child(watch, NEW_NETWORK, || link::create("veth")),
        Feature::Bridge => in_child(watch, NEW_NETWORK, || link::create("bridge")),
        Feature::Overlay => in_child(watch, NEW_MOUNTS, filesystem::overlay),
        Feature::OverlayInUserns => in_child(watch, NEW_USER | NEW_MOUNTS, || {
            map_root()?;
            filesystem::overlay()
        }),
        Feature::TimeNamespace => in_child(watch, NEW_TIME, || Ok(())),
        Feature::UserNamespace => in_child(watch, NEW_USER, map_root),
        Feature::UnprivilegedUserNamespace => in_child(watch, 0, || {
            let nobody_special = User::Alice.id();
            process::set_ids(nobody_special, nobody_special).map_err(why)?;
            process::unshare(NEW_USER).map_err(why)
        }),
        Feature::Uidmap => uidmap(),
        Feature::Useradd => is_here("/usr/sbin/useradd"),
        Feature::LxcTests => is_here("/usr/bin/lxc-test-exit-code"),
        Feature::Bash => is_here("/bin/bash"),
        Feature::GnuCoreutils => is_here("/opt/gnu/bin/mktemp"),
        Feature::Apparmor => apparmor(),
        Feature::ApparmorParser => apparmor_parser(),
        Feature::Seccomp => in_child(watch, 0, filter),
    }
}

/// Tries something in a process of its own, whose end undoes it.
fn in_child(watch: &mut Watch, namespaces: u64, act: impl FnOnce() -> Had) -> Had {
    let child = CloneSpec {
        namespaces,
        into_cgroup: None,
        exit_signal: Signal::CHILD.as_raw(),
        extra: 0,
    };
    in_clone(watch, &child, act)
}

fn in_clone(watch: &mut Watch, child: &CloneSpec, act: impl FnOnce() -> Had) -> Had {
    let (mut reader, mut writer) = std::io::pipe().map_err(|error| error.to_string())?;
    let pid = match clone_process(child).map_err(why)? {
        Cloned::Parent { pid, .. } => pid,
        Cloned::Child => {
            let said = act().err().unwrap_or_default();
            // Unsaid, it ends with a status that says the same.
            let told = writer.write_all(said.as_bytes());
            exit_now(if said.is_empty() && told.is_ok() {
                0
            } else {
                1
            })
        }
    };
    drop(writer);
    let ended = ended_before(watch, pid, Instant::now() + LASTS)?;
    let Some(ended) = ended else {
        return Err(format!(
            "the probe did not end within {} s",
            LASTS.as_secs()
        ));
    };
    let mut said = String::new();
    reader
        .read_to_string(&mut said)
        .map_err(|error| error.to_string())?;
    match ended {
        process::Ended::Exited(0) => Ok(()),
        _ if said.is_empty() => Err(format!("the probe ended with {ended:?}")),
        _ => Err(said),
    }
}

fn why(error: SysError) -> String {
    failed(error.call, error.errno)
}

fn failed(call: &str, errno: Errno) -> String {
    format!("{call}: {}", errno_name(errno))
}

/// The same for a file that is written or read.
fn file_failed(call: &str, error: std::io::Error) -> String {
    match Errno::from_io_error(&error) {
        Some(errno) => failed(call, errno),
        None => format!("{call}: {error}"),
    }
}

fn openat2() -> Had {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::IN_ROOT)
        .map(drop)
        .map_err(|errno| failed("openat2", errno))
}

/// Whether the programs that write ordinary users' id maps are there, and may.
fn uidmap() -> Had {
    const SET_USER_ID: u32 = 0o4000;
    for program in ["/usr/bin/newuidmap", "/usr/bin/newgidmap"] {
        let metadata = fs::metadata(program).map_err(|error| file_failed(program, error))?;
        if metadata.uid() != 0 || metadata.mode() & SET_USER_ID == 0 {
            return Err(format!("{program} does not run as root"));
        }
    }
    Ok(())
}

fn is_here(path: &str) -> Had {
    fs::metadata(path)
        .map(drop)
        .map_err(|error| file_failed(path, error))
}

fn apparmor() -> Had {
    const SWITCH: &str = "/sys/module/apparmor/parameters/enabled";
    let text = fs::read_to_string(SWITCH).map_err(|error| file_failed(SWITCH, error))?;
    match text.trim() {
        "Y" => Ok(()),
        other => Err(format!("{SWITCH}: {other}")),
    }
}

fn apparmor_parser() -> Had {
    const PARSER: &str = "/sbin/apparmor_parser";
    fs::metadata(PARSER)
        .map(drop)
        .map_err(|error| file_failed(PARSER, error))
}

fn pidfd() -> Had {
    let me = process::pidfd_open(std::process::id().cast_signed()).map_err(why)?;
    process::pidfd_signal(me.as_fd(), 0).map_err(why)
}

/// Makes the new user namespace's root our root.
fn map_root() -> Had {
    for (file, text) in [
        ("setgroups", "deny"),
        ("uid_map", "0 0 1"),
        ("gid_map", "0 0 1"),
    ] {
        let path = format!("/proc/self/{file}");
        fs::write(path, text).map_err(|error| file_failed(file, error))?;
    }
    Ok(())
}

/// Has the kernel refuse a call, with an errno that it would not give by itself.
///
/// Where one is in force before anything ran, what programs see of theirs is not what it would be.
fn filter() -> Had {
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    if status.lines().any(|line| line == "Seccomp:\t2") {
        return Err("the machine has a filter of its own, for an older table".to_owned());
    }
    const REFUSAL: i32 = 77;
    let text = format!("2\ndenylist\nsethostname errno {REFUSAL}\n");
    let policy = seccomp::parse(&text).map_err(|error| error.to_string())?;
    let filter = seccomp::compile(&policy).map_err(|error| error.to_string())?;
    filter.load().map_err(why)?;
    match rustix::system::sethostname(b"machine") {
        Err(errno) if errno.raw_os_error() == REFUSAL => Ok(()),
        other => Err(format!(
            "seccomp: the filter is loaded, and the call gives {other:?}"
        )),
    }
}
