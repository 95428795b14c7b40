//! Facts for id maps: who the caller is, what it has been granted, what the host allows.

use super::{PROC_MAX, file_text};
use lxc_config::Values;
use lxc_kernel::{caps, users, xattr};
use lxc_plan::users::{
    AclEntry, AclTag, DirectoryFact, SubidFact, ToolFact, UserFacts, UsernsFact,
};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Largest passwd, subuid, subgid read.
const DATABASE_MAX: usize = 16 << 20;

const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
const CAP_SYS_ADMIN: u32 = 21;

/// What a start with this configuration needs to know of them; `None` without id maps.
pub(super) fn of_start(values: &Values, login: Option<&str>) -> Option<UserFacts> {
    if values.idmap.is_empty() {
        return None;
    }
    // One that is mounted with shifted ids is opened by the monitor.
    let options = values.rootfs.options.as_ref();
    let shifted = options.is_some_and(|it| it.options.idmap.is_some());
    let rootfs = values.rootfs.path.as_ref().filter(|_| !shifted);
    let rootfs = rootfs.map(|path| Path::new(&path.value));
    Some(gather(login.map(str::to_owned), rootfs))
}

/// All of them; `searched` = the directory that root of the container has to reach by its name.
pub fn gather(login: Option<String>, searched: Option<&Path>) -> UserFacts {
    let effective = caps::effective().unwrap_or(0);
    let has = |cap: u32| effective >> cap & 1 == 1;
    let source =
        NameService::of(&file_text("/etc/nsswitch.conf", DATABASE_MAX).unwrap_or_default());
    let subids = |path: &str| match source {
        NameService::Other => SubidFact::Elsewhere,
        NameService::Files => subids(path),
    };
    UserFacts {
        euid: users::euid(),
        egid: users::egid(),
        login,
        may_map: has(CAP_SETUID) && has(CAP_SETGID),
        admin: has(CAP_SYS_ADMIN),
        no_new_privs: no_new_privs(),
        subuid: subids("/etc/subuid"),
        subgid: subids("/etc/subgid"),
        newuidmap: tool("newuidmap", CAP_SETUID),
        newgidmap: tool("newgidmap", CAP_SETGID),
        kernel: kernel(),
        way: searched.map(way).unwrap_or_default(),
    }
}

/// The login name of the user `uid`: of /etc/passwd, else as getent(1) knows it from the name
/// services, which a static program cannot ask itself.
pub fn login(uid: u32) -> Option<String> {
    let number = uid.to_string();
    let named = |text: &str| {
        let mut lines = text.lines().map(|line| line.split(':'));
        let line = lines.find(|line| line.clone().nth(2) == Some(&number));
        line.and_then(|mut words| words.next().map(str::to_owned))
            .filter(|name| !name.is_empty())
    };
    let passwd = file_text("/etc/passwd", DATABASE_MAX).unwrap_or_default();
    named(&passwd).or_else(|| {
        let mut getent = Command::new("getent");
        getent.args(["passwd", &number]);
        let asked = getent.stdin(Stdio::null()).stderr(Stdio::null()).output();
        named(&String::from_utf8_lossy(&asked.ok()?.stdout))
    })
}

/// The id of the user called `name`, from the same places.
pub fn uid_of(name: &str) -> Option<u32> {
    let numbered = |text: &str| {
        let mut lines = text.lines().map(|line| line.split(':'));
        let line = lines.find(|line| line.clone().next() == Some(name));
        line.and_then(|mut words| words.nth(2)?.parse().ok())
    };
    let passwd = file_text("/etc/passwd", DATABASE_MAX).unwrap_or_default();
    numbered(&passwd).or_else(|| {
        let mut getent = Command::new("getent");
        getent.args(["passwd", "--", name]);
        let asked = getent.stdin(Stdio::null()).stderr(Stdio::null()).output();
        numbered(&String::from_utf8_lossy(&asked.ok()?.stdout))
    })
}

/// Who knows what users have been granted: the line `subid:` of nsswitch.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameService {
    Files,
    Other,
}

impl NameService {
    fn of(nsswitch: &str) -> NameService {
        let line = nsswitch.lines().find_map(|line| {
            let rest = line.trim_start().strip_prefix("subid")?.trim_start();
            rest.strip_prefix(':')
        });
        match line.map(str::trim) {
            None | Some("files" | "") => NameService::Files,
            Some(_) => NameService::Other,
        }
    }
}

fn subids(path: &str) -> SubidFact {
    match file_text(path, DATABASE_MAX) {
        Ok(text) => SubidFact::parse(&text),
        Err(error) if error.is(lxc_kernel::Errno::NOENT) => SubidFact::parse(""),
        Err(error) => SubidFact::Unreadable(error.to_string()),
    }
}

/// The program `name` of PATH, and whether it has the power of `cap`.
fn tool(name: &str, cap: u32) -> Option<ToolFact> {
    let path = std::env::var_os("PATH")?;
    let (found, metadata) = std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| executable(directory.join(name)))?;
    let set_uid = metadata.uid() == 0 && metadata.permissions().mode() & 0o4000 != 0;
    let capable = || xattr::file_capabilities(&found).is_ok_and(|caps| caps >> cap & 1 == 1);
    let mount = rustix::fs::statvfs(&found);
    Some(ToolFact {
        privileged: set_uid || capable(),
        nosuid: mount.is_ok_and(|it| it.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID)),
        path: found.to_string_lossy().into_owned(),
    })
}

fn executable(path: PathBuf) -> Option<(PathBuf, std::fs::Metadata)> {
    let metadata = std::fs::metadata(&path).ok()?;
    let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    runs.then_some((path, metadata))
}

fn kernel() -> UsernsFact {
    let number = |path: &str| -> Option<u64> { file_text(path, 32).ok()?.trim().parse().ok() };
    let restricted = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    UsernsFact {
        present: Path::new("/proc/self/ns/user").exists(),
        none_allowed: number("/proc/sys/user/max_user_namespaces") == Some(0),
        privileged_only: number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0),
        apparmor_restricts: number(restricted) == Some(1) && unconfined(),
    }
}

/// AppArmor's restriction is for programs without a profile; one with a profile may be allowed.
fn unconfined() -> bool {
    let label = [
        "/proc/self/attr/apparmor/current",
        "/proc/self/attr/current",
    ]
    .into_iter()
    .find_map(|path| file_text(path, 4096).ok());
    label.is_none_or(|label| label.trim_end_matches(['\0', '\n']) == "unconfined")
}

fn no_new_privs() -> bool {
    let status = file_text("/proc/self/status", PROC_MAX).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("NoNewPrivs:"));
    line.is_some_and(|value| value.trim() == "1")
}

/// The directories from `/` down to `path` as they are, links resolved; where one cannot be looked
/// at, what the caller may not see is not judged.
fn way(path: &Path) -> Vec<DirectoryFact> {
    let existing = path.ancestors().find(|above| above.exists());
    let Some(real) = existing.and_then(|above| std::fs::canonicalize(above).ok()) else {
        return Vec::new();
    };
    let mut above: Vec<&Path> = real.ancestors().collect();
    above.reverse();
    above.into_iter().filter_map(directory).collect()
}

fn directory(path: &Path) -> Option<DirectoryFact> {
    let metadata = std::fs::metadata(path).ok()?;
    let acl = xattr::acl(path).unwrap_or_default();
    Some(DirectoryFact {
        path: path.to_string_lossy().into_owned(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: metadata.permissions().mode() & 0o7777,
        acl: acl.into_iter().filter_map(entry).collect(),
    })
}

fn entry((tag, permissions, id): xattr::AclEntry) -> Option<AclEntry> {
    let tag = match tag {
        0x01 => AclTag::Owner,
        0x02 => AclTag::User(id),
        0x04 => AclTag::OwningGroup,
        0x08 => AclTag::Group(id),
        0x10 => AclTag::Mask,
        0x20 => AclTag::Other,
        _ => return None,
    };
    Some(AclEntry { tag, permissions })
}
