//! Device rules as they are written to a cgroup.

use crate::{HostFacts, Refusal, cgroup};
use lxc_config::{CgroupSetting, Located};

/// What a rule looks like, for whoever wrote another one.
const FORM: &str = "write 'a' for all devices, or TYPE MAJOR:MINOR ACCESS such as 'c 1:3 rwm' or 'b *:* m'; \
                    devices.allow also takes '/dev/node rwm'";

/// A device rule as the kernel wants it: a device's path is replaced by its type and numbers.
///
/// # Errors
/// The rule is none, or its device is not there.
pub fn rule(setting: &Located<CgroupSetting>, facts: &HostFacts) -> Result<String, Refusal> {
    let (file, text) = (&setting.value.file, &setting.value.value);
    resolved(file, text, facts).map_err(|(what, remedy)| {
        let key = format!("{}.{file}", cgroup::device_key(facts));
        Refusal::new(what, remedy).at(&key, &setting.origin)
    })
}

fn resolved(file: &str, text: &str, facts: &HostFacts) -> Result<String, (String, &'static str)> {
    if !matches!(file, "devices.allow" | "devices.deny") {
        let what = format!("{file} takes no device rules");
        return Err((what, "devices.allow and devices.deny do"));
    }
    if let Some(wrong) = wrong_form(file, text) {
        return Err((format!("the device rule '{text}' is none: {wrong}"), FORM));
    }
    if !text.starts_with('/') {
        return Ok(text.to_string());
    }
    let answer = facts.device_paths.iter().find(|(path, _)| path == text);
    match answer {
        Some((_, Ok(rule))) => Ok(rule.clone()),
        Some((_, Err(why))) => Err((
            format!("the device rule '{text}' names no device: {why}"),
            "name an existing device node, or write its type and numbers (c 1:3 rwm)",
        )),
        None => Err((
            format!("the device of the rule '{text}' was not looked up"),
            FORM,
        )),
    }
}

/// What is wrong with the form of a rule, if anything is.
fn wrong_form(file: &str, text: &str) -> Option<String> {
    if text == "a" {
        return None;
    }
    if text.starts_with('/') {
        if file != "devices.allow" {
            return Some("only devices.allow takes a device's path".into());
        }
        let Some((_, access)) = text.rsplit_once(|c: char| c.is_ascii_whitespace()) else {
            return Some("the access (rwm) is missing behind the path".into());
        };
        return wrong_access(access);
    }
    let mut fields = text.splitn(3, |c: char| c.is_ascii_whitespace());
    let kind = fields.next().unwrap_or_default();
    if !matches!(kind, "a" | "b" | "c") {
        return Some(format!(
            "'{kind}' is no type: a, b (block) or c (character) is"
        ));
    }
    let numbers = fields.next().unwrap_or_default();
    let is_number =
        |n: &str| n == "*" || n.bytes().all(|b| b.is_ascii_digit()) && n.parse::<u32>().is_ok();
    if !numbers
        .split_once(':')
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
    {
        return Some(format!(
            "'{numbers}' is not MAJOR:MINOR, each a number or *"
        ));
    }
    match fields.next() {
        Some(access) => wrong_access(access),
        None => Some("the access (rwm) is missing".into()),
    }
}

fn wrong_access(access: &str) -> Option<String> {
    let right = access.len() <= 3 && access.bytes().all(|b| matches!(b, b'r' | b'w' | b'm'));
    (!right).then(|| format!("'{access}' is no access: up to three of r, w and m are"))
}
