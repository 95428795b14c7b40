//! What a configuration says and a start of this version does not do.
//!
//! Such keys are stored and shown like all others; only starting a container refuses them, because
//! ignoring one would start another container than the one that was described.

use crate::config::{Assignment, diagnostic};
use crate::diagnostic::Diagnostic;
use crate::row::{self, CarriedOut, Found};
use crate::setting::Fault;
use crate::values::Values;
use std::collections::BTreeMap;
use std::ops::Bound;

const REMEDY: &str = "it is stored, but nothing carries it out; remove it to go on";

/// An assignment that a start would have to carry out, by its place among all.
struct Live<'a> {
    at: usize,
    /// The part of the value at fault.
    word: &'a str,
}

/// One diagnostic for each key, in the order of the assignments they point at. A list's is the
/// first that is still in effect, a single value's the last.
pub(crate) fn among(assignments: &[Assignment], values: &Values) -> Vec<Diagnostic> {
    let mut live: BTreeMap<&str, Live> = BTreeMap::new();
    for (at, Assignment { key, value, .. }) in assignments.iter().enumerate() {
        forget_cleared(&mut live, key, value);
        let Some((carried_out, accumulates)) = extent(key).filter(|_| !value.is_empty()) else {
            continue;
        };
        let word = match carried_out {
            CarriedOut::Wholly => None,
            CarriedOut::NotYet => Some(value.as_str()),
            CarriedOut::AllBut(found) => found(value),
        };
        match (word, accumulates) {
            (Some(word), false) => _ = live.insert(key, Live { at, word }),
            (Some(word), true) => _ = live.entry(key).or_insert(Live { at, word }),
            (None, false) => _ = live.remove(key.as_str()),
            (None, true) => {}
        }
    }
    let mut refused: Vec<Live> = live
        .into_iter()
        .filter(|(key, _)| !is_default(key, values))
        .map(|(_, live)| live)
        .collect();
    refused.sort_by_key(|live| live.at);
    let refusal = |live: &Live| {
        let Assignment { key, value, origin } = &assignments[live.at];
        diagnostic(Fault::not_yet(REMEDY).about(live.word), key, value, origin)
    };
    refused.iter().map(refusal).collect()
}

/// Takes out what the assignment `key = value` cleared.
fn forget_cleared(live: &mut BTreeMap<&str, Live>, key: &str, value: &str) {
    if live.is_empty() {
        return;
    }
    if value.is_empty() {
        live.remove(key);
    }
    if let Some(above) = cleared_below(key, value) {
        let first = format!("{above}.");
        let from = (Bound::Included(first.as_str()), Bound::Unbounded);
        let below: Vec<&str> = live
            .range::<str, _>(from)
            .map(|(key, _)| *key)
            .take_while(|key| key.starts_with(&first))
            .collect();
        for key in below {
            live.remove(key);
        }
    }
}

/// The name below which everything is cleared by `key = value`: a family's, all network devices',
/// one device's.
fn cleared_below<'k>(key: &'k str, value: &str) -> Option<&'k str> {
    let device = key
        .strip_suffix(".type")
        .filter(|_| key.starts_with("lxc.net."));
    if device.is_some() || !value.is_empty() {
        // Setting a device's type clears it as much as clearing it does.
        return device;
    }
    let takes_below = match row::find(key) {
        Ok(Found::Item(row, _)) => (row.also_clears)(&format!("{key}.x")),
        Ok(Found::Member(_, family, rest)) => family.covers(rest, &format!("{rest}.x")),
        Ok(Found::Include) | Err(_) => false,
    };
    takes_below.then_some(key)
}

fn extent(key: &str) -> Option<(CarriedOut, bool)> {
    match row::find(key).ok()? {
        Found::Item(row, item) => Some((row.carried_out, item.accumulates())),
        Found::Member(row, family, rest) => {
            let carried_out = family.carried_out(rest).unwrap_or(row.carried_out);
            Some((carried_out, family.accumulates(rest)))
        }
        Found::Include => None,
    }
}

/// Whether a key of which nothing is carried out has the value that needs nothing.
fn is_default(key: &str, values: &Values) -> bool {
    match row::find(key) {
        Ok(Found::Item(row, item)) => {
            row.carried_out.is_not_yet() && item.get(values) == item.get(&Values::default())
        }
        Ok(Found::Member(row, family, rest)) => {
            let carried_out = family.carried_out(rest).unwrap_or(row.carried_out);
            carried_out.is_not_yet() && family.is_default(values, rest)
        }
        Ok(Found::Include) | Err(_) => true,
    }
}
