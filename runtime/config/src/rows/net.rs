//! `lxc.net.N`: the network devices, each with its sub-keys.

use super::net_keys::{SUB_KEYS, SubKey, type_word};
use crate::setting::{Family, Fault, Input, Resolved, Setting, errno, show};
use crate::values::{NetDevice, NetKind, Values};

/// `lxc.net`: all devices together; can only be read and cleared.
pub(crate) struct AllDevices;

impl Setting<Values> for AllDevices {
    fn set(&self, _values: &mut Values, _input: &Input) -> Result<(), Fault> {
        Err(Fault::bad(
            "no device is named",
            "lxc.net.N.type = TYPE is expected; an empty value clears all devices",
        ))
    }

    fn clear(&self, values: &mut Values) {
        values.net.clear();
    }

    fn get(&self, values: &Values) -> Option<String> {
        show::lines(&values.net, |device| type_word(device.kind))
    }
}

/// Whether `key` is what `lxc.net` stands for.
pub(crate) fn is_device_key(key: &str) -> bool {
    key.starts_with("lxc.net.")
}

/// `lxc.net.N` and what is below it.
pub(crate) struct Devices;

/// A device's number, and the sub-key behind it; `None` when the whole device is meant.
fn split(rest: &str) -> Result<(u32, Option<&str>), Fault> {
    let (digits, sub) = rest
        .split_once('.')
        .map_or((rest, None), |(digits, sub)| (digits, Some(sub)));
    let number = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let index = number
        .and_then(|digits| digits.parse().ok())
        .filter(|index| *index < i32::MAX as u32);
    match index {
        Some(index) => Ok((index, sub)),
        None => Err(Fault::unknown(
            "not a number of a device",
            "lxc.net.N.NAME with a number N is expected",
        )),
    }
}

fn sub_key(name: &str) -> Result<&'static SubKey, Fault> {
    let found = SUB_KEYS.iter().find(|sub_key| sub_key.name == name);
    found.ok_or_else(|| Fault::unknown("unknown key", "").errno(errno::ENOENT))
}

fn setting_of(sub_key: &SubKey) -> Result<&'static dyn Setting<NetDevice>, Fault> {
    sub_key
        .setting
        .ok_or_else(|| Fault::not_yet(crate::table::KNOWN_ONLY))
}

/// Where device `index` is in the sorted list, or where it belongs.
fn place(values: &Values, index: u32) -> Result<usize, usize> {
    values
        .net
        .binary_search_by_key(&index, |device| device.index)
}

fn existing(values: &Values, index: u32) -> Result<usize, Fault> {
    place(values, index).map_err(|_| {
        Fault::unknown(
            "no such network device",
            format!("lxc.net.{index}.type = TYPE makes one"),
        )
    })
}

fn fits(sub_key: &SubKey, kind: Option<NetKind>) -> Result<(), Fault> {
    match sub_key.only {
        Some(only) if kind != Some(only) => Err(Fault::bad(
            format!("the device is of type {}", type_word(kind)),
            format!(
                "this key needs type {}, which must be set before it",
                type_word(Some(only))
            ),
        )),
        _ => Ok(()),
    }
}

impl Family for Devices {
    fn resolve(&self, rest: &str, value: &str) -> Result<Resolved, Fault> {
        match split(rest)? {
            (_, Some(name)) => setting_of(sub_key(name)?)?.resolve(value),
            (_, None) => Ok(Resolved::AsWritten),
        }
    }

    fn knows(&self, rest: &str) -> bool {
        match split(rest) {
            Ok((_, Some(name))) => sub_key(name).is_ok_and(|sub_key| sub_key.setting.is_some()),
            Ok((_, None)) => true,
            Err(_) => false,
        }
    }

    fn set(&self, values: &mut Values, rest: &str, input: &Input) -> Result<(), Fault> {
        let (index, Some(name)) = split(rest)? else {
            return Err(Fault::bad(
                "no key of the device is named",
                "lxc.net.N.type = TYPE is expected",
            ));
        };
        let sub_key = sub_key(name)?;
        let setting = setting_of(sub_key)?;
        match place(values, index) {
            Ok(at) => {
                fits(sub_key, values.net[at].kind)?;
                setting.set(&mut values.net[at], input)
            }
            Err(at) => {
                fits(sub_key, None)?;
                let mut device = NetDevice::new(index, input.origin.clone());
                setting.set(&mut device, input)?;
                values.net.insert(at, device);
                Ok(())
            }
        }
    }

    fn clear(&self, values: &mut Values, rest: &str) -> Result<(), Fault> {
        let (index, Some(name)) = split(rest)? else {
            let (index, _) = split(rest)?;
            values.net.retain(|device| device.index != index);
            return Ok(());
        };
        let setting = setting_of(sub_key(name)?)?;
        let at = existing(values, index)?;
        setting.clear(&mut values.net[at]);
        Ok(())
    }

    fn get(&self, values: &Values, rest: &str) -> Result<Option<String>, Fault> {
        let (index, Some(name)) = split(rest)? else {
            return Err(
                Fault::bad("cannot be read as a whole", "ask for a key of the device")
                    .errno(errno::ENOENT),
            );
        };
        let device = &values.net[existing(values, index)?];
        let sub_key = sub_key(name)?;
        fits(sub_key, device.kind)?;
        Ok(setting_of(sub_key)?.get(device))
    }

    fn covers(&self, rest: &str, line_rest: &str) -> bool {
        let (Ok((index, sub)), Ok((line_index, line_sub))) = (split(rest), split(line_rest)) else {
            return false;
        };
        // The type takes everything else about the device with it.
        index == line_index && (matches!(sub, None | Some("type")) || sub == line_sub)
    }
}
