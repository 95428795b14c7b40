//! `lxc.cap.drop` and `lxc.cap.keep`: one list, kept or dropped.

use crate::capabilities::{HIGHEST, number};
use crate::grammar;
use crate::setting::{Fault, Input, Setting, show};
use crate::values::{Capabilities, Capability, Values};

/// `lxc.cap.drop`.
pub(crate) struct DropKey;
/// `lxc.cap.keep`.
pub(crate) struct KeepKey;

/// Both keys, because clearing one clears the list that they share.
pub(crate) fn is_either(key: &str) -> bool {
    matches!(key, "lxc.cap.drop" | "lxc.cap.keep")
}

impl Setting<Values> for DropKey {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let more: Vec<Capability> = grammar::blank_separated(input.value)
            .map(capability)
            .collect::<Result<_, _>>()?;
        match &mut values.caps {
            Capabilities::Keep(_) => return Err(exclusive("lxc.cap.keep")),
            Capabilities::Drop(dropped) => dropped.extend(more),
            all @ Capabilities::All => *all = Capabilities::Drop(more),
        }
        Ok(())
    }

    fn clear(&self, values: &mut Values) {
        values.caps = Capabilities::All;
    }

    fn get(&self, values: &Values) -> Option<String> {
        match &values.caps {
            Capabilities::Drop(dropped) => show::lines(dropped, |capability| &capability.text),
            Capabilities::All | Capabilities::Keep(_) => None,
        }
    }
}

impl Setting<Values> for KeepKey {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let mut kept = match &values.caps {
            Capabilities::Drop(_) => return Err(exclusive("lxc.cap.drop")),
            Capabilities::Keep(kept) => kept.clone(),
            Capabilities::All => Vec::new(),
        };
        for word in grammar::blank_separated(input.value) {
            match word {
                "none" => kept.clear(),
                word => kept.push(capability(word)?),
            }
        }
        values.caps = Capabilities::Keep(kept);
        Ok(())
    }

    fn clear(&self, values: &mut Values) {
        values.caps = Capabilities::All;
    }

    fn get(&self, values: &Values) -> Option<String> {
        match &values.caps {
            Capabilities::Keep(kept) => show::lines(kept, |capability| &capability.text),
            Capabilities::All | Capabilities::Drop(_) => None,
        }
    }
}

fn exclusive(other: &str) -> Fault {
    Fault::bad(
        format!("{other} is set as well"),
        format!("use only one of them; `{other} =` clears both"),
    )
}

fn capability(word: &str) -> Result<Capability, Fault> {
    let by_number = || match word.starts_with(|c: char| c.is_ascii_digit()) {
        true => grammar::whole_number(word, 0, HIGHEST.into())
            .ok()
            .map(|n| n as u32),
        false => None,
    };
    match number(word).or_else(by_number) {
        Some(number) => Ok(Capability {
            text: word.to_owned(),
            number,
        }),
        None => {
            let hint = match word.strip_prefix("CAP_").map(str::to_ascii_lowercase) {
                Some(name) if number(&name).is_some() => format!("write {name}"),
                _ => "a name such as sys_admin, lower case without CAP_, or a number is expected"
                    .to_owned(),
            };
            Err(Fault::bad("not a capability", hint).about(word))
        }
    }
}
