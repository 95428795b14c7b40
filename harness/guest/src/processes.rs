//! The processes of the machine, read from /proc.

use std::fs;

use crate::trouble::{Calling, Outcome};

/// One process, as its stat file has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name, as ps shows it in brackets.
    pub name: String,
    /// R, S, D, Z, …
    pub state: char,
    /// The session it belongs to.
    pub session: i32,
    /// PF_* bits.
    flags: u32,
}

/// PF_KTHREAD.
const KERNEL_THREAD: u32 = 0x0020_0000;

impl Process {
    /// It is the kernel's own.
    pub fn is_kernels(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }

    /// It has not ended; one that has may wait for its parent to look.
    pub fn alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// All processes at this moment, kernel threads and ourselves included.
pub fn all() -> Outcome<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").calling("open", "/proc")? {
        let entry = entry.calling("getdents", "/proc")?;
        let name = entry.file_name();
        if name
            .to_str()
            .is_none_or(|name| name.parse::<i32>().is_err())
        {
            continue;
        }
        // One that has ended since is none.
        if let Ok(stat) = fs::read(entry.path().join("stat")) {
            found.extend(parse(&String::from_utf8_lossy(&stat)));
        }
    }
    Ok(found)
}

/// Reads `PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS …`; a name may hold anything.
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(Process {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        session: fields.get(3)?.parse().ok()?,
        flags: fields.get(6)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_what_looks_like_fields() {
        let process = parse("7 (a) Z 9 (b) S 1 5 6 0 -1 2129984 0 0\n").unwrap();
        assert_eq!((process.pid, process.name.as_str()), (7, "a) Z 9 (b"));
        assert_eq!((process.state, process.session), ('S', 6));
        assert!(process.is_kernels() && process.alive());
    }

    #[test]
    fn what_is_no_stat_is_none() {
        for text in ["", "7", "7 (a", "7 (a) S 1", "x (a) S 1 2 3 4 5 6"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn we_are_among_all() {
        let me = i32::try_from(std::process::id()).unwrap();
        let mut all = all().unwrap().into_iter();
        let me = all.find(|process| process.pid == me).unwrap();
        assert!(me.alive() && !me.is_kernels());
    }
}
