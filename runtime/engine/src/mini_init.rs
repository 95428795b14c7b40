//! The minimal init of lxc-execute: starts one program, reaps, forwards signals.

use crate::message::{self, FromGuest};
use lxc_kernel::process::{self, CloneSpec, Cloned, Ended, Reaped};
use lxc_kernel::signals::{self, SignalFd};
use lxc_kernel::{Errno, Result, SysError, events, events::Interest, fd, inherit, pty};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Between the polite signal to everyone and the one that cannot be refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs `argv` as a child of this process and lives until nothing is left to reap; returns only if
/// the program cannot be started.
pub fn run(argv: &[CString], env: &[CString], socket: &OwnedFd, last_kept: i32) -> SysError {
    let started = start(argv, env);
    let (pid, pidfd) = match started {
        Ok(started) => started,
        Err(error) => return error,
    };
    if let Err(error) = message::send(socket.as_fd(), &FromGuest::Started, &[]) {
        return error;
    }
    // The program's descriptors are its own; ours would keep its sockets and terminals alive.
    let pidfd = match fd::raise_above(pidfd, last_kept + 1) {
        Ok(pidfd) => pidfd,
        Err(error) => return error,
    };
    let keep = pidfd.as_raw_fd();
    if let Err(error) = fd::close_from(keep + 1) {
        return error;
    }
    inherit::close_between(last_kept + 1, keep - 1);
    match supervise(pid, &pidfd) {
        Ok(code) => process::exit_now(code),
        Err(_) => process::exit_now(255),
    }
}

/// Forks the program; its exec failure comes back through a pipe that exec closes.
fn start(argv: &[CString], env: &[CString]) -> Result<(i32, OwnedFd)> {
    signals::block_all_but_fatal()?;
    let (ours, theirs) = fd::pair()?;
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: None,
        exit_signal: libc::SIGCHLD,
        extra: 0,
    };
    match process::clone_process(&spec)? {
        Cloned::Child => {
            drop(ours);
            // Its own session; the terminal becomes the controlling one where there is one.
            let _ = process::setsid();
            if pty::is_terminal(rustix::stdio::stdin()) {
                let _ = pty::set_controlling(rustix::stdio::stdin());
            }
            let _ = signals::empty_mask();
            let error = process::exec(argv, env);
            let errno = error.errno.raw_os_error().to_ne_bytes();
            // The parent sees a child that ended; nobody else is left to tell.
            let _ = rustix::io::write(&theirs, &errno);
            process::exit_now(255)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let mut errno = [0u8; 4];
            match rustix::io::read(&ours, &mut errno) {
                Ok(4) => {
                    let errno = Errno::from_raw_os_error(i32::from_ne_bytes(errno));
                    let program = argv.first().map(|a| a.to_string_lossy().into_owned());
                    Err(SysError::new("execve", program.unwrap_or_default(), errno))
                }
                Ok(_) => Ok((pid, pidfd)),
                Err(error) => Err(SysError::new("read", "exec result", error)),
            }
        }
    }
}

/// Reaps and forwards until no child is left; returns the program's code, 128+n for signal n.
fn supervise(program: i32, pidfd: &OwnedFd) -> Result<i32> {
    let signals = SignalFd::all_blocked()?;
    let mut code = 0;
    let mut ending: Option<(Instant, i32)> = None;
    loop {
        loop {
            match process::reap_any()? {
                Reaped::Child(pid, ended) if pid == program => {
                    code = match ended {
                        Ended::Exited(code) => code,
                        Ended::Killed { signal, .. } => 128 + signal,
                    };
                }
                Reaped::Child(..) => {}
                Reaped::NoneYet => break,
                Reaped::Childless => return Ok(code),
            }
        }
        let patience = ending.map(|(when, _)| when.saturating_duration_since(Instant::now()));
        if !events::poll_one(signals.as_fd(), Interest::READ, patience)? {
            inherit::signal_everyone(libc::SIGKILL)?;
            ending = Some((Instant::now() + PATIENCE, libc::SIGKILL));
            continue;
        }
        while let Some(info) = signals.read()? {
            match info.signal {
                libc::SIGCHLD => {}
                libc::SIGPWR | libc::SIGTERM => {
                    if ending.is_none() {
                        inherit::signal_everyone(libc::SIGTERM)?;
                        ending = Some((Instant::now() + PATIENCE, libc::SIGTERM));
                    }
                }
                other => {
                    // A program that has just ended needs no more signals.
                    let _ = process::pidfd_signal(pidfd.as_fd(), other);
                }
            }
        }
    }
}
