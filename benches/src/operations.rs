//! Kernel operations of a start or an attach, counted from what strace shows: ours beside `bare`.
//!
//! Counted is everything up to and including the execution of the guest's program, whoever did it.
//! Calls that fail are not counted: they are questions, not work.

use std::fs;
use std::path::Path;

use crate::Failure;
use crate::command;
use crate::subject::{Act, Subject};

/// A kind of operation: system calls, and words of which their arguments must contain one.
#[derive(Debug)]
pub struct Row {
    /// As the table names it.
    pub name: &'static str,
    calls: &'static [&'static str],
    arguments: &'static [&'static str],
    /// A call counts as often as its arguments contain this.
    each: Option<&'static str>,
}

const fn row(name: &'static str, calls: &'static [&'static str]) -> Row {
    Row {
        name,
        calls,
        arguments: &[],
        each: None,
    }
}

const fn with(mut row: Row, arguments: &'static [&'static str]) -> Row {
    row.arguments = arguments;
    row
}

/// What costs time in the kernel. Reading, opening and sending are what overhead consists of, and
/// stand in no row.
pub const ROWS: &[Row] = &[
    row("processes born", &["clone", "clone3", "fork", "vfork"]),
    row("programs executed", &["execve", "execveat"]),
    Row {
        each: Some("CLONE_NEW"),
        ..row(
            "namespaces entered, made",
            &["setns", "unshare", "clone", "clone3"],
        )
    },
    row("directories and cgroups made", &["mkdir", "mkdirat"]),
    with(
        row("moves between cgroups", &["openat", "openat2", "open"]),
        &["\"tasks\", O_WRONLY", "\"cgroup.procs\", O_WRONLY"],
    ),
    with(
        row(
            "settings of cgroups written",
            &["openat", "openat2", "open"],
        ),
        &[
            "\"cpuset.cpus\", O_WRONLY",
            "\"cpuset.mems\", O_WRONLY",
            "\"cgroup.clone_children\", O_WRONLY",
        ],
    ),
    row("filesystems made", &["fsopen", "fsmount"]),
    row("mounts copied", &["open_tree"]),
    row(
        "mounts attached, changed",
        &["move_mount", "mount", "mount_setattr"],
    ),
    row("roots changed, unmounted", &["pivot_root", "umount2"]),
    row("nodes and links made", &["mknodat", "symlinkat"]),
    with(row("terminals made", &["ioctl"]), &["TIOCGPTPEER"]),
    with(
        row("capabilities dropped", &["prctl"]),
        &["PR_CAPBSET_DROP"],
    ),
    row(
        "credentials changed",
        &["capset", "setgroups", "keyctl", "setsid"],
    ),
];

impl Row {
    fn count(&self, call: &str, arguments: &str) -> usize {
        let fits = |word: &&str| arguments.contains(*word);
        let is_one = self.calls.contains(&call)
            && (self.arguments.is_empty() || self.arguments.iter().any(fits));
        match self.each {
            _ if !is_one => 0,
            None => 1,
            // setns(fd, 0) enters the one namespace that fd is.
            Some(word) => arguments
                .matches(word)
                .count()
                .max(usize::from(call == "setns")),
        }
    }
}

/// How often each row's operation was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// In the order of [`ROWS`].
    pub rows: Vec<usize>,
    /// System calls of any kind, failed ones included.
    pub all: usize,
}

impl Counts {
    /// Counts what `subject` does in an act; `program` is what the guest executes at its end.
    ///
    /// The guest runs or has ended afterwards as after the act itself.
    pub fn of(subject: &Subject, act: Act<'_>, program: &str) -> Result<Counts, Failure> {
        let directory = subject.directory();
        let file = directory.join("strace");
        // Nobody waits for the daemon: strace itself goes on in the background.
        let mut words: Vec<String> = ["strace", "-D", "-f", "-qq", "-s", "64", "-o"]
            .map(str::to_owned)
            .into();
        words.push(file.to_string_lossy().into_owned());
        words.extend(subject.command(act));
        command::timed(&words, directory)?;
        let text = fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        Counts::read(&text, program)
            .ok_or_else(|| format!("{}: strace did not see {program} executed", subject.name))
    }

    fn read(text: &str, program: &str) -> Option<Counts> {
        let last = format!("execve(\"{program}\"");
        let mut counts = Counts {
            rows: vec![0; ROWS.len()],
            all: 0,
        };
        for line in text.lines() {
            // "4711 name(arguments) = result", "4711 <... name resumed>…", "4711 +++ exited …"
            let (_, line) = line.split_once(' ')?;
            let line = line.trim_start();
            let Some((call, arguments)) = line.split_once('(') else {
                continue;
            };
            if !call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                continue;
            }
            counts.all += 1;
            let result = arguments.rsplit_once(" = ").map(|(_, result)| result);
            if result.is_some_and(|result| result.starts_with("-1 ")) {
                continue;
            }
            for (row, count) in ROWS.iter().zip(&mut counts.rows) {
                *count += row.count(call, arguments);
            }
            if line.starts_with(&last) {
                return Some(counts);
            }
        }
        None
    }

    /// Rows in which `other` differs by more than a tenth of this one's count.
    pub fn diverging(&self, other: &Counts) -> Vec<&'static str> {
        let rows = self.rows.iter().zip(&other.rows);
        ROWS.iter()
            .zip(rows)
            .filter(|(_, (own, other))| own.abs_diff(**other) > *own / 10)
            .map(|(row, _)| row.name)
            .collect()
    }
}

/// Whether strace can be run here; the sentence says why not.
pub fn can_count(directory: &Path) -> Result<(), Failure> {
    command::timed(&["strace".to_owned(), "-V".to_owned()], directory)
        .map(drop)
        .map_err(|reason| format!("operations cannot be counted: {reason}"))
}

/// Ours and bare's counts of one act.
#[derive(Debug)]
pub struct Comparison {
    /// Layout and act.
    pub title: String,
    /// Ours.
    pub ours: Counts,
    /// Its floor.
    pub bare: Counts,
}

impl Comparison {
    /// A start and an attach of each, in the layout that has been entered.
    pub fn both(layout: &str, ours: &Subject, bare: &Subject) -> Result<Vec<Comparison>, Failure> {
        let acts = [
            ("start", Act::Start, "/sbin/init"),
            ("attach", Act::Attach, "/bin/true"),
        ];
        let lived = |subject: &Subject| {
            let lived = acts.map(|(_, act, program)| Counts::of(subject, act, program));
            subject.act(Act::Stop)?;
            lived.into_iter().collect::<Result<Vec<Counts>, Failure>>()
        };
        let (ours, bare) = (lived(ours)?, lived(bare)?);
        let pairs = acts.iter().zip(ours.into_iter().zip(bare));
        Ok(pairs
            .map(|((act, ..), (ours, bare))| Comparison {
                title: format!("{act}, {layout}"),
                ours,
                bare,
            })
            .collect())
    }

    /// Rows in which bare is no floor of ours any more.
    pub fn diverging(&self) -> Vec<&'static str> {
        self.ours.diverging(&self.bare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "\
7 execve(\"/usr/bin/lxc-start\", [\"lxc-start\"], 0x7 /* 3 vars */) = 0
7 clone3({flags=CLONE_PIDFD|CLONE_NEWNS|CLONE_NEWPID} <unfinished ...>
8 openat(4, \"tasks\", O_WRONLY|O_CLOEXEC <unfinished ...>
7 <... clone3 resumed> => {pidfd=[26]}, 88) = 8
8 <... openat resumed>) = 5
8 openat(4, \"tasks\", O_RDONLY|O_CLOEXEC) = 5
8 open_tree(5, \"sysrq-trigger\", OPEN_TREE_CLONE) = -1 ENOENT (No such file or directory)
8 setns(9, 0)                       = 0
8 ioctl(44, TIOCGPTPEER, 0x80102)   = 47
7 --- SIGCHLD {si_signo=SIGCHLD} ---
8 execve(\"/sbin/init\", [\"/sbin/init\"], 0x5 /* 2 vars */ <unfinished ...>
8 mkdirat(4, \"after\", 0755) = 0
";

    fn of(counts: &Counts, name: &str) -> usize {
        let at = ROWS.iter().position(|row| row.name == name).unwrap();
        counts.rows[at]
    }

    #[test]
    fn operations_are_counted_up_to_the_guests_program() {
        let counts = Counts::read(START, "/sbin/init").unwrap();
        assert_eq!(counts.all, 8);
        for (name, expected) in [
            ("processes born", 1),
            ("programs executed", 2),
            ("namespaces entered, made", 3),
            ("moves between cgroups", 1),
            ("mounts copied", 0),
            ("terminals made", 1),
            ("directories and cgroups made", 0),
        ] {
            assert_eq!(of(&counts, name), expected, "{name}");
        }
        assert_eq!(Counts::read(START, "/bin/true"), None);
        assert_eq!(Counts::read("", "/sbin/init"), None);
        assert_eq!(Counts::read("\n", "/sbin/init"), None);
    }

    #[test]
    fn a_tenth_is_tolerated() {
        let counts = |first: usize| {
            let mut rows = vec![20; ROWS.len()];
            rows[0] = first;
            Counts { rows, all: 0 }
        };
        for (ours, bare, diverges) in [
            (3, 3, false),
            (3, 2, true),
            (3, 4, true),
            (20, 22, false),
            (20, 23, true),
            (20, 17, true),
            (0, 1, true),
        ] {
            let found = counts(ours).diverging(&counts(bare));
            assert_eq!(!found.is_empty(), diverges, "{ours} {bare}");
        }
    }
}
