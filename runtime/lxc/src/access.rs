//! What can be had from, and done to, a running container.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use lxc_engine::freezer::Freezer;
use lxc_engine::wire::{Asked, ClientError, ConsoleLog};
use lxc_engine::{inquiry, terminal};
use std::fmt::Display;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub use lxc_engine::wire::Tty;

/// A kind of network address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// How a terminal of the container is shown on one of the caller's.
#[derive(Debug, Clone, Copy)]
pub struct ConsoleOptions<'a> {
    /// Number of the terminal; -1 = the next free one, 0 = the console.
    pub tty: i32,
    /// Where keys come from.
    pub input: BorrowedFd<'a>,
    /// Where output goes.
    pub output: BorrowedFd<'a>,
    /// Control character that begins an escape (1 = Ctrl-a); then `q` leaves. `None` = no escape.
    pub escape: Option<u8>,
    /// Where it is said which terminal this is and how the escape is typed, if there is one.
    pub greeting: Option<BorrowedFd<'a>>,
}

/// What a console log is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConsoleLogRequest {
    /// Give the data, and consume it.
    pub read: bool,
    /// Throw everything away.
    pub clear: bool,
    /// Most bytes given; 0 = all.
    pub read_max: u64,
}

impl Container {
    /// Stops every process inside until [`Container::unfreeze`]. No error when it is frozen already.
    ///
    /// Blocks until the last process has stopped. On cgroup v1 a parent that waits in vfork(2) for a
    /// child that is stopped already makes that for ever, as with C LXC.
    ///
    /// # Errors
    /// `NotRunning`, also when it ends meanwhile; there is no freezer; what the kernel refuses.
    pub fn freeze(&self) -> Result<()> {
        let done = self.freezer(&self.client()).freeze();
        self.running(done.map_err(|e| self.failed("freeze", e))?)
    }

    /// Lets it go on. No error when it is not frozen, or does not run.
    ///
    /// # Errors
    /// `NotDefined` when it neither runs nor has a configuration; what the kernel or the monitor
    /// refuses.
    pub fn unfreeze(&self) -> Result<()> {
        let done = self.freezer(&self.client()).thaw();
        match done.map_err(|e| self.failed("thaw", e))? {
            Asked::Stopped if self.config.is_none() => Err(self.undefined()),
            Asked::Stopped | Asked::Answer(()) => Ok(()),
        }
    }

    fn freezer<'a>(&'a self, client: &'a lxc_engine::wire::Client) -> Freezer<'a> {
        Freezer {
            client,
            lxcpath: &self.lxcpath,
            name: &self.name,
        }
    }

    /// How long the monitor may take to answer [`Container::state`]; `None` = without end.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// A pidfd of init. `NotRunning` (errno ECONNREFUSED), EBADF without one.
    pub fn init_pidfd(&self) -> Result<OwnedFd> {
        self.descriptor("pidfd of init", self.client().init_pidfd())
    }

    /// The container's devpts mount. `NotRunning`, EBADF without one.
    pub fn devpts_fd(&self) -> Result<OwnedFd> {
        self.descriptor("devpts of its own", self.client().devpts())
    }

    /// The listener of the running container's seccomp filter. `NotRunning`, EBADF without one.
    pub fn seccomp_notify_fd_active(&self) -> Result<OwnedFd> {
        self.descriptor("seccomp listener", self.client().seccomp_notify_fd())
    }

    /// A terminal: -1 = the next free one, 0 = the console. It is the caller's alone until it is
    /// dropped.
    ///
    /// # Errors
    /// `NotRunning`; EBADF when it is busy or there is none.
    pub fn tty(&self, number: i32) -> Result<Tty> {
        let which = match number {
            -1 => "free terminal".to_owned(),
            0 => "console that can be lent".to_owned(),
            number => format!("free terminal {number}"),
        };
        self.descriptor(&which, self.client().tty(number))
    }

    fn descriptor<T>(
        &self,
        what: &str,
        asked: std::result::Result<Asked<Option<T>>, ClientError>,
    ) -> Result<T> {
        self.running(asked?)?.ok_or_else(|| {
            let text = format!("the container {} has no {what}", self.name);
            Error::new(ErrorKind::Other, text).with_errno(libc::EBADF)
        })
    }

    /// Shows a terminal until the escape is typed, it is hung up, the input ends, or SIGTERM comes.
    ///
    /// An input that is a terminal is in raw mode meanwhile and set back whatever happens. The caller
    /// becomes the leader of a new session, unless it leads a process group already.
    ///
    /// # Errors
    /// As [`Container::tty`]; a descriptor that cannot be read or written.
    pub fn console(&self, options: &ConsoleOptions<'_>) -> Result<()> {
        let tty = self.tty(options.tty)?;
        if let (Some(place), Some(escape)) = (options.greeting, options.escape) {
            terminal::greet(place, tty.number, escape);
        }
        let resized = || {
            // The others are the container's own terminals: it sees by itself. A monitor that cannot be
            // told sees the new size with the next key.
            if tty.number == 0 {
                let _ = self.client().window_changed();
            }
        };
        terminal::show(
            &tty,
            options.input,
            options.output,
            options.escape,
            &resized,
        )
        .map_err(|e| self.failed("show a terminal of", e.into()))
    }

    /// Asks for the console's buffer. ENODATA when it is empty, EFAULT without one.
    ///
    /// # Errors
    /// `NotRunning`; those two.
    pub fn console_log(&self, request: &ConsoleLogRequest) -> Result<Vec<u8>> {
        let asked = self.client().console_log(&ConsoleLog {
            clear: request.clear,
            read: request.read,
            read_max: request.read_max,
            write_logfile: false,
        });
        let failed = |error: ClientError| match error.errno().map(|e| e.raw_os_error()) {
            Some(errno @ libc::EFAULT) => self.without_log(
                "has no console buffer; set lxc.console.buffer.size and start again",
                errno,
            ),
            Some(errno @ libc::ENODATA) => {
                self.without_log("has said nothing new on its console", errno)
            }
            _ => error.into(),
        };
        self.running(asked.map_err(failed)?)
    }

    fn without_log(&self, why: &str, errno: i32) -> Error {
        let text = format!("the container {} {why}", self.name);
        Error::new(ErrorKind::Other, text).with_errno(errno)
    }

    /// Its addresses, loopback and link-local ones left out, sorted as text; none when it does not run.
    pub fn ips(&self) -> Result<Vec<IpAddr>> {
        let found = self.network()?.map(|n| n.addresses).unwrap_or_default();
        let told = found.into_iter().filter(|address| {
            address.interface != "lo" && !address.ip.is_loopback() && address.scope == 0
        });
        Ok(told.map(|address| address.ip).collect())
    }

    /// Addresses as text, sorted: of `interface` (`None` = all but lo), of `family` (`None` = both), and
    /// for IPv6 of `scope` (0 = global, else the index of the interface that a link-local one belongs
    /// to). None when it does not run.
    ///
    /// # Errors
    /// Its network namespace cannot be looked into.
    pub fn addresses(
        &self,
        interface: Option<&str>,
        family: Option<Family>,
        scope: u32,
    ) -> Result<Vec<String>> {
        let found = self.network()?.map(|n| n.addresses).unwrap_or_default();
        let asked_for = found.into_iter().filter(|address| {
            let of_interface = match interface {
                Some(name) => address.interface == name,
                None => address.interface != "lo",
            };
            let of_family = match address.ip {
                IpAddr::V4(_) => family != Some(Family::Inet6),
                IpAddr::V6(_) => family != Some(Family::Inet) && address.scope == scope,
            };
            of_interface && of_family
        });
        Ok(asked_for.map(|address| address.ip.to_string()).collect())
    }

    /// Its interfaces, sorted; none when it does not run.
    pub fn interfaces(&self) -> Result<Vec<String>> {
        Ok(self.network()?.map(|n| n.interfaces).unwrap_or_default())
    }

    fn network(&self) -> Result<Option<inquiry::NetworkView>> {
        let Some(pidfd) = inquiry::init_pidfd(&self.client())? else {
            return Ok(None);
        };
        inquiry::network(pidfd.as_fd())
            .map(Some)
            .map_err(|e| self.failed("look into the network of", e.into()))
    }

    /// A file of its cgroup, such as `memory.current`; `None` when it does not run or has no such
    /// file.
    pub fn cgroup_item(&self, file: &str) -> Result<Option<String>> {
        Ok(inquiry::cgroup_item(&self.client(), file)?)
    }

    /// Writes a file of its cgroup, such as `memory.max`; `devices.allow` and `devices.deny` take one
    /// rule on every kind of host. On a pure v2 host the first device rule of a container without any
    /// denies all devices that no rule allows, as with C LXC.
    ///
    /// # Errors
    /// `NotRunning`; EINVAL for what cannot be a file or is empty, ENOENT for a file there is not; what
    /// the kernel does not take.
    pub fn set_cgroup_item(&self, file: &str, value: &str) -> Result<()> {
        let set = inquiry::set_cgroup_item(&self.client(), file, value);
        self.running(set.map_err(|e| self.failed(&format!("set {file} = {value:?} for"), e))?)
    }

    /// The answer, or the error that a stopped container gives.
    fn running<T>(&self, asked: Asked<T>) -> Result<T> {
        asked.answer().ok_or_else(|| Error::not_running(&self.name))
    }

    /// What could not be done with the container, and the call; a monitor's own words stay.
    fn failed(&self, what: &str, error: ClientError) -> Error {
        let told: &dyn Display = match &error {
            ClientError::Sys(call) => call,
            _ => return error.into(),
        };
        let text = format!("cannot {what} the container {}\n  {told}", self.name);
        let found = Error::new(ErrorKind::Other, text);
        match error.errno() {
            Some(errno) => found.with_errno(errno.raw_os_error()),
            None => found,
        }
    }
}
