//! lxc-wait: waits until a container is in one of some states.

use std::time::Duration;

use lxc_runtime::State;

use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::{self, Common};
use crate::options::{Effect, Opt, Short};

#[derive(Default)]
pub struct Wait {
    states: Vec<State>,
    timeout: Option<Duration>,
}

impl Applet for Wait {
    const WORDS: Words = Words {
        program: "lxc-wait",
        synopsis: "[--name=]NAME --state=STATE[|STATE...] [OPTION...]",
        about: "lxc-wait waits until the container NAME is in one of the given states.",
        notes: "",
    };

    const OPTIONS: &'static [Opt<Wait>] = &[
        Opt {
            long: "state",
            short: Short::Listed('s'),
            effect: Effect::Value("STATE|...", |wait, list| {
                let states: Result<Vec<State>, _> = list.split('|').map(str::parse).collect();
                wait.states = states.map_err(|error| error.to_string())?;
                Ok(())
            }),
            help: "States to wait for: STOPPED STARTING RUNNING STOPPING ABORTING FREEZING\n\
                   FROZEN THAWED, joined by |",
        },
        Opt {
            long: "timeout",
            short: Short::Listed('t'),
            effect: Effect::Value("SECONDS", |wait, text| {
                wait.timeout = invocation::seconds(text)?;
                Ok(())
            }),
            help: "Give up after SECONDS (default -1: never)",
        },
    ];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        if self.states.is_empty() {
            return Err(Failure::new("Missing state option to wait for"));
        }
        let reached = common.open()?.wait(&self.states, self.timeout)?;
        Ok(u8::from(!reached))
    }
}
