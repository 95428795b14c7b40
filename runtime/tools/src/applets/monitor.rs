//! lxc-monitor: prints what happens to containers.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lxc_runtime::{ErrorKind, Event, EventKind, Events, end_events};

use super::{exit_code, monitord};
use crate::applet::{self, Applet};
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::{Effect, Opt, Short};
use crate::output;
use crate::pattern::Pattern;

#[derive(Default)]
pub struct Monitor {
    quit: bool,
}

impl Applet for Monitor {
    const WORDS: Words = Words {
        program: "lxc-monitor",
        synopsis: "[--name=REGEX] [OPTION...]",
        about: "lxc-monitor prints each change of state of the containers whose names match REGEX, an\n\
                extended regular expression, and how they end. It runs until it is killed.",
        notes: "It listens to lxc-monitord, one for each PATH, and starts those that do not run.",
    };

    const NEEDS_NAME: bool = false;
    const MANY_LXCPATHS: bool = true;

    const OPTIONS: &'static [Opt<Monitor>] = &[Opt {
        long: "quit",
        short: Short::Listed('Q'),
        effect: Effect::Flag(|monitor| monitor.quit = true),
        help: "Tell the lxc-monitord of each PATH to end, and end",
    }];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        // It is no container's name, so no message begins with it.
        let regex = common.name.take().unwrap_or_else(|| ".*".to_owned());
        let pattern = Pattern::parse(&format!("^({regex})$")).map_err(Failure::new)?;
        common.set_up_log()?;
        let lxcpaths = common.lxcpaths();
        if self.quit {
            return Ok(end_all(common, &lxcpaths));
        }
        for lxcpath in &lxcpaths {
            have_daemon(lxcpath)?;
        }
        let mut events = Events::open(&lxcpaths)?;
        // Without a deadline there is always a next one.
        while let Some(event) = events.next(None)? {
            if pattern.is_in(&event.name) {
                output::print(&line(&event))?;
            }
        }
        Ok(0)
    }
}

/// Tells each daemon to end; the exit status.
fn end_all(common: &Common, lxcpaths: &[PathBuf]) -> u8 {
    let mut code = 0;
    for lxcpath in lxcpaths {
        if let Err(error) = end_events(lxcpath) {
            if !common.quiet {
                let path = lxcpath.display();
                applet::tell(
                    common,
                    &format!("Unable to open monitor on path: {path}\n  {error}"),
                );
            }
            code = 1;
        }
    }
    code
}

/// Starts the daemon of `lxcpath` unless it runs; returns when one can be connected to.
fn have_daemon(lxcpath: &Path) -> Result<(), Failure> {
    match Events::open(&[lxcpath.to_path_buf()]) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotRunning => {}
        Err(error) => return Err(error.into()),
    }
    let failed = |error: std::io::Error| {
        let program = monitord::PROGRAM;
        Failure::new(format!("cannot start {program}: {error}"))
    };
    // We are it under another name; it says on its standard output when it can be connected to.
    let mut daemon = Command::new("/proc/self/exe")
        .arg0(monitord::PROGRAM)
        .arg(lxcpath)
        .arg("1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut said = Vec::new();
    if let Some(mut stdout) = daemon.stdout.take() {
        stdout.read_to_end(&mut said).map_err(failed)?;
    }
    match said.as_slice() {
        monitord::READY => Ok(()),
        // It has said why. Or there is another one already, which whoever subscribes next will see.
        _ => Events::open(&[lxcpath.to_path_buf()])
            .map(drop)
            .map_err(Failure::from),
    }
}

fn line(event: &Event) -> String {
    let name = &event.name;
    match event.kind {
        EventKind::State(state) => format!("'{name}' changed state to [{state}]\n"),
        EventKind::Exited(status) => {
            format!("'{name}' exited with status [{}]\n", exit_code(status))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lxc_runtime::State;

    #[test]
    fn lines() {
        let event = |kind| Event {
            lxcpath: PathBuf::from("/srv"),
            name: "c1".to_owned(),
            kind,
        };
        let states = event(EventKind::State(State::Frozen));
        assert_eq!(line(&states), "'c1' changed state to [FROZEN]\n");
        let exits = event(EventKind::Exited(3 << 8));
        assert_eq!(line(&exits), "'c1' exited with status [3]\n");
    }
}
