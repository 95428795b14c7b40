//! Waiting for a state of a container.

use std::time::{Duration, Instant};

use lxc_kernel::SysError;

use super::client::Client;
use super::client_error::ClientError;
use super::exchange::{Exchange, Heard};
use super::notice::{Notice, NoticeKind};
use super::request::Request;
use super::state::State;

/// How long the first answer of a wait is awaited even when the wait itself is over: a wait of no length
/// is a question about the present.
const FIRST_ANSWER: Duration = Duration::from_secs(1);
/// How often an absent monitor is looked for. The kernel tells nobody when an abstract name is bound, so
/// this is asked again; C LXC asks once a second too.
const ABSENT_RETRY: Duration = Duration::from_secs(1);

impl Client {
    /// Waits until the container is in one of `states`; `None` when `deadline` passes before.
    ///
    /// A deadline that has passed makes it a question about the present. When the monitor ends while it is
    /// waited for, the answer is [`State::Stopped`], even if that was not asked for: the state that was
    /// cannot come from it any more.
    ///
    /// # Errors
    /// Whatever keeps a monitor that is there from answering.
    pub fn wait(
        &self,
        states: &[State],
        deadline: Option<Instant>,
    ) -> Result<Option<State>, ClientError> {
        let mut wanted = [0; State::COUNT];
        for state in states {
            wanted[state.index()] = 1;
        }
        self.wait_for(wanted, deadline)
    }

    /// Waits until the container enters [`State::Running`] anew: for the end of a reboot.
    ///
    /// # Errors
    /// As for [`Client::wait`].
    pub fn wait_for_reboot(&self, deadline: Option<Instant>) -> Result<Option<State>, ClientError> {
        let mut wanted = [0; State::COUNT];
        wanted[State::Running.index()] = 2;
        self.wait_for(wanted, deadline)
    }

    /// The same, doing `act` once the monitor has been told what is waited for: no reboot that `act`
    /// causes is missed. [`State::Stopped`] when there is no monitor.
    ///
    /// # Errors
    /// As for [`Client::wait`], and those of `act`.
    pub fn wait_for_reboot_after(
        &self,
        deadline: Option<Instant>,
        act: impl FnOnce() -> Result<(), SysError>,
    ) -> Result<Option<State>, ClientError> {
        let mut wanted = [0; State::COUNT];
        wanted[State::Running.index()] = 2;
        let first = deadline.map(|deadline| deadline.max(Instant::now() + FIRST_ANSWER));
        let request = Request::AddStateClient { wanted };
        let Some(exchange) = self.callee.ask(&request, None, first)? else {
            return Ok(Some(State::Stopped));
        };
        match await_notice(exchange, deadline, act) {
            Err(ClientError::TimedOut { .. }) => Ok(None),
            heard => heard.map(Some),
        }
    }

    fn wait_for(
        &self,
        wanted: [i32; State::COUNT],
        deadline: Option<Instant>,
    ) -> Result<Option<State>, ClientError> {
        let request = Request::AddStateClient { wanted };
        loop {
            let first = deadline.map(|deadline| deadline.max(Instant::now() + FIRST_ANSWER));
            if let Some(exchange) = self.callee.ask(&request, None, first)? {
                return match await_notice(exchange, deadline, || Ok(())) {
                    Err(ClientError::TimedOut { .. }) => Ok(None),
                    heard => heard.map(Some),
                };
            }
            if wanted[State::Stopped.index()] != 0 {
                return Ok(Some(State::Stopped));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if left.is_zero() => return Ok(None),
                left => std::thread::sleep(left.unwrap_or(ABSENT_RETRY).min(ABSENT_RETRY)),
            }
        }
    }
}

/// Waits on a connection that asked for states until one is reached; `act` is done once the monitor
/// knows what is waited for.
fn await_notice(
    exchange: Exchange,
    deadline: Option<Instant>,
    act: impl FnOnce() -> Result<(), SysError>,
) -> Result<State, ClientError> {
    match exchange.hear()? {
        Heard::Stopped | Heard::Closed => return Ok(State::Stopped),
        Heard::Response(response) if response.ret < 0 => {
            return Err(exchange.refused(response.ret));
        }
        Heard::Response(response) => {
            if let Some(present) = State::from_number(response.inline) {
                return Ok(present);
            }
        }
    }
    act().map_err(ClientError::Sys)?;
    let exchange = exchange.until(deadline);
    let Some(bytes) = exchange.hear_more::<{ Notice::SIZE }>()? else {
        return Ok(State::Stopped);
    };
    match Notice::decode(&bytes).map(|notice| notice.kind) {
        Some(NoticeKind::State(state)) => Ok(state),
        _ => Err(exchange.nonsense("announced something that is no state")),
    }
}
