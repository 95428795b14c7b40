//! Who this process is: real and effective ids, in its user namespace.

/// The effective user id.
pub fn euid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The real user id.
pub fn ruid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The effective group id.
pub fn egid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// The real group id.
pub fn rgid() -> u32 {
    rustix::process::getgid().as_raw()
}
