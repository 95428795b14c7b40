//! lxc-freeze: stops everything that runs inside.

use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::Opt;

#[derive(Default)]
pub struct Freeze;

impl Applet for Freeze {
    const WORDS: Words = Words {
        program: "lxc-freeze",
        synopsis: "[--name=]NAME [OPTION...]",
        about: "lxc-freeze stops every process of the container NAME until lxc-unfreeze lets them go on.",
        notes: "It returns when the last one stands still. A frozen container can be killed: lxc-stop -k.",
    };

    const OPTIONS: &'static [Opt<Freeze>] = &[];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        common.open()?.freeze()?;
        Ok(0)
    }
}
