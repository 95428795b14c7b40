//! The label of an attached process: the caller opens the file, the process writes to it, the caller
//! reads what came of it.
//!
//! In the container's mount namespace /proc may be anything, so the process opens nothing there. And it
//! gets this one file, not a directory: whoever traces it must find no way out.
//!
//! An ordinary user may not look into the process he has made, which holds memory of the host's, and a
//! file that he opens takes no label. His gets the directory of its own labels, opens the file, and
//! closes the directory: nobody traces it meanwhile, because no root of a container of his has power
//! over that memory.

use super::report::{Answer, Word};
use super::{LabelOrder, broken, step};
use crate::failure::{Failure, FailureKind};
use crate::hint;
use crate::message;
use crate::step::label::module;
use lxc_kernel::lsm::{self, LabelFile, Module, Moment};
use lxc_kernel::{Errno, SysError, process, procfs::Proc, socket, users};
use lxc_plan::{AttachLabel, LabelFacts, SecurityModule};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long the caller may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// The labels of caller and init; `None` without a security module that gives any.
pub fn facts(init_pid: i32) -> Result<Option<LabelFacts>, Failure> {
    let unknown = |error: SysError| {
        step("read the label of the container's init", &error)
            .hint("attach without its label (-e LSM) if you know what runs inside")
    };
    let proc = Proc::host().map_err(unknown)?;
    let Some((of, init)) = lsm::label_of(&proc, &init_pid.to_string()).map_err(unknown)? else {
        return Ok(None);
    };
    let own = lsm::label_of(&proc, "self").map_err(unknown)?;
    Ok(Some(LabelFacts {
        module: match of {
            Module::Apparmor => SecurityModule::Apparmor,
            Module::Selinux => SecurityModule::Selinux,
        },
        own: own.map(|(_, label)| label).unwrap_or_default(),
        init,
    }))
}

/// What the process is told of it.
pub fn order(wanted: &AttachLabel) -> LabelOrder {
    LabelOrder {
        apparmor: wanted.label.module == SecurityModule::Apparmor,
        at_exec: wanted.at_exec,
        text: wanted.label.text.clone(),
    }
}

fn moment(at_exec: bool) -> Moment {
    match at_exec {
        true => Moment::AtExec,
        false => Moment::Now,
    }
}

/// Opens the file of the process that `pidfd` names and gives it away, or where it is; a copy is kept.
pub fn hand_over(
    wanted: &AttachLabel,
    pid: i32,
    pidfd: &OwnedFd,
    socket: &OwnedFd,
) -> Result<LabelFile, Failure> {
    let of = module(wanted.label.module);
    let opened = Proc::host().and_then(|proc| {
        let pid = pid.to_string();
        let file = LabelFile::open(&proc, &pid, of, moment(wanted.at_exec))?;
        let place = match users::euid() {
            0 => None,
            _ => Some(LabelFile::directory(&proc, &pid, of)?),
        };
        // The pid was that of the pidfd when the file was opened, if the latter lives still.
        process::pidfd_signal(pidfd.as_fd(), 0)?;
        Ok((file, place))
    });
    let (file, place) = opened.map_err(|e| step("open the label of the attached process", &e))?;
    let (word, given) = match &place {
        None => (Answer::LabelFile, file.fd()),
        Some(place) => (Answer::LabelDirectory, place.as_fd()),
    };
    message::send(socket.as_fd(), &word, &[given])
        .map_err(|e| broken("hand the label over", &e))?;
    Ok(file)
}

/// Lets the process go on if it runs under its label.
pub fn confirm(wanted: &AttachLabel, file: &LabelFile, socket: &OwnedFd) -> Result<(), Failure> {
    let found = file
        .read()
        .map_err(|e| step("read the label of the attached process", &e))?;
    if !lxc_plan::label_in_force(&wanted.label, &found) {
        let error = lsm::not_in_force("the attached process", &wanted.label.text, &found);
        return Err(step("attach under the container's label", &error));
    }
    message::send(socket.as_fd(), &Answer::GoOn, &[])
        .map_err(|e| broken("let the attached process go on", &e))
}

/// The process' part: takes the label and waits until the caller has seen it.
pub fn take(wanted: &LabelOrder, report: &OwnedFd) -> Result<(), Failure> {
    let heard = |error: &SysError| broken("hear from the caller", error);
    socket::set_receive_timeout(report.as_fd(), Some(ANSWER)).map_err(|e| heard(&e))?;
    let lost = || SysError::new("recvmsg", "from the caller", Errno::PIPE);
    let answer = || message::receive::<Answer>(report.as_fd())?.ok_or_else(lost);
    let (word, fds) = answer().map_err(|e| heard(&e))?;
    let fd = fds.into_iter().next().ok_or_else(|| heard(&lost()))?;
    let of = match wanted.apparmor {
        true => SecurityModule::Apparmor,
        false => SecurityModule::Selinux,
    };
    let file = match word {
        Answer::LabelFile => Ok(LabelFile::from_fd(fd, module(of))),
        Answer::LabelDirectory => {
            let file = LabelFile::open_in(fd.as_fd(), module(of), moment(wanted.at_exec));
            drop(fd);
            file
        }
        Answer::GoOn => return Err(heard(&lost())),
    };
    if let Err(error) = file.and_then(|file| file.write(&wanted.text)) {
        let failure = Failure::new(
            FailureKind::Step,
            format!("cannot run under the {of} label '{}'", wanted.text),
        );
        let failure = failure.caused_by(&error);
        return Err(match hint::hint_of_label(of, error.errno) {
            Some(hint) => failure.hint(hint),
            None => failure,
        });
    }
    message::send(report.as_fd(), &Word::Labelled, &[]).map_err(|e| heard(&e))?;
    match answer().map_err(|e| heard(&e))? {
        (Answer::GoOn, _) => Ok(()),
        (Answer::LabelFile | Answer::LabelDirectory, _) => Err(heard(&lost())),
    }
}
