//! Why a tool gives up: one text, one exit status.

use lxc_runtime::Error;

/// The one thing a tool tells its user before it ends without success.
#[derive(Debug)]
pub struct Failure {
    /// What is printed behind `lxc-TOOL: NAME: `.
    pub text: String,
    /// The exit status, as LXC's tool of that name uses it.
    pub code: u8,
}

impl Failure {
    /// A failure the tool itself noticed; exit status 1.
    pub fn new(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            code: 1,
        }
    }

    /// The same failure with another exit status.
    pub fn with_code(self, code: u8) -> Failure {
        Failure { code, ..self }
    }
}

/// The library's sentence is the message: a tool adds none of its own.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::new(error.to_string())
    }
}
