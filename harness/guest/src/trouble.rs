//! What went wrong: the call, its object and errno, as the end of a sentence.

use std::fmt::Display;
use std::io;

use lxc_kernel::{Errno, SysError, errno_name};

/// What the agent's functions return.
pub type Outcome<T = ()> = Result<T, String>;

/// Names the call that failed and its object.
pub trait Calling<T> {
    /// `call(object) = ERRNO`.
    fn calling(self, call: &str, object: impl Display) -> Outcome<T>;
}

impl<T> Calling<T> for Result<T, Errno> {
    fn calling(self, call: &str, object: impl Display) -> Outcome<T> {
        self.map_err(|errno| format!("{call}({object}) = {}", errno_name(errno)))
    }
}

impl<T> Calling<T> for io::Result<T> {
    fn calling(self, call: &str, object: impl Display) -> Outcome<T> {
        self.map_err(|error| match Errno::from_io_error(&error) {
            Some(errno) => format!("{call}({object}) = {}", errno_name(errno)),
            None => format!("{call}({object}): {error}"),
        })
    }
}

/// Puts an error that already names its call into words.
pub trait Told<T> {
    /// The error as text.
    fn told(self) -> Outcome<T>;
}

impl<T> Told<T> for Result<T, SysError> {
    fn told(self) -> Outcome<T> {
        self.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_call_object_and_errno() {
        let raw: Result<(), Errno> = Err(Errno::NOENT);
        assert_eq!(raw.calling("open", "/x").unwrap_err(), "open(/x) = ENOENT");
        let io = std::fs::read("/nowhere/x");
        assert_eq!(io.calling("open", "/x").unwrap_err(), "open(/x) = ENOENT");
    }
}
