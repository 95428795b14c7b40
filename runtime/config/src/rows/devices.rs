//! Console, ttys and `/dev`.

use crate::grammar;
use crate::setting::{Fault, Input, Setting, show};
use crate::values::{Autodev, ConsolePath, Values};

/// `lxc.autodev`: empty means off, cleared means the default, on. LXC's clients rely on both.
pub(crate) struct AutodevKey;

impl Setting<Values> for AutodevKey {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        values.autodev.enabled = grammar::flag(input)?;
        Ok(())
    }

    fn empty(&self, values: &mut Values) -> Result<Option<&'static str>, Fault> {
        values.autodev.enabled = false;
        Ok(Some("0"))
    }

    fn clear(&self, values: &mut Values) {
        values.autodev.enabled = Autodev::default().enabled;
    }

    fn get(&self, values: &Values) -> Option<String> {
        show::flag(&values.autodev.enabled)
    }
}

/// Bytes of the tmpfs; 0 asks for the default, as it does in LXC.
pub(crate) fn tmpfs_size(input: &Input) -> Result<u64, Fault> {
    match grammar::whole_number(input.value, 0, i32::MAX.into())? {
        0 => Ok(Autodev::default().tmpfs_size),
        bytes => Ok(bytes as u64),
    }
}

/// The word for "no console at all".
const NO_CONSOLE: &str = "none";

pub(crate) fn console_path(input: &Input) -> Result<ConsolePath, Fault> {
    match input.value {
        NO_CONSOLE => Ok(ConsolePath::None),
        path => grammar::path_text(path).map(ConsolePath::Path),
    }
}

pub(crate) fn show_console_path(path: &ConsolePath) -> Option<String> {
    match path {
        ConsolePath::Default => None,
        ConsolePath::None => Some(NO_CONSOLE.to_owned()),
        ConsolePath::Path(path) => Some(path.clone()),
    }
}

/// Longest `lxc.tty.dir`.
const LONGEST_FILE_NAME: usize = 255;

pub(crate) fn tty_dir(input: &Input) -> Result<Option<String>, Fault> {
    if input.value.split('/').any(|part| part == "..") {
        return Err(Fault::bad(
            "leads out of /dev",
            "a sub-directory of /dev is expected",
        ));
    }
    grammar::short_text(input.value, LONGEST_FILE_NAME, "this directory").map(Some)
}
