//! The life cycle of a container as a table: what each event means in each phase. There is no
//! catch-all arm: a new event does not compile until it is answered everywhere.

use crate::wire::State;
use lxc_kernel::process::Ended;

/// Where in its life the container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Being set up.
    Starting,
    /// Init runs.
    Running,
    /// A client is freezing it.
    Freezing,
    /// Frozen.
    Frozen,
    /// Init has ended; what it had is being taken down.
    Stopping {
        /// It starts again afterwards.
        reboot: bool,
    },
    /// The start failed; what was done is being undone.
    Aborting,
    /// Nothing is left.
    Stopped,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Init executes its program.
    GuestRuns,
    /// A step failed or the guest died before exec.
    StartFailed,
    /// Init has ended.
    InitEnded(Ended),
    /// A client says what it has done (it may freeze by itself on v1).
    Announced(State),
    /// Everything is taken down.
    TakenDown,
}

/// The next phase; `None` = the event changes nothing.
pub fn next(phase: Phase, event: Event) -> Option<Phase> {
    use Event::{Announced, GuestRuns, InitEnded, StartFailed, TakenDown};
    use Phase::{Aborting, Freezing, Frozen, Running, Starting, Stopped, Stopping};
    match (phase, event) {
        (Starting, GuestRuns) => Some(Running),
        (Starting, StartFailed | InitEnded(_)) => Some(Aborting),
        (Running | Freezing | Frozen, InitEnded(ended)) => Some(Stopping {
            reboot: asks_reboot(ended),
        }),
        (Running | Freezing | Frozen, Announced(state)) => announced(state),
        (Stopping { reboot: true }, TakenDown) => Some(Starting),
        (Stopping { reboot: false } | Aborting, TakenDown) => Some(Stopped),
        // A hook that fails between a stop and the next start cancels the reboot.
        (Stopping { .. }, StartFailed) => Some(Stopping { reboot: false }),

        // What cannot be: nothing is set up twice, and nothing happens to what has ended.
        (Starting | Aborting | Stopped | Stopping { .. }, Announced(_)) => None,
        (Running | Freezing | Frozen | Stopping { .. } | Aborting | Stopped, GuestRuns) => None,
        (Running | Freezing | Frozen | Aborting | Stopped, StartFailed) => None,
        (Stopping { .. } | Aborting | Stopped, InitEnded(_)) => None,
        (Starting | Running | Freezing | Frozen | Stopped, TakenDown) => None,
    }
}

/// What a running container becomes when a client publishes a state on its behalf.
fn announced(state: State) -> Option<Phase> {
    match state {
        State::Freezing => Some(Phase::Freezing),
        State::Frozen => Some(Phase::Frozen),
        State::Thawed | State::Running => Some(Phase::Running),
        // A client cannot start or end a container by saying so.
        State::Starting | State::Stopping | State::Aborting | State::Stopped => None,
    }
}

/// reboot(2) inside a pid namespace ends its init by SIGHUP; power off and halt by SIGINT.
pub fn asks_reboot(ended: Ended) -> bool {
    match ended {
        Ended::Killed { signal, .. } => signal == libc::SIGHUP,
        Ended::Exited(_) => false,
    }
}

/// How init ended, as LXC tells whoever started it in the foreground: its exit code, or the signal
/// that killed it in the place of one that stopped it.
pub fn error_num(ended: Ended) -> i32 {
    match ended {
        Ended::Exited(code) => (code & 0xff) << 8,
        Ended::Killed { signal, .. } => signal << 8 | 0x7f,
    }
}

/// The state clients see.
pub fn state(phase: Phase) -> State {
    match phase {
        Phase::Starting => State::Starting,
        Phase::Running => State::Running,
        Phase::Freezing => State::Freezing,
        Phase::Frozen => State::Frozen,
        Phase::Stopping { .. } => State::Stopping,
        Phase::Aborting => State::Aborting,
        Phase::Stopped => State::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALT: Ended = Ended::Exited(0);
    const REBOOT: Ended = Ended::Killed {
        signal: libc::SIGHUP,
        core: false,
    };
    const POWER_OFF: Ended = Ended::Killed {
        signal: libc::SIGINT,
        core: false,
    };

    #[test]
    fn lives() {
        type Row = (&'static [Event], Phase);
        let rows: [Row; 7] = [
            (&[Event::GuestRuns], Phase::Running),
            (&[Event::StartFailed, Event::TakenDown], Phase::Stopped),
            (&[Event::InitEnded(HALT), Event::TakenDown], Phase::Stopped),
            (
                &[Event::GuestRuns, Event::InitEnded(HALT), Event::TakenDown],
                Phase::Stopped,
            ),
            (
                &[
                    Event::GuestRuns,
                    Event::InitEnded(POWER_OFF),
                    Event::TakenDown,
                ],
                Phase::Stopped,
            ),
            (
                &[Event::GuestRuns, Event::InitEnded(REBOOT), Event::TakenDown],
                Phase::Starting,
            ),
            (
                &[
                    Event::GuestRuns,
                    Event::Announced(State::Freezing),
                    Event::Announced(State::Frozen),
                    Event::Announced(State::Thawed),
                ],
                Phase::Running,
            ),
        ];
        for (events, want) in rows {
            let mut phase = Phase::Starting;
            for event in events {
                phase = next(phase, *event).unwrap_or(phase);
            }
            assert_eq!(phase, want, "{events:?}");
        }
    }

    #[test]
    fn a_client_cannot_end_or_start_a_container_by_saying_so() {
        for state in [
            State::Stopped,
            State::Stopping,
            State::Aborting,
            State::Starting,
        ] {
            assert_eq!(
                next(Phase::Running, Event::Announced(state)),
                None,
                "{state:?}"
            );
        }
        assert_eq!(next(Phase::Stopped, Event::Announced(State::Running)), None);
    }
}
