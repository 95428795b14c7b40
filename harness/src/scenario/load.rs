//! All scenarios of a folder, or all mistakes in them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::form::{ScenarioForm, SubjectsForm};
use super::{Allowed, Scenario, check};

/// What the subjects leave behind everywhere.
const SUBJECTS: &str = "subjects.toml";

/// The most that is read of one file.
const LARGEST: u64 = 256 << 10;

/// One mistake: where it is, what it is, what would be right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wrong {
    /// As it is shown: `scenarios/start/a-name.toml`.
    pub file: String,
    /// From 1; 0 = the file as a whole.
    pub line: usize,
    /// A sentence.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.file, self.what),
            line => write!(formatter, "{}:{line}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for Wrong {}

/// A file that is being read: what places in it are called.
pub struct Source {
    /// As it is shown.
    pub file: String,
    /// The folder it is in.
    pub area: String,
    /// Its name without the ending.
    pub name: String,
    text: String,
}

impl Source {
    /// A mistake at this place.
    pub fn wrong(&self, span: &Range<usize>, what: impl Into<String>) -> Wrong {
        Wrong {
            file: self.file.clone(),
            line: self.line(span.start),
            what: what.into(),
        }
    }

    /// What this place is called: `scenarios/start/a-name.toml:12`.
    pub fn at(&self, span: &Range<usize>) -> String {
        format!("{}:{}", self.file, self.line(span.start))
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.bytes().take(offset);
        1 + before.filter(|byte| *byte == b'\n').count()
    }

    fn parse<F: DeserializeOwned>(&self) -> Result<F, Wrong> {
        toml::from_str(&self.text).map_err(|error| {
            // Several lines of what was expected are one sentence here.
            let message: Vec<&str> = error.message().split_whitespace().collect();
            self.wrong(&error.span().unwrap_or(0..0), message.join(" "))
        })
    }
}

/// The scenarios below `dir`, by area and name; else all mistakes of all files.
///
/// `kernels` are the names that scenarios may use, ascending.
pub fn load(dir: &Path, kernels: &[&str]) -> Result<Vec<Scenario>, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let shown = dir
        .file_name()
        .map_or("scenarios".into(), |name| name.to_string_lossy());
    let everywhere = subjects(
        &dir.join(SUBJECTS),
        &format!("{shown}/{SUBJECTS}"),
        &mut wrong,
    );
    let mut scenarios = Vec::new();
    for (area, path) in files(dir, &shown, &mut wrong) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let source = match read(
            &path,
            format!("{shown}/{area}/{name}.toml"),
            area,
            name.into(),
        ) {
            Ok(source) => source,
            Err(mistake) => {
                wrong.push(mistake);
                continue;
            }
        };
        let scenario = source
            .parse::<ScenarioForm>()
            .map_err(|mistake| vec![mistake]);
        match scenario.and_then(|form| check::scenario(&source, form, kernels, &everywhere)) {
            Ok(scenario) => scenarios.push(scenario),
            Err(mistakes) => wrong.extend(mistakes),
        }
    }
    twice(&scenarios, &mut wrong);
    if scenarios.is_empty() && wrong.is_empty() {
        wrong.push(Wrong {
            file: shown.into_owned(),
            line: 0,
            what: "there is no scenario in it; they are files AREA/NAME.toml".into(),
        });
    }
    wrong.sort();
    match wrong.is_empty() {
        true => Ok(scenarios),
        false => Err(wrong),
    }
}

/// Two scenarios with one title could not be told apart in a report.
fn twice(scenarios: &[Scenario], wrong: &mut Vec<Wrong>) {
    let mut titles: BTreeMap<String, &str> = BTreeMap::new();
    for scenario in scenarios {
        let title = scenario.title.to_lowercase();
        if let Some(first) = titles.insert(title, &scenario.file) {
            wrong.push(Wrong {
                file: scenario.file.clone(),
                line: 0,
                what: format!("its title is that of {first} too; one of them means something else"),
            });
        }
    }
}

/// What subjects are known to leave behind; nothing where there is no such file.
fn subjects(path: &Path, shown: &str, wrong: &mut Vec<Wrong>) -> Vec<Allowed> {
    if !path.exists() {
        return Vec::new();
    }
    let read = read(path, shown.into(), String::new(), "subjects".into());
    let parsed = read.and_then(|source| Ok((source.parse::<SubjectsForm>()?, source)));
    match parsed {
        Ok((form, source)) => check::allowed(&source, form.left_behind, wrong),
        Err(mistake) => {
            wrong.push(mistake);
            Vec::new()
        }
    }
}

fn read(path: &Path, file: String, area: String, name: String) -> Result<Source, Wrong> {
    let fail = |what: String| Wrong {
        file: file.clone(),
        line: 0,
        what,
    };
    let metadata = fs::metadata(path).map_err(|error| fail(format!("cannot stat it: {error}")))?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        let what = format!("it is no plain file of at most {} KiB", LARGEST >> 10);
        return Err(fail(what));
    }
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| fail(format!("cannot read it: {error}")))?;
    Ok(Source {
        file,
        area,
        name,
        text,
    })
}

/// Every scenario's area and path, in order. What is neither a scenario nor known is a mistake: a
/// file that nobody reads tests nothing.
fn files(dir: &Path, shown: &str, wrong: &mut Vec<Wrong>) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for (area, path) in entries(dir, shown, wrong) {
        if !path.is_dir() {
            if area != SUBJECTS && !area.ends_with(".md") {
                wrong.push(stray(format!("{shown}/{area}")));
            }
            continue;
        }
        let below = format!("{shown}/{area}");
        for (name, path) in entries(&path, &below, wrong) {
            match name.ends_with(".toml") && !path.is_dir() {
                true => files.push((area.clone(), path)),
                false => wrong.push(stray(format!("{below}/{name}"))),
            }
        }
    }
    files
}

fn stray(file: String) -> Wrong {
    let what = "it is no scenario; they are files AREA/NAME.toml".into();
    Wrong {
        file,
        line: 0,
        what,
    }
}

/// Names and paths in a folder, sorted; without what editors keep there.
fn entries(dir: &Path, shown: &str, wrong: &mut Vec<Wrong>) -> Vec<(String, PathBuf)> {
    let listed = fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let listed = listed.unwrap_or_else(|error| {
        let what = format!("cannot list it: {error}");
        wrong.push(Wrong {
            file: shown.into(),
            line: 0,
            what,
        });
        Vec::new()
    });
    let entry = |entry: fs::DirEntry| {
        (
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        )
    };
    let mut named: Vec<(String, PathBuf)> = listed.into_iter().map(entry).collect();
    named.retain(|(name, _)| !name.starts_with('.') && !name.ends_with('~'));
    named.sort();
    named
}
