//! A plan that cannot be made, in one sentence and with its remedy.

use std::fmt;

/// Why no plan could be made; nothing has been touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What cannot be done, naming the object.
    pub sentence: String,
    /// Key and place in the configuration, when one is to blame.
    pub origin: Option<String>,
    /// What to do about it.
    pub hint: String,
}

impl Refusal {
    /// A refusal that no line of the configuration is to blame for.
    pub fn new(sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal {
            sentence: sentence.into(),
            origin: None,
            hint: hint.into(),
        }
    }

    /// The same, pointing at a key and where it was written.
    pub fn at(mut self, key: &str, origin: &lxc_config::Origin) -> Self {
        self.origin = Some(format!("{key}, {origin}"));
        self
    }

    /// The same, pointing at a place that has been put into words already.
    pub(crate) fn at_place(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_string());
        self
    }

    /// A refusal of something LXC has and this project does not have yet.
    pub fn not_yet(what: &str, remedy: &str) -> Self {
        Refusal::new(format!("{what} is not implemented yet"), remedy)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sentence)?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.hint)
    }
}

impl std::error::Error for Refusal {}
