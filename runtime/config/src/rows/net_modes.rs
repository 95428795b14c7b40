//! Modes, VLANs and queues of network devices.

use crate::grammar;
use crate::setting::{Fault, Field, Input, Setting};
use crate::values::{IpvlanIsolation, IpvlanMode, MacvlanMode, NetDevice, UntaggedVlan, VethMode};

pub(super) const VETH_MODES: &[(&str, VethMode)] =
    &[("bridge", VethMode::Bridge), ("router", VethMode::Router)];

pub(super) const MACVLAN_MODES: &[(&str, MacvlanMode)] = &[
    ("private", MacvlanMode::Private),
    ("vepa", MacvlanMode::Vepa),
    ("bridge", MacvlanMode::Bridge),
    ("passthru", MacvlanMode::Passthru),
];

pub(super) const IPVLAN_MODES: &[(&str, IpvlanMode)] = &[
    ("l3", IpvlanMode::L3),
    ("l3s", IpvlanMode::L3s),
    ("l2", IpvlanMode::L2),
];

pub(super) const IPVLAN_ISOLATIONS: &[(&str, IpvlanIsolation)] = &[
    ("bridge", IpvlanIsolation::Bridge),
    ("private", IpvlanIsolation::Private),
    ("vepa", IpvlanIsolation::Vepa),
];

/// A sub-key that takes one of a few words.
pub(super) struct Word<T: 'static> {
    pub field: Field<NetDevice, T>,
    pub words: &'static [(&'static str, T)],
}

impl<T: Copy + PartialEq + Default + Sync> Setting<NetDevice> for Word<T> {
    fn set(&self, device: &mut NetDevice, input: &Input) -> Result<(), Fault> {
        let found = self.words.iter().find(|(word, _)| *word == input.value);
        let (_, meaning) = found.ok_or_else(|| {
            let words: Vec<&str> = self.words.iter().map(|(word, _)| *word).collect();
            let hint = format!("one of {} is expected", words.join(", "));
            Fault::bad("not one of the words", hint)
        })?;
        *(self.field.of_mut)(device) = *meaning;
        Ok(())
    }

    fn clear(&self, device: &mut NetDevice) {
        *(self.field.of_mut)(device) = T::default();
    }

    fn get(&self, device: &NetDevice) -> Option<String> {
        let meaning = (self.field.of)(device);
        let found = self.words.iter().find(|(_, known)| known == meaning);
        found.map(|(word, _)| (*word).to_owned())
    }
}

/// Highest number of a VLAN.
const LAST_VLAN: i128 = 4094;

pub(super) fn vlan(input: &Input) -> Result<u16, Fault> {
    grammar::whole_number(input.value, 0, LAST_VLAN).map(|id| id as u16)
}

pub(super) fn tagged_vlan(input: &Input) -> Result<Vec<u16>, Fault> {
    vlan(input).map(|id| vec![id])
}

pub(super) fn untagged_vlan(input: &Input) -> Result<Option<UntaggedVlan>, Fault> {
    match input.value {
        "none" => Ok(Some(UntaggedVlan::Nowhere)),
        _ => vlan(input)
            .map(|id| Some(UntaggedVlan::Id(id)))
            .map_err(|fault| {
                let hint = format!("a number from 0 to {LAST_VLAN}, or none, is expected");
                Fault { hint, ..fault }
            }),
    }
}

pub(super) fn show_untagged_vlan(vlan: &Option<UntaggedVlan>) -> Option<String> {
    vlan.map(|vlan| match vlan {
        UntaggedVlan::Nowhere => "-1".to_owned(),
        UntaggedVlan::Id(id) => id.to_string(),
    })
}

pub(super) fn queues(input: &Input) -> Result<Option<u32>, Fault> {
    grammar::whole_number(input.value, 1, i32::MAX.into()).map(|number| Some(number as u32))
}
