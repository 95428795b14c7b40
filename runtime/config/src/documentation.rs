//! The table as manual pages show it.

use crate::row::{CarriedOut, How};
use crate::rows::net_keys::{SUB_KEYS, SubKey};
use crate::setting::{Untouched, show};
use crate::table::TABLE;
use crate::values::{NetDevice, Values};

/// One key, as a manual page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDoc {
    /// The key, with `N`, `FILE` or `NAME` where a family's members differ.
    pub key: String,
    /// What it is for, one sentence.
    pub doc: &'static str,
    /// Text of the default; `None` = unset, or nothing that has one.
    pub default: Option<String>,
    /// Oldest kernel that can do it; `None` = no kernel is too old.
    pub since: Option<&'static str>,
    /// Whether a start carries it out; otherwise it is stored, and a start refuses what is not the
    /// default.
    pub is_implemented: bool,
    /// Values it takes, each with the text it is read back as; empty for a name that only stands
    /// for others.
    pub examples: &'static [(&'static str, &'static str)],
    /// Words in the examples that a start refuses although it carries the key out otherwise.
    pub refused_words: Vec<&'static str>,
}

/// The words among `examples` that a start refuses.
fn refused_words(
    carried_out: CarriedOut,
    examples: &'static [(&'static str, &'static str)],
) -> Vec<&'static str> {
    let CarriedOut::AllBut(found) = carried_out else {
        return Vec::new();
    };
    examples
        .iter()
        .filter_map(|(value, _)| found(value))
        .collect()
}

/// Every key in the order of the table, the sub-keys of network devices in their place.
pub fn documentation() -> impl Iterator<Item = KeyDoc> {
    let untouched = Values::untouched();
    TABLE.iter().flat_map(move |row| {
        if row.key == DEVICES {
            return devices();
        }
        let default = match row.how {
            How::Item(item) => item.get(&untouched).filter(|text| text != show::NULL),
            How::Group(_) | How::Family(_) | How::Include => None,
        };
        let (placeholder, _) = row.member;
        vec![KeyDoc {
            key: format!("{}{placeholder}", row.key),
            doc: row.doc,
            default,
            since: row.since,
            is_implemented: !row.carried_out.is_not_yet(),
            examples: row.takes,
            refused_words: refused_words(row.carried_out, row.takes),
        }]
    })
}

/// The row that stands for all sub-keys of a device.
const DEVICES: &str = "lxc.net.";

fn devices() -> Vec<KeyDoc> {
    let untouched = NetDevice::untouched();
    let describe = |sub_key: &SubKey| KeyDoc {
        key: format!("{DEVICES}N.{}", sub_key.name),
        doc: sub_key.doc,
        default: sub_key.setting.get(&untouched),
        since: sub_key.since,
        is_implemented: !sub_key.carried_out.is_not_yet(),
        examples: sub_key.takes,
        refused_words: refused_words(sub_key.carried_out, sub_key.takes),
    };
    SUB_KEYS.iter().map(describe).collect()
}
