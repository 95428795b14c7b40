//! The attached process's part: it becomes one of the container's, in the order of a start.

use super::report::Word;
use super::{Given, Order, label, step};
use crate::facts;
use crate::failure::Failure;
use crate::message;
use lxc_kernel::seccomp::Filter;
use lxc_kernel::{Errno, Result, caps, fd, inroot::Root, process, pty};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Takes over session, streams and directory, and gives up power. Streams and terminal of `given` are
/// used up.
pub fn become_guest(
    order: &Order,
    given: &mut Given,
    filter: Option<&Filter>,
    report: &OwnedFd,
) -> std::result::Result<(), Failure> {
    let become_its = |error| step("become the container's", &error);
    take_place(order, given, report)
        .and_then(|()| bound_power(order))
        .map_err(become_its)?;
    if let Some(wanted) = &order.label {
        label::take(wanted, report)?;
    }
    give_up_power(order, filter).map_err(become_its)
}

fn take_place(order: &Order, given: &mut Given, report: &OwnedFd) -> Result<()> {
    // Always a session of its own: the caller's terminal must not be reachable by /dev/tty.
    process::setsid()?;
    take_streams(given)?;
    let Some(wanted) = &order.directory else {
        return enter_directory(&order.cwd).map(drop);
    };
    if !enter_directory(wanted)? {
        // As LXC does: the program begins in the root. Nobody listens if the caller has gone.
        let sentence = format!("cannot begin in {wanted}: no such directory inside; began in /");
        let _ = message::send(report.as_fd(), &Word::Warning(sentence), &[]);
    }
    Ok(())
}

fn take_streams(given: &mut Given) -> Result<()> {
    let numbers = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    let chosen = given.streams[0].is_some();
    for (stream, number) in given.streams.iter_mut().zip(&numbers) {
        if let Some(stream) = stream.take() {
            fd::place_at(stream.as_fd(), number.as_raw_fd())?;
        }
    }
    match given.terminal.take() {
        Some(terminal) => {
            for number in numbers.iter().filter(|number| pty::is_terminal(**number)) {
                fd::place_at(terminal.as_fd(), number.as_raw_fd())?;
            }
            pty::set_controlling(terminal.as_fd())
        }
        // A terminal that was chosen for it, not one that it happens to see. That of another session
        // stays that session's.
        None if chosen && pty::is_terminal(numbers[0]) => {
            let _ = pty::set_controlling(numbers[0]);
            Ok(())
        }
        None => Ok(()),
    }
}

fn bound_power(order: &Order) -> Result<()> {
    if let Some(personality) = order.personality {
        process::set_personality(personality)?;
    }
    if let Some(bounding) = order.bounding {
        for capability in 0..=caps::last_cap() {
            if bounding & (1 << capability) == 0 && caps::bounding_has(capability) {
                caps::drop_bounding(capability)?;
            }
        }
    }
    // As for init: a filter that refuses keyctl to this process refuses it to the program, too.
    match process::set_keyring_session() {
        Err(error)
            if error.errno == Errno::NOSYS
                || matches!(error.errno, Errno::PERM | Errno::ACCESS) && facts::confined() =>
        {
            Ok(())
        }
        done => done,
    }
}

fn give_up_power(order: &Order, filter: Option<&Filter>) -> Result<()> {
    if order.no_new_privs {
        process::set_no_new_privs()?;
    }
    if let Some(filter) = filter {
        filter.load()?;
    }
    match (
        &order.groups,
        process::set_groups(order.groups.as_deref().unwrap_or_default()),
    ) {
        (None, Err(error)) if error.is(Errno::PERM) => {}
        (_, done) => done?,
    }
    process::set_ids(order.uid, order.gid)?;
    // A function's memory is the caller's, passwords and keys; a program's is it until its exec. Changing
    // ids opens it to the guest where the host has programs dumped that do so (fs.suid_dumpable).
    process::set_dumpable(false)?;
    caps::clear_inheritable_and_ambient()
}

/// Begins in `path` as it is inside, else in the root; tells which. Never through a magic link of
/// /proc, which could lead out.
fn enter_directory(path: &str) -> Result<bool> {
    let root = Root::open(Path::new("/"))?;
    let entered = root
        .resolve(path)
        .and_then(|directory| process::fchdir(directory.as_fd()));
    match entered {
        Ok(()) => Ok(true),
        Err(_) => process::fchdir(root.fd()).map(|()| false),
    }
}
