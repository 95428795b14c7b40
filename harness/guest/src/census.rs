//! The census: what there is on the machine, counted without the code under test.

use std::time::{Duration, Instant};

use lxc_guest::protocol::Census;

use crate::processes;
use crate::trouble::{Calling, Outcome};
use crate::watch::Watch;

mod files;
mod kernel;
mod mounts;

pub use mounts::{Mount, mounts};

/// Between two counts, while the machine settles.
const PAUSE: Duration = Duration::from_millis(20);

/// Counts, and remembers what the kernel has complained about.
pub struct Witness {
    kernel: kernel::Complaints,
}

impl Witness {
    /// Begins to listen to the kernel.
    pub fn new() -> Outcome<Witness> {
        let kernel = kernel::Complaints::new()?;
        Ok(Witness { kernel })
    }

    /// Counts once.
    pub fn count(&mut self) -> Outcome<Census> {
        let mounts = mounts()?;
        Ok(Census {
            processes: processes()?,
            cgroups: files::cgroups(&mounts)?,
            links: links()?,
            files: files::files(&mounts)?,
            kernel: self.kernel.so_far()?,
            mounts: mounts::lines(&mounts),
        })
    }

    /// Counts until it equals `before` or that time has passed.
    pub fn settle(
        &mut self,
        watch: &mut Watch,
        before: &Census,
        within_ms: u64,
    ) -> Outcome<Census> {
        let deadline = Instant::now() + Duration::from_millis(within_ms);
        loop {
            let census = self.count()?;
            let now = Instant::now();
            if census == *before || now >= deadline {
                return Ok(census);
            }
            // Most of what is awaited is the end of some process: that wakes us earlier.
            watch.wait(Some(deadline.min(now + PAUSE)))?;
        }
    }
}

/// `PID COMMAND LINE` of all but the kernel's threads and ourselves.
fn processes() -> Outcome<std::collections::BTreeSet<String>> {
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let others = processes::all()?.into_iter();
    let others = others.filter(|process| process.pid != me && !process.is_kernels());
    let line = |process: processes::Process| {
        let path = format!("/proc/{}/cmdline", process.pid);
        let command = std::fs::read(path).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        match (process.alive(), command.trim_end()) {
            (false, _) => format!("{} [{}] <ended>", process.pid, process.name),
            (true, "") => format!("{} [{}]", process.pid, process.name),
            (true, command) => format!("{} {}", process.pid, command.escape_debug()),
        }
    };
    Ok(others.map(line).collect())
}

/// The network interfaces.
fn links() -> Outcome<std::collections::BTreeSet<String>> {
    const LINKS: &str = "/sys/class/net";
    let entries = std::fs::read_dir(LINKS).calling("open", LINKS)?;
    entries
        .map(|entry| {
            let entry = entry.calling("getdents", LINKS)?;
            Ok(entry.file_name().to_string_lossy().into_owned())
        })
        .collect()
}
