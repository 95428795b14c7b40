//! `lxc.cgroup.FILE`, `lxc.cgroup2.FILE` and `lxc.cgroup.dir*`.

use crate::grammar;
use crate::setting::{Family, Fault, Field, Input, show};
use crate::values::{CgroupSetting, Located, Values};

/// The settings of one cgroup version.
pub(crate) struct CgroupFiles {
    /// The key above them, e.g. `lxc.cgroup2`.
    pub key: &'static str,
    pub field: Field<Values, Vec<Located<CgroupSetting>>>,
}

/// The file `rest` names; `None` for the key itself, which stands for all files.
fn file(rest: &str) -> Result<Option<&str>, Fault> {
    if rest.is_empty() {
        return Ok(None);
    }
    let name = rest
        .strip_prefix('.')
        .filter(|name| !name.is_empty() && !matches!(*name, "." | ".."));
    match name {
        Some(name) if !name.contains(['/', '=', ' ', '\t']) => Ok(Some(name)),
        _ => Err(no_file()),
    }
}

fn no_file() -> Fault {
    Fault::unknown(
        "not a file of a cgroup",
        "CONTROLLER.FILE such as memory.max is expected behind the key",
    )
}

impl Family for CgroupFiles {
    fn knows(&self, rest: &str) -> bool {
        file(rest).is_ok()
    }

    fn set(&self, values: &mut Values, rest: &str, input: &Input) -> Result<(), Fault> {
        let Some(file) = file(rest)? else {
            let hint = format!(
                "{}.FILE = VALUE is expected; only an empty value stands for all files",
                self.key
            );
            return Err(Fault::bad("no file of a cgroup is named", hint));
        };
        // Without a controller it is no file either version has, but perhaps a misspelt key.
        if !file.contains('.') {
            return Err(no_file());
        }
        let setting = CgroupSetting {
            file: file.to_owned(),
            value: input.value.to_owned(),
        };
        (self.field.of_mut)(values).push(grammar::located(input, setting));
        Ok(())
    }

    fn clear(&self, values: &mut Values, rest: &str) -> Result<(), Fault> {
        let cleared = file(rest)?;
        (self.field.of_mut)(values)
            .retain(|setting| cleared.is_some_and(|file| file != setting.value.file));
        Ok(())
    }

    fn get(&self, values: &Values, rest: &str) -> Result<Option<String>, Fault> {
        let settings = (self.field.of)(values).iter().map(|located| &located.value);
        Ok(match file(rest)? {
            Some(file) => show::lines(settings.filter(|setting| setting.file == file), |setting| {
                &setting.value
            }),
            None => show::lines(settings, |setting| {
                format!("{}.{} = {}", self.key, setting.file, setting.value)
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

/// A cgroup below the one that LXC begins at.
pub(crate) fn directory(input: &Input) -> Result<Option<Located<String>>, Fault> {
    let leads_out = input.value.starts_with('/') || input.value.split('/').any(|part| part == "..");
    if leads_out {
        return Err(Fault::bad(
            "leads out of the cgroups that LXC may use",
            "a relative path without .. is expected",
        ));
    }
    grammar::located_path(input)
}

pub(crate) fn inner(input: &Input) -> Result<Option<Located<String>>, Fault> {
    if matches!(input.value, "." | "..") || input.value.contains('/') {
        return Err(Fault::bad(
            "not the name of one cgroup",
            "a name without / is expected",
        ));
    }
    grammar::located_path(input)
}

/// LXC prints an unset directory as C prints no text at all, and clients compare with that.
pub(crate) fn show_directory(directory: &Option<Located<String>>) -> Option<String> {
    let shown = directory.as_ref().map(|directory| directory.value.as_str());
    Some(shown.unwrap_or(show::NULL).to_owned())
}
