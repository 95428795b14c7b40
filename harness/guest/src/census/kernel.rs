//! What the kernel complains about, read from /dev/kmsg.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use lxc_kernel::Errno;
use rustix::fs::{Mode, OFlags};

use crate::trouble::{Calling, Outcome};

/// How a complaint begins.
const BEGINNINGS: &[&str] = &[
    "WARNING:",
    "BUG:",
    "kernel BUG at",
    "Kernel panic",
    "INFO: task ",
    "INFO: rcu",
    "INFO: suspicious",
    "rcu: INFO:",
    "unregister_netdevice: waiting for",
    "general protection",
    "Out of memory:",
    "watchdog: BUG",
];

/// What only complaints hold.
const PARTS: &[&str] = &[
    "Oops",
    "possible circular locking dependency",
    "possible recursive locking",
    "possible irq lock inversion",
    "refcount_t:",
    "segfault at",
];

/// The kernel's complaints since it started.
pub struct Complaints {
    log: OwnedFd,
    found: BTreeSet<String>,
}

impl Complaints {
    /// Opens the log at its beginning.
    pub fn new() -> Outcome<Complaints> {
        const LOG: &str = "/dev/kmsg";
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = rustix::fs::open(LOG, flags, Mode::empty()).calling("open", LOG)?;
        let found = BTreeSet::new();
        Ok(Complaints { log, found })
    }

    /// All until now.
    pub fn so_far(&mut self) -> Outcome<BTreeSet<String>> {
        // Longer than any record the kernel gives out.
        let mut buffer = [0; 8 << 10];
        loop {
            match rustix::io::retry_on_intr(|| rustix::io::read(&self.log, &mut buffer)) {
                Ok(length) => {
                    let record = String::from_utf8_lossy(&buffer[..length]);
                    self.found.extend(complaint(&record));
                }
                Err(Errno::AGAIN) => return Ok(self.found.clone()),
                // Records were overwritten before we came; the next read gives the oldest there is.
                Err(Errno::PIPE) => {}
                Err(errno) => return Err(errno).calling("read", "/dev/kmsg"),
            }
        }
    }
}

/// The complaint in a record `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT`, if it is the kernel's own.
fn complaint(record: &str) -> Option<String> {
    let (header, text) = record.split_once(';')?;
    let text = text.lines().next()?;
    let mut header = header.split(',');
    let priority: u32 = header.next()?.parse().ok()?;
    let microseconds: u64 = header.nth(1)?.parse().ok()?;
    // Facility 0; programs write with others.
    let kernels = priority >> 3 == 0;
    let complains = BEGINNINGS.iter().any(|it| text.starts_with(it))
        || PARTS.iter().any(|it| text.contains(it));
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    (kernels && complains).then(|| format!("[{seconds}.{rest:06}] {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_from_chatter_and_from_what_programs_write() {
        for (record, complains) in [
            (
                "4,1,2000003,-;WARNING: CPU: 0 PID: 1 at fs/x.c:1 y+0x1/0x2\n KEY=v\n",
                true,
            ),
            (
                "1,9,5,-;BUG: kernel NULL pointer dereference, address: 0",
                true,
            ),
            ("4,9,5,-;Oops: 0002 [#1] SMP", true),
            ("4,9,5,-;Internal error: Oops: 5", true),
            (
                "3,9,5,-;INFO: task lxc-start:7 blocked for more than 120 seconds.",
                true,
            ),
            (
                "0,9,5,-;unregister_netdevice: waiting for lo to become free.",
                true,
            ),
            (
                "6,9,5,-;Spectre V2 : WARNING: Unprivileged eBPF is enabled",
                false,
            ),
            ("12,9,5,-;WARNING: by a program", false),
            ("6,9,5,-;random: crng init done", false),
            ("6,9;BUG: cut short", false),
            ("", false),
        ] {
            assert_eq!(complaint(record).is_some(), complains, "{record}");
        }
        let shown = complaint("4,1,2000003,-;WARNING: x\n KEY=WARNING: y\n");
        assert_eq!(shown.unwrap(), "[2.000003] WARNING: x");
    }
}
