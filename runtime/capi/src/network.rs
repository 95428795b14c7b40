//! Interfaces and addresses.

use crate::argument::{Handle, Text};
use crate::memory;
use crate::object::member;
use crate::refusal::{Outcome, Refusal, no, null};
use libc::{c_char, c_int};
use lxc_runtime::Family;

pub extern "C" fn get_interfaces(c: Handle) -> *mut *mut c_char {
    member(c, null, |object| {
        let container = object.container();
        some(&container.interfaces()?, container.name())
    })
}

pub extern "C" fn get_ips(
    c: Handle,
    interface: Text,
    family: Text,
    scope: c_int,
) -> *mut *mut c_char {
    member(c, null, |object| {
        let container = object.container();
        let family = match family.get("the family of addresses")? {
            None => None,
            Some("inet") => Some(Family::Inet),
            Some("inet6") => Some(Family::Inet6),
            Some(other) => {
                let sentence = format!("{other:?} is no family of addresses; use inet or inet6");
                return Err(Refusal::invalid(sentence));
            }
        };
        let interface = interface.get("the interface")?;
        // No IPv6 address has a negative scope.
        let scope = u32::try_from(scope).unwrap_or(u32::MAX);
        some(
            &container.addresses(interface, family, scope)?,
            container.name(),
        )
    })
}

/// An array that ends with NULL; nothing to put into it is a failure.
fn some(texts: &[String], name: &str) -> Outcome<*mut *mut c_char> {
    if texts.is_empty() {
        let sentence = format!("{name} has none such, or it is not running");
        return Err(Refusal::absent(libc::ENOENT, sentence));
    }
    Ok(memory::texts(texts, true))
}

pub extern "C" fn attach_interface(c: Handle, dev: Text, dst_dev: Text) -> bool {
    member(c, no, |object| {
        let device = dev.required("the interface")?;
        let name = dst_dev.get("the interface's new name")?;
        object.container().attach_interface(device, name)?;
        Ok(true)
    })
}

pub extern "C" fn detach_interface(c: Handle, dev: Text, dst_dev: Text) -> bool {
    member(c, no, |object| {
        let device = dev.required("the interface")?;
        let name = dst_dev.get("the interface's new name")?;
        object.container().detach_interface(device, name)?;
        Ok(true)
    })
}
