//! `lxc.console.logfile`: a copy of what the console says, as long as it may become.

use lxc_kernel::fd::write_all;
use lxc_kernel::{Errno, Result, SysError, users};
use rustix::fs::{FileType, Mode, OFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// The log, open.
#[derive(Debug)]
pub struct LogFile {
    file: OwnedFd,
    path: PathBuf,
    /// `lxc.console.size`; 0 = it may grow without end.
    limit: u64,
    /// `lxc.console.rotate`: what is full becomes `FILE.1`, instead of being cut.
    rotate: bool,
    /// It could not be rotated: nothing more is written.
    given_up: bool,
}

impl LogFile {
    /// Opens it: a regular file, root's or the caller's own, appended to, never through a link.
    ///
    /// # Errors
    /// EINVAL for what is no regular file, EPERM for somebody else's; what open(2) says.
    pub fn open(path: &str, limit: u64, rotate: bool) -> Result<LogFile> {
        Ok(LogFile {
            file: open(path, OFlags::CREATE)?,
            path: PathBuf::from(path),
            limit,
            rotate,
            given_up: false,
        })
    }

    /// What the caller has open already; it may grow without end.
    pub fn given(file: OwnedFd) -> LogFile {
        LogFile {
            file,
            path: PathBuf::new(),
            limit: 0,
            rotate: false,
            given_up: false,
        }
    }

    /// Adds `bytes`. A full disk loses them; a log that cannot be rotated takes no more, and says so
    /// once.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.given_up {
            return;
        }
        if self.limit == 0 {
            // Nobody waits for the log: what has no room is lost.
            let _ = write_all(self.file.as_fd(), bytes);
            return;
        }
        if let Err(error) = self.write_limited(bytes) {
            log::warn!("the console's log ends here: {error}");
            self.given_up = true;
        }
    }

    fn write_limited(&mut self, mut bytes: &[u8]) -> Result<()> {
        loop {
            // Asked each time: whoever keeps the logs of the host may cut it as well.
            let room = usize::try_from(self.limit.saturating_sub(self.length()?));
            let (now, later) = bytes.split_at(bytes.len().min(room.unwrap_or(usize::MAX)));
            // As without a limit.
            let _ = write_all(self.file.as_fd(), now);
            if later.is_empty() {
                return Ok(());
            }
            match self.rotate {
                true => self.begin_anew()?,
                false => self.cut()?,
            }
            bytes = later;
        }
    }

    /// At the end: what nobody has read of the memory's `content` takes the place of a log that has a
    /// limit, as much of it as may stand there. A log without one has it all already.
    pub fn finish(&mut self, content: &[u8]) {
        if self.limit == 0 || content.is_empty() || self.given_up {
            return;
        }
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let written = self
            .cut()
            .and_then(|()| write_all(self.file.as_fd(), &content[..content.len().min(most)]));
        if let Err(error) = written {
            log::warn!("the console's last words are not in its log: {error}");
        }
    }

    fn length(&self) -> Result<u64> {
        let found = rustix::fs::fstat(&self.file);
        let found = found.map_err(|e| self.failed("fstat", e))?;
        Ok(u64::try_from(found.st_size).unwrap_or(0))
    }

    fn cut(&self) -> Result<()> {
        rustix::fs::ftruncate(&self.file, 0).map_err(|e| self.failed("ftruncate", e))
    }

    /// The full one becomes `FILE.1`; a new one takes its place, which must not be there by then.
    fn begin_anew(&mut self) -> Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        rustix::fs::rename(&self.path, &old).map_err(|e| self.failed("rename", e))?;
        let path = self.path.to_string_lossy();
        self.file = open(&path, OFlags::CREATE | OFlags::EXCL)?;
        Ok(())
    }

    fn failed(&self, call: &'static str, errno: Errno) -> SysError {
        SysError::new(call, self.path.display().to_string(), errno)
    }
}

fn open(path: &str, how: OFlags) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::NOFOLLOW
        | OFlags::NOCTTY
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC
        | how;
    let failed = |call, errno| SysError::new(call, path.to_string(), errno);
    let file =
        rustix::fs::open(path, flags, Mode::from_raw_mode(0o640)).map_err(|e| failed("open", e))?;
    let found = rustix::fs::fstat(&file).map_err(|e| failed("fstat", e))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        let what = format!("{path}: not a regular file");
        return Err(SysError::new("open", what, Errno::INVAL));
    }
    // Somebody who can write to the directory may have put it there, to read what is said or to have
    // the guest write where it should not.
    if found.st_uid != 0 && found.st_uid != users::euid() {
        let what = format!("{path}: belongs to user {}", found.st_uid);
        return Err(SysError::new("open", what, Errno::PERM));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const LIMIT: u64 = 10;

    /// Writes `words` one by one; gives the log and the one before it.
    fn logged(limit: u64, rotate: bool, words: &[&str]) -> (String, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(path.to_str().unwrap(), limit, rotate).unwrap();
        for word in words {
            log.write(word.as_bytes());
        }
        let before = std::fs::read_to_string(dir.path().join("log.1")).ok();
        (std::fs::read_to_string(path).unwrap(), before)
    }

    #[rstest]
    #[case(0, false, &["123456", "7890", "abc"], "1234567890abc", None)]
    #[case(0, true, &["123456", "7890", "abc"], "1234567890abc", None)]
    #[case(LIMIT, false, &["123456", "7890"], "1234567890", None)]
    #[case(LIMIT, false, &["123456", "7890abc"], "abc", None)]
    #[case(LIMIT, true, &["123456", "7890abc"], "abc", Some("1234567890"))]
    #[case(LIMIT, true, &["1234567890", "a"], "a", Some("1234567890"))]
    #[case(LIMIT, true, &["1234567890abcdefghijklm"], "klm", Some("abcdefghij"))]
    #[case(LIMIT, false, &["1234567890abcdefghijklm"], "klm", None)]
    fn a_full_log_is_cut_or_set_aside(
        #[case] limit: u64,
        #[case] rotate: bool,
        #[case] words: &[&str],
        #[case] log: &str,
        #[case] before: Option<&str>,
    ) {
        let (now, set_aside) = logged(limit, rotate, words);
        assert_eq!((now.as_str(), set_aside.as_deref()), (log, before));
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let refused = |path: &str| LogFile::open(path, 0, false).unwrap_err();
        assert!(refused(link.to_str().unwrap()).is(Errno::LOOP));
        assert!(refused("/dev/null").is(Errno::INVAL));
        if users::euid() == 0 {
            std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
            let error = refused(file.to_str().unwrap());
            assert!(error.is(Errno::PERM), "{error}");
            assert!(error.to_string().contains("12345"), "{error}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_set_aside_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        // A directory of that name cannot be replaced by a file.
        std::fs::create_dir_all(dir.path().join("log.1/in-the-way")).unwrap();
        let mut log = LogFile::open(path.to_str().unwrap(), LIMIT, true).unwrap();
        log.write(b"1234567890abc");
        log.write(b"more");
        assert_eq!(std::fs::read(path).unwrap(), b"1234567890");
    }

    #[test]
    fn the_end_leaves_what_nobody_read() {
        let dir = tempfile::tempdir().unwrap();
        for (limit, content, expected) in [
            (LIMIT, "abc", "abc"),
            (LIMIT, "", "said"),
            (LIMIT, "1234567890abc", "1234567890"),
            (0, "abc", "said"),
        ] {
            let path = dir.path().join(format!("{limit}{content}"));
            let mut log = LogFile::open(path.to_str().unwrap(), limit, false).unwrap();
            log.write(b"said");
            log.finish(content.as_bytes());
            let found = std::fs::read_to_string(path).unwrap();
            assert_eq!(found, expected, "{limit} {content}");
        }
    }
}
