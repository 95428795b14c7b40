//! Requests: from bytes to a typed value, once, and back.

use lxc_kernel::Errno;

use super::command::Command;
use super::frame::{MAX_PAYLOAD, RequestHeader};
use super::payload::{
    CgroupContextFrame, CgroupFdFrame, ConsoleLog, DeviceRule, padded, terminated, whole_text, word,
};
use super::state::State;

/// What a client asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Lend me the master of a terminal.
    GetTty {
        /// -1 for the first free one, 0 for the console, n for tty n.
        which: i32,
    },
    /// The window of the client that has the console has another size now. C LXC's clients never say so,
    /// and its monitors close without a word; so does ours, when it has looked.
    Winch,
    /// Send the stop signal to init and end.
    Stop,
    /// Which state are you in?
    GetState,
    /// Which process is your init?
    GetInitPid,
    /// Which namespaces have you of your own?
    GetCloneFlags,
    /// Where is your cgroup?
    GetCgroup {
        /// A v1 controller, `name=…` or `unified`; `None` for the unified hierarchy.
        controller: Option<String>,
    },
    /// What value has this key?
    GetConfigItem {
        /// The key as it stands in a configuration.
        key: String,
    },
    /// What is your name?
    GetName,
    /// In which directory do you live?
    GetLxcpath,
    /// Tell me when you reach one of these states.
    AddStateClient {
        /// Per state: 0 not wanted, 1 wanted, 2 wanted but not if it is the present one.
        wanted: [i32; State::COUNT],
    },
    /// Do this with your console's ring buffer.
    ConsoleLog(ConsoleLog),
    /// Enter this state and tell those who wait for it.
    ServeStateClients {
        /// The state.
        state: State,
    },
    /// Serve the notification descriptor that travels with this request.
    SeccompAddListener,
    /// Change the device filter.
    AddDeviceRule(DeviceRule),
    /// Freeze, on a pure cgroup v2 host.
    Freeze {
        /// Seconds to wait for the kernel; -1 without end.
        timeout: i32,
    },
    /// Thaw, on a pure cgroup v2 host.
    Unfreeze {
        /// Seconds to wait for the kernel; -1 without end.
        timeout: i32,
    },
    /// Lend me your cgroup directory, on a pure cgroup v2 host.
    GetCgroup2Fd,
    /// Lend me your init's pidfd.
    GetInitPidfd,
    /// Where is the cgroup that limits you?
    GetLimitCgroup {
        /// As for [`Request::GetCgroup`].
        controller: Option<String>,
    },
    /// Lend me the directory of the cgroup that limits you, on a pure cgroup v2 host.
    GetLimitCgroup2Fd,
    /// Lend me your devpts.
    GetDevptsFd,
    /// Lend me your seccomp notification descriptor.
    GetSeccompNotifyFd,
    /// Lend me your cgroup directory of every hierarchy.
    GetCgroupCtx {
        /// Bytes the client can take.
        size: usize,
    },
    /// Lend me your cgroup directory of one hierarchy.
    GetCgroupFd {
        /// A v1 controller, `name=…`, `unified` or a v2 controller; never empty.
        controller: String,
        /// Bytes the client can take.
        size: usize,
    },
    /// As [`Request::GetCgroupFd`], for the cgroup that limits you.
    GetLimitCgroupFd {
        /// As for [`Request::GetCgroupFd`].
        controller: String,
        /// Bytes the client can take.
        size: usize,
    },
    /// Which systemd scope are you in?
    GetSystemdScope,
}

/// How bytes that are no request are turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection is closed without a word.
    Close,
    /// The errno is answered, then the connection is closed.
    Answer(Errno),
}

const INVALID: Refusal = Refusal::Answer(Errno::INVAL);

impl RequestHeader {
    /// Tells how many bytes of payload belong to the request.
    ///
    /// # Errors
    /// A length that no command can have: negative, or more than [`MAX_PAYLOAD`].
    pub fn payload_length(&self) -> Result<usize, Refusal> {
        let length = usize::try_from(self.length).map_err(|_| Refusal::Close)?;
        match Command::from_number(self.command) {
            // Its descriptor travels with one byte that the head does not count.
            Some(Command::SeccompAddListener) if length == 0 => Ok(1),
            // The only command for which C LXC takes any length; ours has one size all the same.
            Some(Command::ConsoleLog) if length > MAX_PAYLOAD => Err(INVALID),
            _ if length > MAX_PAYLOAD => Err(Refusal::Close),
            _ => Ok(length),
        }
    }

    /// Tells how many descriptors may travel with the payload.
    pub fn payload_fds(&self) -> usize {
        usize::from(self.command == Command::SeccompAddListener.number())
    }
}

impl Request {
    /// Reads a request from its head and its whole payload.
    ///
    /// # Errors
    /// How to turn away what is no request: `ENOSYS` for a number without command, `EINVAL` for a payload
    /// of wrong size or content.
    pub fn decode(header: &RequestHeader, payload: &[u8]) -> Result<Request, Refusal> {
        let command = Command::from_number(header.command).ok_or(Refusal::Answer(Errno::NOSYS))?;
        match command {
            Command::GetCgroup => Ok(Request::GetCgroup {
                controller: optional_text(payload)?,
            }),
            Command::GetLimitCgroup => Ok(Request::GetLimitCgroup {
                controller: optional_text(payload)?,
            }),
            Command::GetConfigItem => Ok(Request::GetConfigItem {
                key: whole_text(payload).ok_or(INVALID)?.to_owned(),
            }),
            Command::AddStateClient => Ok(Request::AddStateClient {
                wanted: wanted_states(payload).ok_or(INVALID)?,
            }),
            Command::ConsoleLog => ConsoleLog::decode(payload)
                .map(Request::ConsoleLog)
                .ok_or(INVALID),
            Command::AddDeviceRule => DeviceRule::decode(payload)
                .map(Request::AddDeviceRule)
                .ok_or(INVALID),
            Command::SeccompAddListener => match (header.length, payload) {
                (0, [_]) => Ok(Request::SeccompAddListener),
                _ => Err(INVALID),
            },
            Command::GetCgroupCtx => match padded::<{ CgroupContextFrame::SIZE }>(payload) {
                Some(_) if !payload.is_empty() => Ok(Request::GetCgroupCtx {
                    size: payload.len(),
                }),
                _ => Err(INVALID),
            },
            Command::GetCgroupFd => Ok(Request::GetCgroupFd {
                controller: wanted_controller(payload).ok_or(INVALID)?,
                size: payload.len(),
            }),
            Command::GetLimitCgroupFd => Ok(Request::GetLimitCgroupFd {
                controller: wanted_controller(payload).ok_or(INVALID)?,
                size: payload.len(),
            }),
            _ if !payload.is_empty() => Err(INVALID),
            _ => Request::without_payload(command, header.inline()),
        }
    }

    fn without_payload(command: Command, inline: i32) -> Result<Request, Refusal> {
        let request = match command {
            Command::GetTty if inline < -1 => return Err(Refusal::Answer(Errno::BADF)),
            Command::GetTty => Request::GetTty { which: inline },
            Command::Winch => Request::Winch,
            Command::Stop => Request::Stop,
            Command::GetState => Request::GetState,
            Command::GetInitPid => Request::GetInitPid,
            Command::GetCloneFlags => Request::GetCloneFlags,
            Command::GetName => Request::GetName,
            Command::GetLxcpath => Request::GetLxcpath,
            Command::ServeStateClients => Request::ServeStateClients {
                state: State::from_number(inline).ok_or(INVALID)?,
            },
            Command::Freeze => Request::Freeze { timeout: inline },
            Command::Unfreeze => Request::Unfreeze { timeout: inline },
            Command::GetCgroup2Fd => Request::GetCgroup2Fd,
            Command::GetInitPidfd => Request::GetInitPidfd,
            Command::GetLimitCgroup2Fd => Request::GetLimitCgroup2Fd,
            Command::GetDevptsFd => Request::GetDevptsFd,
            Command::GetSeccompNotifyFd => Request::GetSeccompNotifyFd,
            Command::GetSystemdScope => Request::GetSystemdScope,
            Command::GetCgroup
            | Command::GetConfigItem
            | Command::AddStateClient
            | Command::ConsoleLog
            | Command::SeccompAddListener
            | Command::AddDeviceRule
            | Command::GetLimitCgroup
            | Command::GetCgroupCtx
            | Command::GetCgroupFd
            | Command::GetLimitCgroupFd => return Err(INVALID),
        };
        Ok(request)
    }

    /// Gives the head and the payload that ask for this.
    ///
    /// The payload goes in a send of its own; that of [`Request::SeccompAddListener`] carries the descriptor.
    pub fn encode(&self) -> (RequestHeader, Vec<u8>) {
        let (inline, payload) = match self {
            Request::GetTty { which } => (*which, Vec::new()),
            Request::ServeStateClients { state } => (state.number(), Vec::new()),
            Request::Freeze { timeout } | Request::Unfreeze { timeout } => (*timeout, Vec::new()),
            Request::GetCgroup { controller } | Request::GetLimitCgroup { controller } => {
                (0, controller.as_deref().map_or_else(Vec::new, terminated))
            }
            Request::GetConfigItem { key } => (0, terminated(key)),
            Request::AddStateClient { wanted } => {
                (0, wanted.iter().flat_map(|w| w.to_ne_bytes()).collect())
            }
            Request::ConsoleLog(log) => (0, log.encode().to_vec()),
            Request::SeccompAddListener => (0, vec![0]),
            Request::AddDeviceRule(rule) => (0, rule.encode().to_vec()),
            Request::GetCgroupCtx { size } => (0, vec![0; *size]),
            Request::GetCgroupFd { controller, size }
            | Request::GetLimitCgroupFd { controller, size } => {
                (0, encode_controller(controller, *size))
            }
            Request::Winch
            | Request::Stop
            | Request::GetState
            | Request::GetInitPid
            | Request::GetCloneFlags
            | Request::GetName
            | Request::GetLxcpath
            | Request::GetCgroup2Fd
            | Request::GetInitPidfd
            | Request::GetLimitCgroup2Fd
            | Request::GetDevptsFd
            | Request::GetSeccompNotifyFd
            | Request::GetSystemdScope => (0, Vec::new()),
        };
        let length = match self {
            Request::SeccompAddListener => 0,
            // Longer texts than an i32 can count are refused by the server as too long either way.
            _ => i32::try_from(payload.len()).unwrap_or(i32::MAX),
        };
        let header = RequestHeader {
            command: self.command().number(),
            length,
            slot: i64::from(inline),
        };
        (header, payload)
    }

    /// Gives the command, without what it is about.
    pub fn command(&self) -> Command {
        match self {
            Request::GetTty { .. } => Command::GetTty,
            Request::Winch => Command::Winch,
            Request::Stop => Command::Stop,
            Request::GetState => Command::GetState,
            Request::GetInitPid => Command::GetInitPid,
            Request::GetCloneFlags => Command::GetCloneFlags,
            Request::GetCgroup { .. } => Command::GetCgroup,
            Request::GetConfigItem { .. } => Command::GetConfigItem,
            Request::GetName => Command::GetName,
            Request::GetLxcpath => Command::GetLxcpath,
            Request::AddStateClient { .. } => Command::AddStateClient,
            Request::ConsoleLog(_) => Command::ConsoleLog,
            Request::ServeStateClients { .. } => Command::ServeStateClients,
            Request::SeccompAddListener => Command::SeccompAddListener,
            Request::AddDeviceRule(_) => Command::AddDeviceRule,
            Request::Freeze { .. } => Command::Freeze,
            Request::Unfreeze { .. } => Command::Unfreeze,
            Request::GetCgroup2Fd => Command::GetCgroup2Fd,
            Request::GetInitPidfd => Command::GetInitPidfd,
            Request::GetLimitCgroup { .. } => Command::GetLimitCgroup,
            Request::GetLimitCgroup2Fd => Command::GetLimitCgroup2Fd,
            Request::GetDevptsFd => Command::GetDevptsFd,
            Request::GetSeccompNotifyFd => Command::GetSeccompNotifyFd,
            Request::GetCgroupCtx { .. } => Command::GetCgroupCtx,
            Request::GetCgroupFd { .. } => Command::GetCgroupFd,
            Request::GetLimitCgroupFd { .. } => Command::GetLimitCgroupFd,
            Request::GetSystemdScope => Command::GetSystemdScope,
        }
    }
}

fn optional_text(payload: &[u8]) -> Result<Option<String>, Refusal> {
    if payload.is_empty() {
        return Ok(None);
    }
    let text = whole_text(payload).ok_or(INVALID)?;
    Ok(Some(text.to_owned()))
}

fn wanted_states(payload: &[u8]) -> Option<[i32; State::COUNT]> {
    if payload.len() != State::COUNT * 4 {
        return None;
    }
    Some(std::array::from_fn(|index| word(payload, index * 4)))
}

fn wanted_controller(payload: &[u8]) -> Option<String> {
    let controller = CgroupFdFrame::decode(payload)?.controller;
    (!controller.is_empty()).then_some(controller)
}

fn encode_controller(controller: &str, size: usize) -> Vec<u8> {
    let frame = CgroupFdFrame {
        layout: 0,
        utilities: 0,
        magic: 0,
        // What C LXC's clients send for "none yet".
        fd: -Errno::BADF.raw_os_error(),
        controller: controller.to_owned(),
    };
    let mut bytes = frame.encode().to_vec();
    bytes.resize(size, 0);
    bytes
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
