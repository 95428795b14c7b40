//! Archives in the form that the kernel unpacks into its first filesystem ("newc").

use std::io::{self, Write};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link; its content is the target.
    Link,
}

/// The head of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    /// Path without a slash at its start.
    pub(super) name: &'a str,
    /// What it is.
    pub(super) kind: Kind,
    /// Permission bits.
    pub(super) mode: u32,
    /// User and group.
    pub(super) owner: (u32, u32),
    /// Bytes that follow.
    pub(super) size: u64,
}

/// Writes an archive, entry by entry, parents first.
pub(super) struct Writer<W: Write> {
    out: W,
    entries: u32,
}

impl<W: Write> Writer<W> {
    /// An archive without entries.
    pub(super) fn new(out: W) -> Writer<W> {
        Writer { out, entries: 0 }
    }

    /// Adds an entry; `content` must write exactly `head.size` bytes.
    pub(super) fn entry(
        &mut self,
        head: Head,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        // Entries with one number would be hard links.
        self.entries += 1;
        let kind = match head.kind {
            Kind::Directory => 0o040_000,
            Kind::File => 0o100_000,
            Kind::Link => 0o120_000,
        };
        self.head(head, kind)?;
        let mut counted = Counted {
            out: &mut self.out,
            count: 0,
        };
        content(&mut counted)?;
        if counted.count != head.size {
            let what = format!("{}: {} bytes of {}", head.name, counted.count, head.size);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        self.pad(head.size as usize)
    }

    /// Ends the archive and gives the stream back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entries = 0;
        let name = "TRAILER!!!";
        self.head(
            Head {
                name,
                kind: Kind::File,
                mode: 0,
                owner: (0, 0),
                size: 0,
            },
            0,
        )?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Thirteen numbers of eight hexadecimal digits, then the name with a zero behind it.
    fn head(&mut self, head: Head, kind: u32) -> io::Result<()> {
        let too_big = || io::Error::new(io::ErrorKind::InvalidInput, "4 GiB or more");
        let size = u32::try_from(head.size).map_err(|_| too_big())?;
        let (uid, gid) = head.owner;
        let name_size = head.name.len() as u32 + 1;
        let mode = kind | head.mode;
        let fields = [
            self.entries,
            mode,
            uid,
            gid,
            1,
            0,
            size,
            0,
            0,
            0,
            0,
            name_size,
            0,
        ];
        write!(self.out, "070701")?;
        for field in fields {
            write!(self.out, "{field:08x}")?;
        }
        self.out.write_all(head.name.as_bytes())?;
        self.out.write_all(&[0])?;
        self.pad(110 + head.name.len() + 1)
    }

    /// Names and contents are followed by zeros up to a multiple of four.
    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..length.wrapping_neg() % 4])
    }
}

struct Counted<'a, W> {
    out: &'a mut W,
    count: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn archive() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        let owner = (0, 0);
        let head = Head {
            name: "dir",
            kind: Kind::Directory,
            mode: 0o1777,
            owner,
            size: 0,
        };
        writer.entry(head, |_| Ok(())).unwrap();
        for content in ["", "1", "12", "123", "1234"] {
            let name = format!("dir/f{content}");
            let size = content.len() as u64;
            let head = Head {
                name: &name,
                kind: Kind::File,
                mode: 0o640,
                owner,
                size,
            };
            writer
                .entry(head, |out| out.write_all(content.as_bytes()))
                .unwrap();
        }
        let head = Head {
            name: "link",
            kind: Kind::Link,
            mode: 0o777,
            owner,
            size: 6,
        };
        writer.entry(head, |out| out.write_all(b"dir/f1")).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn an_independent_reader_finds_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut cpio = Command::new("/bin/busybox")
            .args(["cpio", "-i"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("busybox is needed by the machines and by this test");
        cpio.stdin.take().unwrap().write_all(&archive()).unwrap();
        assert!(cpio.wait().unwrap().success());
        for content in ["", "1", "12", "123", "1234"] {
            let path = dir.path().join(format!("dir/f{content}"));
            assert_eq!(std::fs::read_to_string(path).unwrap(), content);
        }
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join("dir"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode, 0o041_777);
        assert_eq!(
            std::fs::read_link(dir.path().join("link"))
                .unwrap()
                .to_str(),
            Some("dir/f1")
        );
    }

    #[test]
    fn an_entry_of_another_size_than_it_says_is_an_error() {
        let mut writer = Writer::new(Vec::new());
        let head = Head {
            name: "f",
            kind: Kind::File,
            mode: 0,
            owner: (0, 0),
            size: 3,
        };
        let error = writer
            .entry(head, |out| out.write_all(b"four"))
            .unwrap_err();
        assert_eq!(error.to_string(), "f: 4 bytes of 3");
        let head = Head {
            size: 1 << 32,
            ..head
        };
        assert!(
            writer
                .entry(head, |_| Ok(()))
                .unwrap_err()
                .to_string()
                .contains("4 GiB")
        );
    }
}
