//! The monitor program: how it is found and executed, and how it begins.
//!
//! Descriptors travel at agreed numbers above those the caller gives to the container
//! (LISTEN_FDS), never at 0–2.

use crate::attach;
use crate::failure::{Failure, FailureKind};
use crate::message::{self, Report};
use crate::mini_init;
use crate::monitor;
use crate::origin;
use crate::request::{MonitorRequest, Request};
use lxc_kernel::process::{self, SpawnSpec};
use lxc_kernel::{Errno, SysError, fd, inherit, users};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// File name of the program.
pub const PROGRAM: &str = "lxc-monitor";

/// The highest descriptor number that belongs to the container: 2, or what LISTEN_FDS adds.
pub fn last_kept_fd() -> i32 {
    let given = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|n| n.parse::<i32>().ok());
    2 + given.unwrap_or(0).clamp(0, 1024)
}

/// Where the program reports to its caller.
fn report_number() -> i32 {
    last_kept_fd() + 1
}

/// Where it finds its request.
fn request_number() -> i32 {
    last_kept_fd() + 2
}

/// The program's first act: takes its descriptors, closes every other, and becomes what the request
/// says. Returns the exit code.
pub fn serve_request() -> i32 {
    mini_init::go_on(std::env::args_os());
    let report = inherit::take(report_number()).ok();
    let Ok(request) = inherit::take(request_number()) else {
        eprintln!("{PROGRAM}: this program is executed by liblxc and the lxc-* tools, not by hand");
        return 1;
    };
    let unpacked = Request::unpack(request.as_fd());
    drop(request);
    match unpacked {
        Ok(Request::Monitor(request)) => {
            let report = report.filter(|_| !request.in_place);
            close_the_rest(report.as_ref());
            monitor::enter(request, report)
        }
        Ok(Request::Attach(request)) => attach::serve(request, report),
        Err(failure) => {
            let told = report
                .map(|report| message::send(report.as_fd(), &Report::Failed(failure.clone()), &[]));
            if !matches!(told, Some(Ok(()))) {
                eprintln!("{PROGRAM}: {failure}");
            }
            1
        }
    }
}

/// Whatever else the caller had open is not the container's business. Our own descriptors are moved
/// right above those that are.
fn close_the_rest(report: Option<&OwnedFd>) {
    use std::os::fd::AsRawFd;
    let kept = report.map_or(-1, AsRawFd::as_raw_fd);
    let first = last_kept_fd() + 1;
    if kept < 0 {
        let _ = fd::close_from(first);
        return;
    }
    inherit::close_between(first, kept - 1);
    let _ = fd::close_from(kept + 1);
}

/// Finds the program: where the installation puts it that this code belongs to, or beside it in a
/// build directory.
///
/// # Errors
/// A sentence that names every place.
pub fn find_program() -> Result<PathBuf, Failure> {
    let candidates = origin::places_of(PROGRAM);
    let found = candidates.iter().find(|path| {
        rustix::fs::access(path.as_path(), rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
    });
    found.cloned().ok_or_else(|| {
        let places: Vec<_> = candidates.iter().map(|p| p.display().to_string()).collect();
        Failure::new(
            FailureKind::Monitor,
            format!("the program {PROGRAM} is nowhere to be found"),
        )
        .hint(format!(
            "looked for {}; build it with 'cargo build -p lxc-engine' or install it with \
                 'cargo xtask install --prefix DIR'",
            places.join(", ")
        ))
    })
}

/// A request, packed, and the program that will serve it, sealed against whoever sees it running.
pub struct Launch {
    program: OwnedFd,
    request: OwnedFd,
}

impl Launch {
    /// Prepares a launch.
    pub fn prepare(request: &Request) -> Result<Launch, Failure> {
        let path = find_program()?;
        let program = process::sealed_program(&path, users::euid() == 0)
            .map_err(|e| broken("open the monitor program", &e))?;
        let request = request
            .pack()
            .map_err(|e| broken("write the request", &e))?;
        Ok(Launch { program, request })
    }

    /// Executes it as a child; gives its pid, its pidfd, and the socket it reports to. `extra`
    /// descriptors are placed right above.
    pub fn spawn(
        self,
        title: &str,
        extra: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<(i32, OwnedFd, OwnedFd), Failure> {
        // The closing of the last copy of `theirs` says that there is nothing more to hear; a fork
        // that attaches a function would keep one.
        let _held = process::no_fork();
        let (ours, theirs) = fd::pair().map_err(|e| broken("make a socket", &e))?;
        let mut fds = vec![
            (theirs.as_fd(), report_number()),
            (self.request.as_fd(), request_number()),
        ];
        fds.extend(
            extra
                .iter()
                .zip(request_number() + 1..)
                .map(|(fd, number)| (*fd, number)),
        );
        let spec = SpawnSpec {
            program: self.program.as_fd(),
            argv: vec![c_string(title)?],
            env: environment(),
            fds,
            new_session: false,
            // What else the caller has open is not the container's business.
            close_from: Some(last_kept_fd() + 1),
            reset_signals: true,
        };
        let (pid, pidfd) =
            process::spawn(&spec).map_err(|e| broken("execute the monitor program", &e))?;
        Ok((pid, pidfd, ours))
    }

    /// Executes it in place of the calling process, which must be single-threaded; returns only a
    /// failure.
    pub fn exec(self, title: &str) -> Failure {
        let argv = match c_string(title) {
            Ok(title) => [title],
            Err(failure) => return failure,
        };
        // Above both numbers, or placing one would overwrite the other.
        let request = match fd::raise_above(self.request, request_number() + 1) {
            Ok(request) => request,
            Err(error) => return broken("move the request", &error),
        };
        let program = match fd::raise_above(self.program, request_number() + 1) {
            Ok(program) => program,
            Err(error) => return broken("move the program", &error),
        };
        if let Err(error) = fd::place_at(request.as_fd(), request_number()) {
            return broken("place the request", &error);
        }
        broken(
            "execute the monitor program",
            &process::exec_fd(program.as_fd(), &argv, &environment()),
        )
    }
}

/// Starts a daemonised monitor and waits for its report.
///
/// Blocks until the container runs or has failed; no deadline, because pre-start hooks are users'
/// code.
pub fn start_daemon(request: MonitorRequest) -> Result<i32, Failure> {
    let title = monitor_title(&request);
    let launch = Launch::prepare(&Request::Monitor(request))?;
    let (stage1, _pidfd, socket) = launch.spawn(&title, &[])?;
    // Exactly stage 1; a caller that ignores SIGCHLD has no child left to reap.
    match process::wait_pid(stage1) {
        Ok(_) => {}
        Err(error) if error.errno == Errno::CHILD => {}
        Err(error) => return Err(broken("wait for the monitor", &error)),
    }
    read_report(&socket)
}

/// Starts a foreground monitor as a child, for a caller that cannot become it. Blocks until the
/// container has ended; gives how its init ended, as `error_num` says it. The child dies with the
/// calling thread.
pub fn run_foreground(request: MonitorRequest) -> Result<i32, Failure> {
    let title = monitor_title(&request);
    let launch = Launch::prepare(&Request::Monitor(request))?;
    let (_, pidfd, socket) = launch.spawn(&title, &[])?;
    let status = read_end(&socket);
    match process::wait_pidfd(pidfd.as_fd(), true) {
        Ok(_) => {}
        // A caller that ignores SIGCHLD has no child left to reap.
        Err(error) if error.errno == Errno::CHILD => {}
        Err(error) => return Err(broken("wait for the monitor", &error)),
    }
    status
}

/// Reads what a foreground monitor says, to its last word.
fn read_end(socket: &OwnedFd) -> Result<i32, Failure> {
    let mut ran = false;
    loop {
        match message::receive::<Report>(socket.as_fd()) {
            Ok(Some((Report::Running { .. }, _))) => ran = true,
            Ok(Some((Report::Ended { status }, _))) => return Ok(status),
            Ok(Some((Report::Failed(failure), _))) => return Err(failure),
            Ok(None) => return Err(monitor_died(ran)),
            Err(error) => return Err(broken("hear from the monitor", &error)),
        }
    }
}

fn monitor_died(ran: bool) -> Failure {
    let when = match ran {
        true => "while the container ran; the container was killed with it",
        false => "before it could say how the start went",
    };
    Failure::new(FailureKind::Monitor, format!("the monitor died {when}"))
        .hint("start again; what it left behind is removed then")
}

/// Becomes the foreground monitor: same pid, same terminal. Returns only a failure.
pub fn become_monitor(mut request: MonitorRequest) -> Failure {
    request.in_place = true;
    let title = monitor_title(&request);
    match Launch::prepare(&Request::Monitor(request)) {
        Ok(launch) => launch.exec(&title),
        Err(failure) => failure,
    }
}

fn read_report(socket: &OwnedFd) -> Result<i32, Failure> {
    match message::receive::<Report>(socket.as_fd()) {
        Ok(Some((Report::Running { init_pid }, _))) => Ok(init_pid),
        Ok(Some((Report::Failed(failure), _))) => Err(failure),
        Ok(Some((Report::Ended { .. }, _)) | None) => Err(monitor_died(false)),
        Err(error) => Err(broken("hear from the monitor", &error)),
    }
}

/// The whole command line of a monitor, as Incus and others read it.
fn monitor_title(request: &MonitorRequest) -> String {
    format!("[lxc monitor] {} {}", request.lxcpath, request.name)
}

fn environment() -> Vec<CString> {
    let join = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        CString::new(name.into_vec()).ok()
    };
    std::env::vars_os().filter_map(join).collect()
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| {
        Failure::new(
            FailureKind::Monitor,
            "the container's path contains a NUL byte",
        )
    })
}

fn broken(what: &str, error: &SysError) -> Failure {
    Failure::new(FailureKind::Monitor, format!("cannot {what}")).caused_by(error)
}
