//! What happens to all containers of some directories, as it happens.

use crate::error::Result;
use crate::paths;
use lxc_engine::monitord::{self, Monitord, Subscriptions};
use lxc_engine::wire::{NoticeKind, State};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The directory it lives in.
    pub lxcpath: PathBuf,
    /// Its name; of a longer one the first 255 bytes.
    pub name: String,
    /// What happened.
    pub kind: EventKind,
}

/// What can happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It entered this state; [`State::Thawed`] means that it runs again.
    State(State),
    /// Its init ended with this wait status.
    Exited(i32),
}

/// A subscription at the lxc-monitord of each of some directories.
///
/// Monitors tell their daemon without waiting, and a subscriber that does not read is dismissed: who
/// must not miss a state asks [`Container::wait`](crate::Container::wait).
pub struct Events {
    lxcpaths: Vec<String>,
    subscriptions: Subscriptions,
}

impl Events {
    /// Subscribes at the running daemons of these directories, each of which must have one
    /// (`lxc-monitor` starts them).
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning) and the path of the first directory
    /// without one.
    pub fn open(lxcpaths: &[PathBuf]) -> Result<Events> {
        let lxcpaths: Vec<String> = lxcpaths.iter().map(|path| paths::spelled(path)).collect();
        Ok(Events {
            subscriptions: Subscriptions::open(&lxcpaths)?,
            lxcpaths,
        })
    }

    /// The next event; `None` if there is none until `deadline` (`None` = wait for ever).
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning) once one of the daemons has gone:
    /// what happens there is unknown from then on.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Event>> {
        let next = self.subscriptions.next(deadline)?;
        Ok(next.map(|(place, notice)| Event {
            lxcpath: PathBuf::from(&self.lxcpaths[place]),
            name: String::from_utf8_lossy(&notice.name).into_owned(),
            kind: match notice.kind {
                NoticeKind::State(state) => EventKind::State(state),
                NoticeKind::Exit(status) => EventKind::Exited(status),
            },
        }))
    }
}

/// Serves the subscribers of `lxcpath`: what the program lxc-monitord does. `ready` is called when
/// they can connect. A `persistent` daemon stays without any, others for half a minute.
///
/// Blocks until it is told to end; SIGTERM, SIGINT, SIGHUP and SIGQUIT are blocked in the calling
/// thread from here on, and end it.
///
/// # Errors
/// Another daemon serves this directory; the pipe or the socket cannot be made.
pub fn serve_events(lxcpath: &Path, persistent: bool, ready: impl FnOnce()) -> Result<()> {
    let daemon = Monitord::new(&paths::spelled(lxcpath), persistent)?;
    ready();
    Ok(daemon.serve()?)
}

/// Tells the daemon of `lxcpath` to end, without waiting for that.
///
/// # Errors
/// [`ErrorKind::NotRunning`](crate::ErrorKind::NotRunning) if there is none.
pub fn end_events(lxcpath: &Path) -> Result<()> {
    Ok(monitord::quit(&paths::spelled(lxcpath))?)
}
