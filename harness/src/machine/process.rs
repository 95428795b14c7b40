//! A child process that cannot outlive us, however we end.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use lxc_kernel::events::{Interest, poll_one};
use lxc_kernel::process::{
    Ended, SpawnSpec, open_program, pidfd_signal, spawn as kernel_spawn, wait_pidfd,
};
use rustix::fs::{MemfdFlags, memfd_create};

/// SIGKILL's number, the same on every architecture.
const KILL: i32 = 9;

/// A killed process is gone in milliseconds; one that is not hangs in the kernel, and waiting for
/// it longer would hang us too.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Bytes read of what the process printed.
const OUTPUT: usize = 64 << 10;

/// The program that sets the parent's death signal; part of util-linux.
const SETPRIV: &str = "setpriv";

/// Run by `sh -c` between setpriv and the program: if we died before the death signal was set,
/// nobody would send it any more, so the program is not even started.
const STILL_OURS: &str = "test \"$PPID\" = \"$0\" && exec \"$@\"";

/// A running child; dropping it kills and reaps it.
///
/// SIGKILL reaches it too when this process dies in any way (kill -9 included), and it leads a
/// session of its own, so that Ctrl-C on the terminal reaches it only that way.
#[derive(Debug)]
pub(super) struct Process {
    pidfd: OwnedFd,
    output: File,
    ended: Option<Ended>,
}

impl Process {
    /// Starts a program with exactly these descriptors; 0 is /dev/null, 1 and 2 are kept for
    /// [`Process::last_output`]. The descriptors given are closed here.
    pub(super) fn start<S: AsRef<OsStr>>(
        words: &[S],
        fds: Vec<(OwnedFd, RawFd)>,
    ) -> Result<Process, String> {
        let output = memfd_create("output", MemfdFlags::CLOEXEC)
            .map_err(|errno| format!("memfd_create(\"output\"): {}", io::Error::from(errno)))?;
        let order = Order {
            argv: wrapped(words)?,
            fds: with_standard(fds, &output)
                .map_err(|error| format!("cannot prepare descriptors for QEMU: {error}"))?,
        };
        let pidfd = ask_starter(order)?;
        Ok(Process {
            pidfd,
            output: output.into(),
            ended: None,
        })
    }

    /// The process itself; readable once it has ended.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// How it ended, if it does so within that time.
    pub(super) fn ended_within(&mut self, patience: Duration) -> Option<Ended> {
        if self.ended.is_none() {
            let ready = poll_one(self.pidfd.as_fd(), Interest::READ, Some(patience));
            if ready.is_ok_and(|ready| ready) {
                self.ended = wait_pidfd(self.pidfd.as_fd(), false).ok().flatten();
            }
        }
        self.ended
    }

    /// What it printed, the first of it, made valid UTF-8.
    pub(super) fn printed(&self) -> String {
        let mut bytes = vec![0; OUTPUT];
        let length = self.output.read_at(&mut bytes, 0).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// The last line that it printed and that says something.
    pub(super) fn last_output(&self) -> Option<String> {
        let printed = self.printed();
        let last = printed
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty());
        last.map(str::to_owned)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // Fails only if it has ended by itself; it is reaped all the same.
            let _ = pidfd_signal(self.pidfd.as_fd(), KILL);
            self.ended_within(GONE_WITHIN);
        }
    }
}

/// Finds a program in PATH, or where Debian keeps it when there is no PATH.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| is_program(candidate))
}

/// Whether it is a file that somebody may execute.
pub(super) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The command line around a program that ties its life to ours.
fn wrapped<S: AsRef<OsStr>>(words: &[S]) -> Result<Vec<CString>, String> {
    let parent = std::process::id().to_string();
    let around = [
        SETPRIV,
        "--pdeathsig",
        "KILL",
        "--",
        "/bin/sh",
        "-c",
        STILL_OURS,
        &parent,
    ];
    let around = around.iter().map(OsStr::new);
    around
        .chain(words.iter().map(AsRef::as_ref))
        .map(|word| {
            CString::new(word.as_bytes())
                .map_err(|_| format!("an argument of QEMU contains a NUL byte: {word:?}"))
        })
        .collect()
}

fn with_standard(
    mut fds: Vec<(OwnedFd, RawFd)>,
    output: &OwnedFd,
) -> io::Result<Vec<(OwnedFd, RawFd)>> {
    fds.push((File::open("/dev/null")?.into(), 0));
    fds.push((output.try_clone()?, 1));
    fds.push((output.try_clone()?, 2));
    Ok(fds)
}

/// What the starter is asked to start.
struct Order {
    argv: Vec<CString>,
    fds: Vec<(OwnedFd, RawFd)>,
}

type Started = Result<OwnedFd, String>;
type Orders = Sender<(Order, Sender<Started>)>;

/// Lets the one thread that lives as long as the process start it.
///
/// The death signal comes when the *thread* that started a child ends, not the process. A machine
/// started by a worker that then hands it over would die with the worker.
fn ask_starter(order: Order) -> Started {
    static STARTER: OnceLock<Option<Orders>> = OnceLock::new();
    let gone = || "no thread to start QEMU from could be made".to_owned();
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = channel::<(Order, Sender<Started>)>();
        let work = move || {
            for (order, reply) in inbox {
                // Whoever asked waits for the answer below.
                let _ = reply.send(start_here(order));
            }
        };
        let thread = std::thread::Builder::new().name("starter".to_owned());
        thread.spawn(work).is_ok().then_some(orders)
    });
    let (reply, answer) = channel();
    let orders = starter.as_ref().ok_or_else(gone)?;
    orders.send((order, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn start_here(order: Order) -> Started {
    let missing = || format!("{SETPRIV} is not installed; try: apt-get install util-linux");
    let path = find(SETPRIV).ok_or_else(missing)?;
    let program = open_program(&path).map_err(|error| error.to_string())?;
    let spec = SpawnSpec {
        program: program.as_fd(),
        argv: order.argv,
        // No variable of the caller's changes what a machine is.
        env: vec![
            c"PATH=/usr/bin:/bin".to_owned(),
            c"LC_ALL=C.UTF-8".to_owned(),
        ],
        fds: order
            .fds
            .iter()
            .map(|(fd, number)| (fd.as_fd(), *number))
            .collect(),
        new_session: true,
        close_from: Some(3),
        reset_signals: true,
    };
    let (_, pidfd) = kernel_spawn(&spec).map_err(|error| error.to_string())?;
    Ok(pidfd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn sh(script: &str) -> Process {
        Process::start(&["/bin/sh", "-c", script], Vec::new()).unwrap()
    }

    #[test]
    fn how_it_ended_and_what_it_said_last() {
        let mut process = sh("echo first; echo 'the last' >&2; echo; exit 7");
        let ended = process.ended_within(Duration::from_secs(20));
        assert_eq!(ended, Some(Ended::Exited(7)));
        assert_eq!(process.last_output().as_deref(), Some("the last"));
        assert_eq!(process.printed(), "first\nthe last\n\n");
        // Asked again, it says the same: nobody waits twice for a child.
        assert_eq!(process.ended_within(Duration::ZERO), ended);
    }

    #[test]
    fn it_finds_the_given_descriptors_and_no_other() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let script = "ls -x /proc/$$/fd; cut -d' ' -f6 /proc/$$/stat; echo $$";
        let mut process =
            Process::start(&["/bin/sh", "-c", script], vec![(theirs.into(), 5)]).unwrap();
        assert_eq!(
            process.ended_within(Duration::from_secs(20)),
            Some(Ended::Exited(0))
        );
        let printed = process.printed();
        let words: Vec<&str> = printed.split_whitespace().collect();
        let [descriptors @ .., session, pid] = &words[..] else {
            panic!("{printed:?}");
        };
        assert_eq!(descriptors, ["0", "1", "2", "5"]);
        // Not compared with our own session: that may belong to a process outside our pid
        // namespace, and then has no number here.
        assert_eq!(session, pid, "it leads a session of its own");
        drop(ours);
    }

    #[test]
    fn dropping_it_kills_and_reaps_it() {
        let start = Instant::now();
        let process = sh("echo $$; exec sleep 1000");
        let pid = loop {
            match process.printed().trim().parse::<i32>() {
                Ok(pid) => break pid,
                Err(_) => std::thread::yield_now(),
            }
        };
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn it_outlives_the_thread_that_asked_for_it() {
        let mut process = std::thread::spawn(|| sh("exec sleep 1000")).join().unwrap();
        assert_eq!(process.ended_within(Duration::from_millis(200)), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_end_with_a_sentence() {
        let mut process = Process::start(&["/nowhere/qemu"], Vec::new()).unwrap();
        assert_eq!(
            process.ended_within(Duration::from_secs(20)),
            Some(Ended::Exited(127))
        );
        assert!(process.last_output().unwrap().contains("/nowhere/qemu"));
        let error = Process::start(&["a\0b"], Vec::new()).unwrap_err();
        assert!(error.contains("NUL"), "{error}");
    }
}
