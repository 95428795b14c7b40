//! A whole run: which cells there are, who plays them, what is told while they are played.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use lxc_guest::protocol::Layout;

use crate::crew;
use crate::fleet::{Berth, Fleet};
use crate::image::Kernel;
use crate::options::Options;
use crate::report::{self, Report};
use crate::scenario::{self, Scenario, Subject, Way};
use crate::story::{self, Ending};
use crate::verdict::{Booted, Difference, How, Place, Times, Told, Verdict};

/// With which layouts a kernel is tried that was named, when none was.
const LAYOUTS: [Layout; 2] = [Layout::V2, Layout::Hybrid];

/// What is to be done: the chosen part of kernels × layouts × scenarios × ways.
pub struct Matrix<'a> {
    /// In the order of columns.
    pub columns: Vec<Column<'a>>,
    /// Scenarios that were meant and have no cell.
    pub never: Vec<String>,
    /// Nothing was left out by an option.
    pub whole: bool,
}

/// A machine and what is played on it.
pub struct Column<'a> {
    /// Which machine.
    pub place: Place,
    /// In the order of rows.
    pub cells: Vec<(&'a Scenario, Way)>,
}

impl<'a> Matrix<'a> {
    /// Chooses. The error is a sentence: an option that means nothing here.
    pub fn choose(
        options: &Options,
        kernels: &[Kernel],
        scenarios: &'a [Scenario],
    ) -> Result<Matrix<'a>, String> {
        let all = kernels;
        let kernels = chosen_kernels(options, all)?;
        let subjects = chosen_subjects(options)?;
        let meant = chosen_scenarios(options, scenarios)?;
        let mut columns = Vec::new();
        for kernel in kernels {
            for layout in layouts(options, kernel) {
                let subjects = subjects_on(options, kernel, layout, &subjects);
                let column = Column::of(kernel, layout, &meant, &subjects);
                columns.extend((!column.cells.is_empty()).then_some(column));
            }
        }
        let whole = options.kernels.is_empty()
            && options.layouts.is_empty()
            && options.scenarios.is_empty()
            && options.subjects.is_empty()
            && !options.ci;
        if whole {
            add_lonely(&mut columns, all, &meant, &subjects);
        }
        let played: BTreeSet<String> = columns
            .iter()
            .flat_map(|column| &column.cells)
            .map(|(scenario, _)| scenario.id())
            .collect();
        let never = meant.iter().map(|scenario| scenario.id());
        Ok(Matrix {
            never: never.filter(|id| !played.contains(id)).collect(),
            columns,
            whole,
        })
    }

    /// One line a cell, for `--list`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.columns.iter().flat_map(|column| {
            let line = |(scenario, way): &(&Scenario, Way)| {
                format!("{:<11} {} ({way})", column.place.to_string(), scenario.id())
            };
            column.cells.iter().map(line)
        })
    }
}

impl<'a> Column<'a> {
    /// All that is meant and says something there.
    fn of(
        kernel: &Kernel,
        layout: Layout,
        meant: &[&'a Scenario],
        subjects: &[Subject],
    ) -> Column<'a> {
        let there = meant
            .iter()
            .filter(|scenario| scenario.applies(&kernel.name, layout));
        let cells = there.flat_map(|scenario| {
            let ways = story::ways(scenario, subjects);
            ways.into_iter().map(move |way| (*scenario, way))
        });
        let cells = cells.collect();
        let kernel = kernel.name.clone();
        Column {
            place: Place { kernel, layout },
            cells,
        }
    }
}

/// Gives a scenario that no machine of the matrix is asked for the first that it says something about.
fn add_lonely<'a>(
    columns: &mut Vec<Column<'a>>,
    kernels: &[Kernel],
    meant: &[&'a Scenario],
    subjects: &[Subject],
) {
    for scenario in meant {
        let mut cells = columns.iter().flat_map(|column| &column.cells);
        if cells.any(|(played, _)| played.id() == scenario.id()) {
            continue;
        }
        let places = kernels.iter().flat_map(|kernel| {
            let layouts = [Layout::V2, Layout::Hybrid, Layout::V1];
            layouts.map(|layout| (kernel, layout))
        });
        let mut own =
            places.map(|(kernel, layout)| Column::of(kernel, layout, &[scenario], subjects));
        let Some(own) = own.find(|column| !column.cells.is_empty()) else {
            continue;
        };
        match columns.iter_mut().find(|column| column.place == own.place) {
            Some(column) => column.cells.extend(own.cells),
            None => columns.push(own),
        }
    }
}

/// The layouts of a kernel's machines.
fn layouts(options: &Options, kernel: &Kernel) -> BTreeSet<Layout> {
    if !options.layouts.is_empty() {
        return options.layouts.iter().copied().collect();
    }
    match options.kernels.is_empty() {
        false => LAYOUTS.into(),
        true => kernel.layouts.iter().copied().collect(),
    }
}

/// Who is tried on a machine: what Debian's LXC does differs little from one to the next.
fn subjects_on(
    options: &Options,
    kernel: &Kernel,
    layout: Layout,
    subjects: &[Subject],
) -> Vec<Subject> {
    let named = [&options.subjects, &options.kernels, &options.scenarios];
    let everybody = kernel.peers.contains(&layout) || named.iter().any(|words| !words.is_empty());
    let meant = |subject: &&Subject| everybody || **subject == Subject::Ours;
    subjects.iter().filter(meant).copied().collect()
}

fn chosen_kernels<'k>(options: &Options, kernels: &'k [Kernel]) -> Result<Vec<&'k Kernel>, String> {
    let wanted = |kernel: &Kernel| match (options.ci, options.kernels.is_empty()) {
        (_, false) => options
            .kernels
            .iter()
            .any(|word| word == &kernel.name || word == "all"),
        (true, true) => kernel.in_ci,
        (false, true) => !kernel.layouts.is_empty(),
    };
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    let series: Vec<&str> = scenario::series(&names).collect();
    let ends = [("oldest", series.first()), ("newest", series.last())];
    let mut chosen: BTreeSet<&str> = kernels
        .iter()
        .filter(|kernel| wanted(kernel))
        .map(|kernel| kernel.name.as_str())
        .collect();
    for word in &options.kernels {
        let end = ends.iter().find(|(name, _)| name == word);
        match end {
            Some((_, Some(name))) => drop(chosen.insert(name)),
            _ if word == "all" || names.contains(&word.as_str()) => {}
            _ => {
                let names = names.join(", ");
                return Err(format!(
                    "--kernel {word:?} is none of {names}, oldest, newest, all"
                ));
            }
        }
    }
    // Oldest first, as they stand in the file: 5.10 comes before 5.9 in no alphabet.
    let chosen = |kernel: &&Kernel| chosen.contains(kernel.name.as_str());
    Ok(kernels.iter().filter(chosen).collect())
}

fn chosen_subjects(options: &Options) -> Result<Vec<Subject>, String> {
    if options.subjects.is_empty() {
        return Ok(Subject::ALL.into());
    }
    let named = |name: &String| {
        let names = Subject::ALL.map(Subject::name).join(", ");
        Subject::named(name).ok_or_else(|| format!("--subject {name:?} is none of {names}"))
    };
    options.subjects.iter().map(named).collect()
}

fn chosen_scenarios<'a>(
    options: &Options,
    scenarios: &'a [Scenario],
) -> Result<Vec<&'a Scenario>, String> {
    for pattern in &options.scenarios {
        if !scenarios.iter().any(|scenario| scenario.matches(pattern)) {
            return Err(format!(
                "--scenario {pattern:?} matches none of the {} scenarios; see --list",
                scenarios.len()
            ));
        }
    }
    let meant = |scenario: &&Scenario| {
        let named = options
            .scenarios
            .iter()
            .any(|pattern| scenario.matches(pattern));
        named || (options.scenarios.is_empty() && (scenario.ci || !options.ci))
    };
    Ok(scenarios.iter().filter(meant).collect())
}

/// Plays the matrix, `jobs` machines at once, and tells what happens on standard output.
///
/// Without a fleet every cell could not run, for the reason given.
pub fn play(matrix: &Matrix<'_>, fleet: &Result<Fleet, String>, jobs: usize) -> Report {
    let begun = Instant::now();
    let total = matrix.columns.iter().map(|column| column.cells.len()).sum();
    let (events, heard) = mpsc::channel();
    let listener = std::thread::spawn(move || listen(&heard, total));
    let counts: Vec<usize> = matrix
        .columns
        .iter()
        .map(|column| column.cells.len())
        .collect();
    crew::work(
        jobs,
        &counts,
        |number| up(&matrix.columns[number], fleet, &events),
        |berth, number, cell| {
            let column = &matrix.columns[number];
            let (scenario, way) = column.cells[cell];
            if let Ok(fleet) = fleet {
                send(
                    &events,
                    Event::Told(one(fleet, berth, &column.place, scenario, way)),
                );
            }
        },
    );
    drop(events);
    let (mut machines, mut cells) = listener.join().unwrap_or_default();
    machines.sort_by_key(|machine: &Booted| {
        let same = |column: &Column<'_>| column.place == machine.place;
        matrix.columns.iter().position(same)
    });
    cells.sort_by(|a: &Told, b: &Told| {
        (&a.scenario, &a.place, a.way).cmp(&(&b.scenario, &b.place, b.way))
    });
    Report {
        subjects: subjects(fleet),
        machines,
        cells,
        never: matrix.never.clone(),
        whole: matrix.whole,
        took: begun.elapsed(),
    }
}

/// What happens while a matrix is played.
enum Event {
    /// In words.
    Progress(String),
    /// A machine came up; or not, and then these cells could not run.
    Booted(Booted, Vec<Told>),
    /// A cell was judged.
    Told(Told),
}

fn send(events: &Sender<Event>, event: Event) {
    let _ = events.send(event); // the listener lives until all senders are gone
}

/// Gets a column's machine ready; where it does not come up, none of its cells could run.
fn up(column: &Column<'_>, fleet: &Result<Fleet, String>, events: &Sender<Event>) -> Option<Berth> {
    let (berth, booted) = match fleet {
        Ok(fleet) => fleet.ready(&column.place, &|text| {
            send(events, Event::Progress(text.to_owned()));
        }),
        Err(why) => {
            let booted = Booted {
                place: column.place.clone(),
                release: String::new(),
                how: How::Not(why.clone()),
            };
            (None, booted)
        }
    };
    let cells = match &booted.how {
        How::Not(why) => column
            .cells
            .iter()
            .map(|(scenario, way)| told(&column.place, scenario, *way, could_not(why)))
            .collect(),
        How::Kept | How::Fresh { .. } => Vec::new(),
    };
    send(events, Event::Booted(booted, cells));
    berth
}

/// One cell: restore, play, throw away.
fn one(fleet: &Fleet, berth: &Berth, place: &Place, scenario: &Scenario, way: Way) -> Told {
    if let (Subject::DebianLxc, Err(why)) = (way.subject, &fleet.peer) {
        return told(place, scenario, way, could_not(why));
    }
    let ending = match fleet.restore(berth, place) {
        Err(lost) => could_not(&lost.to_string()),
        Ok(mut restored) => {
            let mut ending = story::tell(&mut restored.machine, scenario, way);
            ending.times.restore = restored.took;
            ending
        }
    };
    told(place, scenario, way, ending)
}

fn could_not(why: &str) -> Ending {
    Ending {
        verdict: Verdict::CouldNotRun(why.to_owned()),
        differences: Vec::<Difference>::new(),
        times: Times::default(),
    }
}

fn told(place: &Place, scenario: &Scenario, way: Way, ending: Ending) -> Told {
    Told {
        place: place.clone(),
        scenario: scenario.id(),
        way,
        verdict: ending.verdict,
        differences: ending.differences,
        times: ending.times,
    }
}

fn subjects(fleet: &Result<Fleet, String>) -> Vec<(String, String)> {
    let Ok(fleet) = fleet else {
        return Vec::new();
    };
    let peer = match &fleet.peer {
        Ok(version) => version.clone(),
        Err(why) => format!("not here: {why}"),
    };
    let lacks = fleet.lacks.iter();
    let lacks = lacks.map(|why| ("machines lack".to_owned(), why.clone()));
    [
        (Subject::DebianLxc.name().to_owned(), peer),
        ("QEMU".to_owned(), fleet.qemu_version().to_owned()),
    ]
    .into_iter()
    .chain(lacks)
    .collect()
}

/// Shows what happens and keeps it. On a terminal the passed ones share one line.
fn listen(heard: &Receiver<Event>, total: usize) -> (Vec<Booted>, Vec<Told>) {
    let alive = std::io::stdout().is_terminal();
    let mut machines = Vec::new();
    let mut cells: Vec<Told> = Vec::new();
    let mut quiet_since = Instant::now();
    for event in heard {
        let line = match &event {
            Event::Progress(text) => Some(text.clone()),
            Event::Booted(booted, _) => match &booted.how {
                How::Not(why) => Some(format!("{}: did not come up: {why}", booted.place)),
                How::Kept => Some(format!("{}: snapshot found", booted.place)),
                How::Fresh { answer_ms, .. } => {
                    let seconds = Duration::from_millis(*answer_ms).as_secs_f64();
                    Some(format!("{}: up after {seconds:.1} s", booted.place))
                }
            },
            Event::Told(told) => {
                let number = cells.len() + 1;
                let line = format!("[{number:>3}/{total}] {}", report::line(told));
                match told.verdict {
                    Verdict::Passed if alive => {
                        show(&format!("\r\x1b[K{line}"));
                        None
                    }
                    // In a log, a line now and then says that it goes on.
                    Verdict::Passed if quiet_since.elapsed() < LINE_EVERY => None,
                    _ => Some(line),
                }
            }
        };
        if let Some(line) = line {
            show(&format!("{}{line}\n", if alive { "\r\x1b[K" } else { "" }));
            quiet_since = Instant::now();
        }
        match event {
            Event::Progress(_) => {}
            Event::Booted(booted, without) => {
                machines.push(booted);
                cells.extend(without);
            }
            Event::Told(told) => cells.push(told),
        }
    }
    if alive {
        show("\r\x1b[K");
    }
    (machines, cells)
}

/// So often at least a log has a line while all goes well.
const LINE_EVERY: Duration = Duration::from_secs(5);

fn show(text: &str) {
    let mut stdout = std::io::stdout();
    // A closed terminal must not end the run.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes every verdict as JSON.
pub fn write_json(report: &Report, file: &Path) -> Result<(), String> {
    let text = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
    std::fs::write(file, text + "\n")
        .map_err(|error| format!("cannot write {}: {error}", file.display()))
}
