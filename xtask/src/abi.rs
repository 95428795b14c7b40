//! `cargo xtask abi`: the C library and its headers beside Debian's, fact by fact.
//!
//! Compilers and linkers say what is: sizes, offsets, values, prototypes, symbols. Each difference
//! stands in a list with its reason, or is a mistake; a row that is true no longer is one too.

mod accepted;
mod declarations;
mod headers;
mod symbols;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::accepted::{ACCEPTED, Accepted};
use crate::build::{self, Profile};
use crate::command_line::no_arguments;
use crate::project::{Outcome, Project};

/// What is true of a library: the name of a fact, and the fact.
type Facts = BTreeMap<String, String>;

/// The version that the list of differences is about: Debian 12's.
const PEER: &str = "5.0.2";

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    no_arguments(arguments)?;
    match compared(project)? {
        Answer::Alike(text) => {
            print!("{text}");
            Ok(())
        }
        Answer::CouldNotRun(reason) => Err(format!("could not run: {reason}").into()),
    }
}

/// How the comparison ended when it found no mistake.
pub enum Answer {
    /// All differences are accepted ones; a table of them.
    Alike(String),
    /// There is nothing to compare with.
    CouldNotRun(String),
}

/// Builds the library and compares it.
///
/// # Errors
/// The table of all that differs without a reason, among others.
pub fn compared(project: &Project) -> Outcome<Answer> {
    let theirs = match peer(project)? {
        Ok(peer) => peer,
        Err(reason) => return Ok(Answer::CouldNotRun(reason)),
    };
    let ours = Side {
        include: project.root.join("runtime/capi/include"),
        library: build::library(project, Profile::Release)?,
    };
    let scratch = project.target.join("abi");
    let mistakes_of_ours = ours.undeclared(&scratch.join("ours"))?;
    let ours = ours.facts(&scratch.join("ours"))?;
    let theirs = theirs.facts(&scratch.join("theirs"))?;
    if theirs.get("constant LXC_VERSION").map(String::as_str) != Some(PEER) {
        let reason = format!("the list of differences is about LXC {PEER}, not the one here");
        return Ok(Answer::CouldNotRun(reason));
    }
    let judged = judge(&ours, &theirs, ACCEPTED);
    let mistakes: Vec<String> = judged
        .mistakes
        .into_iter()
        .chain(mistakes_of_ours)
        .collect();
    let text = format!(
        "{} facts are the same; accepted differences:\n{}",
        judged.same,
        judged.accepted.concat()
    );
    match mistakes.is_empty() {
        true => Ok(Answer::Alike(text)),
        false => Err(format!(
            "{text}\n{} mistakes:\n{}",
            mistakes.len(),
            mistakes.concat()
        )
        .into()),
    }
}

/// One library and its headers.
struct Side {
    /// Directory that has `lxc/lxccontainer.h`.
    include: PathBuf,
    library: PathBuf,
}

impl Side {
    fn facts(&self, scratch: &Path) -> Outcome<Facts> {
        let mut facts = headers::facts(&self.include, scratch)?;
        facts.extend(symbols::facts(&self.library)?);
        Ok(facts)
    }

    /// Functions that the headers declare and the library lacks: no peer is needed to see these.
    fn undeclared(&self, scratch: &Path) -> Outcome<Vec<String>> {
        let exported = symbols::facts(&self.library)?;
        let declared = headers::facts(&self.include, scratch)?;
        Ok(declared
            .keys()
            .filter_map(|fact| fact.strip_prefix("function "))
            .filter(|name| !exported.contains_key(&format!("symbol {name}")))
            .map(|name| format!("  {name}: declared in our headers, not in our library\n"))
            .collect())
    }
}

/// Debian's, or why it cannot be compared with.
fn peer(project: &Project) -> Outcome<Result<Side, String>> {
    let multiarch = project
        .sh
        .cmd("cc")
        .arg("-print-multiarch")
        .quiet()
        .read()?;
    let side = Side {
        include: PathBuf::from("/usr/include"),
        library: Path::new("/usr/lib")
            .join(multiarch.trim())
            .join("liblxc.so.1"),
    };
    let missing = |package: &str| Ok(Err(format!("Debian's {package} is not installed")));
    if !side.include.join("lxc/lxccontainer.h").is_file() {
        return missing("lxc-dev");
    }
    if !side.library.is_file() {
        return missing("liblxc1");
    }
    Ok(Ok(side))
}

/// What the comparison of two sets of facts comes to; each line ends with a newline.
struct Judged {
    same: usize,
    accepted: Vec<String>,
    mistakes: Vec<String>,
}

fn judge(ours: &Facts, theirs: &Facts, list: &[Accepted]) -> Judged {
    let mut judged = Judged {
        same: 0,
        accepted: Vec::new(),
        mistakes: Vec::new(),
    };
    let mut covered: BTreeMap<usize, usize> = BTreeMap::new();
    for fact in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let sides = (ours.get(fact), theirs.get(fact));
        if sides.0 == sides.1 {
            judged.same += 1;
            continue;
        }
        let (left, right) = (sides.0.map(String::as_str), sides.1.map(String::as_str));
        match list.iter().position(|row| row.covers(fact, left, right)) {
            Some(row) => *covered.entry(row).or_default() += 1,
            None => judged.mistakes.push(format!(
                "  {fact}\n    ours:   {}\n    theirs: {}\n",
                left.unwrap_or("absent"),
                right.unwrap_or("absent")
            )),
        }
    }
    for (number, row) in list.iter().enumerate() {
        match covered.get(&number) {
            Some(count) => judged.accepted.push(row.shown(*count)),
            None => judged.mistakes.push(format!(
                "  {}: listed as a difference, and there is none of that kind\n",
                row.fact
            )),
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::accepted::Differs;
    use super::*;

    fn facts(rows: &[(&str, &str)]) -> Facts {
        let own = |(fact, value): &(&str, &str)| ((*fact).to_owned(), (*value).to_owned());
        rows.iter().map(own).collect()
    }

    const LIST: &[Accepted] = &[
        Accepted {
            fact: "symbol log_*",
            differs: Differs::OnlyTheirs,
            reason: "leaked",
        },
        Accepted {
            fact: "size struct a",
            differs: Differs::Between("16", "8"),
            reason: "longer",
        },
    ];

    #[test]
    fn accepted_differences_are_no_mistakes() {
        let ours = facts(&[("soname", "x"), ("size struct a", "16")]);
        let theirs = [
            ("soname", "x"),
            ("size struct a", "8"),
            ("symbol log_a", "y"),
        ];
        let judged = judge(&ours, &facts(&theirs), LIST);
        assert_eq!(
            (judged.same, judged.mistakes.len()),
            (1, 0),
            "{:?}",
            judged.mistakes
        );
        assert_eq!(judged.accepted.len(), 2);
    }

    #[test]
    fn other_differences_and_stale_rows_are_mistakes() {
        for (ours, theirs, mistake) in [
            // A row says that it is absent here; it is there, in another form.
            (
                &[("symbol log_a", "z"), ("size struct a", "16")][..],
                &[("symbol log_a", "y"), ("size struct a", "8")][..],
                "symbol log_a",
            ),
            (
                &[("size struct a", "24")],
                &[("symbol log_a", "y"), ("size struct a", "8")],
                "size struct a",
            ),
            (
                &[("size struct a", "8")],
                &[("symbol log_a", "y"), ("size struct a", "8")],
                "listed as a difference",
            ),
            (
                &[("size struct a", "16")],
                &[
                    ("symbol log_a", "y"),
                    ("size struct a", "8"),
                    ("symbol new", "f"),
                ],
                "symbol new",
            ),
        ] {
            let judged = judge(&facts(ours), &facts(theirs), LIST);
            let found = judged.mistakes.concat();
            assert!(found.contains(mistake), "{mistake}: {found}");
        }
    }
}
