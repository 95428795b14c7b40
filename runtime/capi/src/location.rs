//! The file that this library was loaded from.

use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The library's file, as the loader found it; `None` when the loader does not know.
pub fn own_file() -> Option<PathBuf> {
    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    let address = own_file as fn() -> Option<PathBuf> as *const libc::c_void;
    // SAFETY: the address is one of ours, and `found` a place for the answer.
    if unsafe { libc::dladdr(address, found.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: all zeros is a valid Dl_info, and dladdr has filled it in.
    let name = unsafe { found.assume_init() }.dli_fname;
    if name.is_null() {
        return None;
    }
    // SAFETY: the loader's own text, which stays as long as the library is loaded.
    let name = unsafe { CStr::from_ptr(name) };
    std::path::absolute(OsStr::from_bytes(name.to_bytes())).ok()
}
