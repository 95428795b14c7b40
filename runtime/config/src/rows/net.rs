//! `lxc.net.N`: the network devices, each with its sub-keys.

use super::net_keys::{SUB_KEYS, SubKey, type_word};
use crate::row::CarriedOut;
use crate::setting::{Family, Fault, Input, Resolved, Setting, Untouched, errno, show};
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
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::unknown(
            "not a number of a device",
            "lxc.net.N.NAME with a number N is expected",
        ));
    }
    let index = digits.parse().ok();
    match index.filter(|index| *index < i32::MAX as u32) {
        Some(index) => Ok((index, sub)),
        None => {
            let hint = format!("lxc.net.N.NAME with N below {} is expected", i32::MAX);
            Err(Fault::unknown("too large a number for a device", hint).errno(errno::ERANGE))
        }
    }
}

fn sub_key(name: &str) -> Result<&'static SubKey, Fault> {
    let found = SUB_KEYS.iter().find(|sub_key| sub_key.name == name);
    found.ok_or_else(|| Fault::unknown("unknown key", "").errno(errno::ENOENT))
}

/// The sub-key in `rest`, when there is one.
fn own_sub_key(rest: &str) -> Option<&'static SubKey> {
    split(rest).ok()?.1.and_then(|name| sub_key(name).ok())
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
            (_, Some(name)) => sub_key(name)?.setting.resolve(value),
            (_, None) => Ok(Resolved::AsWritten),
        }
    }

    fn knows(&self, rest: &str) -> bool {
        match split(rest) {
            Ok((_, Some(name))) => sub_key(name).is_ok(),
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
        let setting = sub_key.setting;
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
        let sub_key = sub_key(name)?;
        // Of a device that is not there nothing has to be cleared: a file may say so after what made
        // the device has been taken out of it.
        if let Ok(at) = place(values, index) {
            sub_key.setting.clear(&mut values.net[at]);
        }
        Ok(())
    }

    fn is_there(&self, values: &Values, rest: &str) -> Result<(), Fault> {
        match split(rest)? {
            (index, Some(_)) => existing(values, index).map(|_| ()),
            (_, None) => Ok(()),
        }
    }

    /// A device of which nothing is said would not come back from the saved text.
    fn left_empty(&self, values: &Values, rest: &str) -> Option<String> {
        let (index, _) = split(rest).ok()?;
        let device = &values.net[place(values, index).ok()?];
        let untouched = NetDevice::new(index, device.origin.clone());
        (*device == untouched).then(|| format!("lxc.net.{index}"))
    }

    fn get(&self, values: &Values, rest: &str) -> Result<Option<String>, Fault> {
        let (index, name) = split(rest)?;
        let device = &values.net[existing(values, index)?];
        let Some(name) = name else {
            return Err(
                Fault::bad("cannot be read as a whole", "ask for a key of the device")
                    .errno(errno::ENOENT),
            );
        };
        let sub_key = sub_key(name)?;
        fits(sub_key, device.kind)?;
        Ok(sub_key.setting.get(device))
    }

    fn accumulates(&self, rest: &str) -> bool {
        own_sub_key(rest).is_some_and(|sub_key| sub_key.setting.accumulates())
    }

    fn is_default(&self, values: &Values, rest: &str) -> bool {
        match (self.get(values, rest), own_sub_key(rest)) {
            (Ok(shown), Some(sub_key)) => shown == sub_key.setting.get(&NetDevice::untouched()),
            _ => true,
        }
    }

    fn carried_out(&self, rest: &str) -> Option<CarriedOut> {
        own_sub_key(rest).map(|sub_key| sub_key.carried_out)
    }

    fn covers(&self, rest: &str, line_rest: &str) -> bool {
        let (Ok((index, sub)), Ok((line_index, line_sub))) = (split(rest), split(line_rest)) else {
            return false;
        };
        // The type takes everything else about the device with it.
        index == line_index && (matches!(sub, None | Some("type")) || sub == line_sub)
    }
}
