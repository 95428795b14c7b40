//! The judgement of one step: pure, and with the whole scene when it went wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lxc_guest::protocol::{Ended, Ran, User};

use super::{Step, Way, state_question};

/// What was seen when a step was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What its command did.
    pub ran: Ran,
    /// What was answered when [`Step::asked`] were asked for their states.
    pub states: BTreeMap<String, Ran>,
}

/// A step did what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged<'a> {
    /// All is as it should be.
    AsExpected,
    /// The known difference appeared; this is its reason.
    Differs(&'a str),
    /// Despite a known difference all is as everybody does it. In one machine that may be; a
    /// difference that appears in none is none any more.
    DiffersNot(&'a str),
}

/// Did `step` bring what it must when it was done this way? If not: the scene, many lines.
pub fn judge<'a>(step: &'a Step, way: Way, seen: &Seen) -> Result<Judged<'a>, String> {
    let expected = step.expected(way.subject);
    let mut unmet = expected.unmet(seen);
    if seen.ran.ended == Ended::TimedOut {
        unmet.insert(0, format!("it was not done within {:?}", step.within));
    }
    let Some(reason) = &expected.differs else {
        return match unmet.is_empty() {
            true => Ok(Judged::AsExpected),
            false => Err(scene(step, way, seen, &unmet)),
        };
    };
    // First what everybody does: a difference that allows for that too has not appeared then.
    if step.expected.unmet(seen).is_empty() {
        Ok(Judged::DiffersNot(reason))
    } else if unmet.is_empty() {
        Ok(Judged::Differs(reason))
    } else {
        unmet.push(format!("(known difference: {reason})"));
        Err(scene(step, way, seen, &unmet))
    }
}

/// All there is to know about a step that went wrong.
fn scene(step: &Step, way: Way, seen: &Seen, unmet: &[String]) -> String {
    let mut scene = format!("{}: {} ({way})\n", step.at, step.act);
    for what in unmet {
        let _ = writeln!(scene, "  {what}");
    }
    let argv = step.act.argv(way.door);
    let _ = writeln!(scene, "  command: {}", spelled(&argv));
    if step.user != User::Root {
        let _ = writeln!(scene, "  as: {}", step.user.name());
    }
    if !step.stdin.is_empty() {
        let _ = writeln!(scene, "  stdin:\n{}", indented(&step.stdin));
    }
    ending(&mut scene, &seen.ran);
    for (name, ran) in &seen.states {
        let question = spelled(&state_question(way.door, name));
        let _ = writeln!(scene, "  then, state of {name}: {question}");
        ending(&mut scene, ran);
    }
    scene.truncate(scene.trim_end().len());
    scene
}

fn ending(scene: &mut String, ran: &Ran) {
    let took = ran.took_us as f64 / 1e6;
    let ended = match ran.ended {
        Ended::Exit(status) => format!("exit status {status}"),
        Ended::Signal(signal) => format!("killed by signal {signal}"),
        Ended::TimedOut => "killed when its time was up".to_owned(),
    };
    let _ = writeln!(scene, "  ended: {ended} after {took:.3} s");
    for (stream, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        let _ = match text.is_empty() {
            true => writeln!(scene, "  {stream}: nothing"),
            false => writeln!(scene, "  {stream}:\n{}", indented(text)),
        };
    }
}

/// Words as a shell would take them.
fn spelled(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    let word = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    let words: Vec<String> = argv.iter().map(word).collect();
    words.join(" ")
}

/// Every line behind a bar, so that an empty one and one of blanks can be told apart.
fn indented(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(|line| format!("    | {line}")).collect();
    if !text.ends_with('\n') {
        lines.push("    (no end of line)".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::{Act, Door, Ending, Expected, State, Subject, Text};
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const OURS: Way = Way {
        subject: Subject::Ours,
        door: Door::Tools,
    };
    const DEBIAN: Way = Way {
        subject: Subject::DebianLxc,
        door: Door::Tools,
    };

    fn ran(ended: Ended, stdout: &str, stderr: &str) -> Ran {
        Ran {
            ended,
            stdout: stdout.into(),
            stderr: stderr.into(),
            took_us: 12_345,
        }
    }

    fn seen(ended: Ended, stdout: &str, stderr: &str) -> Seen {
        Seen {
            ran: ran(ended, stdout, stderr),
            states: BTreeMap::new(),
        }
    }

    fn expected() -> Expected {
        Expected {
            differs: None,
            ending: Ending::Exit(vec![0]),
            stdout: Text::default(),
            stderr: Text::default(),
            states: BTreeMap::new(),
        }
    }

    fn step(expected: Expected, debian_lxc: Expected) -> Step {
        Step {
            at: "scenarios/a/b.toml:7".into(),
            act: Act::Start("demo".into()),
            stdin: String::new(),
            within: Duration::from_secs(20),
            only: None,
            user: User::Root,
            ours: expected.clone(),
            expected,
            debian_lxc,
        }
    }

    #[test]
    fn a_failed_step_tells_the_whole_scene() {
        let mut wanted = expected();
        wanted.stdout.contains.push("hello".into());
        wanted.states.insert("demo".into(), State::Running);
        let step = step(wanted, expected());
        let mut seen = seen(Ended::Exit(1), "", "demo: no rootfs\n\ncall: ENOENT");
        seen.states
            .insert("demo".into(), ran(Ended::Exit(0), "STOPPED\n", ""));
        let message = judge(&step, OURS, &seen).unwrap_err();
        let lines = [
            "scenarios/a/b.toml:7: start demo (ours)",
            "  exit status 0 was expected",
            "  stdout lacks \"hello\"",
            "  demo should be RUNNING",
            "  command: lxc-start -n demo",
            "  ended: exit status 1 after 0.012 s",
            "  stdout: nothing",
            "  stderr:",
            "    | demo: no rootfs",
            "    | ",
            "    | call: ENOENT",
            "    (no end of line)",
            "  then, state of demo: lxc-info -n demo -s -H",
            "  ended: exit status 0 after 0.012 s",
            "  stdout:",
            "    | STOPPED",
            "  stderr: nothing",
        ];
        assert_eq!(message, lines.join("\n"));
    }

    #[test]
    fn both_streams_and_the_ending_are_judged() {
        let text = |is: Option<&str>, contains: &[&str], lacks: &[&str]| Text {
            is: is.map(String::from),
            contains: contains.iter().map(|part| (*part).to_owned()).collect(),
            lacks: lacks.iter().map(|part| (*part).to_owned()).collect(),
        };
        let rows = [
            (text(None, &[], &[]), "anything", true),
            (text(Some("a\n"), &[], &[]), "a\n", true),
            (text(Some("a\n"), &[], &[]), "a", false),
            (text(Some(""), &[], &[]), "a", false),
            (text(None, &["a", "b"], &[]), "ba", true),
            (text(None, &["a", "b"], &[]), "a", false),
            (text(None, &[], &["a"]), "b", true),
            (text(None, &[], &["a"]), "ba", false),
        ];
        for (text, said, right) in rows {
            let stdout = Expected {
                stdout: text.clone(),
                ..expected()
            };
            let stderr = Expected {
                stderr: text.clone(),
                ..expected()
            };
            let zero = Ended::Exit(0);
            let out = judge(&step(stdout, expected()), OURS, &seen(zero, said, "")).is_ok();
            let err = judge(&step(stderr, expected()), OURS, &seen(zero, "", said)).is_ok();
            assert_eq!((out, err), (right, right), "{text:?} {said:?}");
        }
        let killed = Expected {
            ending: Ending::Signal(9),
            ..expected()
        };
        let step = step(killed, expected());
        assert!(judge(&step, OURS, &seen(Ended::Signal(9), "", "")).is_ok());
        assert!(judge(&step, OURS, &seen(Ended::Signal(15), "", "")).is_err());
        assert!(judge(&step, OURS, &seen(Ended::Exit(9), "", "")).is_err());
        let late = judge(&step, OURS, &seen(Ended::TimedOut, "", "")).unwrap_err();
        assert!(late.contains("was not done within 20s"), "{late}");
    }

    #[test]
    fn a_state_that_was_not_asked_or_not_answered_is_not_right() {
        let mut wanted = expected();
        wanted.states.insert("demo".into(), State::Stopped);
        let step = step(wanted, expected());
        assert_eq!(
            step.asked(Subject::DebianLxc).into_iter().next(),
            Some("demo")
        );
        let mut seen = seen(Ended::Exit(0), "", "");
        assert!(judge(&step, OURS, &seen).is_err());
        for (answer, right) in [
            (ran(Ended::Exit(0), "STOPPED\n", ""), true),
            (ran(Ended::Exit(0), "STOPPED\nmore\n", ""), false),
            (ran(Ended::Exit(1), "STOPPED\n", ""), false),
            (ran(Ended::TimedOut, "STOPPED\n", ""), false),
        ] {
            seen.states.insert("demo".into(), answer.clone());
            assert_eq!(judge(&step, OURS, &seen).is_ok(), right, "{answer:?}");
        }
    }

    #[test]
    fn a_known_difference_appears_or_does_not_or_is_another() {
        let differs = Expected {
            differs: Some("it always did".into()),
            ending: Ending::Exit(vec![0, 1]),
            ..expected()
        };
        let step = step(expected(), differs);
        let at = |status| judge(&step, DEBIAN, &seen(Ended::Exit(status), "", ""));
        assert_eq!(at(1), Ok(Judged::Differs("it always did")));
        assert_eq!(at(0), Ok(Judged::DiffersNot("it always did")));
        let message = at(2).unwrap_err();
        assert!(
            message.contains("exit status 0 or 1 was expected"),
            "{message}"
        );
        assert!(message.contains("it always did"), "{message}");
        // Nobody else may do so.
        assert!(judge(&step, OURS, &seen(Ended::Exit(1), "", "")).is_err());
    }

    #[test]
    fn words_are_spelled_for_a_shell() {
        let argv = ["sh", "-c", "it's $x", "", "a=b"].map(String::from);
        assert_eq!(spelled(&argv), r"sh -c 'it'\''s $x' '' a=b");
    }

    proptest! {
        #[test]
        fn what_was_seen_is_accepted_and_any_other_ending_is_not(
            status in 0i32..256, other in 0i32..256, stdout in ".{0,40}", stderr in ".{0,40}",
        ) {
            let exact = Expected {
                ending: Ending::Exit(vec![status]),
                stdout: Text { is: Some(stdout.clone()), contains: vec![stdout.clone()], lacks: vec![format!("{stdout}x")] },
                stderr: Text { is: Some(stderr.clone()), ..Text::default() },
                ..expected()
            };
            let step = step(exact, expected());
            prop_assert_eq!(judge(&step, OURS, &seen(Ended::Exit(status), &stdout, &stderr)), Ok(Judged::AsExpected));
            let changed = judge(&step, OURS, &seen(Ended::Exit(other), &stdout, &stderr));
            prop_assert_eq!(changed.is_ok(), other == status);
            prop_assert!(judge(&step, OURS, &seen(Ended::Signal(status), &stdout, &stderr)).is_err());
            let longer = seen(Ended::Exit(status), &[&stdout, "x"].concat(), &stderr);
            prop_assert!(judge(&step, OURS, &longer).is_err());
        }
    }
}
