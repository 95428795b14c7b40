//! Keys that end in a name of the user's choice: `lxc.sysctl.NAME`, `lxc.proc.NAME`, and what
//! they share with `lxc.prlimit.NAME`.

use crate::grammar;
use crate::setting::{Family, Fault, Input, show};
use crate::values::{NamedValue, Values};
use std::collections::HashMap;

/// The name in `rest`; `None` for the key itself, which stands for all names.
pub(super) fn name<'k>(rest: &'k str, expected: &str) -> Result<Option<&'k str>, Fault> {
    if rest.is_empty() {
        return Ok(None);
    }
    let name = rest.strip_prefix('.').filter(|name| !name.is_empty());
    match name {
        Some(name) if !name.contains(['=', ' ', '\t']) => Ok(Some(name)),
        _ => Err(Fault::unknown("no name behind the key", expected)),
    }
}

pub(super) fn no_name(expected: &str) -> Fault {
    Fault::bad(
        "no name behind the key",
        format!("{expected}; only an empty value stands for all names"),
    )
}

fn named(name: &str, input: &Input) -> NamedValue {
    NamedValue {
        name: name.to_owned(),
        value: input.value.to_owned(),
    }
}

/// `lxc.sysctl.NAME`: the last value of a name counts.
pub(crate) struct Sysctls;

const SYSCTL: &str =
    "lxc.sysctl.NAME = VALUE such as lxc.sysctl.net.ipv4.ip_forward = 1 is expected";

impl Family for Sysctls {
    fn knows(&self, rest: &str) -> bool {
        name(rest, SYSCTL).is_ok()
    }

    fn set(&self, values: &mut Values, rest: &str, input: &Input) -> Result<(), Fault> {
        let name = name(rest, SYSCTL)?.ok_or_else(|| no_name(SYSCTL))?;
        let new = grammar::located(input, named(name, input));
        values.sysctls.push(new);
        Ok(())
    }

    fn clear(&self, values: &mut Values, rest: &str) -> Result<(), Fault> {
        let cleared = name(rest, SYSCTL)?;
        values
            .sysctls
            .retain(|sysctl| cleared.is_some_and(|name| name != sysctl.value.name));
        Ok(())
    }

    fn get(&self, values: &Values, rest: &str) -> Result<Option<String>, Fault> {
        let mut sysctls = values.sysctls.iter().map(|located| &located.value);
        Ok(match name(rest, SYSCTL)? {
            Some(name) => sysctls
                .rfind(|sysctl| sysctl.name == name)
                .map(|sysctl| sysctl.value.clone()),
            None => show_each_once(sysctls),
        })
    }

    fn covers(&self, rest: &str, line_rest: &str) -> bool {
        rest.is_empty() || rest == line_rest
    }
}

/// A line for each name, where it came first, with the value it has last.
fn show_each_once<'v>(sysctls: impl Iterator<Item = &'v NamedValue> + Clone) -> Option<String> {
    let mut last: HashMap<&str, &str> = HashMap::new();
    for sysctl in sysctls.clone() {
        last.insert(&sysctl.name, &sysctl.value);
    }
    let mut out = String::new();
    for sysctl in sysctls {
        if let Some(value) = last.remove(sysctl.name.as_str()) {
            out.push_str(&format!("lxc.sysctl.{} = {value}\n", sysctl.name));
        }
    }
    (!out.is_empty()).then_some(out)
}

/// `lxc.proc.NAME`: all values of a name are written, in order. LXC shows them without anything
/// between; here each has a line.
pub(crate) struct ProcFiles;

const PROC: &str = "lxc.proc.NAME = VALUE such as lxc.proc.oom_score_adj = 10 is expected";

impl Family for ProcFiles {
    fn knows(&self, rest: &str) -> bool {
        name(rest, PROC).is_ok()
    }

    fn set(&self, values: &mut Values, rest: &str, input: &Input) -> Result<(), Fault> {
        let name = name(rest, PROC)?.ok_or_else(|| no_name(PROC))?;
        let new = grammar::located(input, named(name, input));
        values.proc_files.push(new);
        Ok(())
    }

    fn clear(&self, values: &mut Values, rest: &str) -> Result<(), Fault> {
        let cleared = name(rest, PROC)?;
        values
            .proc_files
            .retain(|file| cleared.is_some_and(|name| name != file.value.name));
        Ok(())
    }

    fn get(&self, values: &Values, rest: &str) -> Result<Option<String>, Fault> {
        let files = values.proc_files.iter().map(|located| &located.value);
        Ok(match name(rest, PROC)? {
            Some(name) => {
                let own: Vec<&str> = files
                    .filter(|file| file.name == name)
                    .map(|file| file.value.as_str())
                    .collect();
                show::joined(&own)
            }
            None => show::lines(files, |file| {
                format!("lxc.proc.{} = {}", file.name, file.value)
            }),
        })
    }

    fn accumulates(&self, _rest: &str) -> bool {
        true
    }

    fn covers(&self, rest: &str, line_rest: &str) -> bool {
        rest.is_empty() || rest == line_rest
    }
}
