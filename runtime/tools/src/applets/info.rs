//! lxc-info: what is known of one container.

mod report;
mod stats;

use lxc_runtime::{Container, State};

use self::report::Report;
use crate::applet::{self, Applet};
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::{Effect, Opt, Short};
use crate::output;

#[derive(Default)]
pub struct Info {
    keys: Vec<String>,
    ips: bool,
    state: bool,
    pid: bool,
    stats: bool,
    raw: bool,
    json: bool,
}

impl Applet for Info {
    const WORDS: Words = Words {
        program: "lxc-info",
        synopsis: "[--name=]NAME [OPTION...]",
        about: "lxc-info shows what is known of the container NAME: everything, or what is selected.",
        notes: "",
    };

    const OPTIONS: &'static [Opt<Info>] = &[
        Opt {
            long: "config",
            short: Short::Listed('c'),
            effect: Effect::Value("KEY", |info, key| {
                info.keys.push(key.to_owned());
                Ok(())
            }),
            help: "Show configuration item KEY; may be repeated",
        },
        Opt {
            long: "ips",
            short: Short::Listed('i'),
            effect: Effect::Flag(|info| info.ips = true),
            help: "Show its IP addresses",
        },
        Opt {
            long: "state",
            short: Short::Listed('s'),
            effect: Effect::Flag(|info| info.state = true),
            help: "Show its state",
        },
        Opt {
            long: "pid",
            short: Short::Listed('p'),
            effect: Effect::Flag(|info| info.pid = true),
            help: "Show the pid of its init",
        },
        Opt {
            long: "stats",
            short: Short::Listed('S'),
            effect: Effect::Flag(|info| info.stats = true),
            help: "Show what it uses of CPU, disks, memory and network",
        },
        Opt {
            long: "no-humanize",
            short: Short::Listed('H'),
            effect: Effect::Flag(|info| info.raw = true),
            help: "Show plain numbers, and one selected thing without its label",
        },
        Opt {
            long: "json",
            short: Short::None,
            effect: Effect::Flag(|info| info.json = true),
            help: "Show it as one JSON object",
        },
    ];

    fn run(mut self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        let container = common.open()?;
        let everything =
            !(self.ips || self.state || self.pid || self.stats) && self.keys.is_empty();
        if everything {
            (self.ips, self.state, self.pid, self.stats) = (true, true, true, true);
        }
        // The state costs a round trip to the monitor: keys of a defined container do not need it.
        let defined = container.is_defined();
        let wants_state = self.ips || self.state || self.pid || self.stats;
        let state = if wants_state || !defined {
            container.state()?
        } else {
            State::Stopped
        };
        if state == State::Stopped && !defined {
            let path = container.config_path();
            return Err(Failure::new(format!(
                "doesn't exist: there is no {}",
                path.display()
            )));
        }

        let report = self.gather(common, &container, state, everything)?;
        let bare = self.raw && !everything;
        let text = if self.json {
            report
                .json()
                .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?
        } else {
            report.text(
                self.raw,
                bare && self.single(),
                bare && self.keys.len() == 1,
            )
        };
        output::print(&text)?;
        Ok(0)
    }
}

impl Info {
    /// Whether exactly one of state, pid and addresses is selected.
    fn single(&self) -> bool {
        !self.stats
            && [self.ips, self.state, self.pid]
                .into_iter()
                .filter(|on| *on)
                .count()
                == 1
    }

    /// Asks for what is selected and nothing more: each answer has its price.
    fn gather(
        &self,
        common: &Common,
        container: &Container,
        state: State,
        with_name: bool,
    ) -> Result<Report, Failure> {
        let running = state != State::Stopped;
        let mut report = Report::default();
        if with_name || self.json {
            report.name = Some(container.name().to_owned());
        }
        if self.state {
            report.state = Some(state.to_string());
        }
        if self.pid && running {
            report.pid = container.init_pid()?;
        }
        if self.ips && running {
            let mut ips: Vec<String> = container.ips()?.iter().map(ToString::to_string).collect();
            ips.sort();
            report.ips = Some(ips);
        }
        if self.stats && running {
            report.stats = stats::gather(container);
        }
        for key in &self.keys {
            match container.config_item(key) {
                Ok(value) => report.config.push((key.clone(), value.unwrap_or_default())),
                // LXC's tool succeeds whatever keys it is asked for.
                Err(error) if !common.quiet => applet::tell(common, &error.to_string()),
                Err(_) => {}
            }
        }
        Ok(report)
    }
}
