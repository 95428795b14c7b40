//! Asking a container's monitor.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use lxc_kernel::Errno;

use super::client_error::ClientError;
use super::exchange::{Callee, Exchange, Heard, Response, errno_of};
use super::payload::{
    CgroupContext, CgroupContextFrame, CgroupFd, CgroupFdFrame, ConsoleLog, DeviceRule, whole_text,
};
use super::request::Request;
use super::state::State;

/// How long a monitor may take to answer what it knows by heart.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// What a monitor said, or that there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked<T> {
    /// Nobody listens: the container is stopped.
    Stopped,
    /// The answer.
    Answer(T),
}

impl<T> Asked<T> {
    /// Gives the answer, nothing for a stopped container.
    pub fn answer(self) -> Option<T> {
        match self {
            Asked::Stopped => None,
            Asked::Answer(answer) => Some(answer),
        }
    }

    /// Changes the answer.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Asked<U> {
        match self {
            Asked::Stopped => Asked::Stopped,
            Asked::Answer(answer) => Asked::Answer(change(answer)),
        }
    }
}

/// A terminal of a container, busy for others until this is dropped.
#[derive(Debug)]
pub struct Tty {
    /// Number of the terminal; 0 is the console.
    pub number: i32,
    /// Its master.
    pub master: OwnedFd,
    /// Frees the terminal when it is closed, and ends when the container does.
    pub connection: OwnedFd,
}

/// Asks the monitor of one container; every method is one connection.
///
/// All methods block: [`Client::state`] without end, [`Client::stop`] until the container is down, the others
/// for 10 seconds at most, unless [`Client::with_timeout`] says otherwise.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) callee: Callee,
    timeout: Option<Duration>,
}

/// Result of a question that a stopped container leaves open.
type Answered<T> = Result<Asked<T>, ClientError>;

impl Client {
    /// Means the container `name` in `lxcpath`; nothing is asked yet.
    pub fn new(lxcpath: &str, name: &str) -> Client {
        Client {
            callee: Callee::of(lxcpath, name),
            timeout: None,
        }
    }

    /// Sets how long each answer may take; `None` for the defaults.
    pub fn with_timeout(self, timeout: Option<Duration>) -> Client {
        Client { timeout, ..self }
    }

    /// Gives the state; a container without monitor is [`State::Stopped`].
    ///
    /// # Errors
    /// Whatever keeps a monitor that is there from answering.
    pub fn state(&self) -> Result<State, ClientError> {
        let deadline = self.timeout.and_then(after);
        // A monitor that ends between our question and its answer closes; asked again, nobody is there.
        let mut last_chance = false;
        loop {
            let Some(exchange) = self.callee.ask(&Request::GetState, None, deadline)? else {
                return Ok(State::Stopped);
            };
            match exchange.hear()? {
                Heard::Stopped => return Ok(State::Stopped),
                Heard::Closed if last_chance => {
                    return Err(exchange.nonsense("closed without answer"));
                }
                Heard::Closed => last_chance = true,
                Heard::Response(response) if response.ret < 0 => {
                    return Err(exchange.refused(response.ret));
                }
                Heard::Response(response) => {
                    return State::from_number(response.inline)
                        .ok_or_else(|| exchange.nonsense("named a state that does not exist"));
                }
            }
        }
    }

    /// Gives the process id of init in the monitor's pid namespace.
    ///
    /// # Errors
    /// Also when init does not exist (`ESRCH`).
    pub fn init_pid(&self) -> Answered<i32> {
        self.ask(&Request::GetInitPid, |exchange, response| {
            positive(response.inline).ok_or_else(|| exchange.refused(-Errno::SRCH.raw_os_error()))
        })
    }

    /// Gives a pidfd of init; none from monitors that have none or are too old.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn init_pidfd(&self) -> Answered<Option<OwnedFd>> {
        self.ask_fd(&Request::GetInitPidfd)
    }

    /// Gives the `CLONE_NEW*` bits of the namespaces the container has of its own.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn clone_flags(&self) -> Answered<u64> {
        self.ask(&Request::GetCloneFlags, |_, response| {
            Ok(u64::from(response.inline as u32))
        })
    }

    /// Gives the path of the container's cgroup below the root of a hierarchy.
    ///
    /// `controller` is a v1 controller, `name=…` or `unified`; without, the unified hierarchy of a pure
    /// layout. `limit` asks for the cgroup that holds the limits. None if there is no such hierarchy.
    ///
    /// # Errors
    /// Also a path that leads out of the hierarchy.
    pub fn cgroup(&self, controller: Option<&str>, limit: bool) -> Answered<Option<String>> {
        let controller = controller.map(str::to_owned);
        if limit {
            let request = Request::GetLimitCgroup {
                controller: controller.clone(),
            };
            match self.cgroup_path(&request)? {
                // Monitors older than the command close; their limits are where the processes are.
                Asked::Answer(None) => {}
                known => return Ok(known),
            }
        }
        self.cgroup_path(&Request::GetCgroup { controller })
    }

    fn cgroup_path(&self, request: &Request) -> Answered<Option<String>> {
        let path = self.ask_if_known(request, |exchange, response| text(exchange, &response))?;
        match &path {
            Asked::Answer(Some(path)) if path.split('/').any(|part| part == "..") => Err(
                ClientError::Protocol(format!("the monitor named the cgroup {path:?}; not used")),
            ),
            _ => Ok(path),
        }
    }

    /// Gives the value of a configuration key of the running container; none if it is unset or unknown.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn config_item(&self, key: &str) -> Answered<Option<String>> {
        let request = Request::GetConfigItem {
            key: key.to_owned(),
        };
        self.ask_raw(
            &request,
            None,
            self.deadline(),
            |exchange, response| match response.ret {
                0 => text(exchange, &response).map(Some),
                ret if errno_of(ret) == Errno::PERM => Ok(None),
                ret => Err(exchange.refused(ret)),
            },
        )
    }

    /// Gives the name the container calls itself.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn name(&self) -> Answered<String> {
        self.ask(&Request::GetName, |exchange, response| {
            text(exchange, &response)
        })
    }

    /// Gives the directory the container lives in, as its creator spelled it.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn lxcpath(&self) -> Answered<String> {
        self.ask(&Request::GetLxcpath, |exchange, response| {
            text(exchange, &response)
        })
    }

    /// Gives the container's devpts mount; none if it has none or the monitor is too old.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn devpts(&self) -> Answered<Option<OwnedFd>> {
        self.ask_fd(&Request::GetDevptsFd)
    }

    /// Gives the container's seccomp notification descriptor, if it has one.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn seccomp_notify_fd(&self) -> Answered<Option<OwnedFd>> {
        self.ask_fd(&Request::GetSeccompNotifyFd)
    }

    /// Gives the container's cgroup directory on a pure cgroup v2 host; none on others.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn cgroup2(&self, limit: bool) -> Answered<Option<OwnedFd>> {
        self.ask_fd(if limit {
            &Request::GetLimitCgroup2Fd
        } else {
            &Request::GetCgroup2Fd
        })
    }

    /// Gives layout and directory of every hierarchy; none from monitors that do not know the command.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn cgroup_context(&self) -> Answered<Option<CgroupContext>> {
        let request = Request::GetCgroupCtx {
            size: CgroupContextFrame::SIZE,
        };
        self.ask_if_known(
            &request,
            |exchange, response| match CgroupContextFrame::decode(&response.data) {
                Some((layout, utilities, count)) if count == response.fds.len() => {
                    Ok(CgroupContext {
                        layout,
                        utilities,
                        fds: response.fds,
                    })
                }
                _ => Err(exchange.nonsense("told its cgroups in a form that makes no sense")),
            },
        )
    }

    /// Gives the container's cgroup directory of one hierarchy; none if there is no such hierarchy or the
    /// monitor does not know the command.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn cgroup_fd(&self, controller: &str, limit: bool) -> Answered<Option<CgroupFd>> {
        let (controller, size) = (controller.to_owned(), CgroupFdFrame::SIZE);
        let request = if limit {
            Request::GetLimitCgroupFd { controller, size }
        } else {
            Request::GetCgroupFd { controller, size }
        };
        self.ask_if_known(&request, |exchange, mut response| {
            match (CgroupFdFrame::decode(&response.data), response.fds.pop()) {
                (Some(frame), Some(fd)) => Ok(CgroupFd {
                    layout: frame.layout,
                    utilities: frame.utilities,
                    magic: frame.magic,
                    fd,
                }),
                _ => Err(exchange.nonsense("told a cgroup in a form that makes no sense")),
            }
        })
    }

    /// Gives the systemd scope the container was started in, if any.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn systemd_scope(&self) -> Answered<Option<String>> {
        self.ask_if_known(&Request::GetSystemdScope, |exchange, response| {
            text(exchange, &response)
        })
    }

    /// Ends the container by its stop signal and waits until its monitor is gone.
    ///
    /// # Errors
    /// Also that the signal could not be sent.
    pub fn stop(&self) -> Answered<()> {
        let deadline = self.timeout.and_then(after);
        let Some(exchange) = self.callee.ask(&Request::Stop, None, deadline)? else {
            return Ok(Asked::Stopped);
        };
        match exchange.hear()? {
            Heard::Stopped | Heard::Closed => Ok(Asked::Answer(())),
            Heard::Response(response) if response.ret < 0 => Err(exchange.refused(response.ret)),
            Heard::Response(_) => Ok(Asked::Answer(())),
        }
    }

    /// Freezes by the monitor; `timeout` in seconds, -1 for none.
    ///
    /// # Errors
    /// `ENOENT` where there is no pure cgroup v2: then the caller uses the v1 freezer.
    pub fn freeze(&self, timeout: i32) -> Answered<()> {
        self.ask_within(&Request::Freeze { timeout }, timeout)
    }

    /// Thaws by the monitor; `timeout` in seconds, -1 for none.
    ///
    /// # Errors
    /// As for [`Client::freeze`].
    pub fn unfreeze(&self, timeout: i32) -> Answered<()> {
        self.ask_within(&Request::Unfreeze { timeout }, timeout)
    }

    fn ask_within(&self, request: &Request, timeout: i32) -> Answered<()> {
        let deadline = u64::try_from(timeout)
            .ok()
            .and_then(|seconds| after(Duration::from_secs(seconds) + ANSWER_DEADLINE));
        self.ask_raw(request, None, deadline, |exchange, response| {
            success(exchange, response).map(drop)
        })
    }

    /// Makes a terminal busy and gives it; none if it is busy already or does not exist.
    ///
    /// `which` is -1 for the first free one, 0 for the console, n for tty n.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn tty(&self, which: i32) -> Answered<Option<Tty>> {
        let request = Request::GetTty { which };
        let Some(exchange) = self.callee.ask(&request, None, self.deadline())? else {
            return Ok(Asked::Stopped);
        };
        let mut response = match exchange.hear()? {
            Heard::Stopped => return Ok(Asked::Stopped),
            Heard::Closed => return Ok(Asked::Answer(None)),
            Heard::Response(response) => response,
        };
        if response.ret < 0 {
            return match errno_of(response.ret) {
                Errno::BADF => Ok(Asked::Answer(None)),
                _ => Err(exchange.refused(response.ret)),
            };
        }
        let Some(master) = response.fds.pop() else {
            return Err(exchange.nonsense("promised a terminal and sent none"));
        };
        Ok(Asked::Answer(Some(Tty {
            number: response.inline,
            master,
            connection: exchange.socket,
        })))
    }

    /// Says that the window has another size whose terminal is number 0, the console's. Monitors of C
    /// LXC do not care.
    ///
    /// # Errors
    /// Whatever keeps the monitor from listening.
    pub fn window_changed(&self) -> Answered<()> {
        let Some(exchange) = self.callee.ask(&Request::Winch, None, self.deadline())? else {
            return Ok(Asked::Stopped);
        };
        match exchange.hear()? {
            Heard::Stopped => Ok(Asked::Stopped),
            Heard::Closed | Heard::Response(_) => Ok(Asked::Answer(())),
        }
    }

    /// Makes the monitor enter a state and tell those who wait for it.
    ///
    /// # Errors
    /// Whatever keeps the monitor from answering.
    pub fn serve_state_clients(&self, state: State) -> Answered<()> {
        self.ask(&Request::ServeStateClients { state }, |_, _| Ok(()))
    }

    /// Reads, clears or writes out the console's ring buffer and gives what was read.
    ///
    /// # Errors
    /// `EFAULT` without a buffer, `ENODATA` when there is nothing to read.
    pub fn console_log(&self, log: &ConsoleLog) -> Answered<Vec<u8>> {
        self.ask(&Request::ConsoleLog(*log), |_, response| Ok(response.data))
    }

    /// Changes the device filter of a pure cgroup v2 host.
    ///
    /// # Errors
    /// `EPERM` when the filter could not be replaced.
    pub fn add_device_rule(&self, rule: &DeviceRule) -> Answered<()> {
        self.ask(&Request::AddDeviceRule(rule.clone()), |_, _| Ok(()))
    }

    /// Hands the monitor a seccomp notification descriptor to serve.
    ///
    /// # Errors
    /// `EINVAL` when it has no proxy to serve it with.
    pub fn add_seccomp_listener(&self, notify: BorrowedFd<'_>) -> Answered<()> {
        let request = Request::SeccompAddListener;
        self.ask_raw(
            &request,
            Some(notify),
            self.deadline(),
            |exchange, response| success(exchange, response).map(drop),
        )
    }

    fn deadline(&self) -> Option<Instant> {
        after(self.timeout.unwrap_or(ANSWER_DEADLINE))
    }

    /// Asks and turns a successful answer into a value.
    fn ask<T>(
        &self,
        request: &Request,
        read: impl FnOnce(&Exchange, Response) -> Result<T, ClientError>,
    ) -> Answered<T> {
        self.ask_raw(request, None, self.deadline(), |exchange, response| {
            read(exchange, success(exchange, response)?)
        })
    }

    /// As [`Client::ask`]; none when the monitor has no such thing or does not know the command.
    fn ask_if_known<T>(
        &self,
        request: &Request,
        read: impl FnOnce(&Exchange, Response) -> Result<T, ClientError>,
    ) -> Answered<Option<T>> {
        let Some(exchange) = self.callee.ask(request, None, self.deadline())? else {
            return Ok(Asked::Stopped);
        };
        let answer = match exchange.hear()? {
            Heard::Stopped => return Ok(Asked::Stopped),
            Heard::Closed => None,
            Heard::Response(response) if response.ret < 0 => match errno_of(response.ret) {
                Errno::BADF | Errno::NOSYS | Errno::NOENT | Errno::OPNOTSUPP | Errno::INVAL => None,
                _ => return Err(exchange.refused(response.ret)),
            },
            Heard::Response(response) => Some(read(&exchange, response)?),
        };
        Ok(Asked::Answer(answer))
    }

    fn ask_fd(&self, request: &Request) -> Answered<Option<OwnedFd>> {
        let fd = self.ask_if_known(request, |_, mut response| Ok(response.fds.pop()))?;
        Ok(fd.map(Option::flatten))
    }

    fn ask_raw<T>(
        &self,
        request: &Request,
        fd: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
        read: impl FnOnce(&Exchange, Response) -> Result<T, ClientError>,
    ) -> Answered<T> {
        let Some(exchange) = self.callee.ask(request, fd, deadline)? else {
            return Ok(Asked::Stopped);
        };
        match exchange.hear()? {
            Heard::Stopped => Ok(Asked::Stopped),
            Heard::Closed => Err(exchange.nonsense("closed without answer")),
            Heard::Response(response) => read(&exchange, response).map(Asked::Answer),
        }
    }
}

/// Gives the end of a time from now; none for one so long that the clock cannot count it.
fn after(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

fn success(exchange: &Exchange, response: Response) -> Result<Response, ClientError> {
    if response.ret < 0 {
        Err(exchange.refused(response.ret))
    } else {
        Ok(response)
    }
}

fn text(exchange: &Exchange, response: &Response) -> Result<String, ClientError> {
    whole_text(&response.data)
        .map(str::to_owned)
        .ok_or_else(|| exchange.nonsense("sent what is no text"))
}

fn positive(number: i32) -> Option<i32> {
    (number > 0).then_some(number)
}
