//! Debian's LXC, the peer that ours is compared with.

use std::fs;
use std::path::Path;

use super::{Call, Lab, Ran, could_not_run};

/// Whose program is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The installation under test.
    Ours,
    /// Debian's.
    Peer,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::Ours, Side::Peer];

    /// A call of this side's `tool` with `words` on the laboratory's lxcpath.
    pub fn tool(self, lab: &Lab, tool: &str, words: &[&str]) -> Call {
        match self {
            Side::Ours => lab.tool(tool, words),
            Side::Peer => lab.peer(tool, words),
        }
    }

    /// Starts `name`.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    pub fn start(self, lab: &Lab, name: &str) {
        self.tool(lab, "lxc-start", &["-n", name]).run().exits(0);
    }

    /// Runs `words` inside `name`.
    #[track_caller]
    pub fn inside(self, lab: &Lab, name: &str, words: &[&str]) -> Ran {
        let call = self.tool(lab, "lxc-attach", &["-n", name, "--"]);
        call.args(words).run()
    }
}

/// Debian's LXC on one laboratory. Its lock files, which it keeps for ever, go when this is dropped.
pub struct Peer<'a>(&'a Lab);

impl Peer<'_> {
    /// Debian's LXC; `None`, and a line about `test`, where it is not installed.
    pub fn of<'a>(lab: &'a Lab, test: &str) -> Option<Peer<'a>> {
        if !Path::new("/usr/bin/lxc-start").is_file() {
            could_not_run(test, "Debian's lxc is not installed");
            return None;
        }
        Some(Peer(lab))
    }

    /// Removes the lock files now.
    pub fn forget_locks(&self) {
        let below = self.0.lxcpath().strip_prefix("/");
        let locks = Path::new("/run/lxc/lock").join(below.expect("an absolute path"));
        // Its parent carries the laboratory's name too.
        let _ = fs::remove_dir_all(locks.parent().expect("a directory in the laboratory"));
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        self.forget_locks();
    }
}
