//! Console, ttys and `/dev`.

use crate::grammar;
use crate::setting::{Fault, Input, Setting, show};
use crate::text::BLANKS;
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

/// Bytes of the tmpfs; 0 asks for the usual size.
pub(crate) fn tmpfs_size(input: &Input) -> Result<u64, Fault> {
    grammar::whole_number(input.value, 0, i32::MAX.into()).map(|bytes| bytes as u64)
}

/// Sizes are kept in whole pages, as LXC does on every machine.
const PAGE: u64 = 4096;
/// What `auto` stands for.
const AUTO_SIZE: u64 = 128 * 1024;

const SIZE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1 << 30),
];

/// A number of bytes with an optional unit, raised to a power of two of at least one page. LXC
/// reads the number and forgets a unit of one letter, so that `4M` is four bytes; here it is what
/// was meant.
pub(crate) fn size(input: &Input) -> Result<u64, Fault> {
    let expected = || "bytes, a number with kB, MB or GB, or auto is expected";
    if input.value == "auto" {
        return Ok(AUTO_SIZE);
    }
    let text = grammar::without_blanks(input.value);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start_matches(BLANKS).to_ascii_lowercase();
    let factor = SIZE_UNITS.iter().find(|(word, _)| *word == unit);
    let (Ok(number), Some((_, factor))) = (number.parse::<u64>(), factor) else {
        // A number too large for u64 is a size, too, but not one of this machine.
        let message = match (factor, digits) {
            (None, _) | (_, 0) => "not a size",
            (Some(_), _) => "out of range",
        };
        return Err(Fault::bad(message, expected()));
    };
    let bytes = number
        .checked_mul(*factor)
        .and_then(|bytes| bytes.max(PAGE).checked_next_power_of_two());
    bytes.ok_or_else(|| Fault::bad("out of range", expected()))
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
