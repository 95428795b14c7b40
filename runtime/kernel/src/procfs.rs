//! A procfs that is known to be one, and files in it that nobody can put something else upon.

use crate::error::{Called, Errno, Result, SysError, retry};
use crate::fd::{describe, read_all_small};
use crate::file::{open_dir, write_once};
use crate::inroot::{below, mount_id};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, openat, readlinkat};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A procfs, verified by its kind and its root inode.
#[derive(Debug)]
pub struct Proc {
    fd: OwnedFd,
}

/// The namespaces of one process: of this one only, whoever has its pid after it.
#[derive(Debug)]
pub struct NamespacesOf {
    dir: OwnedFd,
    pid: i32,
}

impl NamespacesOf {
    /// The numbers (inodes) of its namespaces of these kinds, by which namespaces are told apart as
    /// long as they live. ENOENT or EACCES when the process has gone.
    pub fn numbers<const N: usize>(&self, kinds: [&str; N]) -> Result<[u64; N]> {
        let mut numbers = [0; N];
        for (number, kind) in numbers.iter_mut().zip(kinds) {
            let args = || format!("\"/proc/{}/ns/{kind}\"", self.pid);
            // Nothing can be put upon a link; its text is the kernel's, `pid:[4026531836]`.
            let text = retry(|| readlinkat(&self.dir, kind, Vec::with_capacity(64)))
                .called("readlinkat", args)?;
            *number = number_in(text.as_bytes(), kind)
                .map_err(|errno| SysError::new("readlinkat", args(), errno))?;
        }
        Ok(numbers)
    }
}

const PROC_MAGIC: u64 = 0x9fa0;
pub(crate) const NSFS_MAGIC: u64 = 0x6e73_6673;
const ROOT_INODE: u64 = 1;

impl Proc {
    /// The procfs at /proc.
    pub fn host() -> Result<Proc> {
        Proc::from_fd(open_dir(Path::new("/proc"))?)
    }

    /// A procfs of the calling process' pid namespace that is mounted nowhere: nobody can put anything
    /// upon its files, and it goes with this handle.
    ///
    /// EPERM in a user namespace that sees no whole procfs already.
    pub fn private() -> Result<Proc> {
        Proc::from_fd(crate::mount::new_mount("proc", None, &[], 0)?)
    }

    /// Takes the root directory of a procfs; anything else is refused with ENODEV.
    pub fn from_fd(fd: OwnedFd) -> Result<Proc> {
        let args = || describe(fd.as_fd());
        let filesystem = fstatfs(&fd).called("fstatfs", args)?;
        let found = fstat(&fd).called("fstat", args)?;
        if filesystem.f_type as u64 != PROC_MAGIC || found.st_ino != ROOT_INODE {
            return Err(SysError::new("openat", args(), Errno::NODEV));
        }
        Ok(Proc { fd })
    }

    /// The root directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads a file of at most `max` bytes; `rel` has no leading slash and may begin with `self`.
    ///
    /// A link on the way (ELOOP) or something mounted there (EXDEV) is refused.
    pub fn read(&self, rel: &str, max: usize) -> Result<Vec<u8>> {
        let file = self.open(rel, OFlags::RDONLY | OFlags::NOCTTY)?;
        read_all_small(file.as_fd(), max)
    }

    /// Writes `data` to a file with exactly one write(2); `rel` as for [`Proc::read`].
    pub fn write(&self, rel: &str, data: &[u8]) -> Result<()> {
        let file = self.open(rel, OFlags::WRONLY | OFlags::NOCTTY)?;
        write_once(file.as_fd(), data)
    }

    /// Opens a namespace of the calling process, which may always do that.
    pub fn open_own_ns(&self, ns: &str) -> Result<OwnedFd> {
        let own = self.without_self("self")?;
        let pid = own.parse().map_err(|_| {
            SysError::new("readlinkat", format!("\"self\": {own:?}"), Errno::BADMSG)
        })?;
        self.open_ns(pid, ns)
    }

    /// The program that the calling process runs, as a place (O_PATH), for [`crate::process::exec_fd`].
    pub fn own_program(&self) -> Result<OwnedFd> {
        let dir = self.open(
            &self.without_self("self")?,
            OFlags::PATH | OFlags::DIRECTORY,
        )?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // The kernel's own link to the file, of this process: nobody else says where it leads.
        retry(|| openat(&dir, "exe", flags, Mode::empty()))
            .called("openat", || "\"/proc/self/exe\"".to_owned())
    }

    /// Opens a namespace of a process: `net`, `mnt`, `pid_for_children`, …
    pub fn open_ns(&self, pid: i32, ns: &str) -> Result<OwnedFd> {
        let args = || format!("\"/proc/{pid}/ns/{ns}\"");
        let word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        if ns.is_empty() || !ns.bytes().all(word) {
            return Err(SysError::new("openat", args(), Errno::INVAL));
        }
        let dir = self.open(&format!("{pid}/ns"), OFlags::PATH | OFlags::DIRECTORY)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        // The last step is the kernel's own link to the namespace; what it opened is checked.
        let ns = retry(|| openat(&dir, ns, flags, Mode::empty())).called("openat", args)?;
        let filesystem = fstatfs(&ns).called("fstatfs", args)?;
        if filesystem.f_type as u64 != NSFS_MAGIC {
            return Err(SysError::new("openat", args(), Errno::XDEV));
        }
        Ok(ns)
    }

    /// Whether there is such a file, with no link and no other mount on the way.
    pub fn has(&self, rel: &str) -> bool {
        self.open(rel, OFlags::PATH).is_ok()
    }

    /// The namespaces of a process, to be told from those of others.
    pub fn namespaces_of(&self, pid: i32) -> Result<NamespacesOf> {
        let dir = self.open(&format!("{pid}/ns"), OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(NamespacesOf { dir, pid })
    }

    /// Opens a file; `rel` as for [`Proc::read`].
    pub(crate) fn open_file(&self, rel: &str, flags: OFlags) -> Result<OwnedFd> {
        self.open(rel, flags)
    }

    fn open(&self, rel: &str, flags: OFlags) -> Result<OwnedFd> {
        let path = self.without_self(rel)?;
        let found = match below(self.fd(), path.as_str(), flags) {
            Err(Errno::NOSYS) => self.open_by_parts(&path, flags),
            other => other,
        };
        found.called("openat2", || {
            format!(
                "{}, {rel:?}, RESOLVE_BENEATH|RESOLVE_NO_XDEV",
                describe(self.fd())
            )
        })
    }

    /// `self` and `thread-self` are links, which are refused: put what they say in their place.
    fn without_self(&self, rel: &str) -> Result<String> {
        let (first, rest) = match rel.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (rel, None),
        };
        if first != "self" && first != "thread-self" {
            return Ok(rel.to_owned());
        }
        let args = || format!("{}, {first:?}", describe(self.fd()));
        let target =
            retry(|| readlinkat(&self.fd, first, Vec::new())).called("readlinkat", args)?;
        let target = target.to_string_lossy().into_owned();
        Ok(match rest {
            Some(rest) => format!("{target}/{rest}"),
            None => target,
        })
    }

    /// Without openat2: each component by itself, no links, and on the same mount to the end.
    fn open_by_parts(&self, path: &str, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        if path.starts_with('/') {
            return Err(Errno::XDEV);
        }
        let mount = place(self.fd())?;
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (last, above) = parts.split_last().ok_or(Errno::NOENT)?;
        let mut dir: Option<OwnedFd> = None;
        let mut step = |name: &str, flags: OFlags| {
            if name == ".." {
                return Err(Errno::XDEV);
            }
            let here = dir.as_ref().map_or(self.fd.as_fd(), |fd| fd.as_fd());
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let found = retry(|| openat(here, name, flags, Mode::empty()))?;
            if place(found.as_fd())? != mount {
                return Err(Errno::XDEV);
            }
            dir = Some(found);
            Ok(())
        };
        for name in above {
            // A link opened this way is no directory: the next component fails with ENOTDIR.
            step(name, OFlags::PATH)?;
        }
        step(last, flags)?;
        dir.ok_or(Errno::NOENT)
    }
}

/// The mount that a file of /proc is on; of a process that nobody may dump, before Linux 5.8, only the
/// filesystem: what covers a part of /proc with another part is root's own doing there.
fn place(fd: BorrowedFd) -> std::result::Result<u64, Errno> {
    match mount_id(fd) {
        Err(Errno::OPNOTSUPP) => fstat(fd).map(|found| found.st_dev),
        told => told,
    }
}

/// The number in `KIND:[NUMBER]`; EACCES for no text at all, which is what Linux 5.10 says to who may not
/// look; EBADMSG for anything else.
fn number_in(text: &[u8], kind: &str) -> std::result::Result<u64, Errno> {
    if text.is_empty() {
        return Err(Errno::ACCESS);
    }
    let text = str::from_utf8(text)
        .ok()
        .and_then(|text| text.strip_prefix(kind));
    let number = text.and_then(|text| text.strip_prefix(":[")?.strip_suffix(']')?.parse().ok());
    number.ok_or(Errno::BADMSG)
}

/// Field 9 of /proc/PID/stat: the kernel's PF_* flags (0x40: forked but not executed, 4: exiting).
pub fn stat_flags(pid: i32) -> Result<u32> {
    let path = format!("{pid}/stat");
    let text = Proc::host()?.read(&path, 8192)?;
    let text = String::from_utf8_lossy(&text);
    flags_of(&text)
        .ok_or_else(|| SysError::new("read", format!("/proc/{path}: {text:?}"), Errno::BADMSG))
}

/// The command name is field 2, in parentheses, and may contain anything: count from its end.
fn flags_of(stat: &str) -> Option<u32> {
    let (_, after) = stat.rsplit_once(')')?;
    let state_is_third = 3;
    after
        .split_whitespace()
        .nth(9 - state_is_third)?
        .parse()
        .ok()
}

/// Gives the pid, in the pid namespace of /proc, of the process a pidfd refers to; -1 once it has
/// been reaped.
pub fn pid_of(pidfd: BorrowedFd) -> Result<i32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let info = crate::file::read_path(std::path::Path::new(&path), 4096)?;
    let info = String::from_utf8_lossy(&info);
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    pid.and_then(|pid| pid.trim().parse().ok())
        .ok_or_else(|| SysError::new("read", path, Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inroot::tests::both_ways;

    #[test]
    fn numbers_of_namespaces() {
        for (text, expected) in [
            ("pid:[4026531836]", Ok(4_026_531_836)),
            ("", Err(Errno::ACCESS)),
            ("pid:[]", Err(Errno::BADMSG)),
            ("user:[1]", Err(Errno::BADMSG)),
            ("pid:[1", Err(Errno::BADMSG)),
        ] {
            assert_eq!(number_in(text.as_bytes(), "pid"), expected, "{text:?}");
        }
    }

    #[test]
    fn the_flags_are_found_behind_any_name() {
        for (stat, flags) in [
            ("1 (init) S 0 1 1 0 -1 4194560 1 2", Some(4_194_560)),
            ("7 (a) b) S 1 2) R 0 1 1 0 -1 64 0", Some(64)),
            ("7 (x) S 1 2", None),
            ("", None),
        ] {
            assert_eq!(flags_of(stat), flags, "{stat:?}");
        }
        let me = stat_flags(std::process::id() as i32).unwrap();
        assert_eq!(me & 4, 0, "not exiting");
        assert!(stat_flags(-1).unwrap_err().is(Errno::NOENT));
    }

    #[test]
    fn only_true_proc_files_are_opened() {
        both_ways(|how| {
            let proc = Proc::host().unwrap();
            let comm = proc.read("self/comm", 100).unwrap();
            assert!(!comm.is_empty(), "{how}");
            proc.write("self/comm", b"renamed").unwrap();
            for (path, errnos) in [
                ("self/exe", [Errno::LOOP, Errno::LOOP]),
                ("self/cwd/x", [Errno::LOOP, Errno::NOTDIR]),
                ("self/root/etc/passwd", [Errno::LOOP, Errno::NOTDIR]),
                ("mounts", [Errno::LOOP, Errno::LOOP]),
                ("../etc/passwd", [Errno::XDEV, Errno::XDEV]),
                ("self/../../etc/passwd", [Errno::XDEV, Errno::XDEV]),
                ("/etc/passwd", [Errno::XDEV, Errno::XDEV]),
                ("no-such-file", [Errno::NOENT, Errno::NOENT]),
                ("", [Errno::NOENT, Errno::NOENT]),
            ] {
                let error = proc.read(path, 1000).unwrap_err();
                assert!(errnos.contains(&error.errno), "{how}, {path}: {error}");
            }
            let me = std::process::id() as i32;
            proc.open_ns(me, "net").unwrap();
            for bad in ["", "../exe", "net/x", ".."] {
                let error = proc.open_ns(me, bad).unwrap_err();
                assert!(error.is(Errno::INVAL), "{how}, {bad}");
            }
            assert!(
                proc.open_ns(me, "nothing").unwrap_err().is(Errno::NOENT),
                "{how}"
            );
        });
    }

    #[test]
    fn what_is_no_procfs_is_refused() {
        for path in ["/", "/proc/self", "/proc/sys", "/sys"] {
            let error = Proc::from_fd(open_dir(Path::new(path)).unwrap()).unwrap_err();
            assert!(error.is(Errno::NODEV), "{path}: {error}");
        }
    }
}
