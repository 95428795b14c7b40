//! Taking turns: two runs that share a cache do not unpack the same kernel at once.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Held while one run works on a part of the cache; whoever dies lets go.
pub(super) struct Turn {
    _lock: File,
}

/// Waits until nobody else works on what `file` stands for.
///
/// The wait ends: all that is done in a turn has a deadline of its own.
pub(super) fn take(file: &Path, progress: &dyn Fn(&str)) -> io::Result<Turn> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(file)?;
    match retry(|| flock(&lock, FlockOperation::NonBlockingLockExclusive)) {
        Err(Errno::WOULDBLOCK) => {
            progress(&format!(
                "waiting for whoever is at work on {}",
                file.file_name().unwrap_or_default().to_string_lossy()
            ));
            retry(|| flock(&lock, FlockOperation::LockExclusive))?;
        }
        other => other?,
    }
    Ok(Turn { _lock: lock })
}

/// Held by whoever uses a file or directory of the cache: as long as it is, nobody removes it.
#[derive(Debug)]
pub(crate) struct InUse {
    _lock: File,
}

/// Says that `path` is in use. Called in the turn in which it was found.
pub(crate) fn in_use(path: &Path) -> io::Result<InUse> {
    let lock = File::open(path)?;
    retry(|| flock(&lock, FlockOperation::NonBlockingLockShared))?;
    Ok(InUse { _lock: lock })
}

/// Tells whether somebody said so.
pub(crate) fn is_in_use(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    retry(|| flock(&file, FlockOperation::NonBlockingLockExclusive)).is_err()
}

fn retry(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn the_second_waits_for_the_first_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lock");
        let first = take(&file, &|_| ()).unwrap();
        let (said, says) = mpsc::channel();
        std::thread::scope(|scope| {
            let file = &file;
            scope.spawn(move || {
                take(file, &|line| said.send(line.to_string()).unwrap()).unwrap();
                said.send("taken".to_string()).unwrap();
            });
            let limit = Duration::from_secs(10);
            assert!(
                says.recv_timeout(limit)
                    .unwrap()
                    .starts_with("waiting for whoever is at work")
            );
            assert!(says.recv_timeout(Duration::from_millis(50)).is_err());
            drop(first);
            assert_eq!(says.recv_timeout(limit).unwrap(), "taken");
        });
    }

    #[test]
    fn what_is_in_use_is_known_to_be() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_in_use(dir.path()));
        let one = in_use(dir.path()).unwrap();
        let two = in_use(dir.path()).unwrap();
        drop(one);
        assert!(is_in_use(dir.path()));
        drop(two);
        assert!(!is_in_use(dir.path()));
    }
}
