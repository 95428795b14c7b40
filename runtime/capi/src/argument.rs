//! What C passes in: allegations until somebody looks at them.
//!
//! Each type is a pointer that only C can have made, so looking at it is safe Rust's business as
//! long as C keeps what the headers demand: NULL, or memory of that type, alive during the call.

use crate::layout::lxc_container;
use crate::refusal::Refusal;
use libc::c_char;
use std::ffi::CStr;

/// A container; see [`crate::object::Object`].
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Handle(pub(crate) *mut lxc_container);

impl Handle {
    /// Whether there is no container.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }
}

/// A text, ended by NUL; or NULL.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Text(*const c_char);

impl Text {
    /// The text; `None` for NULL. `what` is what a message calls it.
    pub fn get(&self, what: &str) -> Result<Option<&str>, Refusal> {
        let Some(text) = self.as_c() else {
            return Ok(None);
        };
        match text.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Refusal::invalid(format!(
                "{what} is not UTF-8: {:?}",
                text.to_string_lossy()
            ))),
        }
    }

    /// The text, which must be there.
    pub fn required(&self, what: &str) -> Result<&str, Refusal> {
        self.get(what)?
            .ok_or_else(|| Refusal::invalid(format!("{what} is missing: the pointer is NULL")))
    }

    /// The bytes; `None` for NULL.
    pub fn as_c(&self) -> Option<&CStr> {
        // SAFETY: C passed it as a text that is ended by NUL and outlives the call.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })
    }
}

/// An array of texts, ended by NULL; or NULL.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Words(*const Text);

impl Words {
    /// The texts; `None` for NULL.
    pub fn get(&self, what: &str) -> Result<Option<Vec<String>>, Refusal> {
        let Some(words) = self.as_c() else {
            return Ok(None);
        };
        let text = |word: &Text| word.get(what).map(|t| t.unwrap_or_default().to_string());
        words.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// The address.
    pub fn as_ptr(&self) -> *const *const c_char {
        self.0.cast()
    }

    /// The pointers without the NULL at the end; `None` for NULL.
    pub fn as_c(&self) -> Option<&[Text]> {
        if self.0.is_null() {
            return None;
        }
        let mut count = 0;
        // SAFETY: C passed it as an array that is ended by NULL; it is read up to there.
        while unsafe { !(*self.0.add(count)).0.is_null() } {
            count += 1;
        }
        // SAFETY: as many entries were just read.
        Some(unsafe { std::slice::from_raw_parts(self.0, count) })
    }
}

/// Something to read; or NULL.
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T> In<T> {
    /// What our own side passes.
    pub fn to(value: &T) -> In<T> {
        In(value)
    }

    /// What is there; `None` for NULL.
    pub fn get(&self) -> Option<&T> {
        // SAFETY: C passed it as NULL or as such an object, which outlives the call.
        unsafe { self.0.as_ref() }
    }
}

/// A place to write to; or NULL.
#[repr(transparent)]
pub struct Out<T>(*mut T);

// Derived, they would ask the same of T.
impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Out<T> {}

impl<T> Out<T> {
    /// Whether there is no place.
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// The address, for a place that is shorter or longer than a T.
    pub fn as_ptr(&self) -> *mut T {
        self.0
    }

    /// Writes, if there is a place.
    pub fn set(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: C passed it as a place for such an object.
            unsafe { self.0.write(value) }
        }
    }
}

impl<T: Copy> Out<T> {
    /// What is there now; `None` for NULL.
    pub fn get(&self) -> Option<T> {
        // SAFETY: C passed it as NULL or as such an object.
        unsafe { self.0.as_ref().copied() }
    }
}
