//! `lxc.namespace.*`.

use crate::grammar;
use crate::setting::{Family, Fault, Input, Setting, show};
use crate::values::{Namespace, Namespaces, SharedNamespace, Values};

const NAMES: &[(&str, Namespace)] = &[
    ("user", Namespace::User),
    ("mnt", Namespace::Mount),
    ("pid", Namespace::Pid),
    ("uts", Namespace::Uts),
    ("ipc", Namespace::Ipc),
    ("net", Namespace::Net),
    ("cgroup", Namespace::Cgroup),
    ("time", Namespace::Time),
];

fn name(namespace: Namespace) -> &'static str {
    NAMES
        .iter()
        .find(|(_, known)| *known == namespace)
        .map_or("", |(name, _)| name)
}

fn no_namespace() -> Fault {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    Fault::bad(
        "not a namespace",
        format!("one of {} is expected", names.join(", ")),
    )
}

/// `had` and those `text` names, in LXC's order.
fn joined(had: &[Namespace], text: &str) -> Result<Vec<Namespace>, Fault> {
    let mut all = had.to_vec();
    for word in grammar::blank_separated(text) {
        let found = NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word));
        let (_, namespace) = found.ok_or_else(|| no_namespace().about(word))?;
        all.push(*namespace);
    }
    all.sort();
    all.dedup();
    Ok(all)
}

fn exclusive(other: &str) -> Fault {
    Fault::bad(
        format!("{other} is set as well"),
        format!("use only one of them; `{other} =` clears it"),
    )
}

/// `lxc.namespace.clone`.
pub(crate) struct CloneKey;
/// `lxc.namespace.keep`.
pub(crate) struct KeepKey;

impl Setting<Values> for CloneKey {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let had: &[Namespace] = match &values.namespaces {
            Namespaces::Keep(_) => return Err(exclusive("lxc.namespace.keep")),
            Namespaces::Clone(had) => had,
            Namespaces::Usual => &[],
        };
        let all = joined(had, input.value)?;
        if !all.is_empty() {
            values.namespaces = Namespaces::Clone(all);
            values.namespaces_origin = Some(input.origin.clone());
        }
        Ok(())
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn clear(&self, values: &mut Values) {
        if matches!(values.namespaces, Namespaces::Clone(_)) {
            values.namespaces = Namespaces::Usual;
            values.namespaces_origin = None;
        }
    }

    fn get(&self, values: &Values) -> Option<String> {
        match &values.namespaces {
            Namespaces::Clone(all) => show::lines(all, |namespace| name(*namespace)),
            Namespaces::Usual | Namespaces::Keep(_) => None,
        }
    }
}

impl Setting<Values> for KeepKey {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let had: &[Namespace] = match &values.namespaces {
            Namespaces::Clone(_) => return Err(exclusive("lxc.namespace.clone")),
            Namespaces::Keep(had) => had,
            Namespaces::Usual => &[],
        };
        let all = joined(had, input.value)?;
        if !all.is_empty() {
            values.namespaces = Namespaces::Keep(all);
            values.namespaces_origin = Some(input.origin.clone());
        }
        Ok(())
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn clear(&self, values: &mut Values) {
        if matches!(values.namespaces, Namespaces::Keep(_)) {
            values.namespaces = Namespaces::Usual;
            values.namespaces_origin = None;
        }
    }

    fn get(&self, values: &Values) -> Option<String> {
        match &values.namespaces {
            Namespaces::Keep(all) => show::lines(all, |namespace| name(*namespace)),
            Namespaces::Usual | Namespaces::Clone(_) => None,
        }
    }
}

/// `lxc.namespace.share.NS`; what the value names is looked for at start.
pub(crate) struct Shared;

/// Here, unlike in a list, the case of the name matters.
fn namespace(rest: &str) -> Result<Namespace, Fault> {
    let found = NAMES.iter().find(|(name, _)| *name == rest);
    found.map(|(_, namespace)| *namespace).ok_or_else(|| {
        let fault = no_namespace();
        Fault::unknown(fault.message, fault.hint)
    })
}

/// Where `namespace` is in the sorted list, or where it belongs.
fn place(values: &Values, namespace: Namespace) -> Result<usize, usize> {
    values
        .shared_namespaces
        .binary_search_by_key(&namespace, |shared| shared.value.namespace)
}

impl Family for Shared {
    fn knows(&self, rest: &str) -> bool {
        namespace(rest).is_ok()
    }

    fn set(&self, values: &mut Values, rest: &str, input: &Input) -> Result<(), Fault> {
        let namespace = namespace(rest)?;
        let source = input.value.to_owned();
        let shared = grammar::located(input, SharedNamespace { namespace, source });
        match place(values, namespace) {
            Ok(at) => values.shared_namespaces[at] = shared,
            Err(at) => values.shared_namespaces.insert(at, shared),
        }
        Ok(())
    }

    fn clear(&self, values: &mut Values, rest: &str) -> Result<(), Fault> {
        if let Ok(at) = place(values, namespace(rest)?) {
            values.shared_namespaces.remove(at);
        }
        Ok(())
    }

    fn get(&self, values: &Values, rest: &str) -> Result<Option<String>, Fault> {
        let place = place(values, namespace(rest)?);
        let source = place.map(|at| values.shared_namespaces[at].value.source.as_str());
        Ok(Some(source.unwrap_or(show::NULL).to_owned()))
    }

    fn covers(&self, rest: &str, line_rest: &str) -> bool {
        rest == line_rest
    }
}
