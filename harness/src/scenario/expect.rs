//! What a step must bring.

use std::collections::BTreeMap;

use lxc_guest::protocol::Ended;

use super::State;

/// What a step must bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Why it is not what the step expects of everybody; `None` = it is that and perhaps more.
    pub differs: Option<String>,
    /// How the command ends.
    pub ending: Ending,
    /// What it prints.
    pub stdout: Text,
    /// What it complains.
    pub stderr: Text,
    /// In which states containers are then.
    pub states: BTreeMap<String, State>,
}

/// How a command must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With one of these statuses.
    Exit(Vec<i32>),
    /// By this signal.
    Signal(i32),
}

impl Ending {
    /// Is it this one?
    pub fn is(&self, ended: Ended) -> bool {
        match (self, ended) {
            (Ending::Exit(statuses), Ended::Exit(status)) => statuses.contains(&status),
            (Ending::Signal(expected), Ended::Signal(signal)) => *expected == signal,
            (Ending::Exit(_), Ended::Signal(_) | Ended::TimedOut)
            | (Ending::Signal(_), Ended::Exit(_) | Ended::TimedOut) => false,
        }
    }
}

/// What one of a command's two streams must say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// It is exactly this.
    pub is: Option<String>,
    /// Each of these is in it.
    pub contains: Vec<String>,
    /// None of these is.
    pub lacks: Vec<String>,
}

impl Expected {
    /// All that is not as expected, a sentence each.
    pub(super) fn unmet(&self, seen: &super::Seen) -> Vec<String> {
        let mut unmet = Vec::new();
        if !self.ending.is(seen.ran.ended) {
            let ending = match &self.ending {
                Ending::Exit(statuses) => {
                    let statuses: Vec<String> = statuses.iter().map(i32::to_string).collect();
                    format!("exit status {}", statuses.join(" or "))
                }
                Ending::Signal(signal) => format!("an end by signal {signal}"),
            };
            unmet.push(format!("{ending} was expected"));
        }
        self.stdout.unmet("stdout", &seen.ran.stdout, &mut unmet);
        self.stderr.unmet("stderr", &seen.ran.stderr, &mut unmet);
        for (name, state) in &self.states {
            let state = state.name();
            match seen.states.get(name) {
                None => unmet.push(format!("nobody asked for the state of {name}")),
                Some(ran) if ran.ended == Ended::Exit(0) && ran.stdout.trim_end() == state => {}
                Some(_) => unmet.push(format!("{name} should be {state}")),
            }
        }
        unmet
    }
}

impl Text {
    fn unmet(&self, stream: &str, text: &str, unmet: &mut Vec<String>) {
        if let Some(is) = self.is.as_ref().filter(|is| *is != text) {
            unmet.push(format!("{stream} should be exactly {is:?}"));
        }
        for part in self.contains.iter().filter(|part| !text.contains(*part)) {
            unmet.push(format!("{stream} lacks {part:?}"));
        }
        for part in self.lacks.iter().filter(|part| text.contains(*part)) {
            unmet.push(format!("{stream} must not contain {part:?}"));
        }
    }
}
