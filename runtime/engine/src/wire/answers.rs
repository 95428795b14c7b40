//! What a monitor answers: requests meet the container here, and nothing behind sees bytes.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use lxc_kernel::Errno;

use super::frame::{FRAME, ResponseHeader};
use super::payload::{
    CGROUP_CONTEXT_FDS, CgroupContextFrame, CgroupFdFrame, ConsoleLog, DeviceRule, terminated,
};
use super::request::Request;
use super::state::State;

/// What a monitor answers. Everything the server knows of its container comes through here.
///
/// No method may block: the monitor serves its console and its other clients on the same thread.
pub trait Answers {
    /// Gives the present state.
    fn state(&self) -> State;
    /// Enters a state on behalf of a client; [`State::Thawed`] means [`State::Running`] from then on.
    ///
    /// The server itself tells those who wait for it.
    fn set_state(&mut self, state: State);
    /// Gives the container's name.
    fn name(&self) -> &str;
    /// Gives the directory the container lives in, as its creator spelled it.
    fn lxcpath(&self) -> &str;
    /// Gives the pid of init in the monitor's pid namespace; `None` before it exists and after it ended.
    fn init_pid(&self) -> Option<i32>;
    /// Lends the pidfd of init.
    fn init_pidfd(&self) -> Option<BorrowedFd<'_>>;
    /// Gives the `CLONE_NEW*` bits of the namespaces the container has of its own.
    fn clone_flags(&self) -> u64;
    /// Gives the value of a configuration key; `None` for an unknown or unset one.
    fn config_item(&self, key: &str) -> Option<String>;
    /// Gives the cgroup's path below the hierarchy's root, e.g. `/lxc.payload.c1`.
    ///
    /// No controller means the unified hierarchy of a pure layout; `limit` asks for the cgroup with the
    /// limits instead of the one with the processes.
    fn cgroup_path(&self, controller: Option<&str>, limit: bool) -> Option<String>;
    /// Gives the layout: -1 unknown, 0 legacy, 1 hybrid, 2 unified.
    fn cgroup_layout(&self) -> i32;
    /// Gives what a unified layout can do: bit 0 device controller, bit 1 freezer.
    fn cgroup_utilities(&self) -> u32;
    /// Lends the cgroup directory of every hierarchy; the first 20 travel.
    fn cgroup_fds(&self) -> Vec<BorrowedFd<'_>>;
    /// Lends the cgroup directory of one hierarchy, with the magic number of its filesystem.
    fn cgroup_fd(&self, controller: &str, limit: bool) -> Option<(BorrowedFd<'_>, i32)>;
    /// Lends the cgroup directory of a pure v2 layout.
    fn cgroup2_fd(&self, limit: bool) -> Option<BorrowedFd<'_>>;
    /// Lends the container's devpts mount.
    fn devpts_fd(&self) -> Option<BorrowedFd<'_>>;
    /// Sends init its stop signal and thaws the container.
    ///
    /// # Errors
    /// Why the signal could not be sent.
    fn stop(&mut self) -> Result<(), Errno>;
    /// Freezes or thaws by the pure v2 freezer; `timeout` in seconds, -1 for none.
    ///
    /// # Errors
    /// `ENOENT` where the client has to use the v1 freezer itself.
    fn freeze(&mut self, freeze: bool, timeout: i32) -> Result<(), Errno>;
    /// Marks a terminal as busy and gives its number and a master to send; `None` if none is free.
    ///
    /// `which` is -1 for the first free one, 0 for the console, n for tty n.
    fn open_tty(&mut self, which: i32) -> Option<(i32, OwnedFd)>;
    /// Marks the terminal as free again: its client has gone.
    fn close_tty(&mut self, number: i32);
    /// The client that has the console says that its window has another size now.
    fn console_resized(&mut self) {}
    /// Does what is asked with the console's ring buffer and adds the bytes read to `into`.
    ///
    /// # Errors
    /// `EFAULT` without a buffer, `ENODATA` when there is nothing to read.
    fn console_log(&mut self, log: &ConsoleLog, into: &mut Vec<u8>) -> Result<(), Errno>;

    /// Changes the device filter of a pure v2 layout.
    ///
    /// # Errors
    /// Why it could not be changed; without a device filter always.
    fn device_rule(&mut self, rule: &DeviceRule) -> Result<(), Errno> {
        let _ = rule;
        Err(Errno::OPNOTSUPP)
    }
    /// Serves one more seccomp notification descriptor.
    ///
    /// # Errors
    /// `EINVAL` without a connected proxy, as it is without seccomp notification at all.
    fn seccomp_listener(&mut self, notify: OwnedFd) -> Result<(), Errno> {
        drop(notify);
        Err(Errno::INVAL)
    }
    /// Lends the seccomp notification descriptor.
    fn seccomp_notify_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Gives the unit name of the systemd scope the container runs in.
    fn systemd_scope(&self) -> Option<String> {
        None
    }
}

/// What becomes of a connection once its answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It is closed.
    Close,
    /// It marks this terminal as busy for as long as it stays open.
    HoldTty(i32),
    /// The client is told when one of these states is reached.
    AwaitState([i32; State::COUNT]),
    /// It is closed after those who wait for this state were told.
    Publish(State),
}

/// An answer, ready to be sent.
pub(super) struct Reply<'a> {
    /// 0 or a negative errno; a state for `ADD_STATE_CLIENT`.
    ret: i32,
    /// The number for the slot of an answer without payload.
    inline: i32,
    /// Room for the head, and the payload.
    bytes: Vec<u8>,
    /// Descriptors that travel with the head and stay the container's.
    pub(super) lent: Vec<BorrowedFd<'a>>,
    /// A descriptor that travels with the head and was made for that.
    pub(super) given: Option<OwnedFd>,
    /// What comes next.
    pub(super) then: Then,
}

impl<'a> Reply<'a> {
    fn number(inline: i32) -> Reply<'a> {
        Reply {
            ret: 0,
            inline,
            bytes: vec![0; FRAME],
            lent: Vec::new(),
            given: None,
            then: Then::Close,
        }
    }

    /// Answers that the request failed.
    pub(super) fn failed(errno: Errno) -> Reply<'a> {
        Reply {
            ret: -errno.raw_os_error(),
            ..Reply::number(0)
        }
    }

    fn of(result: Result<(), Errno>) -> Reply<'a> {
        result.map_or_else(Reply::failed, |()| Reply::number(0))
    }

    fn data(data: Vec<u8>) -> Reply<'a> {
        let mut reply = Reply::number(0);
        reply.bytes.extend_from_slice(&data);
        reply
    }

    fn text(text: &str) -> Reply<'a> {
        Reply::data(terminated(text))
    }

    fn lend(fd: Option<BorrowedFd<'a>>) -> Reply<'a> {
        match fd {
            Some(fd) => Reply {
                lent: vec![fd],
                ..Reply::number(0)
            },
            None => Reply::failed(Errno::BADF),
        }
    }

    /// Gives the head and the payload in one piece.
    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        // The head cannot count more, and so the client would not read more.
        bytes.truncate(FRAME + i32::MAX as usize);
        let header = ResponseHeader {
            ret: self.ret,
            length: i32::try_from(bytes.len() - FRAME).unwrap_or(i32::MAX),
            slot: i64::from(self.inline),
        };
        bytes[..FRAME].copy_from_slice(&header.encode());
        bytes
    }
}

/// What the server does about a request.
pub(super) enum Outcome<'a> {
    /// It answers.
    Reply(Reply<'a>),
    /// It says nothing and keeps the connection until the monitor ends.
    Hold,
    /// It says nothing and closes.
    Close,
}

/// Carries a request out; `fd` is the descriptor that came with it.
pub(super) fn answer<'a>(
    request: Request,
    fd: Option<OwnedFd>,
    answers: &'a mut dyn Answers,
) -> Outcome<'a> {
    let reply = match request {
        Request::Winch => {
            answers.console_resized();
            return Outcome::Close;
        }
        Request::Stop => match answers.stop() {
            Ok(()) => return Outcome::Hold,
            Err(errno) => Reply::failed(errno),
        },
        Request::GetCgroup { controller } => return cgroup(answers, controller.as_deref(), false),
        Request::GetLimitCgroup { controller } => {
            return cgroup(answers, controller.as_deref(), true);
        }
        Request::GetTty { which } => tty(answers, which),
        Request::GetState => Reply::number(answers.state().number()),
        Request::GetInitPid => match answers.init_pid() {
            Some(pid) => Reply::number(pid),
            // C LXC's clients look at the number alone.
            None => Reply {
                inline: -1,
                ..Reply::failed(Errno::SRCH)
            },
        },
        // All the bits that exist fit the 32 that travel.
        Request::GetCloneFlags => Reply::number(answers.clone_flags() as u32 as i32),
        Request::GetConfigItem { key } => match answers.config_item(&key) {
            Some(value) if !value.is_empty() => Reply::text(&value),
            _ => Reply::failed(Errno::PERM),
        },
        Request::GetName => Reply::text(answers.name()),
        Request::GetLxcpath => Reply::text(answers.lxcpath()),
        Request::AddStateClient { wanted } => await_state(answers.state(), wanted),
        Request::ConsoleLog(log) => {
            let mut reply = Reply::number(0);
            match answers.console_log(&log, &mut reply.bytes) {
                Ok(()) => reply,
                Err(errno) => Reply::failed(errno),
            }
        }
        Request::ServeStateClients { state } => {
            answers.set_state(state);
            Reply {
                then: Then::Publish(state),
                ..Reply::number(0)
            }
        }
        Request::SeccompAddListener => match fd {
            Some(notify) => Reply::of(answers.seccomp_listener(notify)),
            None => Reply::failed(Errno::BADF),
        },
        // C LXC tells no reason.
        Request::AddDeviceRule(rule) => {
            Reply::of(answers.device_rule(&rule).map_err(|_| Errno::PERM))
        }
        Request::Freeze { timeout } => Reply::of(answers.freeze(true, timeout)),
        Request::Unfreeze { timeout } => Reply::of(answers.freeze(false, timeout)),
        Request::GetCgroup2Fd => cgroup2(answers, false),
        Request::GetLimitCgroup2Fd => cgroup2(answers, true),
        Request::GetInitPidfd => Reply::lend(answers.init_pidfd()),
        Request::GetDevptsFd => Reply::lend(answers.devpts_fd()),
        Request::GetSeccompNotifyFd => Reply::lend(answers.seccomp_notify_fd()),
        Request::GetCgroupCtx { size } => cgroup_context(answers, size),
        Request::GetCgroupFd { controller, size } => cgroup_fd(answers, controller, false, size),
        Request::GetLimitCgroupFd { controller, size } => {
            cgroup_fd(answers, controller, true, size)
        }
        Request::GetSystemdScope => match answers.systemd_scope() {
            Some(scope) => Reply::text(&scope),
            None => Reply::failed(Errno::INVAL),
        },
    };
    Outcome::Reply(reply)
}

fn cgroup<'a>(answers: &dyn Answers, controller: Option<&str>, limit: bool) -> Outcome<'a> {
    match answers.cgroup_path(controller, limit) {
        Some(path) => Outcome::Reply(Reply::text(&path)),
        None => Outcome::Close,
    }
}

fn cgroup2(answers: &dyn Answers, limit: bool) -> Reply<'_> {
    const UNIFIED: i32 = 2;
    if answers.cgroup_layout() == UNIFIED {
        Reply::lend(answers.cgroup2_fd(limit))
    } else {
        Reply::failed(Errno::INVAL)
    }
}

fn cgroup_context(answers: &dyn Answers, size: usize) -> Reply<'_> {
    let mut lent = answers.cgroup_fds();
    lent.truncate(CGROUP_CONTEXT_FDS);
    let frame = CgroupContextFrame {
        layout: answers.cgroup_layout(),
        utilities: answers.cgroup_utilities(),
        fds: lent.iter().map(AsRawFd::as_raw_fd).collect(),
    };
    let data = cut(&frame.encode(), size);
    Reply {
        lent,
        ..Reply::data(data)
    }
}

fn cgroup_fd(answers: &dyn Answers, controller: String, limit: bool, size: usize) -> Reply<'_> {
    let Some((fd, magic)) = answers.cgroup_fd(&controller, limit) else {
        return Reply::failed(Errno::NOENT);
    };
    let frame = CgroupFdFrame {
        layout: answers.cgroup_layout(),
        utilities: answers.cgroup_utilities(),
        magic,
        fd: fd.as_raw_fd(),
        controller,
    };
    let data = cut(&frame.encode(), size);
    Reply {
        lent: vec![fd],
        ..Reply::data(data)
    }
}

/// Gives as much of a structure as the client's version of it can take.
fn cut(bytes: &[u8], size: usize) -> Vec<u8> {
    bytes[..bytes.len().min(size)].to_vec()
}

fn tty<'a>(answers: &mut dyn Answers, which: i32) -> Reply<'a> {
    match answers.open_tty(which) {
        Some((number, master)) => Reply {
            given: Some(master),
            then: Then::HoldTty(number),
            ..Reply::number(number)
        },
        None => Reply::failed(Errno::BADF),
    }
}

fn await_state<'a>(state: State, wanted: [i32; State::COUNT]) -> Reply<'a> {
    let (answer, registered) = if wanted[state.index()] == 1 {
        // Satisfied at once: nothing further will come, but the client closes first.
        (state.number(), [0; State::COUNT])
    } else {
        (State::COUNT as i32, wanted)
    };
    Reply {
        ret: answer,
        then: Then::AwaitState(registered),
        ..Reply::number(answer)
    }
}
