//! What C gets and frees: memory of malloc's.

use libc::{c_char, c_void};
use std::ptr;

/// Memory for one T; NULL when there is none left.
pub fn allocate<T>() -> *mut T {
    // SAFETY: malloc may be asked for any size.
    unsafe { libc::malloc(size_of::<T>()) }.cast()
}

/// A copy of `bytes` with a NUL after them; NULL when there is no memory left.
pub fn bytes(bytes: &[u8]) -> *mut c_char {
    // SAFETY: malloc may be asked for any size; what it gives has room for the bytes and the NUL.
    unsafe {
        let copy: *mut u8 = libc::malloc(bytes.len() + 1).cast();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
            copy.add(bytes.len()).write(0);
        }
        copy.cast()
    }
}

/// A copy of `text`, which ends at its first NUL.
pub fn text(text: &str) -> *mut c_char {
    bytes(text.as_bytes())
}

/// An array of copies; NULL for no items, or when there is no memory left.
pub fn array<T: Copy>(items: &[T]) -> *mut T {
    if items.is_empty() {
        return ptr::null_mut();
    }
    // SAFETY: calloc may be asked for any size; what it gives has room for all items.
    unsafe {
        let copy: *mut T = libc::calloc(items.len(), size_of::<T>()).cast();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(items.as_ptr(), copy, items.len());
        }
        copy
    }
}

/// An array of copies of texts, with a NULL after them if `ended`; NULL for no texts, or when there
/// is no memory left.
pub fn texts(items: &[String], ended: bool) -> *mut *mut c_char {
    if items.is_empty() {
        return ptr::null_mut();
    }
    let mut pointers: Vec<*mut c_char> = items.iter().map(|t| text(t)).collect();
    let complete = pointers.iter().all(|p| !p.is_null());
    if ended {
        pointers.push(ptr::null_mut());
    }
    let copy = match complete {
        true => array(&pointers),
        false => ptr::null_mut(),
    };
    if copy.is_null() {
        for pointer in pointers {
            release(pointer);
        }
    }
    copy
}

/// Frees what one of the above, or C, allocated; NULL is fine.
pub fn release<T>(memory: *mut T) {
    // SAFETY: only what malloc gave is handed to this function.
    unsafe { libc::free(memory.cast::<c_void>()) }
}
