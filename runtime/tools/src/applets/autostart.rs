//! lxc-autostart: starts, shuts down, kills or reboots all containers that are marked for it.

mod selection;

use std::thread;
use std::time::Duration;

use lxc_runtime::{Container, StartOptions, Store};

use self::selection::{Candidate, Groups};
use crate::applet::{self, Applet};
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::{self, Common};
use crate::options::{Effect, Opt, Short};
use crate::output;

#[derive(Default)]
pub struct Autostart {
    reboot: bool,
    shutdown: bool,
    kill: bool,
    list: bool,
    all: bool,
    ignore_auto: bool,
    groups: Vec<String>,
    /// The outer None: not given. The inner None: no limit.
    timeout: Option<Option<Duration>>,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// LXC's status when some of the containers failed, not all.
const SOME_FAILED: u8 = 2;

/// What is done with each container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Start,
    Reboot,
    Shutdown,
    Kill,
}

impl Applet for Autostart {
    const WORDS: Words = Words {
        program: "lxc-autostart",
        synopsis: "[OPTION...]",
        about: "lxc-autostart starts all containers whose configuration says lxc.start.auto = 1, or\n\
                shuts down, kills or reboots those of them that run.",
        notes: "Containers start in the order of lxc.start.order, then of their names, and go down in\n\
                the reverse order. lxc.start.delay is the time in seconds between a container's start\n\
                or reboot and the next one's.\n\
                \n\
                Exit status: 0 nothing failed, 1 all that was tried failed, 2 some of it.",
    };

    const NEEDS_NAME: bool = false;

    const OPTIONS: &'static [Opt<Autostart>] = &[
        Opt {
            long: "kill",
            short: Short::Listed('k'),
            effect: Effect::Flag(|auto| auto.kill = true),
            help: "Kill the running containers",
        },
        Opt {
            long: "list",
            short: Short::Listed('L'),
            effect: Effect::Flag(|auto| auto.list = true),
            help: "Only print the containers, for a start or a reboot with their delays",
        },
        Opt {
            long: "reboot",
            short: Short::Listed('r'),
            effect: Effect::Flag(|auto| auto.reboot = true),
            help: "Ask the running containers for a reboot",
        },
        Opt {
            long: "shutdown",
            short: Short::Listed('s'),
            effect: Effect::Flag(|auto| auto.shutdown = true),
            help: "Shut the running containers down, and kill those that do not do so in time",
        },
        Opt {
            long: "all",
            short: Short::Listed('a'),
            effect: Effect::Flag(|auto| auto.all = true),
            help: "Take the containers of all groups, and those of none",
        },
        Opt {
            long: "ignore-auto",
            short: Short::Listed('A'),
            effect: Effect::Flag(|auto| auto.ignore_auto = true),
            help: "Take containers without lxc.start.auto = 1 too",
        },
        Opt {
            long: "groups",
            short: Short::Listed('g'),
            effect: Effect::Value("GROUP,...", |auto, list| {
                auto.groups.extend(list.split(',').map(str::to_owned));
                Ok(())
            }),
            help: "Take the containers of these groups (lxc.group), one group after the other;\n\
                   an empty name stands for containers without a group. Default: only those.\n\
                   May be repeated",
        },
        Opt {
            long: "timeout",
            short: Short::Listed('t'),
            effect: Effect::Value("SECONDS", |auto, text| {
                auto.timeout = Some(invocation::seconds(text)?);
                Ok(())
            }),
            help: "With -s: wait for SECONDS before killing (default 60; -1: for ever)",
        },
    ];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        let store = common.store()?;
        let groups = self.asked_groups(common);
        let mut tally = Tally::default();
        let candidates = self.candidates(&store, common, &mut tally)?;
        let mut delay = Duration::ZERO;
        for index in selection::order(&candidates, &groups, self.goes_down()) {
            let candidate = &candidates[index];
            let result = self.handle(candidate, &mut delay);
            tally.count(common, candidate.container.name(), result);
        }
        Ok(tally.exit_code())
    }
}

impl Autostart {
    fn action(&self) -> Action {
        if self.shutdown {
            Action::Shutdown
        } else if self.kill {
            Action::Kill
        } else if self.reboot {
            Action::Reboot
        } else {
            Action::Start
        }
    }

    fn goes_down(&self) -> bool {
        matches!(self.action(), Action::Shutdown | Action::Kill)
    }

    /// The groups in the order given, each once; says which were left out.
    fn asked_groups(&self, common: &Common) -> Groups {
        if self.all {
            if !self.groups.is_empty() {
                warn(common, "Both -a and -g were given: -g is ignored");
            }
            return Groups::All;
        }
        let (groups, dropped) = selection::distinct(&self.groups);
        for group in dropped {
            warn(
                common,
                &format!("Duplicate group \"{group}\" in list - ignoring"),
            );
        }
        Groups::These(groups)
    }

    /// Those that may be acted on. One whose configuration cannot be read is told of and counted.
    fn candidates(
        &self,
        store: &Store,
        common: &Common,
        tally: &mut Tally,
    ) -> Result<Vec<Candidate>, Failure> {
        let mut found = Vec::new();
        for name in store.defined()? {
            let container = match store.container(&name) {
                Ok(container) => container,
                Err(error) => {
                    tally.count(common, &name, Err(error.into()));
                    continue;
                }
            };
            let candidate = Candidate::new(container);
            if candidate.policy.auto || self.ignore_auto {
                found.push(candidate);
            }
        }
        Ok(found)
    }

    /// Acts on one of them, or lists it; false if nothing was to be done. `delay` is what the one
    /// before asked for, and becomes what this one asks for.
    fn handle(&self, candidate: &Candidate, delay: &mut Duration) -> Result<bool, Failure> {
        let container = &candidate.container;
        let action = self.action();
        if !container.may_control()? || container.is_running()? == (action == Action::Start) {
            return Ok(false);
        }
        let seconds = candidate.policy.delay;
        if self.list {
            output::print(&match action {
                Action::Start | Action::Reboot => format!("{} {seconds}\n", container.name()),
                Action::Shutdown | Action::Kill => format!("{}\n", container.name()),
            })?;
            return Ok(false);
        }
        thread::sleep(std::mem::take(delay));
        self.act(container)?;
        if !self.goes_down() {
            *delay = Duration::from_secs(seconds.into());
        }
        Ok(true)
    }

    fn act(&self, container: &Container) -> Result<(), Failure> {
        match self.action() {
            Action::Start => {
                container.start(&StartOptions {
                    close_all_fds: true,
                    ..StartOptions::default()
                })?;
            }
            // LXC's does not wait for it either.
            Action::Reboot => {
                container.reboot(Some(Duration::ZERO))?;
            }
            Action::Kill => container.stop()?,
            Action::Shutdown => {
                let timeout = self.timeout.unwrap_or(Some(DEFAULT_TIMEOUT));
                if !container.shutdown(timeout)? {
                    container.stop()?;
                }
            }
        }
        Ok(())
    }
}

/// How many were tried, and how many of them failed.
#[derive(Default)]
struct Tally {
    tried: usize,
    failed: usize,
}

impl Tally {
    /// Counts one; a failure is told at once, the others go on.
    fn count(&mut self, common: &Common, name: &str, result: Result<bool, Failure>) {
        match result {
            Ok(acted) => self.tried += usize::from(acted),
            Err(failure) => {
                self.tried += 1;
                self.failed += 1;
                warn(common, &format!("{name}: {}", failure.text));
            }
        }
    }

    fn exit_code(&self) -> u8 {
        match self.failed {
            0 => 0,
            failed if failed == self.tried => 1,
            _ => SOME_FAILED,
        }
    }
}

fn warn(common: &Common, text: &str) {
    if !common.quiet {
        applet::tell(common, text);
    }
}
