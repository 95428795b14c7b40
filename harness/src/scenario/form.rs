//! What may stand in a scenario's file: names and types. Everything else is refused by serde, with
//! the place; what the values mean together is checked in [`super::check`].

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use lxc_guest::protocol::{Feature, Layout, Rootfs, User};
use serde::Deserialize;
use serde::de::value::{I64Deserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, SeqAccess, Visitor};
use toml::Spanned;

use super::{Door, State, Subject};

/// A scenario's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioForm {
    pub title: Spanned<String>,
    pub kernels: Option<Spanned<Vec<Spanned<String>>>>,
    pub cgroups: Option<Spanned<Vec<Layout>>>,
    #[serde(default)]
    pub needs: Vec<Feature>,
    pub subjects: Option<Spanned<Vec<Subject>>>,
    pub doors: Option<Spanned<Vec<Door>>>,
    pub ci: Option<bool>,
    #[serde(default)]
    pub files: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    pub container: BTreeMap<Spanned<String>, ContainerForm>,
    #[serde(default)]
    pub step: Vec<Spanned<StepForm>>,
    #[serde(default)]
    pub after: AfterForm,
}

/// `[container.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerForm {
    #[serde(default)]
    pub config: String,
    #[serde(default)]
    pub rootfs: Rootfs,
    #[serde(default)]
    pub files: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    pub owner: User,
    pub shift: Option<Spanned<u32>>,
    pub prepare: Option<Spanned<String>>,
}

/// `[[step]]`: one thing to do, and what it must bring.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepForm {
    // What is done: one of these.
    pub run: Option<Spanned<String>>,
    pub create: Option<Spanned<String>>,
    pub start: Option<Spanned<String>>,
    pub attach: Option<Spanned<String>>,
    pub wait: Option<Spanned<String>>,
    pub stop: Option<Spanned<String>>,
    pub reboot: Option<Spanned<String>>,
    pub kill: Option<Spanned<String>>,
    pub freeze: Option<Spanned<String>>,
    pub unfreeze: Option<Spanned<String>>,
    pub cgroup: Option<Spanned<CgroupForm>>,
    pub console_log: Option<Spanned<String>>,
    pub destroy: Option<Spanned<String>>,
    // How.
    pub command: Option<Spanned<Vec<String>>>,
    pub until: Option<Spanned<States>>,
    pub timeout: Option<Spanned<u32>>,
    pub stdin: Option<Spanned<String>>,
    pub within: Option<Within>,
    pub only: Option<Spanned<Subject>>,
    #[serde(default)]
    pub user: User,
    // What it must bring; the same names as in `ExpectForm`.
    pub exit: Option<Spanned<OneOrMany<i32>>>,
    pub signal: Option<Spanned<i32>>,
    pub stdout: Option<OneOrMany<String>>,
    pub stdout_is: Option<Spanned<String>>,
    pub stdout_not: Option<OneOrMany<String>>,
    pub stderr: Option<OneOrMany<String>>,
    pub stderr_is: Option<Spanned<String>>,
    pub stderr_not: Option<OneOrMany<String>>,
    pub state: Option<Spanned<BTreeMap<Spanned<String>, State>>>,
    // What else it must bring, or brings instead, when this subject does it.
    pub ours: Option<Spanned<ExpectForm>>,
    #[serde(rename = "debian-lxc")]
    pub debian_lxc: Option<Spanned<ExpectForm>>,
}

/// `cgroup` of a step: a file that is read, or written when there is a value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CgroupForm {
    pub name: Spanned<String>,
    pub file: Spanned<String>,
    pub value: Option<Spanned<String>>,
}

/// `ours` and `debian-lxc` of a step.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectForm {
    pub differs: Option<Spanned<String>>,
    pub exit: Option<Spanned<OneOrMany<i32>>>,
    pub signal: Option<Spanned<i32>>,
    pub stdout: Option<OneOrMany<String>>,
    pub stdout_is: Option<Spanned<String>>,
    pub stdout_not: Option<OneOrMany<String>>,
    pub stderr: Option<OneOrMany<String>>,
    pub stderr_is: Option<Spanned<String>>,
    pub stderr_not: Option<OneOrMany<String>>,
    pub state: Option<Spanned<BTreeMap<Spanned<String>, State>>>,
}

impl StepForm {
    /// Takes out what is expected of every subject.
    pub fn take_expectations(&mut self) -> ExpectForm {
        ExpectForm {
            differs: None,
            exit: self.exit.take(),
            signal: self.signal.take(),
            stdout: self.stdout.take(),
            stdout_is: self.stdout_is.take(),
            stdout_not: self.stdout_not.take(),
            stderr: self.stderr.take(),
            stderr_is: self.stderr_is.take(),
            stderr_not: self.stderr_not.take(),
            state: self.state.take(),
        }
    }
}

/// `[after]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterForm {
    #[serde(default)]
    pub left_behind: Vec<Spanned<LeftForm>>,
}

/// One thing that may be left behind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftForm {
    pub what: Spanned<String>,
    pub why: Spanned<String>,
    pub subject: Option<Subject>,
}

/// `subjects.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectsForm {
    #[serde(default)]
    pub left_behind: Vec<Spanned<LeftForm>>,
}

/// A time: `300ms`, `5s` or `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Within(pub Duration);

/// No step may take longer: a machine has other scenarios to run.
const LONGEST: Duration = Duration::from_secs(300);

impl TryFrom<String> for Within {
    type Error = String;

    fn try_from(text: String) -> Result<Within, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => 0,
        };
        let total = number.parse::<u64>().ok();
        match total.and_then(|number| number.checked_mul(milliseconds)) {
            Some(0) | None => Err(format!(
                "{text:?} is no time; write it like 300ms, 5s or 2m"
            )),
            Some(total) if u128::from(total) > LONGEST.as_millis() => {
                let longest = LONGEST.as_secs();
                Err(format!("{text:?} is too long; at most {longest}s"))
            }
            Some(total) => Ok(Within(Duration::from_millis(total))),
        }
    }
}

/// States as lxc-wait takes them: `STOPPED`, or several with `|` between.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct States(pub Vec<State>);

impl TryFrom<String> for States {
    type Error = String;

    fn try_from(text: String) -> Result<States, String> {
        let one = |word: &str| {
            let found = State::ALL.into_iter().find(|state| state.name() == word);
            found.ok_or_else(|| format!("{word:?} is no state; {}", State::all_names()))
        };
        text.split('|')
            .map(one)
            .collect::<Result<_, _>>()
            .map(States)
    }
}

/// A value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> OneOrMany<T> {
        OneOrMany(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value or a list of values")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        let deserializer: I64Deserializer<E> = value.into_deserializer();
        Ok(OneOrMany(vec![T::deserialize(deserializer)?]))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        // Owned, for a `T` that borrows from the file is none of ours.
        let deserializer: StrDeserializer<E> = value.into_deserializer();
        Ok(OneOrMany(vec![T::deserialize(deserializer)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
        let list = Vec::deserialize(SeqAccessDeserializer::new(sequence))?;
        Ok(OneOrMany(list))
    }
}
