//! lxc-destroy: removes a container and its storage.

use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::{Effect, Opt, Short, Takes};

#[derive(Default)]
pub struct Destroy {
    force: bool,
}

impl Applet for Destroy {
    const WORDS: Words = Words {
        program: "lxc-destroy",
        synopsis: "[--name=]NAME [OPTION...]",
        about: "lxc-destroy removes the container NAME with its root file system.",
        notes: "",
    };

    const OPTIONS: &'static [Opt<Destroy>] = &[
        Opt {
            long: "force",
            short: Short::Listed('f'),
            effect: Effect::Flag(|destroy| destroy.force = true),
            help: "Kill it first when it runs",
        },
        Opt {
            long: "snapshots",
            short: Short::Listed('s'),
            effect: Effect::Later(Takes::Nothing, "removing snapshots is"),
            help: "Remove its snapshots too",
        },
    ];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        let mut container = common.open()?;
        if self.force && container.is_running()? {
            let was_defined = container.is_defined();
            container.stop()?;
            // An ephemeral container removes itself when it stops.
            if was_defined && !container.is_defined() {
                return Ok(0);
            }
        }
        container.destroy()?;
        Ok(0)
    }
}
