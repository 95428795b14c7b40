//! The grammars that several keys share: numbers, switches, paths, names.

use crate::setting::{Fault, Input};
use crate::text::BLANKS;
use crate::values::Located;

/// A path must be shorter than this many bytes, its end included.
const PATH_MAX: usize = 4096;

/// The number at `text` as C's strtol(3) with base 0 reads it: blanks, sign, `0x` or `0` prefix.
fn c_number(text: &str) -> Option<i128> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = if let Some(hex) = digits.strip_prefix("0x").or(digits.strip_prefix("0X"))
    {
        (16, hex)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits)
    };
    // from_str_radix would take a second sign here.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

/// A whole number from `least` to `most`, decimal, `0x` hexadecimal or `0` octal.
pub(crate) fn whole_number(text: &str, least: i128, most: i128) -> Result<i128, Fault> {
    let expected = || format!("a whole number from {least} to {most} is expected");
    match c_number(text) {
        None => Err(Fault::bad("not a number", expected())),
        Some(n) if (least..=most).contains(&n) => Ok(n),
        Some(_) => Err(Fault::bad("out of range", expected())),
    }
}

pub(crate) fn uint(input: &Input) -> Result<u32, Fault> {
    whole_number(input.value, 0, u32::MAX.into()).map(|n| n as u32)
}

pub(crate) fn int(input: &Input) -> Result<i32, Fault> {
    whole_number(input.value, i32::MIN.into(), i32::MAX.into()).map(|n| n as i32)
}

pub(crate) fn flag(input: &Input) -> Result<bool, Fault> {
    match c_number(input.value) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(Fault::bad("neither on nor off", "1 or 0 is expected")),
    }
}

/// `//`, `/./` and a trailing `/` taken out; `..` stays, nothing is looked up.
pub(crate) fn simplified(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for part in path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if !out.is_empty() || path.starts_with('/') {
            out.push('/');
        }
        out.push_str(part);
    }
    match (out.is_empty(), path.starts_with('/')) {
        (true, true) => "/".to_owned(),
        (true, false) => ".".to_owned(),
        (false, _) => out,
    }
}

/// A path of less than 4096 bytes, simplified.
pub(crate) fn path_text(value: &str) -> Result<String, Fault> {
    let path = simplified(value);
    if path.len() >= PATH_MAX {
        return Err(Fault::bad(
            format!("a path of {} bytes", path.len()),
            format!("a path has less than {PATH_MAX} bytes"),
        ));
    }
    Ok(path)
}

pub(crate) fn path(input: &Input) -> Result<Option<String>, Fault> {
    path_text(input.value).map(Some)
}

pub(crate) fn located_path(input: &Input) -> Result<Option<Located<String>>, Fault> {
    Ok(Some(located(input, path_text(input.value)?)))
}

pub(crate) fn located_text(input: &Input) -> Result<Option<Located<String>>, Fault> {
    Ok(Some(located(input, input.value.to_owned())))
}

/// A command line for [`crate::words`], split once here so that a bad quote is found when written.
pub(crate) fn command(input: &Input) -> Result<Option<Located<String>>, Fault> {
    let words = crate::words::split(input.value).map_err(|why| {
        Fault::bad(
            why,
            "quote with ' or \", or put \\ before a single character",
        )
    })?;
    if words.is_empty() {
        return Err(Fault::bad(
            "no command",
            "a program and its arguments are expected",
        ));
    }
    located_text(input)
}

/// Any text; what it means is checked when it is used.
pub(crate) fn text(input: &Input) -> Result<Option<String>, Fault> {
    Ok(Some(input.value.to_owned()))
}

/// `value` without the blanks around it, which only callers can write.
pub(crate) fn without_blanks(value: &str) -> &str {
    value.trim_matches(BLANKS)
}

/// Any text; what it names is checked when the container starts.
pub(crate) fn located_lines(input: &Input) -> Result<Vec<Located<String>>, Fault> {
    Ok(vec![located(input, input.value.to_owned())])
}

pub(crate) fn located<T>(input: &Input, value: T) -> Located<T> {
    Located {
        value,
        origin: input.origin.clone(),
    }
}

/// The words of a list separated by blanks.
pub(crate) fn blank_separated(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t']).filter(|word| !word.is_empty())
}

/// Text of at most `most` bytes.
pub(crate) fn short_text(value: &str, most: usize, what: &str) -> Result<String, Fault> {
    if value.len() > most {
        return Err(Fault::bad(
            format!("{} bytes", value.len()),
            format!("{what} has at most {most} bytes"),
        ));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", Some(0))]
    #[case("  42", Some(42))]
    #[case("0x10", Some(16))]
    #[case("0XfF", Some(255))]
    #[case("010", Some(8))]
    #[case("+5", Some(5))]
    #[case("-3", Some(-3))]
    #[case("08", None)]
    #[case("0x", None)]
    #[case("--3", None)]
    #[case("+-3", None)]
    #[case("3 ", None)]
    #[case("3x", None)]
    #[case("", None)]
    #[case("-", None)]
    #[case("99999999999999999999999999999999999999999999", None)]
    fn numbers_are_read_as_strtol_does(#[case] text: &str, #[case] expected: Option<i128>) {
        assert_eq!(c_number(text), expected, "{text:?}");
    }

    #[rstest]
    #[case("/a//b/", "/a/b")]
    #[case("/a/./b", "/a/b")]
    #[case("/a/../b", "/a/../b")]
    #[case("a/b/", "a/b")]
    #[case("/", "/")]
    #[case("//", "/")]
    #[case("./", ".")]
    fn paths_are_simplified(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(simplified(path), expected);
    }
}
