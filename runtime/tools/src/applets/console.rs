//! lxc-console: shows a terminal of a container on the caller's.

use std::os::fd::AsFd;

use lxc_runtime::ConsoleOptions;

use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::{Effect, Opt, Short};

pub struct Console {
    tty: i32,
    escape: u8,
}

impl Default for Console {
    fn default() -> Console {
        Console { tty: -1, escape: 1 }
    }
}

impl Applet for Console {
    const WORDS: Words = Words {
        program: "lxc-console",
        synopsis: "[--name=]NAME [OPTION...]",
        about: "lxc-console connects this terminal to one of the container NAME.",
        notes: "The escape and then q leave it; what runs there goes on. The escape typed twice is passed\n\
                on once. A terminal has one user at a time; the console is free while the container was\n\
                not started in the foreground of a terminal.",
    };

    const OPTIONS: &'static [Opt<Console>] = &[
        Opt {
            long: "tty",
            short: Short::Listed('t'),
            effect: Effect::Value("NUMBER", |console, text| {
                let number = text.parse().ok().filter(|number| *number >= -1);
                console.tty =
                    number.ok_or_else(|| format!("'{text}' is no number of a terminal"))?;
                Ok(())
            }),
            help: "Number of the terminal; 0 is the container's console (default -1: the first\n\
                   free one)",
        },
        Opt {
            long: "escape",
            short: Short::Listed('e'),
            effect: Effect::Value("CHAR", |console, text| {
                console.escape = control_character(text)
                    .ok_or_else(|| format!("'{text}' is no key that Ctrl changes"))?;
                Ok(())
            }),
            help: "Key that leaves with q behind it: a or ^a for Ctrl+a (default ^a)",
        },
    ];

    fn run(self, common: &mut Common, _rest: Vec<String>) -> Result<u8, Failure> {
        let (keys, screen, place) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        common.open()?.console(&ConsoleOptions {
            tty: self.tty,
            input: keys.as_fd(),
            output: screen.as_fd(),
            escape: Some(self.escape),
            greeting: Some(place.as_fd()),
        })?;
        Ok(0)
    }
}

/// What Ctrl makes of the key in `a` or `^a`.
fn control_character(text: &str) -> Option<u8> {
    let key = text.strip_prefix('^').filter(|rest| !rest.is_empty());
    let [key] = key.unwrap_or(text).as_bytes() else {
        return None;
    };
    match key.to_ascii_uppercase() {
        key @ b'A'..=b'_' => Some(key & 0x1f),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::control_character;
    use rstest::rstest;

    #[rstest]
    #[case("a", Some(1))]
    #[case("^a", Some(1))]
    #[case("^A", Some(1))]
    #[case("q", Some(17))]
    #[case("Z", Some(26))]
    #[case("^]", Some(29))]
    #[case("^", Some(30))]
    #[case("^@", None)]
    #[case("", None)]
    #[case("^ab", None)]
    #[case("5", None)]
    #[case("ä", None)]
    fn escapes(#[case] text: &str, #[case] character: Option<u8>) {
        assert_eq!(control_character(text), character);
    }
}
