//! Settings of a command line (`-s KEY=VALUE`), for LXC's own tools when they are linked dynamically.

use crate::argument::{Handle, Out, Text};
use crate::layout::lxc_list;
use crate::memory;
use crate::object::member;
use crate::refusal::{Outcome, Refusal, code, global, no};
use libc::{c_char, c_int, c_long};
use lxc_runtime::Config;
use std::ffi::CStr;

/// personality(2) of a 32-bit program.
const PER_LINUX32: c_long = 8;

/// Appends the setting to the list.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_config_define_add(defines: *mut lxc_list, arg: Text) -> c_int {
    global(code, || {
        let arg = arg.required("the setting")?;
        let Some((key, value)) = parse(arg) else {
            let sentence = format!("{arg:?} sets no key; write lxc.KEY=VALUE");
            return Err(Refusal::invalid(sentence));
        };
        if defines.is_null() {
            return Err(Refusal::invalid("there is no list of settings"));
        }
        append(defines, &format!("{key}={value}"))?;
        Ok(0)
    })
}

/// `KEY = VALUE`; one pair of quotes around the value belongs to the shell of the file format.
fn parse(arg: &str) -> Option<(&str, &str)> {
    let (key, value) = arg.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    key.starts_with("lxc.").then_some((key, value))
}

fn append(head: *mut lxc_list, text: &str) -> Outcome<()> {
    let node = memory::allocate::<lxc_list>();
    let elem = memory::text(text);
    if node.is_null() || elem.is_null() {
        memory::release(node);
        memory::release(elem);
        return Err(Refusal::new(libc::ENOMEM, "there is no memory left"));
    }
    // SAFETY: C passed the head of a circular list; the node was just allocated.
    unsafe {
        let last = (*head).prev;
        node.write(lxc_list {
            elem: elem.cast(),
            next: head,
            prev: last,
        });
        (*last).next = node;
        (*head).prev = node;
    }
    Ok(())
}

/// Applies the settings in order, up to the first that is refused; the list is empty afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_config_define_load(defines: *mut lxc_list, c: Handle) -> bool {
    let settings = take(defines);
    member(c, no, |object| {
        for setting in &settings {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            object.change(|container| container.set_config_item(key, value))?;
        }
        Ok(true)
    })
}

/// Empties the list.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_config_define_free(defines: *mut lxc_list) {
    take(defines);
}

/// The settings, of which the list is freed.
fn take(head: *mut lxc_list) -> Vec<String> {
    let mut settings = Vec::new();
    if head.is_null() {
        return settings;
    }
    // SAFETY: C passed the head of a circular list, which only `append` has filled.
    unsafe {
        let mut node = (*head).next;
        while node != head {
            let next = (*node).next;
            let elem: *mut c_char = (*node).elem.cast();
            settings.push(CStr::from_ptr(elem).to_string_lossy().into_owned());
            memory::release(elem);
            memory::release(node);
            node = next;
        }
        (*head).next = head;
        (*head).prev = head;
    }
    settings
}

/// The personality of an architecture's name.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_config_parse_arch(arch: Text, persona: Out<c_long>) -> c_int {
    global(code, || {
        let mut config = Config::new();
        // lxc.arch knows the names, and tells one for each personality.
        let set = config.set("lxc.arch", arch.required("the architecture")?);
        let told = set.and_then(|()| config.get("lxc.arch"));
        let told = told.map_err(|error| Refusal::invalid(error.to_string()))?;
        persona.set(match told.as_deref() {
            Some("i686") => PER_LINUX32,
            _ => 0,
        });
        Ok(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn a_setting_is_a_key_of_lxcs_and_a_value() {
        assert_eq!(
            parse(" lxc.uts.name = \"a b\" "),
            Some(("lxc.uts.name", "a b"))
        );
        assert_eq!(parse("lxc.uts.name='a=b'"), Some(("lxc.uts.name", "a=b")));
        assert_eq!(parse("lxc.uts.name="), Some(("lxc.uts.name", "")));
        assert_eq!(parse("uts.name=a"), None);
        assert_eq!(parse("lxc.uts.name"), None);
    }

    #[test]
    fn a_list_keeps_its_order_and_is_empty_once_taken() {
        let head = memory::allocate::<lxc_list>();
        let empty = lxc_list {
            elem: ptr::null_mut(),
            next: head,
            prev: head,
        };
        // SAFETY: it was just allocated.
        unsafe { head.write(empty) };
        for text in ["a=1", "b=2", "c=3"] {
            append(head, text).unwrap();
        }
        assert_eq!(take(head), ["a=1", "b=2", "c=3"]);
        assert!(take(head).is_empty());
        memory::release(head);
    }
}
