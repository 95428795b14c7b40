//! Settings of the installation.

use crate::argument::Text;
use crate::refusal::{global, no_text, set_errno};
use libc::c_char;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Mutex;

thread_local! {
    /// What this thread was told: it is told the same for ever, as by LXC.
    static TOLD: RefCell<HashMap<String, Option<&'static CStr>>> = RefCell::default();
}

/// The value of a key of lxc.conf, else its default. NULL with errno 0 if it is not set, with EINVAL if
/// there is no such key.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_get_global_config_item(key: Text) -> *const c_char {
    global(no_text, || {
        let key = key.required("the key")?;
        let told = TOLD.with_borrow(|told| told.get(key).copied());
        let value = match told {
            Some(value) => value,
            None => {
                let value = lxc_runtime::global_item(key)?.map(lasting);
                TOLD.with_borrow_mut(|told| told.insert(key.to_owned(), value));
                value
            }
        };
        if value.is_none() {
            set_errno(0);
        }
        Ok(value.map_or(ptr::null(), CStr::as_ptr))
    })
}

/// A copy that is never freed, and the same one for the same text: threads come and go, settings do
/// not.
fn lasting(text: String) -> &'static CStr {
    static KEPT: Mutex<Option<HashSet<&'static CStr>>> = Mutex::new(None);
    // A value of a file's line, which ends at its first NUL.
    let text = text.split('\0').next().unwrap_or_default();
    let text = CString::new(text).unwrap_or_default();
    let mut kept = KEPT.lock().unwrap_or_else(|e| e.into_inner());
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(text.as_c_str()) {
        return known;
    }
    let text: &'static CStr = Box::leak(text.into_boxed_c_str());
    kept.insert(text);
    text
}
