//! The story with a stand-in for the machine.

use lxc_guest::protocol::Ended;

use super::*;
use crate::scenario::load;

/// Answers in the order of its script; what is asked is kept.
struct Puppet {
    script: Vec<Result<Reply, String>>,
    asked: Vec<Request>,
}

impl Guest for Puppet {
    fn ask(&mut self, request: &Request, _: Duration) -> Result<Reply, String> {
        self.asked.push(request.clone());
        match self.script.is_empty() {
            true => Err("the script is at its end".to_owned()),
            false => self.script.remove(0),
        }
    }
}

const SCENARIO: &str = r#"
title = "a thing"
needs = ["veth"]
[container.demo]
[[step]]
run = "echo hello"
stdout = "hello"
"#;

fn scenario() -> Scenario {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("area")).unwrap();
    std::fs::write(directory.path().join("area/a-thing.toml"), SCENARIO).unwrap();
    std::fs::write(directory.path().join("subjects.toml"), "").unwrap();
    load(directory.path(), &["6.1"]).unwrap().remove(0)
}

fn played(script: Vec<Result<Reply, String>>) -> (Verdict, Vec<Request>) {
    played_within(SETTLE, script)
}

fn played_within(
    patience: Duration,
    script: Vec<Result<Reply, String>>,
) -> (Verdict, Vec<Request>) {
    let scenario = scenario();
    let mut puppet = Puppet {
        script,
        asked: Vec::new(),
    };
    let way = ways(&scenario, &[Subject::Ours])[0];
    let ending = tell_with_patience(&mut puppet, &scenario, way, patience);
    (ending.verdict, puppet.asked)
}

fn said(stdout: &str) -> Result<Reply, String> {
    Ok(Reply::Ran(Ran {
        ended: Ended::Exit(0),
        stdout: stdout.to_owned(),
        stderr: String::new(),
        took_us: 1,
    }))
}

fn counted(link: Option<&str>) -> Result<Reply, String> {
    let links = link.into_iter().map(String::from).collect();
    Ok(Reply::Census(Box::new(Census {
        links,
        ..Census::default()
    })))
}

/// Up to the first step.
fn begun() -> Vec<Result<Reply, String>> {
    vec![
        Ok(Reply::Probed(vec![None])),
        Ok(Reply::Done),
        counted(None),
    ]
}

fn after(more: [Result<Reply, String>; 2]) -> Vec<Result<Reply, String>> {
    let mut script = begun();
    script.extend(more);
    script
}

#[test]
fn all_as_expected_passes_and_asks_nothing_else() {
    let (verdict, asked) = played(after([said("hello\n"), counted(None)]));
    assert_eq!(verdict, Verdict::Passed);
    assert_eq!(asked.len(), 5);
    assert!(matches!(&asked[3], Request::Run(run) if run.argv[0] == "sh"));
}

#[test]
fn an_unmet_expectation_fails_with_its_scene() {
    let (verdict, _) = played(after([said("good bye\n"), counted(None)]));
    let Verdict::Failed(why) = verdict else {
        panic!("{verdict:?}");
    };
    assert!(
        why.contains("a-thing.toml:5") && why.contains("good bye"),
        "{why}"
    );
}

#[test]
fn what_is_left_behind_fails_when_its_time_is_up() {
    let script = after([said("hello\n"), counted(Some("veth7"))]);
    let (verdict, _) = played_within(Duration::ZERO, script);
    assert!(
        matches!(&verdict, Verdict::Failed(why) if why.contains("link veth7")),
        "{verdict:?}"
    );
}

#[test]
fn what_goes_away_in_time_is_not_left_behind() {
    let mut script = after([said("hello\n"), counted(Some("veth7"))]);
    script.extend([counted(Some("veth7")), counted(None)]);
    let (verdict, asked) = played(script);
    assert_eq!(verdict, Verdict::Passed);
    assert_eq!(asked.len(), 7);
}

#[test]
fn a_missing_feature_stops_it_before_anything_is_made() {
    let (verdict, asked) = played(vec![Ok(Reply::Probed(vec![Some("socket: ENOENT".into())]))]);
    let expected = "the kernel lacks veth (socket: ENOENT)";
    assert_eq!(verdict, Verdict::CouldNotRun(expected.to_owned()));
    assert_eq!(asked.len(), 1);
}

#[test]
fn a_machine_that_falls_silent_never_passes() {
    let whole = after([said("hello\n"), counted(None)]);
    for length in 0..whole.len() {
        let mut script = whole[..length].to_vec();
        script.push(Err("QEMU ended".to_owned()));
        let (verdict, _) = played(script);
        assert_eq!(
            verdict,
            Verdict::CouldNotRun("QEMU ended".to_owned()),
            "{length}"
        );
    }
}

#[test]
fn an_answer_to_another_question_never_passes() {
    let whole = after([said("hello\n"), counted(None)]);
    for at in 0..whole.len() {
        for wrong in [Reply::Failed("EIO".to_owned()), Reply::Probed(Vec::new())] {
            let mut script = whole.clone();
            script[at] = Ok(wrong);
            let (verdict, _) = played(script);
            assert!(
                matches!(verdict, Verdict::CouldNotRun(_)),
                "{at}: {verdict:?}"
            );
        }
    }
}
