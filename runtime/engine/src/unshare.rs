//! A program in namespaces of its own, without a container.

use crate::failure::{Failure, FailureKind};
use crate::last_word::{self, Ear, Mouth};
use crate::userns::Program;
use lxc_kernel::idmap::{self, Child, Kind, Range, Writer};
use lxc_kernel::mount::{self, Propagation};
use lxc_kernel::netlink::Netlink;
use lxc_kernel::process::{self, CloneSpec, Cloned, Ended, ForkTurn};
use lxc_kernel::{Errno, SysError, fd, file, signals, socket, users};
use lxc_plan::Namespaces;
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const MS_NOSUID: u64 = 2;
const MS_NODEV: u64 = 4;
const MS_NOEXEC: u64 = 8;

/// What the program gets.
#[derive(Debug, Clone)]
pub struct UnshareRequest {
    /// The namespaces that are new.
    pub namespaces: Namespaces,
    /// Its user id in a new user namespace: there the caller's own one.
    pub uid: Option<u32>,
    /// The host name in a new UTS namespace.
    pub hostname: Option<String>,
    /// Network devices that are moved into a new network namespace.
    pub interfaces: Vec<String>,
    /// /proc, /dev/shm and /dev/mqueue are mounted anew in a new mount namespace.
    pub remount: bool,
    /// The program.
    pub program: Program,
}

/// A program that was started.
pub struct Unshared {
    child: Child,
    ear: Ear,
}

impl Unshared {
    /// Waits for its end; says how it ended.
    ///
    /// # Errors
    /// It could not be executed, or what came before that failed.
    pub fn wait(self) -> Result<Ended, Failure> {
        let ended = process::wait_pidfd(self.child.pidfd.as_fd(), true);
        let ended = ended.map_err(|error| failed("wait for the program", &error))?;
        match (self.ear.heard(), ended) {
            (Some(failure), _) => Err(failure),
            (None, Some(ended)) => Ok(ended),
            (None, None) => {
                let gone = SysError::new("waitid", "the child", Errno::CHILD);
                Err(failed("wait for the program", &gone))
            }
        }
    }
}

/// Starts the program; it runs when this returns, or is about to be executed.
///
/// # Errors
/// The namespaces, the map or a network device could not be had; nothing runs then.
pub fn start(request: &UnshareRequest) -> Result<Unshared, Failure> {
    let lines = last_word::line().and_then(|line| Ok((line, fd::pair()?)));
    let ((ear, mouth), (ours, theirs)) =
        lines.map_err(|error| failed("make a line to a child", &error))?;
    let ours = Cell::new(Some(ours));
    let outer = Outer {
        request,
        mouth,
        line: theirs,
        callers_end: &ours,
    };
    let child = match request.namespaces.has(Namespaces::USER) {
        true => in_user_namespace(request.uid, outer)?,
        false => forked(outer).map_err(|error| failed("fork", &error))?,
    };
    let unshared = Unshared { child, ear };
    let ours = ours.take();
    match set_up(request, &unshared, ours.as_ref().map(OwnedFd::as_fd)) {
        Ok(()) => Ok(unshared),
        Err(failure) => {
            // Without our word nobody goes on: the end of the line ends them.
            drop(ours);
            Err(unshared.wait().err().unwrap_or(failure))
        }
    }
}

fn in_user_namespace(uid: Option<u32>, outer: Outer<'_>) -> Result<Child, Failure> {
    // As LXC: the user's own id only, and no group.
    let own = uid.map(|inside| Range {
        kind: Kind::User,
        inside,
        outside: users::ruid(),
        count: 1,
    });
    let ranges: Vec<Range> = own.into_iter().collect();
    let body = move || outer.live();
    idmap::start_in_user_namespace(&ranges, &Writer::Direct, None, body).map_err(
        |error| match error {
            idmap::Error::Sys(error) => failed("make a user namespace", &error),
            other => Failure::new(
                FailureKind::Step,
                format!("cannot make a user namespace\n  {other}"),
            ),
        },
    )
}

fn forked(outer: Outer<'_>) -> lxc_kernel::Result<Child> {
    let mask = signals::block(&[])?;
    let turn = ForkTurn::take();
    match turn.fork()? {
        Cloned::Parent { pid, pidfd } => Ok(Child { pid, pidfd }),
        Cloned::Child => {
            drop(turn);
            // Whoever runs what follows must be heard by signals as the caller is.
            let code = match signals::restore(&mask) {
                Ok(()) => outer.live(),
                Err(error) => outer.mouth.say(&failed("restore the signal mask", &error)),
            };
            process::exit_now(code)
        }
    }
}

/// The caller's part: moves the devices to the program's process, and lets it go on.
fn set_up(
    request: &UnshareRequest,
    unshared: &Unshared,
    line: Option<BorrowedFd>,
) -> Result<(), Failure> {
    let lost = |error: SysError| unshared.ear.heard().unwrap_or_else(|| lost_child(&error));
    let Some(line) = line else {
        return Err(lost(SysError::new("recvmsg", "no line", Errno::BADF)));
    };
    let pid = hear_pid(line).map_err(lost)?;
    if !request.interfaces.is_empty() {
        let netns = file::open_path(Path::new(&format!("/proc/{pid}/ns/net")));
        let moved = netns.and_then(|netns| {
            let mut netlink = Netlink::open()?;
            request.interfaces.iter().try_for_each(|name| {
                let index = netlink.link_index(name)?;
                netlink.move_link(index, netns.as_fd(), name)
            })
        });
        moved.map_err(|error| failed("move the network devices", &error))?;
    }
    socket::send(line, &[1], &[], false).map(drop).map_err(lost)
}

fn hear_pid(line: BorrowedFd) -> Result<i32, SysError> {
    let mut bytes = [0; 4];
    match socket::receive(line, &mut bytes, 0)?.bytes {
        4 => Ok(i32::from_ne_bytes(bytes)),
        _ => Err(SysError::new("recvmsg", "the pid of a child", Errno::CHILD)),
    }
}

/// The child that makes the other namespaces and waits in them no longer than its own child lives.
struct Outer<'a> {
    request: &'a UnshareRequest,
    mouth: Mouth,
    line: OwnedFd,
    /// The child's copy must go, or the end of the caller would not be the end of the line.
    callers_end: &'a Cell<Option<OwnedFd>>,
}

impl Outer<'_> {
    fn live(self) -> i32 {
        drop(self.callers_end.take());
        let spec = CloneSpec {
            namespaces: self.request.namespaces.without(Namespaces::USER).0,
            into_cgroup: None,
            exit_signal: libc::SIGCHLD,
            extra: 0,
        };
        let (pid, pidfd) = match process::clone_process(&spec) {
            Ok(Cloned::Parent { pid, pidfd }) => (pid, pidfd),
            Ok(Cloned::Child) => process::exit_now(self.inside()),
            Err(error) => {
                let failure = failed("make the namespaces", &error);
                return self.mouth.say(&match error.is(Errno::PERM) {
                    true => failure.hint("only root may without a USER namespace among them"),
                    false => failure,
                });
            }
        };
        // A caller that has gone has left nobody to be told; the child finds out by itself.
        let _ = socket::send(self.line.as_fd(), &pid.to_ne_bytes(), &[], false);
        drop(self);
        match process::wait_pidfd(pidfd.as_fd(), true) {
            Ok(Some(Ended::Exited(code))) => code,
            _ => 1,
        }
    }

    /// The process in all the namespaces, until it becomes the program.
    fn inside(self) -> i32 {
        let mut word = [0; 1];
        match socket::receive(self.line.as_fd(), &mut word, 0) {
            Ok(received) if received.bytes == 1 => {}
            _ => return 1,
        }
        drop(self.line);
        match prepare(self.request) {
            Ok(()) => self.mouth.say(&self.request.program.become_it()),
            Err(failure) => self.mouth.say(&failure),
        }
    }
}

fn prepare(request: &UnshareRequest) -> Result<(), Failure> {
    if request.namespaces.has(Namespaces::MNT) {
        mount::set_propagation(Path::new("/"), Propagation::Private, true)
            .map_err(|error| failed("keep the mounts to itself", &error))?;
    }
    if request.remount {
        remount();
    }
    if let Some(name) = &request.hostname {
        process::set_hostname(name).map_err(|error| failed("set the host name", &error))?;
    }
    match request.uid {
        Some(uid) => process::set_user(uid).map_err(|error| failed("become that user", &error)),
        None => Ok(()),
    }
}

/// As in LXC, what cannot be mounted is only told: which of them can depends on the other namespaces.
fn remount() {
    const SAFE: u64 = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    let mounts = [
        ("proc", "/proc", SAFE),
        ("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV),
        ("mqueue", "/dev/mqueue", SAFE),
    ];
    for (kind, target, flags) in mounts {
        let done = mount::classic(Some(kind), Path::new(target), Some(kind), flags, None);
        if let Err(error) = done {
            log::error!("cannot mount {target} anew: {error}");
        }
    }
}

fn failed(what: &str, error: &SysError) -> Failure {
    Failure::new(FailureKind::Step, format!("cannot {what}")).caused_by(error)
}

fn lost_child(error: &SysError) -> Failure {
    failed("hear from the child that was to run the program", error)
}
