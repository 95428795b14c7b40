//! `lxc_attach_options_t`, as the typed library says it.

use crate::layout::lxc_attach_options_t;
use crate::refusal::{Outcome, Refusal};
use libc::{c_int, c_long, gid_t, uid_t};
use lxc_runtime::{AttachOptions, Elevated};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

const MOVE_TO_CGROUP: c_int = 0x1;
const DROP_CAPABILITIES: c_int = 0x2;
const SET_PERSONALITY: c_int = 0x4;
const LSM_EXEC: c_int = 0x8;
const REMOUNT_PROC_SYS: c_int = 0x10000;
const LSM_NOW: c_int = 0x20000;
const NO_NEW_PRIVS: c_int = 0x40000;
const TERMINAL: c_int = 0x80000;
const LSM_LABEL: c_int = 0x10_0000;
const SETGROUPS: c_int = 0x20_0000;

/// `personality` and `namespaces`: whatever the container has.
const DETECTED: c_int = -1;
/// `env_policy`: only what extra_keep_env names is kept.
const CLEAR_ENV: c_int = 1;

/// The kernel's limit (NGROUPS_MAX).
const MOST_GROUPS: usize = 65536;

/// The options; `None` for NULL, which means LXC's defaults.
pub fn converted(options: Option<&lxc_attach_options_t>) -> Outcome<AttachOptions> {
    let Some(given) = options else {
        return Ok(AttachOptions::default());
    };
    let has = |flag: c_int| given.attach_flags & flag != 0;
    refuse_remount(given)?;
    let cwd = given.initial_cwd.get("the directory to begin in")?;
    let keep = given.extra_keep_env.get("a variable to keep")?;
    let label = given.lsm_label.get("the security label")?;
    Ok(AttachOptions {
        namespaces: (given.namespaces != DETECTED).then_some(given.namespaces as u32 as u64),
        elevated: Elevated {
            cgroup: !has(MOVE_TO_CGROUP),
            caps: !has(DROP_CAPABILITIES),
            lsm: !has(LSM_EXEC | LSM_NOW | LSM_LABEL),
        },
        personality: match has(SET_PERSONALITY) {
            true => {
                (given.personality != c_long::from(DETECTED)).then_some(given.personality as u64)
            }
            false => Some(present_personality()),
        },
        uid: (given.uid != uid_t::MAX).then_some(given.uid),
        gid: (given.gid != gid_t::MAX).then_some(given.gid),
        clear_env: given.env_policy == CLEAR_ENV,
        keep_vars: keep.unwrap_or_default(),
        set_vars: variables(given)?,
        terminal: has(TERMINAL),
        context: label.filter(|_| has(LSM_LABEL)).map(String::from),
        context_now: has(LSM_NOW) && !has(LSM_EXEC),
        cwd: cwd.map(PathBuf::from),
        groups: match has(SETGROUPS) {
            true => Some(groups(given)?),
            false => None,
        },
        no_new_privs: has(NO_NEW_PRIVS),
        streams: [
            duplicate(given.stdin_fd, 0)?,
            duplicate(given.stdout_fd, 1)?,
            duplicate(given.stderr_fd, 2)?,
        ],
        log: match has(TERMINAL) {
            true => duplicate(given.log_fd, -1)?,
            false => None,
        },
        ..AttachOptions::default()
    })
}

/// It matters only to what stays in the caller's mount namespace.
fn refuse_remount(given: &lxc_attach_options_t) -> Outcome<()> {
    let stays = given.namespaces != DETECTED && given.namespaces & libc::CLONE_NEWNS == 0;
    if given.attach_flags & REMOUNT_PROC_SYS != 0 && stays {
        let sentence = "mounting /proc and /sys anew for an attached program is not implemented yet; \
                        leave out LXC_ATTACH_REMOUNT_PROC_SYS, or enter the mount namespace";
        return Err(Refusal::new(libc::ENOSYS, sentence));
    }
    Ok(())
}

fn variables(given: &lxc_attach_options_t) -> Outcome<Vec<(String, String)>> {
    let words = given.extra_env_vars.get("a variable")?.unwrap_or_default();
    let split = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Refusal::invalid(format!(
            "{word:?} sets no variable; write NAME=VALUE"
        ))),
    };
    words.into_iter().map(split).collect()
}

fn groups(given: &lxc_attach_options_t) -> Outcome<Vec<gid_t>> {
    if given.groups_size > MOST_GROUPS {
        let sentence = format!("nothing can be in {} groups", given.groups_size);
        return Err(Refusal::invalid(sentence));
    }
    if given.groups_size == 0 || given.groups_list.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: C passed an array of that many groups.
    Ok(unsafe { std::slice::from_raw_parts(given.groups_list, given.groups_size) }.to_vec())
}

/// A descriptor of the caller's, who keeps its own; `None` where it has this number already, or there
/// is none.
fn duplicate(fd: RawFd, usual: RawFd) -> Outcome<Option<Arc<OwnedFd>>> {
    if fd < 0 || fd == usual {
        return Ok(None);
    }
    // SAFETY: fcntl takes any number. Above those of the standard streams, which it may become.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        let sentence =
            format!("{fd} is no open descriptor: it cannot be given to a program inside");
        return Err(Refusal::new(libc::EBADF, sentence));
    }
    // SAFETY: it was just made, and nobody else knows of it.
    Ok(Some(Arc::new(unsafe { OwnedFd::from_raw_fd(copy) })))
}

fn present_personality() -> u64 {
    // SAFETY: this argument changes nothing.
    let present = unsafe { libc::personality(0xffff_ffff) };
    u64::from(present as u32)
}
