//! lxc-unfreeze: lets a frozen container go on.

use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::Opt;

#[derive(Default)]
pub struct Unfreeze;

impl Applet for Unfreeze {
    const WORDS: Words = Words {
        program: "lxc-unfreeze",
        synopsis: "[--name=]NAME [OPTION...]",
        about: "lxc-unfreeze lets the processes of the frozen container NAME go on.",
        notes: "A container that is not frozen, or does not run, stays as it is.",
    };

    const OPTIONS: &'static [Opt<Unfreeze>] = &[];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        common.open()?.unfreeze()?;
        Ok(0)
    }
}
