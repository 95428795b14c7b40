//! What this library is, and what it knows.

use crate::argument::Text;
use crate::refusal::{global, no};
use libc::c_char;
use lxc_runtime::{Config, LXC_VERSION};
use std::ffi::CStr;

/// The version with a NUL after it.
const VERSION: [u8; LXC_VERSION.len() + 1] = {
    let mut text = [0; LXC_VERSION.len() + 1];
    let mut at = 0;
    while at < LXC_VERSION.len() {
        text[at] = LXC_VERSION.as_bytes()[at];
        at += 1;
    }
    text
};

/// The version of LXC whose behaviour this library has.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_get_version() -> *const c_char {
    const TEXT: &CStr = match CStr::from_bytes_with_nul(&VERSION) {
        Ok(text) => text,
        Err(_) => c"",
    };
    TEXT.as_ptr()
}

/// Whether there is a key of exactly this name.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_config_item_is_supported(key: Text) -> bool {
    global(no, || Ok(Config::is_supported(key.required("the key")?)))
}

/// Whether the extension works; without a name, whether there are any.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_has_api_extension(extension: Text) -> bool {
    global(no, || {
        let name = extension.get("the extension")?;
        Ok(name.is_none_or(lxc_runtime::has_extension))
    })
}

/// Whether LXC knows storage of this type.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_is_valid_storage_type(storage: Text) -> bool {
    const TYPES: [&[u8]; 9] = [
        b"dir",
        b"btrfs",
        b"loop",
        b"lvm",
        b"nbd",
        b"overlay",
        b"overlayfs",
        b"rbd",
        b"zfs",
    ];
    storage
        .as_c()
        .is_some_and(|name| TYPES.contains(&name.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a `#define` of version.h says.
    fn defined(name: &str) -> String {
        let header = include_str!("../include/lxc/version.h");
        let line = header.lines().find_map(|line| {
            let (found, value) = line.strip_prefix("#define ")?.split_once(' ')?;
            (found == name).then_some(value)
        });
        line.unwrap_or_default().trim_matches('"').to_owned()
    }

    #[test]
    fn the_version_is_the_same_everywhere() {
        assert_eq!(defined("LXC_VERSION"), LXC_VERSION);
        let parts = ["MAJOR", "MINOR", "MICRO"].map(|part| defined(&format!("LXC_VERSION_{part}")));
        assert_eq!(parts.join("."), LXC_VERSION);
        assert!(include_str!("../lxc.pc.in").contains("\nVersion: @VERSION@\n"));
        // SAFETY: a text of the library's.
        let told = unsafe { CStr::from_ptr(lxc_get_version()) };
        assert_eq!(told.to_str(), Ok(LXC_VERSION));
    }
}
