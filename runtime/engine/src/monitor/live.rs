//! What the monitor knows and holds of its container, and what it answers when asked.

use crate::apparmor::Loaded;
use crate::console::Console;
use crate::monitor::life::{self, Event, Phase};
use crate::step::cgroup::Cgroups;
use crate::step::devices::DeviceFilter;
use crate::wire::{Answers, CGROUP_MAGIC, CGROUP2_MAGIC, ConsoleLog, DeviceRule, State};
use lxc_config::Config;
use lxc_kernel::{Errno, process, pty};
use lxc_plan::{IdmapPlan, Namespaces};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The container's init.
pub struct Init {
    /// Its pid as the monitor sees it.
    pub pid: i32,
    /// Itself.
    pub pidfd: OwnedFd,
}

/// A terminal that can be lent.
pub struct Tty {
    /// The master.
    pub master: OwnedFd,
    /// Lent to a client.
    pub busy: bool,
    /// Its other side, from the first loan on: whoever looks at a terminal that nobody inside has
    /// open is not to be told that it was hung up.
    pub peer: Option<OwnedFd>,
}

/// The container, as its monitor holds it.
pub struct Live {
    /// Name.
    pub name: String,
    /// Directory of all containers, as the creator spelled it.
    pub lxcpath: String,
    /// The configuration in force, with what the start has filled in.
    pub config: Config,
    /// Where in its life it is.
    pub phase: Phase,
    /// Its cgroups.
    pub cgroups: Cgroups,
    /// Its init, once there is one.
    pub init: Option<Init>,
    /// Namespaces it has of its own.
    pub namespaces: Namespaces,
    /// Its user namespace, if that has maps of its own.
    pub idmap: Option<IdmapPlan>,
    /// Its devpts.
    pub devpts: Option<OwnedFd>,
    /// Its console, while it is served.
    pub console: Option<Console>,
    /// Its ttys.
    pub ttys: Vec<Tty>,
    /// Host ends of its veths: N and name.
    pub veths: Vec<(u32, String)>,
    /// Its namespaces by name, kept for stop hooks.
    pub namespace_fds: Vec<(&'static str, OwnedFd)>,
    /// Keeps the rootfs from being made read-only.
    pub pin: Option<OwnedFd>,
    /// The AppArmor profile of its own.
    pub profile: Option<Loaded>,
    /// Its device rules on a pure v2 host.
    pub devices: DeviceFilter,
}

impl Live {
    /// Moves on in the life cycle; `true` if that changed anything.
    pub fn happened(&mut self, event: Event) -> bool {
        match life::next(self.phase, event) {
            Some(phase) => {
                self.phase = phase;
                true
            }
            None => false,
        }
    }

    /// Forgets what belonged to one run of init.
    pub fn forget_run(&mut self) {
        self.init = None;
        self.devpts = None;
        self.ttys.clear();
        self.veths.clear();
        self.namespace_fds.clear();
        self.pin = None;
        self.devices = DeviceFilter::default();
    }

    /// A terminal between the console and a client; `None` while somebody looks at it, and without one.
    fn lend_console(&mut self) -> Option<OwnedFd> {
        let lent = self.console.as_mut()?.lend();
        lent.unwrap_or_else(|error| {
            log::warn!("the console cannot be lent: {error}");
            None
        })
    }

    /// Thaws it: a frozen process takes no signal but is to be killed.
    pub fn thaw(&self) {
        // A hierarchy without a freezer has nothing frozen.
        let _ = self.cgroups.limit(false, "freezer.state", b"THAWED");
        if self.cgroups.pure_unified() {
            let _ = self.cgroups.limit(true, "cgroup.freeze", b"0");
        }
    }
}

impl Answers for Live {
    fn state(&self) -> State {
        life::state(self.phase)
    }

    fn set_state(&mut self, state: State) {
        self.happened(Event::Announced(state));
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn lxcpath(&self) -> &str {
        &self.lxcpath
    }

    fn init_pid(&self) -> Option<i32> {
        self.init.as_ref().map(|i| i.pid)
    }

    fn init_pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.init.as_ref().map(|i| i.pidfd.as_fd())
    }

    fn clone_flags(&self) -> u64 {
        self.namespaces.0
    }

    fn config_item(&self, key: &str) -> Option<String> {
        self.config.get(key).ok().flatten()
    }

    fn cgroup_path(&self, controller: Option<&str>, limit: bool) -> Option<String> {
        self.cgroups.payload_path(controller, limit)
    }

    fn cgroup_layout(&self) -> i32 {
        self.cgroups.layout_number()
    }

    fn cgroup_utilities(&self) -> u32 {
        const DEVICES: u32 = 1;
        const FREEZER: u32 = 2;
        if !self.cgroups.pure_unified() {
            return 0;
        }
        // Every supported kernel (5.2 and later) has the v2 freezer; device programs take root.
        match rustix::process::geteuid().is_root() {
            true => DEVICES | FREEZER,
            false => FREEZER,
        }
    }

    fn cgroup_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.cgroups.payload_fds()
    }

    fn cgroup_fd(&self, controller: &str, limit: bool) -> Option<(BorrowedFd<'_>, i32)> {
        let (fd, unified) = self.cgroups.payload_fd(controller, limit)?;
        Some((fd, if unified { CGROUP2_MAGIC } else { CGROUP_MAGIC }))
    }

    fn cgroup2_fd(&self, limit: bool) -> Option<BorrowedFd<'_>> {
        match limit {
            true => self.cgroups.limit_unified(),
            false => self.cgroups.payload_unified(),
        }
    }

    fn systemd_scope(&self) -> Option<String> {
        self.cgroups.scope.clone()
    }

    fn devpts_fd(&self) -> Option<BorrowedFd<'_>> {
        self.devpts.as_ref().map(AsFd::as_fd)
    }

    fn stop(&mut self) -> Result<(), Errno> {
        let signal = self.config.values().signals.stop.unwrap_or(libc::SIGKILL);
        let init = self.init.as_ref().ok_or(Errno::SRCH)?;
        process::pidfd_signal(init.pidfd.as_fd(), signal).map_err(|e| e.errno)?;
        self.thaw();
        Ok(())
    }

    fn freeze(&mut self, _freeze: bool, _timeout: i32) -> Result<(), Errno> {
        // ENOENT sends the client to the v1 freezer; on v2 it works through the cgroup's descriptor.
        Err(if self.cgroups.pure_unified() {
            Errno::OPNOTSUPP
        } else {
            Errno::NOENT
        })
    }

    fn device_rule(&mut self, rule: &DeviceRule) -> Result<(), Errno> {
        if !self.cgroups.pure_unified() {
            return Err(Errno::OPNOTSUPP);
        }
        let directory = self.cgroups.limit_unified().ok_or(Errno::NOENT)?;
        self.devices.change(rule, directory).map_err(|error| {
            log::warn!("the device rule of a client was not taken: {error}");
            error.errno
        })
    }

    fn open_tty(&mut self, which: i32) -> Option<(i32, OwnedFd)> {
        let index = match which {
            -1 => self.ttys.iter().position(|t| !t.busy)?,
            0 => return self.lend_console().map(|master| (0, master)),
            number => usize::try_from(number).ok()?.checked_sub(1)?,
        };
        let tty = self.ttys.get_mut(index).filter(|t| !t.busy)?;
        let master = tty.master.try_clone().ok()?;
        if tty.peer.is_none() {
            match pty::open_peer(tty.master.as_fd()) {
                Ok(peer) => tty.peer = Some(peer),
                Err(error) => log::info!("terminal {} may be hung up: {error}", index + 1),
            }
        }
        tty.busy = true;
        Some((index as i32 + 1, master))
    }

    fn close_tty(&mut self, number: i32) {
        if number == 0
            && let Some(console) = &mut self.console
        {
            console.take_back();
        }
        let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        if let Some(tty) = index.and_then(|i| self.ttys.get_mut(i)) {
            tty.busy = false;
        }
    }

    fn console_resized(&mut self) {
        if let Some(console) = &self.console {
            console.copy_window_size();
        }
    }

    fn console_log(&mut self, log: &ConsoleLog, into: &mut Vec<u8>) -> Result<(), Errno> {
        let memory = self.console.as_mut().and_then(|c| c.record.memory.as_mut());
        let memory = memory.ok_or(Errno::FAULT)?;
        let content = memory.content();
        if log.read && content.is_empty() {
            return Err(Errno::NODATA);
        }
        let most = match usize::try_from(log.read_max) {
            Ok(0) | Err(_) => content.len(),
            Ok(most) => most.min(content.len()),
        };
        if log.read {
            into.extend_from_slice(&content[..most]);
        }
        match log {
            ConsoleLog { clear: true, .. } => memory.clear(),
            // What goes to the log file has gone there as it came: nothing is left to be written.
            ConsoleLog {
                read,
                write_logfile,
                ..
            } if *read || *write_logfile => {
                memory.consume(most);
            }
            // As C LXC has it, although its header says that `read_max` bytes go.
            _ => {}
        }
        Ok(())
    }
}
