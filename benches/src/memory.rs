//! What a monitor occupies: its private memory, its share of the rest, its memory files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Failure;

/// A process's memory in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Pages that no file stands behind.
    pub anonymous: u64,
    /// Pages that only this process has written; anonymous ones are among them.
    pub private_dirty: u64,
    /// Its proportional share of everything it maps.
    pub pss: u64,
    /// Memory files it holds open.
    pub memfds: u64,
}

impl Size {
    /// Of a living process.
    pub fn of(pid: u32) -> Result<Size, Failure> {
        // Dirty pages of the program's own file would count until they are written back.
        rustix::fs::sync();
        let path = format!("/proc/{pid}/smaps_rollup");
        let text =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
        let mut size = rollup(&text).ok_or_else(|| format!("{path} lacks a line"))?;
        size.memfds = memfds(pid)?;
        Ok(size)
    }

    /// What the process costs beyond what others pay for anyway.
    pub fn own(self) -> u64 {
        self.anonymous + self.memfds
    }
}

fn rollup(text: &str) -> Option<Size> {
    let kib = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some(Size {
        anonymous: kib("Anonymous")?,
        private_dirty: kib("Private_Dirty")?,
        pss: kib("Pss")?,
        memfds: 0,
    })
}

/// Each memory file counts once, however many descriptors lead to it.
fn memfds(pid: u32) -> Result<u64, Failure> {
    let directory = format!("/proc/{pid}/fd");
    let entries =
        fs::read_dir(&directory).map_err(|error| format!("cannot list {directory}: {error}"))?;
    let mut files = BTreeMap::new();
    for entry in entries.flatten() {
        let is_memfd = fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:"));
        if is_memfd && let Ok(meta) = fs::metadata(entry.path()) {
            files.insert((meta.dev(), meta.ino()), meta.blocks() * 512 / 1024);
        }
    }
    Ok(files.values().sum())
}

/// The process whose command line is the monitor's of this container.
pub fn monitor(lxcpath: &Path, name: &str) -> Result<u32, Failure> {
    let title = format!("[lxc monitor] {} {name}", lxcpath.display());
    let entries = fs::read_dir("/proc").map_err(|error| format!("cannot list /proc: {error}"))?;
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).trim_end_matches('\0') == title
        })
        .ok_or_else(|| format!("no process is called {title:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLUP: &str = "00400000-7ffe [rollup]\nRss:     1200 kB\nPss:      345 kB\n\
                          Pss_Anon:     100 kB\nPrivate_Dirty:      124 kB\nAnonymous:   120 kB\n";

    #[track_caller]
    fn check(text: &str, expected: Option<(u64, u64, u64)>) {
        let expected = expected.map(|(anonymous, private_dirty, pss)| Size {
            anonymous,
            private_dirty,
            pss,
            memfds: 0,
        });
        assert_eq!(rollup(text), expected, "{text}");
    }

    #[test]
    fn the_kernels_account() {
        check(ROLLUP, Some((120, 124, 345)));
        check(&ROLLUP.replace("Anonymous", "Anon"), None);
        check(&ROLLUP.replace("345 kB", "345"), None);
        check("", None);
    }

    #[test]
    fn this_process_can_be_weighed() {
        let size = Size::of(std::process::id()).unwrap();
        assert!(
            size.anonymous > 0 && size.pss >= size.anonymous / 2,
            "{size:?}"
        );
        assert_eq!(size.own(), size.anonymous + size.memfds);
    }
}
