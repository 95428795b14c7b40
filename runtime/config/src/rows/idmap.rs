//! `lxc.idmap`.

use crate::grammar;
use crate::setting::{Fault, Input};
use crate::values::{IdKind, IdRange, Located};

/// The kernel gives no process this id: it means "none" in its interfaces.
const NO_ID: i128 = u32::MAX as i128;

pub(crate) fn range(input: &Input) -> Result<Vec<Located<IdRange>>, Fault> {
    let words: Vec<&str> = grammar::blank_separated(input.value).collect();
    let &[kind, inside, host, count] = &words[..] else {
        return Err(shape());
    };
    let kind = match kind {
        "u" => IdKind::User,
        "g" => IdKind::Group,
        _ => return Err(shape().about(kind)),
    };
    let number = |word, least| {
        let number = grammar::whole_number(word, least, NO_ID);
        number.map_err(|fault| fault.about(word))
    };
    let (inside, host, count) = (number(inside, 0)?, number(host, 0)?, number(count, 1)?);
    if inside.max(host) + count > NO_ID {
        return Err(Fault::bad(
            "the range ends behind the last id",
            format!("ids end at {}", NO_ID - 1),
        ));
    }
    let range = IdRange {
        kind,
        inside: inside as u32,
        host: host as u32,
        count: count as u32,
    };
    Ok(vec![grammar::located(input, range)])
}

fn shape() -> Fault {
    Fault::bad(
        "not a range of ids",
        "u or g, first id inside, first id on the host and their number are expected, \
         such as u 0 100000 65536",
    )
}

pub(crate) fn show_ranges(ranges: &[Located<IdRange>]) -> Option<String> {
    let texts: Vec<String> = ranges.iter().map(|range| text(&range.value)).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn text(range: &IdRange) -> String {
    let kind = match range.kind {
        IdKind::User => 'u',
        IdKind::Group => 'g',
    };
    format!("{kind} {} {} {}", range.inside, range.host, range.count)
}
