//! Stop, shut down, reboot.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::paths;
use lxc_engine::inquiry;
use lxc_engine::wire::State;
use std::time::{Duration, Instant};

/// systemd's halt signal, SIGRTMIN+3 with the C library's SIGRTMIN.
const SYSTEMD_HALT: i32 = 34 + 3;

impl Container {
    /// Kills init (by `lxc.signal.stop`) and waits until nothing is left of the container. Also
    /// removes what a killed monitor of this name left. No error when it does not run.
    ///
    /// Blocks until the monitor has ended.
    pub fn stop(&self) -> Result<()> {
        let answer = self.client().stop()?;
        if Container::is_stopped(&answer) {
            self.sweep();
        }
        Ok(())
    }

    /// Asks init to shut down (by `lxc.signal.halt`) and waits; `false` if it still runs after
    /// `timeout` (`None` = no limit, zero = do not wait and return true).
    pub fn shutdown(&self, timeout: Option<Duration>) -> Result<bool> {
        let client = self.client();
        let Some(pidfd) = inquiry::init_pidfd(&client)? else {
            return Ok(true);
        };
        let configured = self.config().and_then(|c| c.values().signals.halt);
        let signal = match (configured, client.init_pid()?.answer()) {
            (Some(signal), _) => signal,
            (None, Some(pid)) if inquiry::blocks_signal(pid, SYSTEMD_HALT) => SYSTEMD_HALT,
            (None, _) => libc::SIGPWR,
        };
        self.signal_init(&pidfd, signal)?;
        if timeout == Some(Duration::ZERO) {
            return Ok(true);
        }
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        Ok(client.wait(&[State::Stopped], deadline)?.is_some())
    }

    /// Asks init to reboot (by `lxc.signal.reboot`) and waits until it runs again; `false` if it does
    /// not within `timeout` (`None` = no limit, zero = do not wait and return true).
    pub fn reboot(&self, timeout: Option<Duration>) -> Result<bool> {
        let client = self.client();
        let Some(pidfd) = inquiry::init_pidfd(&client)? else {
            return Ok(true);
        };
        let signal = self.config().and_then(|c| c.values().signals.reboot);
        let signal = signal.unwrap_or(libc::SIGINT);
        if timeout == Some(Duration::ZERO) {
            self.signal_init(&pidfd, signal)?;
            return Ok(true);
        }
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let waited = client
            .wait_for_reboot_after(deadline, || lxc_engine::inquiry::signal(&pidfd, signal))?;
        Ok(waited == Some(State::Running))
    }

    fn signal_init(&self, pidfd: &std::os::fd::OwnedFd, signal: i32) -> Result<()> {
        inquiry::signal(pidfd, signal).map_err(|e| {
            let text = format!(
                "cannot send signal {signal} to the init of {}\n  {e}",
                self.name
            );
            Error::new(ErrorKind::Denied, text)
        })
    }

    /// Removes what a monitor of this name left that was killed; somebody else's is never touched.
    pub(crate) fn sweep(&self) {
        let place = self.config().map(|config| config.values().cgroup.clone());
        let (pattern, only) = paths::cgroup_settings();
        let swept = lxc_engine::sweep(
            &self.name,
            &place.unwrap_or_default(),
            pattern.as_deref(),
            only.as_deref(),
        );
        match swept {
            Ok(0) => {}
            Ok(count) => ::log::info!("removed {count} cgroups that a killed monitor left"),
            Err(error) => ::log::warn!("cannot look for leftovers: {error}"),
        }
        if let Err(error) = lxc_engine::forget_profile(&self.lxcpath, &self.name) {
            ::log::warn!("an AppArmor profile stays loaded: {error}");
        }
    }
}
