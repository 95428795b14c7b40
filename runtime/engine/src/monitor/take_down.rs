//! The end of a container: hooks, network, cgroups, socket — in this order, so that whoever sees
//! the socket closed finds nothing left.

use crate::disk_lock::DiskLock;
use crate::failure::Failure;
use crate::message::Report;
use crate::monitor::Monitor;
use crate::monitor::life::{self, Event, Phase};
use crate::removal::{self, Unremoved};
use crate::step::{leftovers, survivors};
use crate::wire::{Client, State};
use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::process::{self, CloneSpec, Cloned, Ended};
use lxc_kernel::{Result, netlink::Netlink};
use lxc_plan::{HookKind, HookRun, Namespaces};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a cgroup may stay busy after its last process has been reaped: the kernel finishes dead
/// tasks a little later, and cgroup v1 tells nobody.
const DRAIN: Duration = Duration::from_secs(2);

impl Monitor {
    /// Takes down what one run of init had. `true` = it starts again.
    pub fn take_down_run(&mut self) -> bool {
        let reboot = matches!(self.live.phase, Phase::Stopping { reboot: true });
        self.run_stop_hooks(if reboot { "reboot" } else { "stop" });
        self.release_run();
        if !reboot {
            return false;
        }
        if let Some(server) = &mut self.server {
            server.keep_for_reboot();
        }
        if !self.run_last_hooks("reboot") {
            self.happened(Event::StartFailed);
            return false;
        }
        self.happened(Event::TakenDown);
        matches!(self.live.phase, Phase::Starting)
    }

    /// Kills init, if there is one, and reaps it.
    pub fn kill_init(&mut self) -> Ended {
        let unknown = Ended::Killed {
            signal: libc::SIGKILL,
            core: false,
        };
        let Some(init) = &self.live.init else {
            return unknown;
        };
        // An init that has ended already cannot be killed and is reaped all the same.
        let _ = process::pidfd_signal(init.pidfd.as_fd(), libc::SIGKILL);
        self.live.thaw();
        match process::wait_pidfd(init.pidfd.as_fd(), true) {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(_) => unknown,
        }
    }

    /// Console, network, payload cgroup, profile and descriptors of one run.
    pub fn release_run(&mut self) {
        self.close_console();
        if let Err(error) = self.ignore_guest() {
            log::warn!("{error}");
        }
        self.guest_socket = None;
        self.delete_named_veths();
        self.kill_survivors();
        if let Err(error) = self.drained(Monitor::remove_payload) {
            log::warn!("the container's cgroup stays behind: {error}");
        }
        self.unload_profile();
        self.live.forget_run();
    }

    /// Without a pid namespace of its own the end of init ends nobody else.
    fn kill_survivors(&self) {
        if self.live.namespaces.has(Namespaces::PID) {
            return;
        }
        if let Err(error) = survivors::kill(&self.live.cgroups.payload_fds()) {
            log::warn!("processes of the container may go on: {error}");
        }
    }

    /// A veth vanishes with the guest's network namespace, but some moments later; one with a fixed
    /// name must be gone before the next start.
    fn delete_named_veths(&mut self) {
        let net = &self.live.config.values().net;
        let fixed: Vec<String> = self
            .live
            .veths
            .iter()
            .filter(|(index, _)| {
                let device = net.iter().find(|d| d.index == *index);
                device.is_some_and(|d| d.veth_pair.is_some())
            })
            .map(|(_, name)| name.clone())
            .collect();
        if fixed.is_empty() {
            return;
        }
        let deleted = Netlink::open()
            .and_then(|mut netlink| fixed.iter().try_for_each(|name| netlink.delete_link(name)));
        if let Err(error) = deleted {
            log::warn!("{error}");
        }
    }

    fn run_stop_hooks(&mut self, target: &str) {
        self.hooks.set("LXC_TARGET", target.to_string());
        let mut extra = Vec::new();
        for (name, fd) in &self.live.namespace_fds {
            let path = Monitor::fd_path(fd);
            if self.hooks.version == 0 {
                extra.push(format!("{name}:{path}"));
            }
            // With both versions, as LXC has it; what runs after the stop hooks still finds the names.
            self.hooks
                .set(&format!("LXC_{}_NS", name.to_uppercase()), path);
        }
        let runs = HookRun::all(HookKind::Stop, &self.live.config.values().hooks);
        if runs.is_empty() {
            return;
        }
        if let Err(failure) = self.run_hooks(&runs, &extra) {
            log::error!("{failure}");
        }
    }

    /// Post-stop hooks; `false` if one failed.
    pub fn run_last_hooks(&mut self, target: &str) -> bool {
        self.hooks.set("LXC_TARGET", target.to_string());
        let runs = HookRun::all(HookKind::PostStop, &self.live.config.values().hooks);
        match self.run_hooks(&runs, &[]) {
            Ok(()) => true,
            Err(failure) => {
                log::error!("{failure}");
                false
            }
        }
    }

    /// The very end. The caller of a failed start hears of it when nothing is left to be undone.
    pub fn finish(mut self, failure: Option<Failure>) {
        self.leave_cgroups();
        let after_stop = failure.is_none();
        self.happened(Event::TakenDown);
        if let Some(server) = &mut self.server {
            server.close_listener();
        }
        if after_stop {
            self.run_last_hooks("stop");
        }
        self.remove_ephemeral();
        if let Some(path) = &self.request.pidfile {
            // Whoever removed it first has done our work.
            let _ = std::fs::remove_file(Path::new(path));
        }
        if let Some(failure) = failure {
            match self.report {
                Some(_) => self.tell_caller(&Report::Failed(failure)),
                None if self.request.foreground => {
                    crate::log::complain(
                        &self.request.log,
                        &self.request.name,
                        &failure.to_string(),
                    );
                }
                None => {}
            }
        }
        if let Some(server) = self.server.take() {
            server.shut();
        }
        if after_stop && let Some(ended) = self.ended {
            let status = life::error_num(ended);
            self.tell_caller(&Report::Ended { status });
        }
    }

    /// A container that ran and was to be for once only is gone with its last hook; its directory is
    /// not left to whoever would start it a moment later. One that never ran stays, to be looked at.
    fn remove_ephemeral(&self) {
        let values = self.live.config.values();
        if !values.ephemeral || self.ended.is_none() {
            return;
        }
        let name = &self.live.name;
        if !values.rootfs.managed {
            log::warn!("{name} is ephemeral, but its rootfs is not managed: it stays");
            return;
        }
        let own = Path::new(&self.live.lxcpath).join(name);
        let removed = DiskLock::take_if_there(&self.live.lxcpath, name)
            .map_err(|e| Unremoved::Failed(e.to_string()))
            .and_then(|_lock| {
                // The name has been given up: somebody may have taken it.
                if !matches!(
                    Client::new(&self.live.lxcpath, name).state(),
                    Ok(State::Stopped)
                ) {
                    return Err(Unremoved::InUse(format!("{name} runs again")));
                }
                removal::refuse_what_others_need(name, &own)?;
                let mapped = removal::through(Some(values))?;
                removal::remove(&own, Some(values), mapped.as_ref())
            });
        if let Err(why) = removed {
            log::error!("{name} is ephemeral and stays nevertheless: {why}");
        }
    }

    /// Leaves the monitor's own cgroup and removes it.
    ///
    /// Moving a process on v2 waits for an RCU grace period. A daemon lets a child be born outside
    /// instead, which carries on in its place with everything it has; the old process just ends. A
    /// foreground monitor keeps its pid, because its caller waits for it, and pays.
    fn leave_cgroups(&mut self) {
        let successor = match self.request.foreground {
            true => Ok(false),
            false => match self.live.cgroups.way_out() {
                Ok(Some(outside)) => succeed(outside.as_fd()),
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            },
        };
        let born = successor.unwrap_or_else(|error| {
            log::info!("no successor: {error}");
            false
        });
        let removed = self
            .live
            .cgroups
            .leave(born)
            .and_then(|()| self.drained(|monitor| monitor.live.cgroups.remove_monitor()));
        if let Err(error) = removed {
            log::warn!("the monitor's cgroup stays behind: {error}");
        }
    }

    /// Repeats a removal for as long as tasks may take to die.
    fn drained(&mut self, act: impl Fn(&mut Monitor) -> Result<()>) -> Result<()> {
        leftovers::removed(Some(Instant::now() + DRAIN), || act(self))
    }
}

/// Lets a child be born in `outside`; the caller's process ends here, the child returns `true` when
/// its parent is gone.
fn succeed(outside: std::os::fd::BorrowedFd<'_>) -> Result<bool> {
    let parent = process::pidfd_open(std::process::id() as i32)?;
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: Some(outside),
        exit_signal: 0,
        extra: 0,
    };
    match process::clone_process(&spec)? {
        Cloned::Parent { .. } => process::exit_now(0),
        Cloned::Child => {
            poll_one(parent.as_fd(), Interest::READ, Some(DRAIN))?;
            Ok(true)
        }
    }
}
