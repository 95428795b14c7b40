//! Why a machine is of no more use, in a sentence.

use std::fmt;
use std::time::Duration;

use lxc_kernel::process::Ended;

use super::serial::Serial;

/// A machine that is of no more use: why, and what it printed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// One sentence without a full stop: `the kernel panicked: …`, `QEMU ended: …`.
    pub why: String,
    /// The last lines of the serial console, at most 20.
    pub serial_tail: Vec<String>,
}

impl Lost {
    /// A machine that never was: nothing ran, nothing was printed.
    pub(super) fn before_it_ran(why: impl Into<String>) -> Lost {
        Lost {
            why: why.into(),
            serial_tail: Vec::new(),
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        for line in &self.serial_tail {
            write!(f, "\n  | {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Lost {}

/// What went wrong, seen from the channel on which it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No whole answer came in time.
    Silent {
        /// Who should have answered: `the agent`, `QEMU`.
        who: &'static str,
        /// What was asked.
        asked: String,
        /// How long was waited.
        within: Duration,
    },
    /// The other end closed its socket, or what runs the machine is no more.
    Closed,
    /// It can be read, and is no answer.
    Said(String),
    /// A call here failed: call, object and errno.
    Here(String),
}

/// Puts the cause in front of the symptom: a kernel's panic explains why what runs the machine, by
/// its name, ended, and that explains why nobody answered.
pub(super) fn explain(
    runner: &str,
    failure: &Failure,
    serial: &Serial,
    ended: Option<Ended>,
    last_output: Option<&str>,
) -> Lost {
    let why = match (failure, serial.panic(), ended) {
        (Failure::Said(what) | Failure::Here(what), _, _) => what.clone(),
        (_, Some(""), _) => "the kernel panicked".to_owned(),
        (_, Some(reason), _) => format!("the kernel panicked: {reason}"),
        (_, None, Some(ended)) => match (serial.last_words(), last_output) {
            (Some(words), _) => format!("the agent gave up: {words}"),
            (None, Some(output)) => format!("{runner} ended: {}, {output}", status(ended)),
            (None, None) => format!("{runner} ended: {}", status(ended)),
        },
        (Failure::Closed, None, None) => format!("{runner} closed its socket and still runs"),
        (Failure::Silent { who, asked, within }, None, None) => {
            format!("{who} did not answer {asked} within {}", spoken(*within))
        }
    };
    Lost {
        why,
        serial_tail: serial.tail(),
    }
}

fn status(ended: Ended) -> String {
    match ended {
        Ended::Exited(code) => format!("exit status {code}"),
        Ended::Killed { signal, .. } => format!("killed by signal {signal}"),
    }
}

/// `20 s`, `1.5 s`, `300 ms`.
fn spoken(time: Duration) -> String {
    match time.as_millis() {
        short if short < 1000 => format!("{short} ms"),
        long if long % 1000 == 0 => format!("{} s", long / 1000),
        long => format!("{}.{} s", long / 1000, long % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn serial(text: &str) -> Serial {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serial");
        std::fs::write(&path, text).unwrap();
        Serial::read(Path::new(&path))
    }

    #[test]
    fn the_cause_comes_before_the_symptom() {
        let silent = Failure::Silent {
            who: "the agent",
            asked: "Run".to_owned(),
            within: Duration::from_secs(20),
        };
        let killed = Ended::Killed {
            signal: 11,
            core: false,
        };
        let panic = "Kernel panic - not syncing: VFS\n";
        let words = "guest-agent: cannot mount /proc: EPERM\n";
        for (failure, printed, ended, output, why) in [
            (
                &silent,
                "",
                None,
                None,
                "the agent did not answer Run within 20 s",
            ),
            (&silent, panic, None, None, "the kernel panicked: VFS"),
            (
                &Failure::Closed,
                panic,
                Some(Ended::Exited(0)),
                Some("x"),
                "the kernel panicked: VFS",
            ),
            (
                &Failure::Closed,
                "Kernel panic",
                None,
                None,
                "the kernel panicked",
            ),
            (
                &Failure::Closed,
                "",
                Some(Ended::Exited(1)),
                Some("qemu: no such machine"),
                "QEMU ended: exit status 1, qemu: no such machine",
            ),
            (
                &Failure::Closed,
                "",
                Some(killed),
                None,
                "QEMU ended: killed by signal 11",
            ),
            (
                &Failure::Closed,
                words,
                Some(Ended::Exited(0)),
                None,
                "the agent gave up: cannot mount /proc: EPERM",
            ),
            (
                &Failure::Closed,
                "",
                None,
                None,
                "QEMU closed its socket and still runs",
            ),
            (
                &Failure::Said("the agent said x".to_owned()),
                panic,
                None,
                None,
                "the agent said x",
            ),
            (
                &Failure::Here("open() = ENOENT".to_owned()),
                "",
                None,
                None,
                "open() = ENOENT",
            ),
        ] {
            assert_eq!(
                explain("QEMU", failure, &serial(printed), ended, output).why,
                why
            );
        }
    }

    #[test]
    fn a_lost_machine_shows_what_it_printed_last() {
        let lost = explain(
            "QEMU",
            &Failure::Closed,
            &serial("one\r\n\r\ntwo\r\n"),
            None,
            None,
        );
        assert_eq!(
            lost.to_string(),
            "QEMU closed its socket and still runs\n  | one\n  | two"
        );
        assert_eq!(
            Lost::before_it_ran("it is not there").to_string(),
            "it is not there"
        );
    }

    #[test]
    fn times_are_spoken_as_one_would() {
        for (milliseconds, said) in [
            (0, "0 ms"),
            (300, "300 ms"),
            (1000, "1 s"),
            (1550, "1.5 s"),
            (90_000, "90 s"),
        ] {
            assert_eq!(spoken(Duration::from_millis(milliseconds)), said);
        }
    }
}
