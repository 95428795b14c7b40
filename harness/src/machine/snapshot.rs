//! A machine's memory and the state of its devices, in one file.
//!
//! The file begins with the memory, as it was, with holes where nothing was ever written: machines
//! map it privately, so they share what they do not change, and restoring reads nothing. Then come
//! a length (four bytes, little end first), that many bytes of what the machine was made of, and
//! QEMU's own stream for the devices.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom as Place;

/// Bytes copied at once.
const CHUNK: usize = 1 << 20;

/// No description of a machine is longer.
const LONGEST: u32 = 64 << 10;

/// A snapshot in the making: under another name until it is whole, and gone if it never is.
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    place: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Begins the snapshot that shall be `target`: room for the memory, then what it is made of.
    pub(super) fn begin(target: &Path, memory: u64, likeness: &str) -> io::Result<Draft> {
        sweep(target);
        let place = beside(target, &std::process::id().to_string());
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut draft = Draft {
            file: options.open(&place)?,
            place,
            target: target.to_owned(),
        };
        draft.file.seek(SeekFrom::Start(memory))?;
        draft
            .file
            .write_all(&(likeness.len() as u32).to_le_bytes())?;
        draft.file.write_all(likeness.as_bytes())?;
        Ok(draft)
    }

    /// The file, at the place where the devices' state belongs.
    pub(super) fn state(&self) -> impl AsFd + '_ {
        &self.file
    }

    /// Copies the memory, holes left out, and gives the snapshot its name.
    pub(super) fn finish(self, memory: &File) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        while let Some((start, end)) = next_extent(memory, at)? {
            at = start;
            while at < end {
                let length = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
                memory.read_exact_at(&mut buffer[..length], at)?;
                self.file.write_all_at(&buffer[..length], at)?;
                at += length as u64;
            }
        }
        // Snapshots are kept from run to run, and no digest tells a page that a power failure lost.
        self.file.sync_data()?;
        // Should that fail, dropping `self` removes the draft.
        std::fs::rename(&self.place, &self.target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `finish` there is none of that name any more.
        let _ = std::fs::remove_file(&self.place);
    }
}

/// The next stretch of a file, from `at` on, that is no hole.
fn next_extent(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
    let start = match rustix::fs::seek(file, Place::Data(at)) {
        Err(rustix::io::Errno::NXIO) => return Ok(None),
        other => other?,
    };
    Ok(Some((start, rustix::fs::seek(file, Place::Hole(start))?)))
}

/// The name of a draft of `target` by that process.
fn beside(target: &Path, pid: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{pid}"));
    target.with_file_name(name)
}

/// Removes drafts of `target` that processes left which were killed halfway.
fn sweep(target: &Path) {
    let prefix = beside(target, "");
    let (Some(directory), Some(prefix)) = (prefix.parent(), prefix.file_name()) else {
        return;
    };
    // A directory that cannot be read is told by the one who then creates a file in it.
    let Ok(entries) = std::fs::read_dir(if directory == Path::new("") {
        Path::new(".")
    } else {
        directory
    }) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .zip(prefix.to_str())
            .and_then(|(name, prefix)| name.strip_prefix(prefix));
        let dead = |pid: &str| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists();
        if pid.is_some_and(dead) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A snapshot that is to be restored.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The file: its beginning is the memory.
    pub(super) memory: File,
    /// The file again, at the place where the devices' state begins.
    pub(super) state: File,
}

impl Snapshot {
    /// Opens a snapshot of a machine with that much memory and made of the same.
    pub(super) fn open(path: &Path, memory: u64, likeness: &str) -> Result<Snapshot, String> {
        let shown = path.display();
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                format!("{shown} is no snapshot of this machine: too short")
            }
            _ => format!("cannot read the snapshot {shown}: {error}"),
        };
        let mut state = File::open(path).map_err(failed)?;
        state.seek(SeekFrom::Start(memory)).map_err(failed)?;
        let mut length = [0; 4];
        state.read_exact(&mut length).map_err(failed)?;
        let length = u32::from_le_bytes(length).min(LONGEST);
        let mut found = vec![0; length as usize];
        state.read_exact(&mut found).map_err(failed)?;
        if found != likeness.as_bytes() {
            let difference = difference(&String::from_utf8_lossy(&found), likeness);
            return Err(format!(
                "{shown} is a snapshot of another machine: {difference}"
            ));
        }
        // Opened twice: each has its own place.
        let memory = File::open(path).map_err(failed)?;
        Ok(Snapshot { memory, state })
    }
}

/// The first line in which they differ.
fn difference(found: &str, wanted: &str) -> String {
    let mut wanted = wanted.lines();
    for line in found.lines() {
        match wanted.next() {
            Some(other) if other == line => {}
            Some(other) => return format!("it has {line:?} instead of {other:?}"),
            None => return format!("it has {line:?}"),
        }
    }
    format!("it lacks {:?}", wanted.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    const MEMORY: u64 = 64 << 20;

    /// A file of holes with something at its beginning, in the middle and at its end.
    fn memory() -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(MEMORY).unwrap();
        for (at, text) in [(0, b"begin"), (33 << 20, b"middl"), (MEMORY - 5, b"end..")] {
            file.write_all_at(text, at).unwrap();
        }
        file
    }

    fn write(target: &Path, likeness: &str) {
        let draft = Draft::begin(target, MEMORY, likeness).unwrap();
        let mut state = File::from(draft.state().as_fd().try_clone_to_owned().unwrap());
        state.write_all(b"devices").unwrap();
        draft.finish(&memory()).unwrap();
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn what_was_written_is_read_and_holes_stay_holes() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("snapshot");
        write(&target, "like this");
        // A second one replaces it, whole.
        write(&target, "like that");
        assert_eq!(names(directory.path()), ["snapshot"]);
        let mut snapshot = Snapshot::open(&target, MEMORY, "like that").unwrap();
        let mut rest = String::new();
        snapshot.state.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "devices");
        let mut found = [0; 5];
        for (at, text) in [(0, b"begin"), (33 << 20, b"middl"), (MEMORY - 5, b"end..")] {
            snapshot.memory.read_exact_at(&mut found, at).unwrap();
            assert_eq!(&found, text);
        }
        let used = target.metadata().unwrap().blocks() * 512;
        assert!(used < 1 << 20, "{used} bytes are in use");
    }

    #[test]
    fn a_snapshot_of_another_machine_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("snapshot");
        write(&target, "QEMU 7.2\n-m\n512");
        for (likeness, part) in [
            (
                "QEMU 10\n-m\n512",
                "it has \"QEMU 7.2\" instead of \"QEMU 10\"",
            ),
            ("QEMU 7.2\n-m", "it has \"512\""),
            ("QEMU 7.2\n-m\n512\n-smp", "it lacks \"-smp\""),
        ] {
            let error = Snapshot::open(&target, MEMORY, likeness).unwrap_err();
            assert!(error.ends_with(part), "{error}");
        }
        let error = Snapshot::open(&target, 2 * MEMORY, "x").unwrap_err();
        assert!(error.ends_with("too short"), "{error}");
        std::fs::write(&target, [0xff; 64]).unwrap();
        for memory in [0, 10, 62, 100] {
            let error = Snapshot::open(&target, memory, "x").unwrap_err();
            assert!(error.ends_with("too short"), "{error}");
        }
        let error = Snapshot::open(&directory.path().join("none"), 0, "").unwrap_err();
        assert!(error.contains("cannot read the snapshot"), "{error}");
    }

    #[test]
    fn a_draft_leaves_nothing_and_removes_those_of_the_dead() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("snapshot");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        for left in [
            format!("snapshot.new-{dead}"),
            "snapshot.new-1".into(),
            "snapshot.new-x".into(),
        ] {
            std::fs::write(directory.path().join(left), "").unwrap();
        }
        drop(Draft::begin(&target, MEMORY, "x").unwrap());
        let mut left = names(directory.path());
        left.sort();
        assert_eq!(left, ["snapshot.new-1", "snapshot.new-x"]);
        assert!(Draft::begin(&directory.path().join("no/such"), 0, "").is_err());
    }
}
