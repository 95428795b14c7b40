//! The helper of one attach of a program: joins, lets the attached process be born, and is gone.

use super::report::Word;
use super::{Given, HelperRequest, guest, join, step};
use crate::failure::{Failure, FailureKind};
use crate::launch;
use crate::message;
use lxc_kernel::seccomp::Filter;
use lxc_kernel::{Errno, Result, inherit, inroot::Root, process, signals};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Largest etc/passwd read for a shell.
const PASSWD_MAX: usize = 1024 * 1024;

/// The helper's whole life; returns its exit code.
pub fn serve(request: HelperRequest, report: Option<OwnedFd>) -> i32 {
    let Some(report) = report else { return 1 };
    let outcome = begin(&request, &report);
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            // A caller that has gone does not want to know.
            let _ = message::send(report.as_fd(), &Word::Failed(failure), &[]);
            1
        }
    }
}

fn begin(request: &HelperRequest, report: &OwnedFd) -> std::result::Result<(), Failure> {
    let mut given = take(request).map_err(|e| step("take over its descriptors", &e))?;
    let profile = request.seccomp_profile.as_deref();
    let filter = profile.map(join::compile).transpose()?;
    let failure = match join::enter(&request.order, &mut given, report, 0)? {
        join::Side::Helper => return Ok(()),
        join::Side::Stranded(failure) => failure,
        // The way in stays open until the exec, which closes it in one go.
        join::Side::Guest { way: _way } => {
            become_program(request, &mut given, filter.as_ref(), report)
        }
    };
    let errno = failure.errno.filter(|_| failure.kind == FailureKind::Exec);
    let code = match errno.map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => 127,
        Some(Errno::ACCESS | Errno::NOEXEC) => 126,
        _ => 255,
    };
    let _ = message::send(report.as_fd(), &Word::NotBegun(failure), &[]);
    process::exit_now(code)
}

/// What the caller left at agreed numbers.
fn take(request: &HelperRequest) -> Result<Given> {
    let first = launch::last_kept_fd() + 3;
    let mut numbers = first..;
    let mut next = || inherit::take(numbers.next().unwrap_or(-1));
    let pidfd = next()?;
    let cgroups = (0..request.cgroups)
        .map(|_| next())
        .collect::<Result<_>>()?;
    let mut streams = [None, None, None];
    for (stream, _) in streams
        .iter_mut()
        .zip(request.streams)
        .filter(|(_, given)| *given)
    {
        *stream = Some(next()?);
    }
    let terminal = request.terminal.then(next).transpose()?;
    Ok(Given {
        pidfd,
        cgroups,
        streams,
        terminal,
    })
}

/// Executes; returns only a failure.
fn become_program(
    request: &HelperRequest,
    given: &mut Given,
    filter: Option<&Filter>,
    report: &OwnedFd,
) -> Failure {
    if let Err(failure) = guest::become_guest(&request.order, given, filter, report) {
        return failure;
    }
    signals::reset_handlers();
    if let Err(error) = signals::empty_mask() {
        return step("become the container's", &error);
    }
    let argv = match request.argv.as_slice() {
        [] => vec![shell(request.order.uid)],
        argv => argv.to_vec(),
    };
    let arguments: std::result::Result<Vec<_>, _> = argv
        .iter()
        .map(|word| CString::new(word.as_str()))
        .collect();
    let (Ok(arguments), Some(env)) = (arguments, environment(&request.env)) else {
        return Failure::new(
            FailureKind::Exec,
            "an argument or variable contains a NUL byte",
        );
    };
    let error = process::exec(&arguments, &env);
    let failure = Failure::new(FailureKind::Exec, format!("cannot execute {}", argv[0]));
    let hint = match error.errno {
        Errno::NOENT => {
            "there is no such program inside the container, or its interpreter is missing"
        }
        Errno::ACCESS => "the file is not executable inside the container",
        Errno::NOEXEC => "the file is not a program of this machine's architecture",
        _ => "the container's kernel refuses to execute it",
    };
    failure.caused_by(&error).hint(hint)
}

/// `NAME=VALUE` each; nothing if one contains a NUL byte.
pub fn environment(env: &[(OsString, OsString)]) -> Option<Vec<CString>> {
    let joined = |(name, value): &(OsString, OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    };
    env.iter().map(joined).collect()
}

/// The shell that the container's etc/passwd names for `uid`; /bin/sh without one.
fn shell(uid: u32) -> String {
    let default = "/bin/sh".to_string();
    let passwd =
        Root::open(Path::new("/")).and_then(|root| root.read_file("etc/passwd", PASSWD_MAX));
    let Ok(text) = passwd else { return default };
    let text = String::from_utf8_lossy(&text);
    let uid = uid.to_string();
    let shell = text.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.len() == 7 && fields[2] == uid).then(|| fields[6].to_string())
    });
    shell.filter(|s| s.starts_with('/')).unwrap_or(default)
}
