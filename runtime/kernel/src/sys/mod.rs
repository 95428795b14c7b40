//! The cellar: every raw system call of this crate, behind safe functions that return errno.
//!
//! **Is** calls for which rustix and nix have no safe function, or one that refuses values that
//! the kernel takes (real-time signals, pid 0). **Never** decides anything, retries or explains.

pub(crate) mod calls;
pub(crate) mod fork;
pub(crate) mod handles;
pub(crate) mod mapping;
pub(crate) mod message;
pub(crate) mod signal;
pub(crate) mod vfork;

use rustix::io::Errno;

/// The errno of a C library call that returns -1 on failure.
fn check(returned: libc::c_long) -> Result<libc::c_long, Errno> {
    if returned == -1 {
        Err(last_errno())
    } else {
        Ok(returned)
    }
}

/// The calling thread's errno, read straight after the call that set it.
fn last_errno() -> Errno {
    let number = std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO);
    Errno::from_raw_os_error(number)
}

/// The form in which the kernel takes a list of strings: pointers, then a null.
fn pointers(strings: &[std::ffi::CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}
