//! The measuring itself: rounds in which every subject does the same once.

use crate::Failure;
use crate::cgroup_move::{Mover, Temperature};
use crate::memory::{self, Size};
use crate::options::Options;
use crate::scratch::Scratch;
use crate::subject::{Act, Subject};

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    Start,
    StartAndStop,
    Attach,
    Query,
    Stop,
}

impl Figure {
    pub const ALL: [Figure; 5] = [
        Figure::Start,
        Figure::StartAndStop,
        Figure::Attach,
        Figure::Query,
        Figure::Stop,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Figure::Start => "start to RUNNING",
            Figure::StartAndStop => "start and stop -k",
            Figure::Attach => "attach /bin/true",
            Figure::Query => "info -s",
            Figure::Stop => "stop -k",
        }
    }
}

/// All samples of one figure at one temperature.
pub struct Series {
    pub figure: Figure,
    pub temperature: Temperature,
    /// Milliseconds: a row a subject, a column a round.
    pub samples: Vec<Vec<f64>>,
}

/// A whole unmeasured life: fails where the subject cannot be measured on this host.
pub fn rehearse(subject: &Subject) -> Result<(), Failure> {
    subject.act(Act::Start)?;
    let lived = subject
        .query_running()
        .and_then(|_| subject.act(Act::Attach));
    // Even if it did not live well it must not stay.
    let stopped = subject.act(Act::Stop);
    lived.and(stopped).map(drop)
}

/// Measures every figure at every temperature as often as asked.
pub fn measure(subjects: &[Subject], options: &Options) -> Result<Vec<Series>, Failure> {
    let mover = Mover::find()?;
    let mut all = Vec::new();
    for temperature in Temperature::ALL {
        for figure in Figure::ALL {
            let samples = vec![Vec::with_capacity(options.rounds); subjects.len()];
            all.push(Series {
                figure,
                temperature,
                samples,
            });
        }
    }
    for round in 0..options.rounds {
        for temperature in Temperature::ALL {
            for turn in 0..subjects.len() {
                // Everyone is first as often as anyone else.
                let which = (round + turn) % subjects.len();
                for (figure, took) in life(&subjects[which], temperature, &mover)? {
                    let series = all
                        .iter_mut()
                        .filter(|one| one.figure == figure && one.temperature == temperature);
                    series.for_each(|one| one.samples[which].push(took));
                }
            }
        }
    }
    Ok(all)
}

/// Two lives of a container: one in which every act is timed by itself, one timed as a whole.
fn life(
    subject: &Subject,
    temperature: Temperature,
    mover: &Mover,
) -> Result<[(Figure, f64); 5], Failure> {
    let timed = |act| mover.reach(temperature).and_then(|()| subject.act(act));
    let start = timed(Act::Start)?;
    let attach = timed(Act::Attach)?;
    mover.reach(temperature)?;
    let query = subject.query_running()?;
    let stop = timed(Act::Stop)?;
    let both = timed(Act::Start)? + subject.act(Act::Stop)?;
    Ok([
        (Figure::Start, start),
        (Figure::Attach, attach),
        (Figure::Query, query),
        (Figure::Stop, stop),
        (Figure::StartAndStop, both),
    ])
}

/// Weighs each subject's monitor while its container runs and somebody has attached once.
pub fn monitor_sizes(
    subjects: &[Subject],
    scratch: &Scratch,
) -> Result<Vec<Option<Size>>, Failure> {
    let weigh = |subject: &Subject| {
        if !subject.has_monitor() {
            return Ok(None);
        }
        subject.act(Act::Start)?;
        let size = subject
            .act(Act::Attach)
            .and_then(|_| memory::monitor(&scratch.lxcpath(), &scratch.name))
            .and_then(Size::of);
        subject.act(Act::Stop)?;
        size.map(Some)
    };
    subjects.iter().map(weigh).collect()
}
