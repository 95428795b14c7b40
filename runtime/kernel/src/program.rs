//! Programs: finding, sealing and executing them.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::{describe, memfd, seal, write_all};
use crate::mount::{clone_tree, set_attrs};
use crate::sys::calls;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Where programs are looked for if the environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Opens a program as a place (O_PATH), for [`exec_fd`] or a spawn.
pub fn open_program(path: &Path) -> Result<OwnedFd> {
    crate::file::open_path(path)
}

/// Becomes the program `argv[0]`; returns only if that fails.
///
/// A name without `/` is looked for in PATH of `env`, or in /bin and /usr/bin; a file without a
/// known format is given to /bin/sh. Signal mask, ignored signals and descriptors without
/// close-on-exec are inherited.
pub fn exec(argv: &[CString], env: &[CString]) -> SysError {
    let Some(name) = argv.first() else {
        return SysError::new("execve", "no arguments", Errno::INVAL);
    };
    let failed = |errno| SysError::new("execve", format!("{name:?}"), errno);
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return failed(Errno::NOENT);
    }
    if bytes.contains(&b'/') {
        return failed(exec_or_interpret(name.clone(), argv, env));
    }
    let path = env
        .iter()
        .find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="))
        .unwrap_or(DEFAULT_PATH);
    // A file that may not be executed is the better explanation if nothing else is found.
    let mut reason = Errno::NOENT;
    for candidate in candidates(path, bytes) {
        match exec_or_interpret(candidate, argv, env) {
            Errno::ACCESS => reason = Errno::ACCESS,
            Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT => {}
            errno => return failed(errno),
        }
    }
    failed(reason)
}

/// The names to try for `name`, in PATH's order; an empty part is the working directory.
fn candidates(path: &[u8], name: &[u8]) -> Vec<CString> {
    path.split(|byte| *byte == b':')
        .filter_map(|dir| {
            let slash: &[u8] = if dir.is_empty() { b"" } else { b"/" };
            // Neither part came with a NUL: both are parts of C strings.
            CString::new([dir, slash, name].concat()).ok()
        })
        .collect()
}

/// execve(2); a file that is no program is run by /bin/sh, as execvp does.
fn exec_or_interpret(path: CString, argv: &[CString], env: &[CString]) -> Errno {
    match calls::execve(&path, argv, env) {
        Errno::NOEXEC => {
            let shell = [c"/bin/sh".to_owned(), path];
            let words: Vec<CString> = shell.iter().chain(&argv[1..]).cloned().collect();
            calls::execve(c"/bin/sh", &words, env)
        }
        errno => errno,
    }
}

/// Becomes the program behind a descriptor; returns only if that fails.
///
/// A script fails with ENOENT if `fd` is close-on-exec: its interpreter could not read it.
pub fn exec_fd(fd: BorrowedFd, argv: &[CString], env: &[CString]) -> SysError {
    let errno = calls::execveat(fd, argv, env);
    SysError::new(
        "execveat",
        format!("{}, \"\", AT_EMPTY_PATH", describe(fd)),
        errno,
    )
}

/// Opens a program in a form that whoever sees it running cannot change through /proc/PID/exe.
///
/// That is a detached read-only mount of the file or, where the kernel cannot or the caller may
/// not, a sealed copy in memory. An unprivileged caller (`privileged` false) gets the plain file:
/// whoever could change it through the process could do so anyway.
pub fn sealed_program(path: &Path, privileged: bool) -> Result<OwnedFd> {
    if !privileged {
        return open_program(path);
    }
    match sealed_mount(path) {
        Err(error) if matches!(error.errno, Errno::PERM | Errno::NOSYS | Errno::INVAL) => {
            sealed_copy(path)
        }
        other => other,
    }
}

fn sealed_mount(path: &Path) -> Result<OwnedFd> {
    let mount = clone_tree(None, path, false)?;
    set_attrs(mount.as_fd(), libc::MOUNT_ATTR_RDONLY, 0, false)?;
    Ok(mount)
}

fn sealed_copy(path: &Path) -> Result<OwnedFd> {
    let args = || format!("{path:?}");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = retry(|| openat(CWD, path, flags, Mode::empty())).called("openat", args)?;
    let found = fstat(&file).called("fstat", args)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(SysError::new("openat", args(), Errno::ACCESS));
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let copy = memfd(&name.unwrap_or_default(), libc::MFD_EXEC)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = retry(|| rustix::io::read(&file, &mut buffer)).called("read", args)?;
        if read == 0 {
            break;
        }
        write_all(copy.as_fd(), &buffer[..read])?;
    }
    rustix::fs::fchmod(&copy, Mode::from_raw_mode(0o755)).called("fchmod", args)?;
    seal(copy.as_fd())?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_searched_in_order() {
        for (path, found) in [
            ("/bin:/usr/bin", vec![c"/bin/x", c"/usr/bin/x"]),
            ("", vec![c"x"]),
            ("/a:", vec![c"/a/x", c"x"]),
            (":rel", vec![c"x", c"rel/x"]),
        ] {
            let names: Vec<_> = found.into_iter().map(ToOwned::to_owned).collect();
            assert_eq!(candidates(path.as_bytes(), b"x"), names, "{path:?}");
        }
    }

    #[test]
    fn a_failed_exec_says_why() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("plain"), "").unwrap();
        let path = |dirs: &str| vec![CString::new(format!("PATH={dirs}")).unwrap()];
        let here = dir.path().to_str().unwrap();
        for (name, env, errno) in [
            ("", vec![], Errno::NOENT),
            ("no-such-program", vec![], Errno::NOENT),
            ("no-such-program", path("/dev/null:/"), Errno::NOENT),
            ("plain", path(&format!("{here}:/nowhere")), Errno::ACCESS),
            ("/", vec![], Errno::ACCESS),
        ] {
            let error = exec(&[CString::new(name).unwrap()], &env);
            assert_eq!(error.errno, errno, "{name:?}: {error}");
        }
        assert_eq!(exec(&[], &[]).errno, Errno::INVAL);
    }

    #[test]
    fn a_sealed_program_cannot_be_written() {
        use crate::file::{open_path, read_path};
        use std::os::fd::AsRawFd;
        let copy = sealed_copy(Path::new("/bin/true")).unwrap();
        let link = format!("/proc/self/fd/{}", copy.as_raw_fd());
        let open = |flags| openat(CWD, link.as_str(), flags | OFlags::CLOEXEC, Mode::empty());
        let writable = open(OFlags::WRONLY).unwrap();
        assert_eq!(rustix::io::write(&writable, b"x"), Err(Errno::PERM));
        let same = read_path(Path::new(&link), 64 << 20).unwrap();
        assert_eq!(same, std::fs::read("/bin/true").unwrap());
        assert!(
            sealed_copy(Path::new("/dev/null"))
                .unwrap_err()
                .is(Errno::ACCESS)
        );
        assert!(open_path(Path::new("/no/such")).is_err());
    }
}
