//! Ordinary users: what a host with a login manager has ready for them, and a session as one.
//!
//! Alice's cgroup is what systemd makes of `Delegate=yes`: a directory that is hers, with the files
//! that the kernel says are to be given with it, below one that is hers too. On v1, where nobody
//! delegates any more, it is the same in every hierarchy, as hosts with libpam-cgfs had it.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use lxc_guest::protocol::User;
use lxc_kernel::process::{chdir, set_groups, set_ids};
use lxc_kernel::{Errno, SysError};

use crate::census::{Mount, mounts};
use crate::trouble::{Calling, Outcome};

/// The cgroups on the way to hers, outermost first, and whether each is hers.
const GROUPS: [(&str, bool); 4] = [
    ("user.slice", false),
    ("user-1000.slice", false),
    ("user@1000.service", true),
    ("session.scope", true),
];

/// What is given with a cgroup of v1; v2 says it itself.
const GIVEN_ON_V1: &str = "tasks\ncgroup.procs\n";
const GIVEN_ON_V2: &str = "/sys/kernel/cgroup/delegate";

/// Makes what the users find when they log in.
pub fn settle() -> Outcome {
    for user in User::ALL {
        let Some(runtime) = user.runtime_directory() else {
            continue;
        };
        fs::create_dir_all(runtime).calling("mkdir", runtime)?;
        let private = Permissions::from_mode(0o700);
        fs::set_permissions(runtime, private).calling("chmod", runtime)?;
        give(Path::new(runtime), user.id())?;
        for below in [".local/share/lxc", ".config/lxc"] {
            let mut path = PathBuf::from(user.home());
            for part in Path::new(below) {
                path.push(part);
                if !path.is_dir() {
                    fs::create_dir(&path).calling("mkdir", path.display())?;
                    give(&path, user.id())?;
                }
            }
        }
    }
    hierarchies()?.iter().try_for_each(delegate)
}

/// All cgroup hierarchies that are mounted.
fn hierarchies() -> Outcome<Vec<Mount>> {
    let mut mounts = mounts()?;
    mounts.retain(|mount| matches!(mount.fstype.as_str(), "cgroup" | "cgroup2"));
    Ok(mounts)
}

/// Makes alice's cgroup in a hierarchy.
fn delegate(hierarchy: &Mount) -> Outcome {
    let unified = hierarchy.fstype == "cgroup2";
    let given = match unified {
        true => fs::read_to_string(GIVEN_ON_V2).calling("open", GIVEN_ON_V2)?,
        false => GIVEN_ON_V1.to_owned(),
    };
    let mut place = PathBuf::from(&hierarchy.point);
    for (name, hers) in GROUPS {
        let parent = place.clone();
        if unified {
            enable_controllers(&parent)?;
        }
        place.push(name);
        fs::create_dir(&place).calling("mkdir", place.display())?;
        if hierarchy.has_v1_controller("cpuset") {
            // Empty, nobody could enter it.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let value = fs::read(parent.join(file)).calling("read", file)?;
                fs::write(place.join(file), value).calling("write", file)?;
            }
        }
        if hers {
            give(&place, User::Alice.id())?;
            // A file of the list belongs to a controller that may not be here.
            let files = given.lines().map(|name| place.join(name));
            for file in files.filter(|file| file.exists()) {
                give(&file, User::Alice.id())?;
            }
        }
    }
    Ok(())
}

/// Gives all controllers of a v2 cgroup to the groups below it.
fn enable_controllers(place: &Path) -> Outcome {
    let available = place.join("cgroup.controllers");
    let available = fs::read_to_string(&available).calling("open", available.display())?;
    let control = place.join("cgroup.subtree_control");
    for name in available.split_whitespace() {
        fs::write(&control, format!("+{name}")).calling("write", control.display())?;
    }
    Ok(())
}

/// Makes a user the owner, together with the user's group; a link itself, not what it leads to.
pub fn give(path: &Path, id: u32) -> Outcome {
    give_both(path, id, id)
}

/// The same with a group of another number.
pub fn give_both(path: &Path, uid: u32, gid: u32) -> Outcome {
    lchown(path, Some(uid), Some(gid)).calling("lchown", path.display())
}

/// Shows `visit` a directory and everything below it, links as links.
pub fn each(top: &Path, visit: &mut impl FnMut(&Path, &Metadata) -> Outcome) -> Outcome {
    let metadata = fs::symlink_metadata(top).calling("stat", top.display())?;
    visit(top, &metadata)?;
    if !metadata.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(top).calling("open", top.display())? {
        each(&entry.calling("getdents", top.display())?.path(), visit)?;
    }
    Ok(())
}

/// What a process does to become one of a user's session.
pub struct Session {
    user: User,
    /// Where it writes itself into the user's cgroups.
    entries: Vec<PathBuf>,
}

impl Session {
    /// Finds out what is to be done.
    pub fn of(user: User) -> Outcome<Session> {
        let mut entries = Vec::new();
        if user == User::Alice {
            let below: PathBuf = GROUPS.iter().map(|(name, _)| name).collect();
            for hierarchy in hierarchies()? {
                let place = Path::new(&hierarchy.point).join(&below);
                entries.push(place.join("cgroup.procs"));
            }
        }
        Ok(Session { user, entries })
    }

    /// Does it, in the process itself. Root's session is ours.
    pub fn begin(&self) -> lxc_kernel::Result<()> {
        if self.user == User::Root {
            return Ok(());
        }
        for entry in &self.entries {
            fs::write(entry, "0").map_err(|error| {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                SysError::new("write", entry.display().to_string(), errno)
            })?;
        }
        set_groups(&[])?;
        set_ids(self.user.id(), self.user.id())?;
        chdir(Path::new(self.user.home()))
    }
}
