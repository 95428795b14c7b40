//! The states a container can be in, with LXC's names and numbers.

use std::fmt;
use std::str::FromStr;

/// State of a container; the number is what travels on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum State {
    /// No monitor serves the container.
    Stopped = 0,
    /// The monitor is up, the container's init is not yet executed.
    Starting = 1,
    /// Init runs.
    Running = 2,
    /// Init has ended or the start failed; the monitor cleans up.
    Stopping = 3,
    /// The start failed.
    Aborting = 4,
    /// The freezer was asked to freeze.
    Freezing = 5,
    /// Every process of the container is frozen.
    Frozen = 6,
    /// Only ever announced: whoever enters it is [`State::Running`] from then on.
    Thawed = 7,
}

impl State {
    /// How many states there are; on the wire it also stands for "none of those asked for".
    pub const COUNT: usize = 8;

    /// Every state, in the order of its number.
    pub const ALL: [State; State::COUNT] = [
        State::Stopped,
        State::Starting,
        State::Running,
        State::Stopping,
        State::Aborting,
        State::Freezing,
        State::Frozen,
        State::Thawed,
    ];

    /// Gives the number that travels on the wire, 0 to 7.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Gives the place of the state in an array of [`State::COUNT`] entries.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Gives the state of a number from the wire; `None` outside 0 to 7.
    pub fn from_number(number: i32) -> Option<State> {
        usize::try_from(number)
            .ok()
            .and_then(|index| State::ALL.get(index))
            .copied()
    }

    /// Gives LXC's name in capitals, as tools print it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Stopped => "STOPPED",
            State::Starting => "STARTING",
            State::Running => "RUNNING",
            State::Stopping => "STOPPING",
            State::Aborting => "ABORTING",
            State::Freezing => "FREEZING",
            State::Frozen => "FROZEN",
            State::Thawed => "THAWED",
        }
    }

    /// Gives the state of a name in capitals; `None` for any other spelling.
    pub fn parse(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Gives the states of a list such as `STOPPED|FROZEN`; empty parts are skipped.
    ///
    /// # Errors
    /// The first part that names no state.
    pub fn list(names: &str) -> Result<Vec<State>, UnknownState> {
        names
            .split('|')
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<State, UnknownState> {
        State::parse(name).ok_or_else(|| UnknownState(name.to_owned()))
    }
}

/// A name that is no state's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownState(pub String);

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no container state is called {:?}; use one of", self.0)?;
        for (index, state) in State::ALL.iter().enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            write!(f, "{separator}{state}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownState {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back_to_the_state() {
        for (index, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state.index(), index);
            assert_eq!(State::from_number(state.number()), Some(state));
            assert_eq!(State::parse(state.name()), Some(state));
        }
        for number in [-1, 8, i32::MIN, i32::MAX] {
            assert_eq!(State::from_number(number), None, "{number}");
        }
    }

    #[test]
    fn lists_of_names() {
        let check = |text: &str, expected: Result<Vec<State>, &str>| {
            let expected = expected.map_err(|name| UnknownState(name.to_owned()));
            assert_eq!(State::list(text), expected, "{text:?}");
        };
        check("RUNNING", Ok(vec![State::Running]));
        check("STOPPED|FROZEN", Ok(vec![State::Stopped, State::Frozen]));
        check("|STOPPED||FROZEN|", Ok(vec![State::Stopped, State::Frozen]));
        check("", Ok(vec![]));
        check("running", Err("running"));
        check("RUNNING|BOGUS", Err("BOGUS"));
        check("RUNNING |STOPPED", Err("RUNNING "));
    }
}
