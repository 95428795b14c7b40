//! What kind of thing lies behind a descriptor's number.

use std::mem::{size_of, zeroed};
use std::os::fd::RawFd;

const PROC_MAGIC: u64 = 0x9fa0;
const NSFS_MAGIC: u64 = 0x6e73_6673;
const PIDFS_MAGIC: u64 = 0x5049_4446;
const CGROUP_MAGIC: u64 = 0x27_e0eb;
const CGROUP2_MAGIC: u64 = 0x6367_7270;
/// pidfds had no filesystem of their own before Linux 6.9; this one they shared with epoll and others.
const ANON_INODE_MAGIC: u64 = 0x0904_1934;

/// Device numbers of pseudo-terminals' masters, and majors of their peers.
const MASTER: (u32, u32) = (5, 2);
const PEERS: std::ops::RangeInclusive<u32> = 136..=143;

/// Whether the number is open and close-on-exec.
pub(crate) fn is_close_on_exec(number: RawFd) -> bool {
    // SAFETY: two integers; a number that is not open is answered with -1.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags != -1 && flags & libc::FD_CLOEXEC != 0
}

/// Whether it is a pidfd, a namespace, or of a cgroup's or procfs's tree.
pub(crate) fn is_of_the_kernel(number: RawFd) -> bool {
    match filesystem(number) {
        Some(PROC_MAGIC | NSFS_MAGIC | PIDFS_MAGIC | CGROUP_MAGIC | CGROUP2_MAGIC) => true,
        Some(ANON_INODE_MAGIC) => std::fs::read_link(format!("/proc/self/fd/{number}"))
            .is_ok_and(|link| link.as_os_str() == "anon_inode:[pidfd]"),
        _ => false,
    }
}

/// Whether it is either end of a pseudo-terminal.
pub(crate) fn is_pseudo_terminal(number: RawFd) -> bool {
    // SAFETY: all zero is a valid stat.
    let mut found: libc::stat = unsafe { zeroed() };
    // SAFETY: `found` outlives the call; a number that is not open is answered with -1.
    if unsafe { libc::fstat(number, &raw mut found) } == -1 {
        return false;
    }
    let (major, minor) = (libc::major(found.st_rdev), libc::minor(found.st_rdev));
    let device = found.st_mode & libc::S_IFMT == libc::S_IFCHR;
    device && ((major, minor) == MASTER || PEERS.contains(&major))
}

fn filesystem(number: RawFd) -> Option<u64> {
    // SAFETY: all zero is a valid statfs.
    let mut found: libc::statfs = unsafe { zeroed() };
    // SAFETY: `found` outlives the call; a number that is not open is answered with -1.
    let done = unsafe { libc::fstatfs(number, &raw mut found) };
    (done == 0).then_some(found.f_type as u64)
}

/// The abstract name, without its leading NUL, that a connected socket's peer is bound to.
pub(crate) fn abstract_peer(number: RawFd) -> Option<Vec<u8>> {
    // SAFETY: all zero is a valid address.
    let mut peer: libc::sockaddr_un = unsafe { zeroed() };
    let mut length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `peer`, which outlives the call.
    let done = unsafe { libc::getpeername(number, (&raw mut peer).cast(), &raw mut length) };
    if done == -1 || i32::from(peer.sun_family) != libc::AF_UNIX {
        return None;
    }
    let before = size_of::<libc::sockaddr_un>() - peer.sun_path.len();
    let length = (length as usize).saturating_sub(before);
    let name = peer.sun_path.iter().take(length).map(|it| *it as u8);
    let name: Vec<u8> = name.collect();
    (name.first() == Some(&0)).then(|| name[1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::{AsRawFd, OwnedFd};

    #[test]
    fn handles_of_the_kernel_are_told_from_files() {
        let me = std::process::id() as i32;
        let file = |path: &str| OwnedFd::from(File::open(path).unwrap());
        let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC);
        for (fd, wanted) in [
            (crate::process::pidfd_open(me).unwrap(), true),
            (file("/proc/self/ns/net"), true),
            (file("/proc/self/status"), true),
            (file("/dev/null"), false),
            (file("/"), false),
            (epoll.unwrap(), false),
            (crate::fd::pair().unwrap().0, false),
        ] {
            let what = crate::fd::describe(std::os::fd::AsFd::as_fd(&fd));
            assert_eq!(is_of_the_kernel(fd.as_raw_fd()), wanted, "{what}");
            assert!(is_close_on_exec(fd.as_raw_fd()), "{what}");
        }
        let pty = crate::pty::open_host().unwrap();
        for (fd, wanted) in [
            (pty.master, true),
            (pty.peer, true),
            (file("/dev/null"), false),
            (file("/"), false),
        ] {
            assert_eq!(is_pseudo_terminal(fd.as_raw_fd()), wanted, "{fd:?}");
        }
        for none in [-1, i32::MAX] {
            assert!(!is_pseudo_terminal(none));
            assert!(!is_of_the_kernel(none) && !is_close_on_exec(none));
            assert_eq!(abstract_peer(none), None);
        }
    }

    #[test]
    fn a_connections_peer_is_named() {
        let name = format!("kernel-handles-{}/command", std::process::id());
        let listener = crate::socket::abstract_listener(name.as_bytes(), 1).unwrap();
        let connected = crate::socket::abstract_connect(name.as_bytes()).unwrap();
        let peer = abstract_peer(connected.as_raw_fd());
        assert_eq!(peer.as_deref(), Some(name.as_bytes()));
        assert_eq!(abstract_peer(listener.as_raw_fd()), None);
        let (one, _other) = crate::fd::pair().unwrap();
        assert_eq!(abstract_peer(one.as_raw_fd()), None);
    }
}
