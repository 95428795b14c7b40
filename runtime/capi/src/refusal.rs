//! Why something was not done, and how C is told.

use libc::{c_char, c_int};
use lxc_runtime::{Error, ErrorKind};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Why a function did not do what it was asked.
#[derive(Debug)]
pub struct Refusal {
    /// The sentence for the caller.
    pub sentence: String,
    /// What errno becomes.
    pub errno: c_int,
    /// What a function returns whose failures are told apart: -errno, unless LXC has another.
    pub code: c_int,
    /// Whether nothing went wrong: what was asked for just is not there.
    pub is_absence: bool,
}

pub type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    /// Something failed.
    pub fn new(errno: c_int, sentence: impl Into<String>) -> Refusal {
        Refusal {
            sentence: sentence.into(),
            errno,
            code: -errno,
            is_absence: false,
        }
    }

    /// An argument that cannot be used.
    pub fn invalid(sentence: impl Into<String>) -> Refusal {
        Refusal::new(libc::EINVAL, sentence)
    }

    /// Not there; nothing for a log.
    pub fn absent(errno: c_int, sentence: impl Into<String>) -> Refusal {
        Refusal {
            is_absence: true,
            ..Refusal::new(errno, sentence)
        }
    }

    /// Returned as `code`.
    pub fn coded(self, code: c_int) -> Refusal {
        Refusal { code, ..self }
    }

    fn panicked(payload: &(dyn Any + Send)) -> Refusal {
        let said = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("without a message");
        let sentence = format!("a fault in liblxc: it panicked: {said}; please report this");
        Refusal::new(libc::EIO, sentence)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let by_kind = match error.kind() {
            ErrorKind::AlreadyRunning => libc::EBUSY,
            ErrorKind::NotRunning => libc::ECONNREFUSED,
            ErrorKind::NotDefined => libc::ENOENT,
            ErrorKind::Exists => libc::EEXIST,
            ErrorKind::Denied => libc::EPERM,
            ErrorKind::BadName | ErrorKind::BadConfig => libc::EINVAL,
            ErrorKind::NotImplemented => libc::ENOSYS,
            ErrorKind::TimedOut => libc::ETIMEDOUT,
            _ => libc::EIO,
        };
        Refusal {
            is_absence: error.kind() == ErrorKind::NotRunning,
            ..Refusal::new(error.errno().unwrap_or(by_kind), error.to_string())
        }
    }
}

/// Every function of C's enters here: no panic leaves, and the typed library knows where it was
/// loaded from.
pub fn guarded<T>(body: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    static LOCATED: Once = Once::new();
    LOCATED.call_once(|| {
        if let Some(file) = crate::location::own_file() {
            lxc_runtime::set_library(&file);
        }
    });
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Refusal::panicked(&*panic)))
}

/// A function that belongs to no object: what goes wrong is logged.
pub fn global<T>(failed: impl FnOnce(c_int) -> T, body: impl FnOnce() -> Outcome<T>) -> T {
    guarded(body).unwrap_or_else(|refusal| {
        refusal.log();
        refusal.set_errno();
        failed(refusal.code)
    })
}

impl Refusal {
    /// Logs it once, as what it is.
    pub fn log(&self) {
        match self.is_absence {
            true => log::info!("{}", self.sentence),
            false => log::error!("{}", self.sentence),
        }
    }

    /// For the caller: after the log, which makes system calls.
    pub fn set_errno(&self) {
        set_errno(self.errno);
    }
}

pub fn set_errno(errno: c_int) {
    // SAFETY: the C library gives the place of this thread's errno.
    unsafe { *libc::__errno_location() = errno }
}

/// `false` as a failure.
pub fn no(_code: c_int) -> bool {
    false
}

/// The negative number itself.
pub fn code(code: c_int) -> c_int {
    code
}

/// -1, whatever it was.
pub fn minus_one(_code: c_int) -> c_int {
    -1
}

/// NULL.
pub fn null<T>(_code: c_int) -> *mut T {
    std::ptr::null_mut()
}

/// NULL.
pub fn no_text(_code: c_int) -> *const c_char {
    std::ptr::null()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_refusal() {
        let refusal = guarded::<()>(|| panic!("on {}", "purpose")).unwrap_err();
        assert!(refusal.sentence.contains("on purpose"), "{refusal:?}");
        assert_eq!(refusal.code, -libc::EIO);
    }
}
