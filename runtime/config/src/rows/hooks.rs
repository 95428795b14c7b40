//! `lxc.hook` and `lxc.hook.version`.

use crate::grammar;
use crate::setting::{Fault, Input, Setting};
use crate::values::{Hooks, Values};

/// `lxc.hook`: stands for all hooks, and can only be cleared.
pub(crate) struct AllHooks;

impl Setting<Values> for AllHooks {
    fn set(&self, _values: &mut Values, _input: &Input) -> Result<(), Fault> {
        Err(Fault::bad(
            "no hook is named",
            "lxc.hook.NAME = COMMAND is expected; an empty value clears all hooks",
        ))
    }

    fn clear(&self, values: &mut Values) {
        values.hooks = Hooks {
            version: values.hooks.version,
            ..Hooks::default()
        };
    }

    fn get(&self, _values: &Values) -> Option<String> {
        None
    }
}

/// Whether `key` is a list that `lxc.hook` stands for.
pub(crate) fn is_hook(key: &str) -> bool {
    key.starts_with("lxc.hook.") && key != "lxc.hook.version"
}

pub(crate) fn version(input: &Input) -> Result<u8, Fault> {
    grammar::whole_number(input.value, 0, 1).map(|version| version as u8)
}
