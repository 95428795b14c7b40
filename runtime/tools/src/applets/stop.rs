//! lxc-stop: shuts a container down, kills it, or reboots it.

use std::time::Duration;

use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::{self, Common};
use crate::options::{Effect, Opt, Short};

#[derive(Default)]
pub struct Stop {
    reboot: bool,
    no_wait: bool,
    kill: bool,
    no_kill: bool,
    no_lock: bool,
    /// The outer None: not given. The inner None: no limit.
    timeout: Option<Option<Duration>>,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// LXC's status for a container that does not run, or does not exist.
const NOT_RUNNING: u8 = 2;

impl Applet for Stop {
    const WORDS: Words = Words {
        program: "lxc-stop",
        synopsis: "[--name=]NAME [OPTION...]",
        about: "lxc-stop asks the container NAME to shut down, and kills it when it has not done so\n\
                in time.",
        notes: "",
    };

    const OPTIONS: &'static [Opt<Stop>] = &[
        Opt {
            long: "reboot",
            short: Short::Listed('r'),
            effect: Effect::Flag(|stop| stop.reboot = true),
            help: "Ask for a reboot instead",
        },
        Opt {
            long: "nowait",
            short: Short::Listed('W'),
            effect: Effect::Flag(|stop| stop.no_wait = true),
            help: "Do not wait until it is shut down or rebooted",
        },
        Opt {
            long: "timeout",
            short: Short::Listed('t'),
            effect: Effect::Value("SECONDS", |stop, text| {
                stop.timeout = Some(invocation::seconds(text)?);
                Ok(())
            }),
            help: "Wait for SECONDS before killing it (default 60; -1: for ever)",
        },
        Opt {
            long: "kill",
            short: Short::Listed('k'),
            effect: Effect::Flag(|stop| stop.kill = true),
            help: "Kill it at once",
        },
        Opt {
            long: "nokill",
            short: Short::None,
            effect: Effect::Flag(|stop| stop.no_kill = true),
            help: "Do not kill it after the timeout",
        },
        Opt {
            long: "nolock",
            short: Short::None,
            effect: Effect::Flag(|stop| stop.no_lock = true),
            help: "Accepted with -k for LXC's sake: killing takes no lock here",
        },
    ];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        self.check()?;
        let container = common.open()?;
        if !container.is_running()? {
            // What a killed monitor of this name left goes all the same.
            container.stop()?;
            let text = format!("{} is not running", container.name());
            return Err(Failure::new(text).with_code(NOT_RUNNING));
        }
        let timeout = self.effective_timeout();
        if self.kill {
            container.stop()?;
            return Ok(0);
        }
        if self.reboot {
            return Ok(u8::from(!container.reboot(timeout)?));
        }
        if container.shutdown(timeout)? || timeout == Some(Duration::ZERO) {
            return Ok(0);
        }
        if self.no_kill {
            return Ok(1);
        }
        container.stop()?;
        Ok(0)
    }
}

impl Stop {
    fn effective_timeout(&self) -> Option<Duration> {
        match self.timeout {
            _ if self.no_wait => Some(Duration::ZERO),
            Some(timeout) => timeout,
            None => Some(DEFAULT_TIMEOUT),
        }
    }

    /// Which options exclude each other.
    fn check(&self) -> Result<(), Failure> {
        let refused = if self.kill && self.no_kill {
            "-k can't be used with --nokill"
        } else if self.kill && self.reboot {
            "-k can't be used with -r"
        } else if self.kill && !matches!(self.timeout, None | Some(Some(Duration::ZERO))) {
            "-k doesn't allow timeouts"
        } else if self.no_lock && !self.kill {
            "--nolock may only be used with -k"
        } else {
            return Ok(());
        };
        Err(Failure::new(refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const FIVE: Option<Option<Duration>> = Some(Some(Duration::from_secs(5)));

    #[rstest]
    #[case(Stop::default(), Some(Some(60)))]
    #[case(Stop { timeout: Some(None), ..Stop::default() }, Some(None))]
    #[case(Stop { timeout: FIVE, ..Stop::default() }, Some(Some(5)))]
    #[case(Stop { timeout: FIVE, no_wait: true, ..Stop::default() }, Some(Some(0)))]
    #[case(Stop { kill: true, no_lock: true, ..Stop::default() }, Some(Some(60)))]
    #[case(Stop { kill: true, no_kill: true, ..Stop::default() }, None)]
    #[case(Stop { kill: true, reboot: true, ..Stop::default() }, None)]
    #[case(Stop { kill: true, timeout: FIVE, ..Stop::default() }, None)]
    #[case(Stop { kill: true, timeout: Some(None), ..Stop::default() }, None)]
    #[case(Stop { no_lock: true, ..Stop::default() }, None)]
    fn combinations(#[case] stop: Stop, #[case] seconds: Option<Option<u64>>) {
        let found = stop.check().ok().map(|()| stop.effective_timeout());
        assert_eq!(found, seconds.map(|limit| limit.map(Duration::from_secs)));
    }
}
