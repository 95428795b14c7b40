//! `lxc.time.offset.*`.

use crate::grammar;
use crate::setting::{Fault, Field, Input, Setting, errno};
use crate::text::BLANKS;
use crate::values::{TimeOffset, Values};

/// The offset of one clock.
pub(crate) struct Offset(pub Field<Values, TimeOffset>);

/// Units that are kept as seconds, with how many each is.
const SECONDS: &[(&str, i64)] = &[("h", 3600), ("m", 60), ("s", 1)];
/// Units that are kept as nanoseconds, with how many each is.
const NANOSECONDS: &[(&str, i64)] = &[("ms", 1_000_000), ("us", 1000), ("ns", 1)];

const EXPECTED: &str = "a whole number with h, m, s, ms, us or ns is expected";

impl Setting<Values> for Offset {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let text = grammar::without_blanks(input.value);
        let unit_at = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-')))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let unit = unit.trim_start_matches(BLANKS);
        if !number.ends_with(|c: char| c.is_ascii_digit()) {
            return Err(Fault::bad("no number", EXPECTED));
        }
        let times = |units: &[(&str, i64)]| {
            let (_, factor) = units.iter().find(|(word, _)| *word == unit)?;
            let product = number.parse::<i64>().ok()?.checked_mul(*factor);
            Some(product.ok_or_else(|| too_large().errno(errno::EOVERFLOW)))
        };
        let known = SECONDS.iter().chain(NANOSECONDS);
        if !known.clone().any(|(word, _)| *word == unit) {
            return Err(Fault::bad("not a length of time", EXPECTED));
        }
        let offset = (self.0.of_mut)(values);
        match (times(SECONDS), times(NANOSECONDS)) {
            (Some(seconds), _) => offset.seconds = seconds?,
            (None, Some(nanoseconds)) => offset.nanoseconds = nanoseconds?,
            (None, None) => return Err(too_large()),
        }
        offset.origin = Some(input.origin.clone());
        Ok(())
    }

    fn clear(&self, values: &mut Values) {
        *(self.0.of_mut)(values) = TimeOffset::default();
    }

    fn get(&self, values: &Values) -> Option<String> {
        let offset = (self.0.of)(values);
        Some(match offset.seconds {
            0 => format!("{}ns", offset.nanoseconds),
            seconds => format!("{seconds}s"),
        })
    }
}

fn too_large() -> Fault {
    Fault::bad("out of range", EXPECTED)
}
