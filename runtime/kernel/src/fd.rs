//! File descriptors: what they are, where they lie, and sealed memory behind them.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::sys::{calls, vfork};
use rustix::fs::{OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, openat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Describes a descriptor for an error message: `fd 5 </srv/x>`, or `fd 5` without /proc.
pub fn describe(fd: BorrowedFd) -> String {
    let number = fd.as_raw_fd();
    if number < 0 {
        return "AT_FDCWD".to_owned();
    }
    match std::fs::read_link(format!("/proc/self/fd/{number}")) {
        Ok(path) => format!("fd {number} <{}>", path.display()),
        Err(_) => format!("fd {number}"),
    }
}

/// Gives two connected sockets that keep message boundaries (AF_UNIX, SOCK_SEQPACKET).
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    socketpair(family, kind, SocketFlags::CLOEXEC, None)
        .called("socketpair", || "AF_UNIX, SOCK_SEQPACKET".to_owned())
}

/// Closes every descriptor from number `first` on.
///
/// For a process about to become something else: any `OwnedFd` that the caller still holds in that
/// range is dead afterwards and must be forgotten, never dropped.
pub fn close_from(first: RawFd) -> Result<()> {
    let from = u32::try_from(first).unwrap_or(0);
    match retry(|| calls::close_range(from, u32::MAX)) {
        Err(Errno::NOSYS | Errno::PERM) if vfork::close_listed(from, u32::MAX, &|_| false) => {
            Ok(())
        }
        other => other.called("close_range", || format!("{from}, ~0")),
    }
}

/// Moves a descriptor to the lowest free number that is at least `floor`.
pub fn raise_above(fd: OwnedFd, floor: RawFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() >= floor {
        return Ok(fd);
    }
    retry(|| fcntl_dupfd_cloexec(&fd, floor)).called("fcntl", || {
        format!("{}, F_DUPFD_CLOEXEC, {floor}", describe(fd.as_fd()))
    })
}

/// Makes `number` another name of `fd`, kept across exec; what was open there is closed.
///
/// Meant for 0, 1, 2 and for numbers agreed on with the next program.
pub fn place_at(fd: BorrowedFd, number: RawFd) -> Result<()> {
    let done = if fd.as_raw_fd() == number {
        calls::set_close_on_exec(number, false)
    } else {
        retry(|| calls::dup_onto(fd, number))
    };
    done.called("dup3", || format!("{}, {number}, 0", describe(fd)))
}

/// Sets or clears close-on-exec.
pub fn set_cloexec(fd: BorrowedFd, on: bool) -> Result<()> {
    calls::set_close_on_exec(fd.as_raw_fd(), on).called("fcntl", || {
        format!("{}, F_SETFD, {}", describe(fd), u8::from(on))
    })
}

/// Makes standard input, output and error /dev/null.
pub fn null_stdio() -> Result<()> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
    let null = retry(|| openat(rustix::fs::CWD, "/dev/null", flags, 0.into()))
        .called("openat", || "\"/dev/null\", O_RDWR".to_owned())?;
    // Opened at 0, 1 or 2 itself (they were closed), it must not be dropped at the end.
    let null = raise_above(null, 3)?;
    (0..=2).try_for_each(|number| place_at(null.as_fd(), number))
}

/// Puts `bytes` into an anonymous file that nobody can change or resize any more, offset 0.
///
/// `name` is what /proc shows; it needs no uniqueness.
pub fn memfd_sealed(name: &str, bytes: &[u8]) -> Result<OwnedFd> {
    let memfd = memfd(name, libc::MFD_NOEXEC_SEAL)?;
    write_all(memfd.as_fd(), bytes)?;
    seal(memfd.as_fd())?;
    rustix::fs::seek(&memfd, rustix::fs::SeekFrom::Start(0))
        .called("lseek", || describe(memfd.as_fd()))?;
    Ok(memfd)
}

/// A writable memfd that can be sealed; `use_bits` says whether it may be executed, on kernels
/// (6.3) that ask for it.
pub(crate) fn memfd(name: &str, use_bits: u32) -> Result<OwnedFd> {
    let failed = |errno| SysError::new("memfd_create", format!("{name:?}"), errno);
    let text = CString::new(name).map_err(|_| failed(Errno::INVAL))?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    match retry(|| calls::memfd_create(&text, flags | use_bits)) {
        Err(Errno::INVAL) => retry(|| calls::memfd_create(&text, flags)).map_err(failed),
        other => other.map_err(failed),
    }
}

/// Forbids growing, shrinking, writing, and the lifting of these bans.
pub(crate) fn seal(memfd: BorrowedFd) -> Result<()> {
    fcntl_add_seals(memfd, frozen() | SealFlags::SEAL)
        .called("fcntl", || format!("{}, F_ADD_SEALS", describe(memfd)))
}

fn frozen() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

/// Reads the whole content of a sealed memfd, wherever its offset stands.
///
/// One that its sender could still change is refused with EPERM, any other kind of file with
/// EINVAL.
pub fn read_memfd(fd: BorrowedFd) -> Result<Vec<u8>> {
    let args = || format!("{}, F_GET_SEALS", describe(fd));
    let seals = retry(|| fcntl_get_seals(fd)).called("fcntl", args)?;
    if !seals.contains(frozen()) {
        return Err(SysError::new("fcntl", args(), Errno::PERM));
    }
    let size = fstat(fd).called("fstat", || describe(fd))?.st_size;
    let mut content = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut filled = 0;
    while filled < content.len() {
        let read = retry(|| rustix::io::pread(fd, &mut content[filled..], filled as u64))
            .called("pread64", || describe(fd))?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    content.truncate(filled);
    Ok(content)
}

/// Reads to the end, from the current offset; more than `max` bytes are refused with EFBIG.
///
/// Blocks as the descriptor does.
pub fn read_all_small(fd: BorrowedFd, max: usize) -> Result<Vec<u8>> {
    let failed = |errno| SysError::new("read", format!("{}, {max}", describe(fd)), errno);
    let mut content = Vec::new();
    // One byte more than allowed, to see that there is more.
    let room = max.saturating_add(1);
    loop {
        let filled = content.len();
        content.resize(room.min(filled + 4096.max(filled)), 0);
        let read = retry(|| rustix::io::read(fd, &mut content[filled..])).map_err(failed)?;
        content.truncate(filled + read);
        if content.len() > max {
            return Err(failed(Errno::FBIG));
        }
        if read == 0 {
            return Ok(content);
        }
    }
}

/// Writes all of `bytes`, in as many calls as it takes.
pub fn write_all(fd: BorrowedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let written = retry(|| rustix::io::write(fd, bytes)).called("write", || {
            format!("{}, {} bytes", describe(fd), bytes.len())
        })?;
        bytes = &bytes[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_memfd_is_read_back_and_an_open_one_is_refused() {
        let sealed = memfd_sealed("request", b"hello").unwrap();
        assert_eq!(read_memfd(sealed.as_fd()).unwrap(), b"hello");
        assert_eq!(rustix::io::write(&sealed, b"x"), Err(Errno::PERM));
        assert_eq!(read_all_small(sealed.as_fd(), 5).unwrap(), b"hello");

        let open = memfd("open", libc::MFD_NOEXEC_SEAL).unwrap();
        write_all(open.as_fd(), b"hello").unwrap();
        assert_eq!(read_memfd(open.as_fd()).unwrap_err().errno, Errno::PERM);

        let file = tempfile::tempfile().unwrap();
        assert_eq!(read_memfd(file.as_fd()).unwrap_err().errno, Errno::INVAL);
    }

    #[test]
    fn reading_stops_at_the_limit() {
        for (length, max, read) in [
            (0, 0, true),
            (1, 0, false),
            (9000, 9000, true),
            (9001, 9000, false),
        ] {
            let memfd = memfd_sealed("limit", &vec![b'x'; length]).unwrap();
            let result = read_all_small(memfd.as_fd(), max);
            match result {
                Ok(content) => assert!(read && content.len() == length, "{length} of {max}"),
                Err(error) => assert!(!read && error.is(Errno::FBIG), "{length} of {max}: {error}"),
            }
        }
    }

    #[test]
    fn a_raised_descriptor_is_the_same_file() {
        let memfd = memfd_sealed("raise", b"x").unwrap();
        let raised = raise_above(memfd, 200).unwrap();
        assert!(raised.as_raw_fd() >= 200);
        assert_eq!(read_memfd(raised.as_fd()).unwrap(), b"x");
        let number = raised.as_raw_fd();
        assert_eq!(raise_above(raised, 200).unwrap().as_raw_fd(), number);
    }

    #[test]
    fn a_descriptor_is_described_by_its_path() {
        let root = crate::file::open_dir(std::path::Path::new("/")).unwrap();
        let number = root.as_raw_fd();
        assert_eq!(describe(root.as_fd()), format!("fd {number} </>"));
    }
}
