//! state() through the C library, asked again and again by one program: whose library, and whose
//! monitor answers.

use std::path::{Path, PathBuf};

use crate::Failure;
use crate::cgroup_move::{Mover, Temperature};
use crate::command;
use crate::rounds::{Field, order};
use crate::scratch::Scratch;
use crate::subject;

/// Calls of which a sample is the median.
pub const CALLS: usize = 2000;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/state.c");
const HEADERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/capi/include");

/// A `liblxc.so.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// As tables name it, with its version.
    pub name: String,
    /// Its path, or the name by which the system finds it.
    file: String,
}

impl Library {
    /// Of the installation that is measured.
    pub fn ours() -> Result<Library, Failure> {
        let file = subject::prefix()?.join("lib/liblxc.so.1");
        match file.is_file() {
            true => Ok(Library::new("ours", &file.to_string_lossy())),
            false => Err(format!("ours: there is no {}", file.display())),
        }
    }

    /// The system's: asked once, so that a container must run. `Err` says why there is none.
    fn systems(program: &Program) -> Result<Library, Failure> {
        let library = Library::new("C LXC", "liblxc.so.1");
        let answer = program.ask(&library, 1)?;
        let name = format!("C LXC {}", answer.version);
        Ok(Library { name, ..library })
    }

    fn new(name: &str, file: &str) -> Library {
        Library {
            name: name.to_owned(),
            file: file.to_owned(),
        }
    }
}

/// What the program prints.
#[derive(Debug, PartialEq)]
struct Answer {
    /// The library's.
    version: String,
    /// The median of its calls.
    microseconds: f64,
}

impl Answer {
    fn read(text: &str) -> Option<Answer> {
        let (version, microseconds) = text.trim().split_once(' ')?;
        Some(Answer {
            version: version.to_owned(),
            microseconds: microseconds.parse().ok()?,
        })
    }
}

/// The program that asks, compiled against our headers; the library is loaded as it runs.
#[derive(Debug)]
pub struct Program {
    file: PathBuf,
    directory: PathBuf,
    lxcpath: PathBuf,
    container: String,
}

impl Program {
    /// Compiles it in the run's directory, for the run's container.
    pub fn compile(scratch: &Scratch) -> Result<Program, Failure> {
        let file = scratch.path().join("state");
        let words = [
            "cc",
            "-std=c11",
            "-D_GNU_SOURCE",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-I",
            HEADERS,
            SOURCE,
            "-ldl",
            "-o",
            &file.to_string_lossy(),
        ]
        .map(str::to_owned);
        command::timed(&words, scratch.path())?;
        Ok(Program {
            file,
            directory: scratch.path().to_owned(),
            lxcpath: scratch.lxcpath(),
            container: scratch.name.clone(),
        })
    }

    /// The command line that asks `calls` times, after some calls that are not measured.
    pub fn command(&self, library: &Library, calls: usize) -> Vec<String> {
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            shown(&self.file),
            library.file.clone(),
            shown(&self.lxcpath),
            self.container.clone(),
            calls.to_string(),
        ]
    }

    /// Asks, and insists that the container is running.
    fn ask(&self, library: &Library, calls: usize) -> Result<Answer, Failure> {
        command::timed(&self.command(library, calls), &self.directory)
            .map_err(|failure| format!("state() of {}: {failure}", library.name))?;
        let said = command::said(&self.directory, "stdout");
        Answer::read(&said)
            .ok_or_else(|| format!("state() of {}: it printed {said:?}", library.name))
    }
}

/// A library, the monitor that it asks, and what that took.
#[derive(Debug, PartialEq)]
pub struct Pair {
    /// Whose library.
    pub library: Library,
    /// Whose monitor.
    pub monitor: String,
    /// Microseconds of a call, the median of [`CALLS`] a round.
    pub samples: Vec<f64>,
}

/// Measures every library on every monitor of a field, `rounds` times; ours on ours comes first.
///
/// The sentence says why the system's library was not measured.
pub fn measure(
    field: &Field,
    scratch: &Scratch,
    rounds: usize,
) -> Result<(Vec<Pair>, Option<Failure>), Failure> {
    field.layout.enter()?;
    let mover = Mover::find()?;
    let program = Program::compile(scratch)?;
    let c_lxc = field.subjects.iter().find(|subject| subject.is_c_lxc());
    let monitors: Vec<_> = field.subjects.iter().take(1).chain(c_lxc).collect();
    let mut libraries = vec![Library::ours()?];
    let mut absent = None;
    if let Some(ours) = monitors.first() {
        match ours.running(|| Ok(Library::systems(&program)))? {
            Ok(library) => libraries.push(library),
            Err(reason) => absent = Some(reason),
        }
    }
    let names: Vec<_> = monitors.iter().map(|monitor| &*monitor.name).collect();
    let mut pairs = pairs(&libraries, &names);
    for round in 0..rounds {
        for monitor in order(round, monitors.len()) {
            let monitor = monitors[monitor];
            monitor.running(|| {
                // The guest boots, and the kernel still takes the one before it down.
                mover.reach(Temperature::Hot)?;
                // Half as often as monitors change places: each order of these meets each of those.
                for library in order(round / 2, libraries.len()) {
                    let library = &libraries[library];
                    let took = program.ask(library, CALLS)?.microseconds;
                    let fits =
                        |pair: &&mut Pair| pair.library == *library && pair.monitor == monitor.name;
                    let pair = pairs.iter_mut().filter(fits);
                    pair.for_each(|pair| pair.samples.push(took));
                }
                Ok(())
            })?;
        }
    }
    Ok((pairs, absent))
}

/// Each on its own monitor, then crosswise.
fn pairs(libraries: &[Library], monitors: &[&str]) -> Vec<Pair> {
    let with = |library: &Library| {
        let library = library.clone();
        monitors.iter().map(move |monitor| Pair {
            library: library.clone(),
            monitor: (*monitor).to_owned(),
            samples: Vec::new(),
        })
    };
    let mut pairs: Vec<Pair> = libraries.iter().flat_map(with).collect();
    pairs.sort_by_key(|pair| pair.library.name != pair.monitor);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_on_ours_is_what_others_are_compared_with() {
        let library = |name| Library::new(name, "x");
        let named = |libraries: &[Library], monitors: &[&str]| {
            let pairs = pairs(libraries, monitors);
            let names = pairs
                .iter()
                .map(|p| format!("{} {}", p.library.name, p.monitor));
            names.collect::<Vec<_>>().join(", ")
        };
        let both = [library("ours"), library("C")];
        assert_eq!(
            named(&both, &["ours", "C"]),
            "ours ours, C C, ours C, C ours"
        );
        assert_eq!(named(&both, &["ours"]), "ours ours, C ours");
        assert_eq!(named(&both[..1], &["ours", "C"]), "ours ours, ours C");
    }

    #[test]
    fn what_the_program_prints_is_understood() {
        let answer = Answer::read("5.0.2 57.125\n").unwrap();
        assert_eq!((&*answer.version, answer.microseconds), ("5.0.2", 57.125));
        for text in ["", "5.0.2", "5.0.2 fast\n"] {
            assert_eq!(Answer::read(text), None, "{text:?}");
        }
    }
}
