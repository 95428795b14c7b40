//! newuidmap and newgidmap, called by their arguments and never through a shell.

use super::{Error, Range, Result};
use crate::events::{Interest, poll_one};
use crate::fd::describe;
use crate::file::open_path;
use crate::process::{Ended, SpawnSpec, pidfd_signal, spawn, wait_pidfd};
use crate::{Errno, SysError};
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// It may have to ask a directory service who the caller is, but not for ever.
const TIME: Duration = Duration::from_secs(30);

/// Bytes of its complaint that are kept.
const SAID: usize = 4096;

/// Runs `program PID INSIDE OUTSIDE COUNT …`; anything but exit code 0 is an error with what it said.
pub(super) fn run(program: &Path, pid: i32, ranges: &[Range]) -> Result<()> {
    let numbers = ranges
        .iter()
        .flat_map(|it| [it.inside, it.outside, it.count]);
    let mut args = vec![pid.to_string()];
    args.extend(numbers.map(|number| number.to_string()));
    let (ended, said) = call(program, &args)?;
    match ended {
        Some(Ended::Exited(0)) => Ok(()),
        _ => Err(Error::Tool {
            program: program.to_owned(),
            args,
            ended,
            said,
        }),
    }
}

fn call(program: &Path, args: &[String]) -> crate::Result<(Option<Ended>, String)> {
    let failed = |errno| SysError::new("pipe2", "O_CLOEXEC", errno);
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let file = open_path(program)?;
    let null = open_path(Path::new("/dev/null"))?;
    let name = program.as_os_str().to_string_lossy();
    let words = std::iter::once(name.as_ref()).chain(args.iter().map(String::as_str));
    let argv: std::result::Result<Vec<CString>, _> = words.map(CString::new).collect();
    let argv = argv.map_err(|_| SysError::new("execveat", format!("{program:?}"), Errno::INVAL))?;
    let (_, pidfd) = spawn(&SpawnSpec {
        program: file.as_fd(),
        argv,
        // Its words are for a reader of ours, not in the language of whoever called.
        env: vec![c"LC_ALL=C".to_owned()],
        // An O_PATH descriptor can be neither read nor written, which is what it shall find.
        fds: vec![(null.as_fd(), 0), (writer.as_fd(), 1), (writer.as_fd(), 2)],
        new_session: false,
        close_from: Some(3),
        reset_signals: true,
    })?;
    drop(writer);
    let deadline = Instant::now() + TIME;
    let said = listen(reader.as_fd(), deadline)?;
    let in_time = poll_one(pidfd.as_fd(), Interest::READ, Some(left(deadline)))?;
    if !in_time {
        pidfd_signal(pidfd.as_fd(), libc::SIGKILL)?;
    }
    let ended = wait_pidfd(pidfd.as_fd(), true)?;
    let said = String::from_utf8_lossy(&said);
    let said = said
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("; ");
    Ok((ended.filter(|_| in_time), said))
}

/// What it says until it closes its output or the time is over; what is too long is cut.
fn listen(reader: BorrowedFd, deadline: Instant) -> crate::Result<Vec<u8>> {
    let mut said = Vec::new();
    let mut buffer = [0; SAID];
    while poll_one(reader, Interest::READ, Some(left(deadline)))? {
        let read = crate::error::retry(|| rustix::io::read(reader, &mut buffer))
            .map_err(|errno| SysError::new("read", describe(reader), errno))?;
        if read == 0 {
            break;
        }
        let room = SAID.saturating_sub(said.len());
        said.extend(buffer.iter().take(read.min(room)));
    }
    Ok(said)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
