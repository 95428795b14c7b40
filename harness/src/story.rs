//! One scenario on one machine: needs, containers, census, steps, census, verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lxc_guest::protocol::{Census, Ended, Feature, Ran, Reply, Request, Run, User};

use crate::scenario::{Judged, Scenario, Seen, Step, Subject, Way};
use crate::scenario::{judge, leftovers, state_question};
use crate::verdict::{Difference, Times, Verdict};

/// What a machine takes to answer anything that it does itself, at most.
const ANSWER: Duration = Duration::from_secs(20);

/// A command's own deadline is kept by the agent; this much later it counts as hanging itself.
const GRACE: Duration = Duration::from_secs(8);

/// What is still ending after the last step has this long to be gone.
const SETTLE: Duration = Duration::from_secs(5);

/// A round of waiting for it.
const ROUND: Duration = Duration::from_millis(250);

/// How long the question for a container's state may take.
const STATE: Duration = Duration::from_secs(10);

/// Somebody in the machine who does as asked; a machine, or a test's stand-in.
pub trait Guest {
    /// One question, its answer; or why there is none within `deadline`, in words.
    fn ask(&mut self, request: &Request, deadline: Duration) -> Result<Reply, String>;
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// In one of three words.
    pub verdict: Verdict,
    /// Known differences that were looked for.
    pub differences: Vec<Difference>,
    /// Where the time went; the restore is the caller's.
    pub times: Times,
}

/// Plays `scenario` in a clean machine. Blocks for its steps' deadlines at most.
pub fn tell(guest: &mut impl Guest, scenario: &Scenario, way: Way) -> Ending {
    tell_with_patience(guest, scenario, way, SETTLE)
}

fn tell_with_patience(
    guest: &mut impl Guest,
    scenario: &Scenario,
    way: Way,
    patience: Duration,
) -> Ending {
    let mut story = Story {
        guest,
        scenario,
        way,
        patience,
        differences: BTreeMap::new(),
        times: Times::default(),
    };
    let verdict = match story.acts() {
        Ok(()) => Verdict::Passed,
        Err(verdict) => verdict,
    };
    Ending {
        verdict,
        differences: story.differences.into_values().collect(),
        times: story.times,
    }
}

struct Story<'a, G> {
    guest: &'a mut G,
    scenario: &'a Scenario,
    way: Way,
    /// How long what is left may take to go.
    patience: Duration,
    differences: BTreeMap<String, Difference>,
    times: Times,
}

impl<G: Guest> Story<'_, G> {
    fn acts(&mut self) -> Result<(), Verdict> {
        let begun = Instant::now();
        let before = self.beginning();
        self.times.begin = begun.elapsed();
        let before = before?;

        let begun = Instant::now();
        let taken = self.steps();
        self.times.steps = begun.elapsed();
        taken?;

        let begun = Instant::now();
        let left = self.nothing_left(before);
        self.times.settle = begun.elapsed();
        left
    }

    /// Up to the first step; gives the machine as it then is.
    fn beginning(&mut self) -> Result<Census, Verdict> {
        self.needs()?;
        let scenario = self.scenario;
        let files = scenario.files.iter().cloned().map(Request::Place);
        let containers = scenario.containers.iter().cloned().map(Request::Prepare);
        for request in files.chain(containers) {
            match self.ask(&request, ANSWER)? {
                Reply::Done => {}
                other => return Err(out_of_turn(&request, other)),
            }
        }
        for prepared in &scenario.prepared {
            let script = format!("cd \"$0\"\n{}", prepared.script);
            let words = ["sh", "-ec", &script, &prepared.rootfs];
            let argv = words.map(String::from).into();
            let ran = self.run(argv, User::Root, "", ANSWER)?;
            if ran.ended != Ended::Exit(0) {
                let at = &prepared.at;
                let what = format!("{at}: prepare ended with {:?}: {}", ran.ended, ran.stderr);
                return Err(Verdict::Failed(what));
            }
        }
        self.census(&Request::Census, ANSWER)
    }

    fn needs(&mut self) -> Result<(), Verdict> {
        let needs = &self.scenario.needs;
        if needs.is_empty() {
            return Ok(());
        }
        let request = Request::Probe(needs.clone());
        let answers = match self.ask(&request, ANSWER)? {
            Reply::Probed(answers) if answers.len() == needs.len() => answers,
            other => return Err(out_of_turn(&request, other)),
        };
        let missing: Vec<String> = needs
            .iter()
            .zip(answers)
            .filter_map(|(need, answer)| Some(format!("{} ({})", feature_name(*need), answer?)))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Verdict::CouldNotRun(format!(
                "the kernel lacks {}",
                missing.join(", ")
            ))),
        }
    }

    fn steps(&mut self) -> Result<(), Verdict> {
        let scenario = self.scenario;
        for step in scenario.steps_of(self.way.subject) {
            let argv = step.act.argv(self.way.door);
            let ran = self.run(argv, step.user, &step.stdin, step.within)?;
            let mut states = BTreeMap::new();
            for name in step.asked(self.way.subject) {
                let answer = self.run(state_question(self.way.door, name), step.user, "", STATE)?;
                states.insert(name.to_owned(), answer);
            }
            let seen = Seen { ran, states };
            let judged = judge(step, self.way, &seen).map_err(Verdict::Failed)?;
            self.remember(step, judged);
        }
        Ok(())
    }

    fn remember(&mut self, step: &Step, judged: Judged<'_>) {
        let (why, appeared) = match judged {
            Judged::AsExpected => return,
            Judged::Differs(why) => (why, true),
            Judged::DiffersNot(why) => (why, false),
        };
        self.note(&step.at, why, appeared);
    }

    fn note(&mut self, at: &str, why: &str, appeared: bool) {
        let difference = Difference {
            at: at.to_owned(),
            why: why.to_owned(),
            appeared,
        };
        self.differences.insert(at.to_owned(), difference);
    }

    /// The machine must be what it was; what is just ending may take a moment.
    fn nothing_left(&mut self, before: Census) -> Result<(), Verdict> {
        let deadline = Instant::now() + self.patience;
        let mut after = self.census(&Request::Census, ANSWER)?;
        let scenario = self.scenario;
        // What a subject always leaves will not go: only the rest is waited for, a round at a time.
        loop {
            let left = leftovers(&before, &after, self.way.subject, &scenario.allowed);
            if left.unexpected.is_empty() {
                let rules: BTreeSet<(&str, &str)> = left
                    .known
                    .iter()
                    .map(|(_, rule)| (rule.at.as_str(), rule.why.as_str()))
                    .collect();
                for (at, why) in rules {
                    self.note(at, why, true);
                }
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Verdict::Failed(format!(
                    "{}: {} left behind or changed ({}):\n  {}",
                    scenario.file,
                    left.unexpected.len(),
                    self.way,
                    left.unexpected.join("\n  ")
                )));
            }
            let request = Request::Settle {
                before: Box::new(before.clone()),
                within_ms: whole_ms(ROUND),
            };
            after = self.census(&request, ANSWER)?;
        }
    }

    fn run(
        &mut self,
        argv: Vec<String>,
        user: User,
        stdin: &str,
        limit: Duration,
    ) -> Result<Ran, Verdict> {
        let request = Request::Run(Run {
            argv,
            user,
            environment: environment(self.way, user),
            stdin: stdin.to_owned(),
            limit_ms: whole_ms(limit),
        });
        match self.ask(&request, limit + GRACE)? {
            Reply::Ran(ran) => Ok(ran),
            other => Err(out_of_turn(&request, other)),
        }
    }

    fn census(&mut self, request: &Request, deadline: Duration) -> Result<Census, Verdict> {
        match self.ask(request, deadline)? {
            Reply::Census(census) => Ok(*census),
            other => Err(out_of_turn(request, other)),
        }
    }

    fn ask(&mut self, request: &Request, deadline: Duration) -> Result<Reply, Verdict> {
        self.guest
            .ask(request, deadline)
            .map_err(Verdict::CouldNotRun)
    }
}

/// What every step finds in its environment.
fn environment(way: Way, user: User) -> BTreeMap<String, String> {
    let path = way.path();
    let words = [
        ("HOME", user.home()),
        ("LXCPATH", user.lxcpath()),
        ("PATH", &path),
        ("SUBJECT", way.subject.name()),
        ("TERM", "linux"),
        ("USER", user.name()),
    ];
    let library = way.library_path().map(|path| ("LD_LIBRARY_PATH", path));
    let runtime = user.runtime_directory();
    let runtime = runtime.map(|path| ("XDG_RUNTIME_DIR", path));
    words
        .into_iter()
        .chain(library)
        .chain(runtime)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The ways that a run with these subjects takes through a scenario.
pub fn ways(scenario: &Scenario, subjects: &[Subject]) -> Vec<Way> {
    let mut ways: Vec<Way> = scenario
        .ways
        .iter()
        .filter(|way| subjects.contains(&way.subject))
        .copied()
        .collect();
    ways.sort();
    ways
}

/// The feature as scenarios call it.
fn feature_name(feature: Feature) -> String {
    match serde_json::to_value(feature) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{feature:?}"),
    }
}

fn out_of_turn(request: &Request, reply: Reply) -> Verdict {
    Verdict::CouldNotRun(match reply {
        Reply::Failed(why) => format!("the agent could not do {request}: {why}"),
        other => format!("the agent answered {request} with {other:?}"),
    })
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
