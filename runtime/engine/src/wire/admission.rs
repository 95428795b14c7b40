//! Who may ask: root and the monitor's own user, and nobody from inside the container.

use std::os::fd::AsFd;

use lxc_kernel::process::{pidfd_open, pidfd_signal};
use lxc_kernel::procfs::{NamespacesOf, Proc};
use lxc_kernel::socket::Credentials;
use lxc_kernel::{Errno, Result, SysError, users};

/// What every id without a mapping looks like: it says nothing about who somebody is.
const OVERFLOW_ID: u32 = 65534;

/// Most ancestors that are looked at; deeper trees are taken for the container's.
const MAX_ANCESTORS: usize = 256;

/// The ids that may ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    uid: u32,
    gid: u32,
}

impl Door {
    /// Gives the door of this process.
    pub(super) fn own() -> Door {
        Door {
            uid: users::euid(),
            gid: users::egid(),
        }
    }

    /// Tells whether these credentials are root's or the monitor's own.
    pub(super) fn admits(self, peer: &Credentials) -> bool {
        let own = peer.uid == self.uid && peer.gid == self.gid && peer.uid != OVERFLOW_ID;
        peer.uid == 0 || own
    }
}

/// Namespaces of one process that tell containers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Home {
    pid: u64,
    user: u64,
}

/// Where the monitor and its container live. It does not change while they do, so it is read once;
/// whoever asks is looked at each time.
#[derive(Debug, Default)]
pub(super) struct Homes {
    own: Option<(Proc, Home)>,
    /// By init's pid: a container that reboots gets another.
    container: Option<(i32, Home)>,
    /// Who asked last and lives where the monitor lives: most ask more than once.
    last: Option<(i32, NamespacesOf)>,
}

impl Homes {
    /// Tells whether process `peer` lives in the container of `init`.
    ///
    /// A container that shares the host's network reaches the monitor's abstract socket, and its root
    /// may have uid 0. Inside is who shares the container's pid or user namespace, or has an ancestor
    /// who does (which finds nested namespaces: whoever loses its parent is adopted within the pid
    /// namespace). A peer that has gone counts as inside: its number may already be somebody else's.
    ///
    /// # Errors
    /// That it cannot be told, for want of descriptors above all.
    pub(super) fn inside(&mut self, peer: i32, init: i32) -> Result<bool> {
        // The kernel shows peers from outside our pid namespace as 0: they are above us, not below.
        if peer == 0 {
            return Ok(false);
        }
        if self.is_last_at_home(peer) {
            return Ok(false);
        }
        let pidfd = match pidfd_open(peer) {
            Ok(pidfd) => pidfd,
            Err(error) if is_gone(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        let found = match self.lives_with(peer, init) {
            Ok(found) => found,
            Err(error) if is_gone(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        self.last = match &self.own {
            Some((proc, own)) if !found => {
                let seen = proc.namespaces_of(peer).ok();
                let seen = seen.filter(|seen| home_of(seen).is_ok_and(|here| here == *own));
                seen.map(|seen| (peer, seen))
            }
            _ => None,
        };
        // Still the same process, so what was read belongs to it.
        let inside = found || pidfd_signal(pidfd.as_fd(), 0).is_err_and(|error| is_gone(&error));
        if inside {
            self.last = None;
        }
        Ok(inside)
    }

    /// Tells whether `peer` is who asked last, and lives where the monitor lives, now: then it is outside.
    ///
    /// What was opened is that process's as long as it lives, and while it lives nobody else has its
    /// number. It may have joined another user namespace since; its own pid namespace never changes
    /// (pid_namespaces(7)).
    fn is_last_at_home(&self, peer: i32) -> bool {
        match (&self.last, &self.own) {
            (Some((pid, seen)), Some((_, own))) if *pid == peer => {
                seen.numbers(["user"]).is_ok_and(|[user]| user == own.user)
            }
            _ => false,
        }
    }

    fn lives_with(&mut self, peer: i32, init: i32) -> Result<bool> {
        let (proc, own) = match &mut self.own {
            Some(read) => read,
            unread => {
                let proc = Proc::host()?;
                let own = home(&proc, rustix::process::getpid().as_raw_nonzero().get())?;
                unread.insert((proc, own))
            }
        };
        let (proc, own) = (&*proc, *own);
        let container = match self.container {
            Some((known, home)) if known == init => Some(home),
            _ => match home(proc, init) {
                Ok(home) => {
                    self.container = Some((init, home));
                    Some(home)
                }
                // Without init nobody lives there any more.
                Err(error) if is_gone(&error) => return Ok(false),
                // By what it executes an init can shut itself to a monitor without privileges.
                Err(error) if is_shut(&error) => None,
                Err(error) => return Err(error),
            },
        };
        descends(proc, peer, own, container)
    }
}

/// Tells whether `peer` or one of its ancestors lives in `container`; `None` = it cannot be seen.
fn descends(proc: &Proc, peer: i32, own: Home, container: Option<Home>) -> Result<bool> {
    let mut pid = peer;
    for _ in 0..MAX_ANCESTORS {
        let here = match home(proc, pid) {
            Ok(home) => home,
            // Other users' processes are shut to a monitor without privileges, or hidden from it; those of
            // its container never are, because it owns their user namespace.
            Err(error) if is_shut(&error) || (pid == peer && is_gone(&error)) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let Some(container) = container else {
            return Ok(here != own);
        };
        if container.pid == own.pid {
            // Orphans of this container are adopted outside of it, and /proc does not tell which user
            // namespace is nested in which: every one but ours may be in there.
            return Ok(container.user != own.user && here.user != own.user);
        }
        let same_user = here.user == container.user && container.user != own.user;
        if here.pid == container.pid || same_user {
            return Ok(true);
        }
        if here == own {
            return Ok(false);
        }
        match parent(proc, pid)? {
            Some(parent) => pid = parent,
            None => return Ok(false),
        }
    }
    Ok(true)
}

fn is_shut(error: &SysError) -> bool {
    error.errno == Errno::ACCESS || error.errno == Errno::PERM
}

fn is_gone(error: &SysError) -> bool {
    // What pidfd_open says of no number a process can have is EINVAL.
    [Errno::SRCH, Errno::NOENT, Errno::INVAL].contains(&error.errno)
}

fn home(proc: &Proc, pid: i32) -> Result<Home> {
    home_of(&proc.namespaces_of(pid)?)
}

fn home_of(process: &NamespacesOf) -> Result<Home> {
    let [pid, user] = process.numbers(["pid", "user"])?;
    Ok(Home { pid, user })
}

/// Gives the parent; `None` for a process without one in our pid namespace.
fn parent(proc: &Proc, pid: i32) -> Result<Option<i32>> {
    let stat = proc.read(&format!("{pid}/stat"), 4096)?;
    Ok(parent_in(&stat).filter(|parent| *parent > 0))
}

/// Reads the fourth field of /proc/PID/stat; the second is the command in parentheses, whatever it contains.
fn parent_in(stat: &[u8]) -> Option<i32> {
    let command_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(&stat[command_ends + 1..]).ok()?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_own_user_are_admitted() {
        let check = |own: (u32, u32), peer: (u32, u32), expected: bool| {
            let door = Door {
                uid: own.0,
                gid: own.1,
            };
            let peer = Credentials {
                pid: 1,
                uid: peer.0,
                gid: peer.1,
            };
            assert_eq!(door.admits(&peer), expected, "{door:?} {peer:?}");
        };
        check((0, 0), (0, 0), true);
        check((0, 0), (0, 100), true);
        check((0, 0), (1000, 0), false);
        check((1000, 1000), (0, 0), true);
        check((1000, 1000), (1000, 1000), true);
        check((1000, 1000), (1000, 27), false);
        check((1000, 1000), (1001, 1000), false);
        check((65534, 65534), (65534, 65534), false);
    }

    #[test]
    fn a_host_process_is_outside() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let mut homes = Homes::default();
        assert_eq!(homes.inside(own, own), Ok(false));
        assert!(homes.is_last_at_home(own));
        assert_eq!(homes.inside(own, own), Ok(false), "asked again");
        assert_eq!(homes.inside(0, own), Ok(false));
        // Larger than any pid the kernel gives out.
        assert_eq!(homes.inside(i32::MAX, own), Ok(true));
        // What is remembered of one process says nothing of another.
        assert!(!homes.is_last_at_home(i32::MAX));
    }

    #[test]
    fn parents_are_read_whatever_the_command_is_called() {
        let check =
            |stat: &str, expected| assert_eq!(parent_in(stat.as_bytes()), expected, "{stat}");
        check("42 (sh) S 7 42 42 0", Some(7));
        check("42 (a) S 1 (b) S 7 42 42 0", Some(7));
        check("42 (sh) S", None);
        check("42 sh S 7", None);
        check("", None);
    }
}
