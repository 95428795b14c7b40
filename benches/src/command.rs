//! External commands, timed, with a deadline.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::Failure;

/// No command of a bench takes a tenth of it on the slowest machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a command line and gives the time from before its birth to after its end.
///
/// Its streams go to files in `directory`, not to pipes: a daemon that keeps one open must not be
/// waited for. `Err` names the command, its end and what it said.
pub fn timed(words: &[String], directory: &Path) -> Result<Duration, Failure> {
    let shown = words.join(" ");
    let [program, arguments @ ..] = words else {
        return Err("an empty command line".into());
    };
    let stream = |name: &str| {
        let path = directory.join(name);
        File::create(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stream("stdout")?)
        .stderr(stream("stderr")?);
    let begun = Instant::now();
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot run {shown}: {error}"))?;
    let in_time = ended_before(&child, begun + DEADLINE);
    let took = begun.elapsed();
    if !matches!(in_time, Ok(true)) {
        // It may have ended this instant; either way it is reaped below.
        let _ = child.kill();
    }
    let status = child
        .wait()
        .map_err(|error| format!("cannot wait for {shown}: {error}"))?;
    match in_time {
        Err(error) => Err(format!("cannot wait for {shown}: {error}")),
        Ok(false) => Err(format!("{shown} took more than {} s", DEADLINE.as_secs())),
        Ok(true) if !status.success() => Err(format!(
            "{shown} failed ({status}): {}",
            said(directory, "stderr")
        )),
        Ok(true) => Ok(took),
    }
}

/// What the last command wrote to `stdout` or `stderr`.
pub fn said(directory: &Path, stream: &str) -> String {
    let bytes = std::fs::read(directory.join(stream)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn ended_before(child: &Child, deadline: Instant) -> Result<bool, Errno> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
