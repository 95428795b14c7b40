//! Errors: the failed call as strace would show it.

use std::fmt;

pub use rustix::io::Errno;

/// What every function of this crate returns.
pub type Result<T> = std::result::Result<T, SysError>;

/// One failed call as strace would show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysError {
    /// Name of the system call, e.g. `openat2`.
    pub call: &'static str,
    /// Its arguments as text, descriptors with their path: `fd 5 </srv>, "x"`.
    pub args: String,
    /// Why the kernel refused.
    pub errno: Errno,
}

impl SysError {
    /// Builds the error of `call` with its arguments as text.
    pub fn new(call: &'static str, args: impl Into<String>, errno: Errno) -> SysError {
        SysError {
            call,
            args: args.into(),
            errno,
        }
    }

    /// Tells whether the kernel's reason was `errno`.
    pub fn is(&self, errno: Errno) -> bool {
        self.errno == errno
    }
}

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SysError { call, args, errno } = self;
        let name = errno_name(*errno);
        // std's wording ends in " (os error N)", which says no more than the name does.
        let text = std::io::Error::from(*errno).to_string();
        let words = text
            .rfind(" (os error")
            .map_or(text.as_str(), |at| &text[..at]);
        write!(f, "{call}({args}) = {name} ({words})")
    }
}

impl std::error::Error for SysError {}

/// Turns a bare errno into a [`SysError`]; the arguments are only put into words on failure.
pub(crate) trait Called<T> {
    /// Names the call that gave this result.
    fn called(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Called<T> for std::result::Result<T, Errno> {
    fn called(self, call: &'static str, args: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| SysError::new(call, args(), errno))
    }
}

/// Repeats a call for as long as a signal interrupts it.
pub(crate) fn retry<T>(
    call: impl FnMut() -> std::result::Result<T, Errno>,
) -> std::result::Result<T, Errno> {
    rustix::io::retry_on_intr(call)
}

/// The symbolic name of an errno, `ENOENT`; `E?` if it has none that this crate knows.
pub fn errno_name(errno: Errno) -> &'static str {
    let number = errno.raw_os_error();
    NAMES
        .iter()
        .find(|(known, _)| *known == number)
        .map_or("E?", |(_, name)| name)
}

macro_rules! names {
    ($($name:ident)*) => { &[$((libc::$name, stringify!($name))),*] };
}

/// EWOULDBLOCK, EDEADLOCK and EOPNOTSUPP share numbers with EAGAIN, EDEADLK and ENOTSUP.
const NAMES: &[(i32, &str)] = names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
    ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG
    ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY
    ELOOP ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR
    EXFULL ENOANO EBADRQC EBADSLT EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK
    EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC
    ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ
    EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT
    EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
    ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH
    EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM
    EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE
    ERFKILL EHWPOISON
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_like_strace() {
        for (error, shown) in [
            (
                SysError::new("openat2", "fd 5 </srv>, \"x\"", Errno::NOENT),
                "openat2(fd 5 </srv>, \"x\") = ENOENT (No such file or directory)",
            ),
            (
                SysError::new("close", "fd 1", Errno::from_raw_os_error(4000)),
                "close(fd 1) = E? (Unknown error 4000)",
            ),
            (
                SysError::new("mount", "", Errno::PERM),
                "mount() = EPERM (Operation not permitted)",
            ),
        ] {
            assert_eq!(error.to_string(), shown);
        }
    }

    #[test]
    fn every_number_has_one_name() {
        for (index, (number, name)) in NAMES.iter().enumerate() {
            assert!(
                NAMES[..index].iter().all(|(other, _)| other != number),
                "{name} repeats {number}"
            );
        }
        assert_eq!(errno_name(Errno::LOOP), "ELOOP");
        assert_eq!(errno_name(Errno::AGAIN), "EAGAIN");
    }
}
