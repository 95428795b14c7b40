//! `lxc.prlimit.NAME`.

use super::named::{name, no_name};
use crate::grammar;
use crate::rlimits;
use crate::setting::{Family, Fault, Input, show};
use crate::text::BLANKS;
use crate::values::{Rlimit, Values};

/// The resource limits, each at most once.
pub(crate) struct Rlimits;

const EXPECTED: &str =
    "lxc.prlimit.NAME = SOFT[:HARD] such as lxc.prlimit.nofile = 1024:4096 is expected";

impl Family for Rlimits {
    fn knows(&self, rest: &str) -> bool {
        name(rest, EXPECTED).is_ok()
    }

    fn set(&self, values: &mut Values, rest: &str, input: &Input) -> Result<(), Fault> {
        let name = name(rest, EXPECTED)?.ok_or_else(|| no_name(EXPECTED))?;
        if rlimits::number(name).is_none() {
            return Err(Fault::unknown(
                "not a resource limit",
                format!(
                    "one of {}, or a number, is expected behind lxc.prlimit.",
                    rlimits::NAMES.join(", ")
                ),
            ));
        }
        let (soft, hard) = limits(input.value)?;
        let new = Rlimit {
            name: name.to_owned(),
            soft,
            hard,
        };
        let new = grammar::located(input, new);
        let limits = &mut values.rlimits;
        match limits.iter_mut().find(|limit| limit.value.name == name) {
            Some(limit) => *limit = new,
            None => limits.push(new),
        }
        Ok(())
    }

    fn clear(&self, values: &mut Values, rest: &str) -> Result<(), Fault> {
        let cleared = name(rest, EXPECTED)?;
        values
            .rlimits
            .retain(|limit| cleared.is_some_and(|name| name != limit.value.name));
        Ok(())
    }

    fn get(&self, values: &Values, rest: &str) -> Result<Option<String>, Fault> {
        let mut limits = values.rlimits.iter().map(|located| &located.value);
        Ok(match name(rest, EXPECTED)? {
            Some(name) => limits.find(|limit| limit.name == name).map(text),
            None => show::lines(limits, |limit| {
                format!("lxc.prlimit.{} = {}", limit.name, text(limit))
            }),
        })
    }

    fn covers(&self, rest: &str, line_rest: &str) -> bool {
        rest.is_empty() || rest == line_rest
    }
}

/// `SOFT`, `SOFT:HARD`, `SOFT:` or `:HARD`; the one that is missing is the same, or 0.
fn limits(value: &str) -> Result<(Option<u64>, Option<u64>), Fault> {
    let (soft, hard) = match value.split_once(':') {
        Some((soft, hard)) => (soft.trim_matches(BLANKS), hard.trim_matches(BLANKS)),
        None => (value.trim_matches(BLANKS), ""),
    };
    let soft = match (soft, hard) {
        ("", "") => return Err(no_limit()),
        ("", _) => Some(0),
        (soft, _) => limit(soft)?,
    };
    let hard = match hard {
        "" => soft,
        hard => limit(hard)?,
    };
    // Unlimited is more than any number.
    let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if number(soft) > number(hard) {
        return Err(Fault::bad(
            "the soft limit is above the hard one",
            "SOFT:HARD with SOFT no more than HARD is expected",
        ));
    }
    Ok((soft, hard))
}

/// A number, `unlimited`, or -1 for the same; `None` = unlimited.
fn limit(word: &str) -> Result<Option<u64>, Fault> {
    if matches!(word, "unlimited" | "-1") {
        return Ok(None);
    }
    let is_number = word.bytes().all(|b| b.is_ascii_digit());
    let number = Some(word)
        .filter(|_| is_number)
        .and_then(|word| word.parse().ok());
    match number {
        Some(u64::MAX) => Ok(None),
        Some(number) => Ok(Some(number)),
        None => Err(no_limit().about(word)),
    }
}

fn no_limit() -> Fault {
    Fault::bad(
        "not a limit",
        format!(
            "a number below {} or unlimited is expected, as SOFT or SOFT:HARD",
            u64::MAX
        ),
    )
}

fn text(limit: &Rlimit) -> String {
    let one = |limit: Option<u64>| match limit {
        Some(number) => number.to_string(),
        None => "unlimited".to_owned(),
    };
    match limit.soft == limit.hard {
        true => one(limit.soft),
        false => format!("{}:{}", one(limit.soft), one(limit.hard)),
    }
}
