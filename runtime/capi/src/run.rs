//! The two functions that clients run inside.
//!
//! attach() knows them and runs nothing of the caller's. Where they are called all the same, it is in
//! a child that shares the memory of a process with threads: they log nothing and take no lock.

use crate::argument::{In, Text, Words};
use crate::layout::{AttachFunction, lxc_attach_command_t};
use libc::{c_int, c_void};
use lxc_runtime::Command;
use std::ffi::{CStr, CString};

/// What [`lxc_attach_run_command`] returns if there is no such program.
const MISSING: c_int = 127;
/// If it cannot be executed.
const NOT_EXECUTABLE: c_int = 126;

/// Becomes the program; returns only when it cannot.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_attach_run_command(payload: In<lxc_attach_command_t>) -> c_int {
    let Some(command) = payload.get() else {
        return -1;
    };
    let (Some(program), Some(_)) = (command.program.as_c(), command.argv.as_c()) else {
        return -1;
    };
    // SAFETY: a text, and an array ended by NULL, both C's and alive.
    unsafe { libc::execvp(program.as_ptr(), command.argv.as_ptr()) };
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ENOENT) => MISSING,
        Some(libc::EACCES | libc::ENOEXEC) => NOT_EXECUTABLE,
        _ => -1,
    }
}

/// Becomes the shell of the user inside, else /bin/sh; returns only when it cannot.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_attach_run_shell(_payload: *mut c_void) -> c_int {
    // SAFETY: takes nothing.
    let uid = unsafe { libc::getuid() };
    // Not by the C library's means: those would load code that the guest has chosen.
    let users = std::fs::read("/etc/passwd").unwrap_or_default();
    let own = shell_of(&users, uid);
    for shell in [own.as_deref(), Some(c"/bin/sh")].into_iter().flatten() {
        let argv = [shell.as_ptr(), std::ptr::null()];
        // SAFETY: a text, and an array ended by NULL.
        unsafe { libc::execv(shell.as_ptr(), argv.as_ptr()) };
    }
    -1
}

/// The last field of the first line about `uid` in the text of a passwd file.
fn shell_of(users: &[u8], uid: u32) -> Option<CString> {
    let fields = |line: &[u8]| -> Option<Vec<u8>> {
        let mut fields = line.split(|byte| *byte == b':');
        let found = fields.nth(2)? == uid.to_string().as_bytes();
        fields.nth(3).filter(|_| found).map(<[u8]>::to_vec)
    };
    let shell = users.split(|byte| *byte == b'\n').find_map(fields)?;
    CString::new(shell).ok().filter(|shell| !shell.is_empty())
}

/// The command that a call of `function` would amount to; `None` for a function of the caller's, and
/// for what only the function itself can do.
pub fn recognised(function: AttachFunction, payload: *mut c_void) -> Option<Command> {
    if function as usize == lxc_attach_run_shell as *const () as usize {
        return Some(Command::Shell);
    }
    if function as usize != lxc_attach_run_command as *const () as usize {
        return None;
    }
    // SAFETY: this function's payload is such a structure, or NULL.
    let command = unsafe { payload.cast::<lxc_attach_command_t>().as_ref() }?;
    program(command.program, command.argv)
}

/// A program with arguments, of which the first is its name.
pub fn program(program: Text, argv: Words) -> Option<Command> {
    let same =
        |first: &Text| first.as_c().map(CStr::to_bytes) == program.as_c().map(CStr::to_bytes);
    if !argv.as_c()?.first().is_some_and(same) {
        return None;
    }
    argv.get("an argument").ok().flatten().map(Command::Program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_the_seventh_field_of_the_users_line() {
        let users = b"root:x:0:0:root:/root:/bin/bash\nbroken:x:7\nme:x:7:7::/home/me:/bin/zsh\n\
                      none:x:8:8::/:\n";
        assert_eq!(shell_of(users, 0).as_deref(), Some(c"/bin/bash"));
        assert_eq!(shell_of(users, 7).as_deref(), Some(c"/bin/zsh"));
        assert_eq!(shell_of(users, 8), None);
        assert_eq!(shell_of(users, 9), None);
    }
}
