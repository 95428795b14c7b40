//! Settings of the installation, from lxc.conf.

use crate::error::{Error, ErrorKind, Result};
use crate::paths;
use lxc_config::GLOBAL_KEYS;
use std::path::PathBuf;

/// The value of `key` in lxc.conf, else its default; `None` = unset. Reads the file at each call.
///
/// # Errors
/// No key of that name (errno EINVAL).
pub fn global_item(key: &str) -> Result<Option<String>> {
    let text = |path: PathBuf| Some(path.to_string_lossy().into_owned());
    match key {
        "lxc.lxcpath" => Ok(text(paths::default_lxcpath())),
        "lxc.default_config" => Ok(text(paths::default_config())),
        _ if GLOBAL_KEYS.iter().any(|known| known.key == key) => Ok(paths::global().get(key)),
        _ => {
            let known: Vec<&str> = GLOBAL_KEYS.iter().map(|known| known.key).collect();
            let text = format!(
                "{key:?} is no key of lxc.conf; use one of {}",
                known.join(" ")
            );
            Err(Error::new(ErrorKind::BadConfig, text).with_errno(libc::EINVAL))
        }
    }
}
