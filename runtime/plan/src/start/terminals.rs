//! The console and the ttys of a start, decided.

use super::Steps;
use crate::step::{Step, TtyPlan};
use crate::{Refusal, StartRequest};
use lxc_config::{ConsolePath, Values};

pub(super) fn has_console(values: &Values) -> bool {
    values.console.path != ConsolePath::None
}

/// LXC takes the console from the container's own devpts as soon as that has room for it.
pub(super) fn console_from_guest(values: &Values, own_root: bool) -> bool {
    values.pty_max > 1 && own_root
}

pub(super) fn terminals(
    steps: &mut Steps,
    values: &Values,
    request: &StartRequest,
    own_root: bool,
) -> Result<(), Refusal> {
    let ttys = if request.mini_init { 0 } else { values.tty_max };
    let pty_max = values.pty_max;
    if own_root && (pty_max > 0 || ttys > 0) {
        let max = pty_max.saturating_add(values.tty_max);
        steps.guest(Step::MountDevpts {
            max,
            ptmx: pty_max > 0,
        });
    }
    let console = has_console(values);
    let from_guest = console_from_guest(values, own_root);
    steps.guest(Step::SetUpTerminals(TtyPlan {
        console,
        console_from_guest: console && from_guest,
        console_is_stdio: console && (request.foreground || from_guest),
        only_terminals: request.mini_init && request.foreground,
        ttys: if own_root { ttys } else { 0 },
        dir: tty_dir(values)?,
        keep_devpts: pty_max > 0,
    }));
    if own_root {
        steps.guest(Step::LinkDev);
    }
    Ok(())
}

/// The directory of the terminals: one directly below /dev, as LXC has it.
fn tty_dir(values: &Values) -> Result<Option<String>, Refusal> {
    let Some(written) = &values.tty_dir else {
        return Ok(None);
    };
    let name = written.trim_end_matches('/');
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Refusal::new(
            format!("lxc.tty.dir = {written} is no directory directly below /dev"),
            "write a name without slashes, such as lxc",
        ));
    }
    Ok(Some(name.to_string()))
}
