//! The monitor's loop: one poller for the socket, signals, init, hooks and the console.

use crate::console::{Console, Tokens};
use crate::failure::Failure;
use crate::hooks::{self, HookEnvironment};
use crate::message::{self, Report};
use crate::monitor::broadcast;
use crate::monitor::life::{self, Event, Phase};
use crate::monitor::live::Live;
use crate::program::Spawned;
use crate::request::MonitorRequest;
use crate::wire::{Notice, Server};
use lxc_kernel::Result;
use lxc_kernel::events::{Interest, Poller};
use lxc_kernel::process::{self, Ended};
use lxc_kernel::signals::SignalFd;
use lxc_plan::HookRun;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// Who woke the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Init's pidfd: it has ended.
    InitEnded,
    /// The guest says something, or its socket closed.
    Guest,
    /// A hook has ended.
    HookEnded,
    /// A hook has written something.
    HookOutput,
    /// The deadline has passed.
    Deadline,
}

/// Tokens of the poller; the server's begin far above.
mod token {
    pub const SIGNALS: u64 = 1;
    pub const INIT: u64 = 2;
    pub const GUEST: u64 = 3;
    pub const HOOK_ENDED: u64 = 4;
    pub const HOOK_OUTPUT: u64 = 5;
    pub const CONSOLE: super::Tokens = super::Tokens {
        master: 6,
        keyboard: 7,
    };
    pub const SERVER: u64 = 1 << 16;
}

/// The monitor of one container.
pub struct Monitor {
    /// What was asked.
    pub request: MonitorRequest,
    /// The container.
    pub live: Live,
    /// Everything that can wake it.
    pub poller: Poller,
    /// The command socket; closed at the end.
    pub server: Option<Server>,
    /// Signals to pass on.
    pub signals: SignalFd,
    /// To the guest, while it sets itself up.
    pub guest_socket: Option<OwnedFd>,
    /// What hooks find.
    pub hooks: HookEnvironment,
    /// The process group of the hook that runs now.
    pub hook_group: Option<i32>,
    /// The caller, until it has its answer.
    pub report: Option<OwnedFd>,
    /// How init ended last.
    pub ended: Option<Ended>,
}

impl Monitor {
    /// Registers what is there from the beginning.
    pub fn listen(&mut self) -> Result<()> {
        self.poller
            .add(self.signals.as_fd(), token::SIGNALS, Interest::READ)?;
        match &mut self.server {
            Some(server) => server.register(&self.poller, token::SERVER),
            None => Ok(()),
        }
    }

    /// Waits for the next thing that concerns the caller of this function; what concerns the socket,
    /// the signals or the console is dealt with on the way.
    pub fn turn(&mut self, deadline: Option<Instant>) -> Result<Vec<Wake>> {
        loop {
            let server = self.server.as_ref().and_then(Server::next_deadline);
            let console = self.live.console.as_ref().and_then(Console::deadline);
            let next = [deadline, server, console].into_iter().flatten().min();
            let mut events = self.poller.wait(next)?;
            // Who leaves goes before who comes: a terminal given back can be lent again at once.
            events.sort_by_key(|event| event.token == token::SERVER);
            let now = Instant::now();
            if let Some(server) = &mut self.server {
                server.expire(&self.poller, now, &mut self.live);
            }
            if let Some(console) = &mut self.live.console {
                console.expire(now);
            }
            self.watch_console()?;
            let mut wakes = Vec::new();
            for event in events {
                match event.token {
                    token::SIGNALS => self.take_signals()?,
                    token::INIT => wakes.push(Wake::InitEnded),
                    token::GUEST => wakes.push(Wake::Guest),
                    token::HOOK_ENDED => wakes.push(Wake::HookEnded),
                    token::HOOK_OUTPUT => wakes.push(Wake::HookOutput),
                    token if token == token::CONSOLE.master => self.console_ready(true)?,
                    token if token == token::CONSOLE.keyboard => self.console_ready(false)?,
                    _ => {
                        if let Some(server) = &mut self.server {
                            server.handle(&self.poller, &event, &mut self.live);
                        }
                        // A client may have got it, or given it back.
                        self.watch_console()?;
                    }
                }
            }
            if deadline.is_some_and(|d| now >= d) {
                wakes.push(Wake::Deadline);
            }
            if !wakes.is_empty() {
                return Ok(wakes);
            }
        }
    }

    /// Watches the guest: its pidfd, and its socket while it sets itself up.
    pub fn watch_guest(&mut self) -> Result<()> {
        if let Some(init) = &self.live.init {
            self.poller
                .add(init.pidfd.as_fd(), token::INIT, Interest::READ)?;
        }
        match &self.guest_socket {
            Some(socket) => self
                .poller
                .add(socket.as_fd(), token::GUEST, Interest::READ),
            None => Ok(()),
        }
    }

    /// Stops watching the guest.
    pub fn ignore_guest(&mut self) -> Result<()> {
        if let Some(init) = &self.live.init {
            self.poller.remove(init.pidfd.as_fd())?;
        }
        match &self.guest_socket {
            Some(socket) => self.poller.remove(socket.as_fd()),
            None => Ok(()),
        }
    }

    /// The guest has said its last word: only its pidfd matters from now on.
    pub fn close_guest_socket(&mut self) -> Result<()> {
        match self.guest_socket.take() {
            Some(socket) => self.poller.remove(socket.as_fd()),
            None => Ok(()),
        }
    }

    /// Takes a console into service.
    pub fn serve_console(&mut self, console: Console) -> Result<()> {
        self.live.console = Some(console);
        self.watch_console()
    }

    /// Takes the console out of service.
    pub fn close_console(&mut self) {
        if let Some(mut console) = self.live.console.take() {
            // The last words are still in the terminal's buffer.
            console.drain();
            console.finish();
            if let Err(error) = console.unwatch(&self.poller) {
                log::warn!("{error}");
            }
        }
    }

    fn console_ready(&mut self, of_master: bool) -> Result<()> {
        if let Some(console) = &mut self.live.console {
            console.ready(of_master);
        }
        self.watch_console()
    }

    fn watch_console(&mut self) -> Result<()> {
        match &mut self.live.console {
            Some(console) => console.watch(&self.poller, token::CONSOLE),
            None => Ok(()),
        }
    }

    /// Signals to the monitor are meant for the container.
    fn take_signals(&mut self) -> Result<()> {
        while let Some(info) = self.signals.read()? {
            let signal = match info.signal {
                // The end of init and of hooks is seen by their pidfds.
                libc::SIGCHLD => continue,
                libc::SIGWINCH => {
                    if let Some(console) = &self.live.console {
                        console.copy_window_size();
                    }
                    continue;
                }
                libc::SIGHUP => libc::SIGTERM,
                other => other,
            };
            let ends = matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT);
            if let Some(group) = self.hook_group.filter(|_| ends) {
                log::info!("passing signal {signal} on to the hook that runs");
                // One that has become another user's cannot be ended by us; the start waits for it then.
                if let Err(error) = process::signal_group(group, signal) {
                    log::warn!("{error}");
                }
                continue;
            }
            log::info!("passing signal {signal} on to init");
            if let Some(init) = &self.live.init {
                // An init that has just ended takes no signal.
                let _ = process::pidfd_signal(init.pidfd.as_fd(), signal);
            }
        }
        Ok(())
    }

    /// Moves on in the life cycle and tells everyone who waits for it.
    pub fn happened(&mut self, event: Event) {
        if self.live.happened(event) {
            self.publish();
        }
    }

    /// Tells everyone who waits for the present state. STOPPED is told by closing, at the very end.
    pub fn publish(&mut self) {
        let state = life::state(self.live.phase);
        log::info!("state {state}");
        broadcast::tell(
            &self.live.lxcpath,
            &Notice::of_state(&self.live.name, state),
        );
        if self.live.phase == Phase::Stopped {
            return;
        }
        if let Some(server) = &mut self.server {
            server.publish(&self.poller, state, &self.live.name);
        }
    }

    /// Answers whoever asked for the start: once, but for a foreground caller, who waits for the end.
    pub fn tell_caller(&mut self, report: &Report) {
        let Some(caller) = self.report.take() else {
            return;
        };
        let told = message::send(caller.as_fd(), report, &[]);
        if self.request.foreground && matches!(report, Report::Running { .. }) {
            self.report = Some(caller);
        }
        if let Err(error) = told {
            log::warn!("the caller has gone: {error}");
        }
    }

    /// Runs hooks of the host's side in order, serving the socket meanwhile. No deadline: they are
    /// users' code.
    pub fn run_hooks(
        &mut self,
        runs: &[HookRun],
        extra: &[String],
    ) -> std::result::Result<(), Failure> {
        for run in runs {
            // A guest that dies meanwhile is looked at when the hook is done.
            let ended = self.ignore_guest().and_then(|()| {
                let verdict = self.run_hook(run, extra);
                self.watch_guest()?;
                verdict
            });
            ended.unwrap_or_else(|error| {
                let sentence = format!("cannot run the hook '{}' ({})", run.command, run.origin);
                let kind = crate::failure::FailureKind::Step;
                Err(Failure::new(kind, sentence).caused_by(&error))
            })?;
        }
        Ok(())
    }

    fn run_hook(
        &mut self,
        run: &HookRun,
        extra: &[String],
    ) -> Result<std::result::Result<(), Failure>> {
        log::debug!("running the {} hook {}", run.kind.name(), run.command);
        let mut hook = hooks::spawn(run, &self.hooks, extra)?;
        self.hook_group = Some(hook.program.pid());
        let ended = self.wait_for_program(&mut hook.program, None);
        self.hook_group = None;
        Ok(match ended? {
            Some(ended) => hook.judge(ended),
            // Without a deadline nothing but its end is waited for.
            None => Ok(()),
        })
    }

    /// Waits for a program of the host, serving the socket meanwhile; `None` if the deadline has
    /// passed, and the program with it.
    pub fn wait_for_program(
        &mut self,
        program: &mut Spawned,
        deadline: Option<Instant>,
    ) -> Result<Option<Ended>> {
        self.poller
            .add(program.pidfd(), token::HOOK_ENDED, Interest::READ)?;
        self.poller
            .add(program.output(), token::HOOK_OUTPUT, Interest::READ)?;
        let ended = self.wait_for_end(program, deadline);
        self.poller.remove(program.pidfd())?;
        ended
    }

    fn wait_for_end(
        &mut self,
        program: &mut Spawned,
        deadline: Option<Instant>,
    ) -> Result<Option<Ended>> {
        let mut listening = true;
        let ended = 'wait: loop {
            for wake in self.turn(deadline)? {
                match wake {
                    Wake::HookEnded => {
                        if let Some(ended) = program.ended()? {
                            break 'wait Some(ended);
                        }
                    }
                    Wake::HookOutput => {
                        if listening && !program.collect() {
                            self.poller.remove(program.output())?;
                            listening = false;
                        }
                    }
                    Wake::Deadline => {
                        process::pidfd_signal(program.pidfd(), libc::SIGKILL)?;
                        process::wait_pidfd(program.pidfd(), true)?;
                        break 'wait None;
                    }
                    // Not watched now.
                    Wake::InitEnded | Wake::Guest => {}
                }
            }
        };
        if listening {
            self.poller.remove(program.output())?;
        }
        Ok(ended)
    }

    /// Tells how init ended.
    pub fn publish_end(&self, ended: Ended) {
        let notice = Notice::of_exit(&self.live.name, ended.wait_status());
        broadcast::tell(&self.live.lxcpath, &notice);
    }

    /// Serves the container until init has ended.
    pub fn serve(&mut self) -> Result<Ended> {
        loop {
            for wake in self.turn(None)? {
                if wake != Wake::InitEnded {
                    continue;
                }
                let Some(init) = &self.live.init else {
                    continue;
                };
                if let Some(ended) = process::wait_pidfd(init.pidfd.as_fd(), false)? {
                    return Ok(ended);
                }
            }
        }
    }

    /// Lends the number of a descriptor to hooks: `/proc/PID/fd/N`.
    pub fn fd_path(fd: &OwnedFd) -> String {
        use std::os::fd::AsRawFd;
        format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd())
    }
}
