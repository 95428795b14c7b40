//! Members about the configuration.

use crate::argument::{Handle, Out, Text};
use crate::buffer::Buffer;
use crate::memory;
use crate::object::{Object, member, unconfigured};
use crate::refusal::{Outcome, Refusal, code, no, no_text, null};
use libc::{c_char, c_int};
use lxc_runtime::{Config, Form};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub extern "C" fn load_config(c: Handle, alt_file: Text) -> bool {
    member(c, no, |object| {
        let file = file_meant(object, alt_file.get("the configuration's file")?)?;
        object.change(|container| container.load_config(file))?;
        Ok(true)
    })
}

pub extern "C" fn save_config(c: Handle, alt_file: Text) -> bool {
    member(c, no, |object| {
        let file = file_meant(object, alt_file.get("the configuration's file")?)?;
        object.change(|container| container.save_config_as(file))?;
        Ok(true)
    })
}

/// The file named; `None` for the container's own, if it has one.
fn file_meant<'a>(object: &Object<'_>, named: Option<&'a str>) -> Outcome<Option<&'a Path>> {
    if named.is_none() && object.config_file().is_none() {
        let sentence = "no file is named, and configfile is NULL";
        return Err(Refusal::invalid(sentence));
    }
    Ok(named.map(Path::new))
}

pub extern "C" fn config_file_name(c: Handle) -> *mut c_char {
    member(c, null, |object| {
        let file = object.config_file();
        let file = file.ok_or_else(|| Refusal::absent(libc::ENOENT, "configfile is NULL"))?;
        Ok(memory::bytes(file.as_os_str().as_bytes()))
    })
}

pub extern "C" fn get_config_path(c: Handle) -> *const c_char {
    member(c, no_text, |object| Ok(object.path()))
}

pub extern "C" fn set_config_path(c: Handle, path: Text) -> bool {
    member(c, no, |object| {
        object.set_path(path.required("the directory of containers")?);
        Ok(true)
    })
}

pub extern "C" fn set_config_item(c: Handle, key: Text, value: Text) -> bool {
    member(c, no, |object| {
        let key = key.required("the key")?;
        let value = value
            .get(&format!("the value of {key}"))?
            .unwrap_or_default();
        object.change(|container| container.set_config_item(key, value))?;
        Ok(true)
    })
}

pub extern "C" fn clear_config_item(c: Handle, key: Text) -> bool {
    member(c, no, |object| {
        let key = key.required("the key")?;
        object.configured()?;
        object.change(|container| container.clear_config_item(key))?;
        Ok(true)
    })
}

pub extern "C" fn clear_config(c: Handle) {
    member(
        c,
        |_| (),
        |object| {
            object.change(|container| container.clear_config());
            Ok(())
        },
    )
}

pub extern "C" fn get_config_item(c: Handle, key: Text, retv: Out<c_char>, inlen: c_int) -> c_int {
    member(c, code, |object| {
        let key = key.required("the key")?;
        let value = object.configured()?.config_item(key)?;
        let buffer = Buffer::new(retv, inlen);
        Ok(match (Config::form(key), value) {
            (Some(Form::Text), None) => 0,
            (Some(Form::Text), Some(value)) => buffer.whole(&value),
            (_, value) => buffer.print(&value.unwrap_or_default()),
        })
    })
}

pub extern "C" fn get_keys(c: Handle, key: Text, retv: Out<c_char>, inlen: c_int) -> c_int {
    member(c, code, |object| {
        let prefix = key.get("the key")?;
        let container = object.container();
        if prefix.is_some() && !container.has_config() {
            return Err(unconfigured(&container));
        }
        let keys = container.config_keys(prefix)?;
        let lines: String = keys.iter().flat_map(|key| [key.as_str(), "\n"]).collect();
        Ok(Buffer::new(retv, inlen).print(&lines))
    })
}

pub extern "C" fn get_running_config_item(c: Handle, key: Text) -> *mut c_char {
    member(c, null, |object| {
        let key = key.required("the key")?;
        let container = object.configured()?;
        let value = container.running_config_item(key)?;
        let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
            let name = container.name();
            let sentence = format!("{key} is not set in {name}, or it is not running");
            Refusal::absent(libc::ENOENT, sentence)
        })?;
        Ok(memory::text(&value))
    })
}
