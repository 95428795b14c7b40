//! The measuring itself: rounds in which every subject does the same once, in every layout.

use crate::Failure;
use crate::cgroup_move::{Mover, Temperature};
use crate::layout::Layout;
use crate::memory::{self, Size};
use crate::scratch::Scratch;
use crate::subject::{self, Act, Subject};

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Until the tool that starts has returned.
    Start,
    /// The same and the kill right behind it.
    StartAndStop,
    /// A program that does nothing, inside.
    Attach,
    /// A program inside that writes to the console, and nobody looks.
    Console,
    /// The state.
    Query,
    /// The kill alone.
    Stop,
}

impl Figure {
    /// In the order of tables.
    pub const ALL: [Figure; 6] = [
        Figure::Start,
        Figure::StartAndStop,
        Figure::Attach,
        Figure::Console,
        Figure::Query,
        Figure::Stop,
    ];

    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Start => "start to RUNNING",
            Figure::StartAndStop => "start and stop -k",
            Figure::Attach => "attach /bin/true",
            Figure::Console => "attach, 4 MiB to the console",
            Figure::Query => "info -s",
            Figure::Stop => "stop -k",
        }
    }
}

/// A layout and who can be measured in it; the first is ours.
#[derive(Debug)]
pub struct Field {
    /// Where.
    pub layout: Layout,
    /// Who.
    pub subjects: Vec<Subject>,
}

impl Field {
    /// Enters a layout and finds out who can be measured there; the others are sentences.
    pub fn gather(
        layout: Layout,
        against: &[std::path::PathBuf],
        scratch: &Scratch,
    ) -> Result<(Field, Vec<Failure>), Failure> {
        layout.enter()?;
        let ours = Subject::ours(scratch)?;
        // One unmeasured life of each: warms caches, and shows who cannot be measured here.
        rehearse(&ours)?;
        let mut subjects = vec![ours];
        let mut absent = Vec::new();
        for candidate in subject::peers(against, scratch, &layout)? {
            match candidate.and_then(|peer| rehearse(&peer).map(|()| peer)) {
                Ok(peer) => subjects.push(peer),
                Err(reason) => absent.push(format!("{}: {reason}", layout.kind.name())),
            }
        }
        Ok((Field { layout, subjects }, absent))
    }

    /// What shows the kernel's part, if it can be measured here.
    pub fn floor(&self) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.is_floor())
    }
}

/// All samples of one figure in one layout at one temperature.
#[derive(Debug)]
pub struct Series {
    /// What was timed.
    pub figure: Figure,
    /// Where: a place in the list of fields.
    pub field: usize,
    /// In which state of the kernel.
    pub temperature: Temperature,
    /// Milliseconds: a row a subject of the field, a column a round; empty rows for who does not.
    pub samples: Vec<Vec<f64>>,
}

/// A whole unmeasured life: fails where the subject cannot be measured on this host.
fn rehearse(subject: &Subject) -> Result<(), Failure> {
    let lived = subject
        .act(Act::Start)
        .and_then(|started| match subject.is_floor() {
            true => Ok(started),
            false => subject.query_running(),
        })
        .and_then(|_| subject.act(Act::Attach));
    // Even if it did not live well it must not stay.
    let stopped = subject.act(Act::Stop);
    lived.and(stopped).map(drop)
}

/// Measures every figure in every layout at every temperature, `rounds` times.
pub fn measure(fields: &[Field], rounds: usize) -> Result<Vec<Series>, Failure> {
    let mut all = Vec::new();
    let mut movers = Vec::new();
    for (place, field) in fields.iter().enumerate() {
        field.layout.enter()?;
        movers.push(Mover::find()?);
        for figure in Figure::ALL {
            all.extend(Temperature::ALL.map(|temperature| Series {
                figure,
                field: place,
                temperature,
                samples: vec![Vec::with_capacity(rounds); field.subjects.len()],
            }));
        }
    }
    for round in 0..rounds {
        for (place, (field, mover)) in fields.iter().zip(&movers).enumerate() {
            field.layout.enter()?;
            for temperature in Temperature::ALL {
                for which in order(round, field.subjects.len()) {
                    for (figure, took) in life(&field.subjects[which], temperature, mover)? {
                        let fits = |one: &&mut Series| {
                            one.figure == figure
                                && one.field == place
                                && one.temperature == temperature
                        };
                        let series = all.iter_mut().filter(fits);
                        series.for_each(|one| one.samples[which].push(took));
                    }
                }
            }
        }
    }
    Ok(all)
}

/// In which order subjects take their turns: in a few rounds everyone is first as often as anyone else
/// and comes behind everyone else, because the kernel still clears up after the one before.
pub(crate) fn order(round: usize, subjects: usize) -> Vec<usize> {
    let turns = (0..subjects).map(|turn| (round / 2 + turn) % subjects);
    match round % 2 {
        0 => turns.collect(),
        _ => turns.rev().collect(),
    }
}

/// Two lives of a container: one in which every act is timed by itself, one timed as a whole. Of the
/// floor one life, and what it is a floor of.
fn life(
    subject: &Subject,
    temperature: Temperature,
    mover: &Mover,
) -> Result<Vec<(Figure, f64)>, Failure> {
    let timed = |act| mover.reach(temperature).and_then(|()| subject.act(act));
    let start = timed(Act::Start)?;
    let attach = timed(Act::Attach)?;
    let mut took = vec![(Figure::Start, start), (Figure::Attach, attach)];
    if subject.is_floor() {
        subject.act(Act::Stop)?;
        return Ok(took);
    }
    if subject.has_monitor() {
        took.push((Figure::Console, timed(Act::Console)?));
    }
    mover.reach(temperature)?;
    took.push((Figure::Query, subject.query_running()?));
    took.push((Figure::Stop, timed(Act::Stop)?));
    let both = timed(Act::Start)? + subject.act(Act::Stop)?;
    took.push((Figure::StartAndStop, both));
    Ok(took)
}

/// Weighs each subject's monitor while its container runs and somebody has attached once.
pub fn monitor_sizes(field: &Field, scratch: &Scratch) -> Result<Vec<Option<Size>>, Failure> {
    field.layout.enter()?;
    let weigh = |subject: &Subject| {
        if !subject.has_monitor() {
            return Ok(None);
        }
        let size = subject.running(|| {
            subject
                .act(Act::Attach)
                .and_then(|_| memory::monitor(&scratch.lxcpath(), &scratch.name))
                .and_then(Size::of)
        });
        size.map(Some)
    };
    field.subjects.iter().map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_keeps_a_place() {
        let orders: Vec<Vec<usize>> = (0..6).map(|round| order(round, 3)).collect();
        for subject in 0..3 {
            for place in 0..3 {
                let there = orders.iter().filter(|order| order[place] == subject);
                assert_eq!(there.count(), 2, "{subject} at {place}: {orders:?}");
            }
            for other in (0..3).filter(|other| *other != subject) {
                let behind = orders.iter().flat_map(|order| order.windows(2));
                let behind = behind.filter(|pair| pair == &[other, subject]);
                assert_eq!(behind.count(), 2, "{subject} behind {other}: {orders:?}");
            }
        }
        assert_eq!(order(7, 1), [0]);
    }
}
