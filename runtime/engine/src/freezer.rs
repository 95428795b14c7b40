//! Freezing a running container and letting it go on, from a client's side: as with C LXC the monitor
//! lends the cgroup and is told the states, whichever side's monitor it is.

use crate::inquiry;
use crate::monitor::broadcast;
use crate::wire::{Asked, Client, ClientError, Notice, State};
use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::{Errno, SysError, file};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Largest state file read.
const FILE_MAX: usize = 4096;
/// The v1 freezer tells nobody when it is done: first pause before it is asked again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

type Done = std::result::Result<Asked<()>, ClientError>;

/// A container of `lxcpath`, to be frozen or thawed.
pub struct Freezer<'a> {
    /// Asks its monitor.
    pub client: &'a Client,
    /// Directory of all containers.
    pub lxcpath: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// The cgroup whose processes stop.
enum Cgroup {
    V1(OwnedFd),
    V2(OwnedFd),
}

impl Freezer<'_> {
    /// Stops every process. Blocks until the last has stopped or the container has ended; a process
    /// that waits in the kernel, such as a parent in vfork(2) on v1, makes that for ever.
    pub fn freeze(&self) -> Done {
        match self.client.state()? {
            State::Stopped => return Ok(Asked::Stopped),
            State::Frozen => return Ok(Asked::Answer(())),
            _ => {}
        }
        let Asked::Answer(cgroup) = self.cgroup()? else {
            return Ok(Asked::Stopped);
        };
        self.publish(State::Freezing)?;
        match self.bring(&cgroup, true) {
            Ok(Asked::Answer(())) => self.publish(State::Frozen),
            not_frozen => {
                // It runs on as before, and must not be taken for frozen.
                let _ = self.publish(State::Thawed);
                not_frozen
            }
        }
    }

    /// Lets every process go on; blocks until all do.
    pub fn thaw(&self) -> Done {
        match self.client.state()? {
            State::Frozen | State::Freezing => {}
            State::Stopped => return Ok(Asked::Stopped),
            _ => return Ok(Asked::Answer(())),
        }
        let Asked::Answer(cgroup) = self.cgroup()? else {
            return Ok(Asked::Stopped);
        };
        match self.bring(&cgroup, false)? {
            Asked::Stopped => Ok(Asked::Stopped),
            Asked::Answer(()) => {
                self.publish(State::Thawed)?;
                self.publish(State::Running)
            }
        }
    }

    fn cgroup(&self) -> std::result::Result<Asked<Cgroup>, ClientError> {
        match self.client.cgroup2(true)? {
            Asked::Stopped => return Ok(Asked::Stopped),
            Asked::Answer(Some(directory)) => return Ok(Asked::Answer(Cgroup::V2(directory))),
            Asked::Answer(None) => {}
        }
        match self.client.cgroup_fd("freezer", true)? {
            Asked::Stopped => Ok(Asked::Stopped),
            Asked::Answer(Some(found)) => Ok(Asked::Answer(Cgroup::V1(found.fd))),
            Asked::Answer(None) => {
                let error = SysError::new("open", "\"freezer.state\"", Errno::NOENT);
                Err(ClientError::Sys(error))
            }
        }
    }

    /// Told to the monitor, which tells those who wait at its socket, and to lxc-monitord, which is
    /// the client's business.
    fn publish(&self, state: State) -> Done {
        let told = self.client.serve_state_clients(state)?;
        broadcast::tell(self.lxcpath, &Notice::of_state(self.name, state));
        Ok(told)
    }

    fn bring(&self, cgroup: &Cgroup, frozen: bool) -> Done {
        match cgroup {
            Cgroup::V1(directory) => self.bring_v1(directory.as_fd(), frozen),
            Cgroup::V2(directory) => bring_v2(directory.as_fd(), frozen),
        }
    }

    fn bring_v1(&self, directory: BorrowedFd<'_>, frozen: bool) -> Done {
        let wanted = if frozen { "FROZEN" } else { "THAWED" };
        let Some(init) = inquiry::init_pidfd(self.client)? else {
            return Ok(Asked::Stopped);
        };
        let mut pause = FIRST_PAUSE;
        loop {
            // Written every time: a process that was not to be stopped is tried again.
            let state = file::write_at(directory, "freezer.state", wanted.as_bytes())
                .and_then(|()| file::read_at(directory, "freezer.state", FILE_MAX));
            match state {
                Ok(state) if state.trim_ascii() == wanted.as_bytes() => {
                    return Ok(Asked::Answer(()));
                }
                Ok(_) => {}
                Err(error) if is_removed(&error) => return Ok(Asked::Stopped),
                Err(error) => return Err(error.into()),
            }
            if poll_one(init.as_fd(), Interest::READ, Some(pause))? {
                return Ok(Asked::Stopped);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn bring_v2(directory: BorrowedFd<'_>, frozen: bool) -> Done {
    let (value, wanted) = if frozen {
        ("1", "frozen 1")
    } else {
        ("0", "frozen 0")
    };
    match await_v2(directory, value, wanted) {
        Ok(true) => Ok(Asked::Answer(())),
        Ok(false) => Ok(Asked::Stopped),
        Err(error) if is_removed(&error) => Ok(Asked::Stopped),
        Err(error) => Err(error.into()),
    }
}

/// `false` when nobody lives there any more.
fn await_v2(directory: BorrowedFd<'_>, value: &str, wanted: &str) -> lxc_kernel::Result<bool> {
    let failed = |call| move |errno| SysError::new(call, "\"cgroup.events\"", errno);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let events = rustix::fs::openat(directory, "cgroup.events", flags, Mode::empty())
        .map_err(failed("openat"))?;
    file::write_at(directory, "cgroup.freeze", value.as_bytes())?;
    loop {
        let mut buffer = [0; FILE_MAX];
        let count = rustix::io::retry_on_intr(|| rustix::io::pread(&events, &mut buffer, 0))
            .map_err(failed("pread64"))?;
        let text = String::from_utf8_lossy(&buffer[..count]);
        if text.lines().any(|line| line == wanted) {
            return Ok(true);
        }
        if text.lines().any(|line| line == "populated 0") {
            return Ok(false);
        }
        poll_one(events.as_fd(), Interest::PRI, None)?;
    }
}

/// The cgroup has gone, and the container with it.
fn is_removed(error: &SysError) -> bool {
    matches!(error.errno, Errno::NODEV | Errno::NOENT)
}
