//! SHA-256 of files, remembered as long as a file stays untouched.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

/// A file changed this recently may change again without a trace: the kernel's file times are
/// that coarse.
const COARSE: Duration = Duration::from_millis(100);

/// The digest of what it was fed, in small letters.
#[derive(Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    /// Takes more in.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all of it.
    pub(super) fn hex(self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.0.finalize().iter() {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// The digest of some bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.hex()
}

/// The digest of a file, read whole.
pub(super) fn of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    let mut part = vec![0; 1 << 18];
    loop {
        match file.read(&mut part) {
            Ok(0) => return Ok(hasher.hex()),
            Ok(length) => hasher.update(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What every write to a file, every replacement and every copy changes.
///
/// The time of the last change of the inode cannot be set back by programs, as the time of the
/// last write can: what escapes is a disk that forgets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(String);

impl Stamp {
    fn of(path: &Path) -> io::Result<(Stamp, SystemTime)> {
        let meta = fs::metadata(path)?;
        let stamp = format!(
            "{}:{}:{}:{}.{:09}:{}.{:09}",
            meta.dev(),
            meta.ino(),
            meta.size(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec()
        );
        let seconds = Duration::from_secs(meta.ctime().max(0).unsigned_abs());
        let nanos = Duration::from_nanos(meta.ctime_nsec().max(0).unsigned_abs());
        Ok((Stamp(stamp), SystemTime::UNIX_EPOCH + seconds + nanos))
    }
}

/// Digests that were computed once, kept in a file of the cache.
///
/// Each line is `DIGEST STAMP PATH`. The file is a memory only: lost lines cost time.
pub(super) struct Memory {
    file: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    digests: BTreeMap<PathBuf, (Stamp, String)>,
    changed: bool,
}

impl Memory {
    /// What `file` remembers; nothing if it is not there or not readable.
    pub(super) fn open(file: PathBuf) -> Memory {
        let digests = read(&file);
        Memory {
            file,
            known: Mutex::new(Known {
                digests,
                changed: false,
            }),
        }
    }

    /// The digest of a file; read only if it was touched since it was read last.
    pub(super) fn digest(&self, path: &Path) -> io::Result<String> {
        let (before, changed_at) = Stamp::of(path)?;
        if let Some((stamp, digest)) = self.known().digests.get(path)
            && *stamp == before
        {
            return Ok(digest.clone());
        }
        let settled = changed_at + COARSE < SystemTime::now();
        let digest = of_file(path)?;
        if settled && Stamp::of(path)?.0 == before {
            let mut known = self.known();
            known
                .digests
                .insert(path.to_path_buf(), (before, digest.clone()));
            known.changed = true;
        }
        Ok(digest)
    }

    /// Takes a digest for granted: of a file that the caller has just written, and nobody else
    /// writes.
    pub(super) fn learn(&self, path: &Path, digest: &str) {
        if let Ok((stamp, _)) = Stamp::of(path) {
            let mut known = self.known();
            known
                .digests
                .insert(path.to_path_buf(), (stamp, digest.to_string()));
            known.changed = true;
        }
    }

    /// Writes down what is new, beside what other runs have written meanwhile.
    pub(super) fn save(&self) {
        let mut known = self.known();
        if !known.changed {
            return;
        }
        let mut all = read(&self.file);
        all.extend(
            known
                .digests
                .iter()
                .map(|(path, entry)| (path.clone(), entry.clone())),
        );
        let mut text = String::new();
        for (path, (Stamp(stamp), digest)) in &all {
            if let Some(name) = path.to_str()
                && !name.contains('\n')
                && path.exists()
            {
                let _ = writeln!(text, "{digest} {stamp} {name}");
            }
        }
        // A memory that cannot be written costs the next run time, nothing else.
        let _ = lxc_kernel::file::replace_file(&self.file, text.as_bytes(), 0o644);
        known.changed = false;
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> BTreeMap<PathBuf, (Stamp, String)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let entries = text.lines().filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        let (digest, stamp, path) = (words.next()?, words.next()?, words.next()?);
        (digest.len() == 64).then(|| {
            (
                PathBuf::from(path),
                (Stamp(stamp.to_string()), digest.to_string()),
            )
        })
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_sha256sum_writes_it() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), abc);
    }

    #[test]
    fn a_file_written_again_with_its_old_size_and_time_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "one").unwrap();
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        std::thread::sleep(COARSE * 2);
        let memory = Memory::open(dir.path().join("digests"));
        assert_eq!(memory.digest(&path).unwrap(), of_bytes(b"one"));
        memory.save();

        let again = Memory::open(dir.path().join("digests"));
        assert!(again.known().digests.contains_key(&path));
        fs::write(&path, "two").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(written)
            .unwrap();
        assert_eq!(again.digest(&path).unwrap(), of_bytes(b"two"));
    }

    #[test]
    fn what_is_remembered_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "one").unwrap();
        let (Stamp(stamp), _) = Stamp::of(&path).unwrap();
        let digest = "0".repeat(64);
        let line = format!("{digest} {stamp} {}\nnonsense\n", path.display());
        fs::write(dir.path().join("digests"), line).unwrap();
        assert_eq!(
            Memory::open(dir.path().join("digests"))
                .digest(&path)
                .unwrap(),
            digest
        );
    }
}
