//! A program of the host that somebody waits for, and what it writes.

use lxc_kernel::process::{self, Ended, SpawnSpec};
use lxc_kernel::{Errno, Result, SysError};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Output is kept up to here, for the log and for the failure.
const OUTPUT_MAX: usize = 64 * 1024;

/// A program that runs.
pub struct Spawned {
    pid: i32,
    pidfd: OwnedFd,
    output: OwnedFd,
    text: Vec<u8>,
}

impl Spawned {
    /// Starts a program of the system with these arguments and a plain environment.
    pub fn start(program: &str, arguments: &[&str]) -> Result<Spawned> {
        let argv = [program].into_iter().chain(arguments.iter().copied());
        let argv = argv.map(str::to_string).collect();
        let env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"].map(str::to_string);
        Spawned::with(Path::new(program), argv, env.to_vec(), false)
    }

    /// Starts a program with this `argv` and environment (`NAME=value` each), in a session of its own
    /// if `new_session`.
    pub fn with(
        program: &Path,
        argv: Vec<String>,
        env: Vec<String>,
        new_session: bool,
    ) -> Result<Spawned> {
        let program = process::open_program(program)?;
        let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|e| SysError::new("pipe2", String::new(), e))?;
        lxc_kernel::socket::set_nonblocking(ours.as_fd(), true)?;
        let spec = SpawnSpec {
            program: program.as_fd(),
            argv: strings(argv)?,
            env: strings(env)?,
            fds: vec![(theirs.as_fd(), 1), (theirs.as_fd(), 2)],
            new_session,
            close_from: Some(3),
            reset_signals: true,
        };
        let (pid, pidfd) = process::spawn(&spec)?;
        Ok(Spawned {
            pid,
            pidfd,
            output: ours,
            text: Vec::new(),
        })
    }

    /// Its pid; its own until its end is taken.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Readable when it has written something.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// What it has written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// Takes what has been written; never blocks. `false` at the end.
    pub fn collect(&mut self) -> bool {
        let mut buffer = [0u8; 4096];
        loop {
            match rustix::io::read(&self.output, &mut buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    let room = OUTPUT_MAX.saturating_sub(self.text.len());
                    self.text.extend_from_slice(&buffer[..count.min(room)]);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }

    /// How it has ended, with its last words taken; `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<Ended>> {
        let ended = process::wait_pidfd(self.pidfd.as_fd(), false)?;
        if ended.is_some() {
            self.collect();
        }
        Ok(ended)
    }
}

fn strings(list: Vec<String>) -> Result<Vec<CString>> {
    let convert = |text: String| {
        CString::new(text.clone()).map_err(|_| SysError::new("execve", text, Errno::INVAL))
    };
    list.into_iter().map(convert).collect()
}
