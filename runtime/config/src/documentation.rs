//! The table as manual pages show it.

use crate::rows::net_keys::SUB_KEYS;
use crate::setting::Untouched;
use crate::table::{How, TABLE};
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
    /// Whether it can be set; otherwise it is refused by name.
    pub is_implemented: bool,
}

/// Every key in the order of the table, the sub-keys of network devices in their place.
pub fn documentation() -> impl Iterator<Item = KeyDoc> {
    let untouched = Values::untouched();
    TABLE.iter().flat_map(move |row| {
        let default = match row.how {
            How::Item(item) => item.get(&untouched),
            How::Group(_) | How::Family(_) | How::Include | How::NotYet { .. } => None,
        };
        let (suffix, is_implemented) = match row.how {
            How::Family(_) if row.key.starts_with("lxc.cgroup") => (".FILE", true),
            How::NotYet { is_family: true } if row.key.ends_with('.') => ("NAME", false),
            How::NotYet { is_family: true } => (".NAME", false),
            How::NotYet { is_family: false } => ("", false),
            How::Family(_) => return devices(),
            How::Item(_) | How::Group(_) | How::Include => ("", true),
        };
        let key = format!("{}{suffix}", row.key);
        vec![KeyDoc {
            key,
            doc: row.doc,
            default,
            since: row.since,
            is_implemented,
        }]
    })
}

fn devices() -> Vec<KeyDoc> {
    let untouched = NetDevice::untouched();
    let describe = |sub_key: &'static crate::rows::net_keys::SubKey| KeyDoc {
        key: format!("lxc.net.N.{}", sub_key.name),
        doc: sub_key.doc,
        default: sub_key.setting.and_then(|setting| setting.get(&untouched)),
        since: sub_key.since,
        is_implemented: sub_key.setting.is_some(),
    };
    SUB_KEYS.iter().map(describe).collect()
}
