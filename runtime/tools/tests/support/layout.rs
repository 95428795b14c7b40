//! The three layouts of cgroups, each arranged in a mount namespace of its own as far as this host has it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Call, Lab, Ran, Side, could_not_run};

/// How /sys/fs/cgroup looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// v1 hierarchies with the controllers, v2 beside them on /sys/fs/cgroup/unified.
    Hybrid,
    /// Nothing but v2.
    Unified,
    /// Nothing but v1.
    Legacy,
}

impl Layout {
    /// All of them.
    pub const ALL: [Layout; 3] = [Layout::Hybrid, Layout::Unified, Layout::Legacy];

    /// Whether this host can show it; says that `test` could not run with it where not.
    pub fn possible(self, test: &str) -> bool {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let has = |kind: &str| {
            mounts
                .lines()
                .any(|line| line.split(' ').nth(2) == Some(kind))
        };
        let possible = match self {
            Layout::Hybrid => has("cgroup") && has("cgroup2"),
            Layout::Unified => has("cgroup2"),
            Layout::Legacy => has("cgroup"),
        };
        if !possible {
            could_not_run(
                test,
                &format!("this host's cgroups cannot be shown as {self:?}"),
            );
        }
        possible
    }

    /// What makes it out of the host's, in a mount namespace of its own.
    pub fn script(self) -> &'static str {
        match self {
            Layout::Hybrid => ":",
            Layout::Unified => {
                "umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup"
            }
            Layout::Legacy => {
                "! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified"
            }
        }
    }

    /// A call of `side`'s `tool` that sees this layout.
    pub fn tool(self, lab: &Lab, side: Side, tool: &str, words: &[&str]) -> Call {
        let program = match side {
            Side::Ours => lab.prefix().join("bin").join(tool),
            Side::Peer => Path::new("/usr/bin").join(tool),
        };
        let script = format!("{} && exec \"$@\"", self.script());
        let shell = [
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            &script,
            "sh",
        ];
        let call = Call::new("unshare").args(shell).arg(program);
        call.arg("-P").arg(lab.lxcpath()).args(words)
    }

    /// Starts `name`.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    pub fn start(self, lab: &Lab, side: Side, name: &str) {
        self.tool(lab, side, "lxc-start", &["-n", name])
            .run()
            .exits(0);
    }

    /// Runs `script` inside `name`.
    #[track_caller]
    pub fn inside(self, lab: &Lab, name: &str, script: &str) -> Ran {
        let words = ["-n", name, "--", "sh", "-c", script];
        self.tool(lab, Side::Ours, "lxc-attach", &words).run()
    }

    /// Kills `name`.
    ///
    /// # Panics
    /// It does not stop.
    #[track_caller]
    pub fn kill(self, lab: &Lab, name: &str) {
        let words = ["-n", name, "-k"];
        self.tool(lab, Side::Ours, "lxc-stop", &words)
            .run()
            .exits(0);
    }

    /// Whether containers are put into the hierarchy with these controllers (none: v2).
    pub fn uses(self, controllers: &str) -> bool {
        match self {
            Layout::Hybrid => true,
            Layout::Unified => controllers.is_empty(),
            Layout::Legacy => !controllers.is_empty(),
        }
    }
}

/// A /proc/PID/cgroup: controllers (none for v2) → path, of the hierarchies that `layout` uses.
pub fn places_in(text: &str, layout: Layout) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        layout
            .uses(controllers)
            .then(|| (controllers.to_owned(), path.to_owned()))
    });
    lines.collect()
}

/// The cgroups of a process of the host.
#[track_caller]
pub fn cgroups_of(pid: rustix::process::Pid, layout: Layout) -> BTreeMap<String, String> {
    let path = format!("/proc/{}/cgroup", pid.as_raw_nonzero());
    places_in(&fs::read_to_string(path).expect("it runs"), layout)
}
