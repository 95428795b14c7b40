//! Samples that have been taken, as criterion keeps them: milliseconds, and ratios.
//!
//! Criterion calls a function as often as it wants samples. Ours gives it, one after the other, what
//! the rounds have measured; the order in which criterion asks has no influence on any figure.

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, SamplingMode, Throughput};
use lxc_benches::Failure;
use lxc_benches::rounds::{Field, Series};
use lxc_benches::state::Pair;
use lxc_benches::statistics;
use rustix::io::Errno;
use rustix::stdio::{dup2_stdout, stderr, stdout};

/// Criterion's least number of samples.
const LEAST: usize = 10;

/// How long criterion believes a sample to take, and how long it is given for each.
const PRETENDED: Duration = Duration::from_millis(1);
/// Less than twice as long: two repetitions a sample, where a single one makes criterion warn.
const GRANTED: Duration = Duration::from_micros(1900);

/// Reads the command line as criterion does: help, a list, or the end with its complaint.
pub fn check_arguments() {
    let _ = Criterion::default().configure_from_args();
}

/// What can be compared with each other: names and milliseconds, a sample a round; the first is ours.
pub struct Group {
    title: String,
    rows: Vec<(String, Vec<f64>)>,
}

/// A group for each figure, layout and temperature.
pub fn of_lives(times: &[Series], fields: &[Field]) -> Vec<Group> {
    let group = |series: &Series| {
        let field = &fields[series.field];
        let names = field.subjects.iter().map(|subject| subject.name.clone());
        let rows = names.zip(series.samples.iter().cloned());
        Group {
            title: title(series, field),
            // Not everyone does everything.
            rows: rows.filter(|(_, samples)| !samples.is_empty()).collect(),
        }
    };
    times.iter().map(group).collect()
}

/// The group of state() through the C library.
pub fn of_states(states: &[Pair], field: &Field) -> Group {
    let row = |pair: &Pair| {
        let name = match pair.library.name == pair.monitor {
            true => pair.monitor.clone(),
            false => format!("{} on {}", pair.library.name, pair.monitor),
        };
        let milliseconds = pair.samples.iter().map(|microseconds| microseconds / 1e3);
        (name, milliseconds.collect())
    };
    Group {
        title: format!("state(), {}", field.layout.kind.name()),
        rows: states.iter().map(row).collect(),
    }
}

/// Gives criterion all samples and all ratios; the sentence says why not.
///
/// Its report goes to standard error: standard output belongs to ours.
pub fn keep(groups: &[Group]) -> Result<Option<Failure>, Failure> {
    let rounds = groups
        .first()
        .and_then(|group| group.rows.first())
        .map_or(0, |(_, samples)| samples.len());
    if rounds < LEAST {
        return Ok(Some(format!(
            "criterion keeps series of {LEAST} rounds and more, and these are {rounds}"
        )));
    }
    let failed = |error: Errno| format!("standard output cannot be set aside: {error}");
    let ours = rustix::io::dup(stdout()).map_err(failed)?;
    dup2_stdout(stderr()).map_err(failed)?;
    let mut milliseconds = configured(Milliseconds, rounds);
    let mut ratios = configured(Ratio, rounds);
    for Group { title, rows } in groups {
        for (which, (name, samples)) in rows.iter().enumerate() {
            replay(&mut milliseconds, title, name, samples);
            if which > 0 {
                let quotients = statistics::ratios(&rows[0].1, samples);
                let (title, against) = (format!("ratio of {title}"), format!("ours to {name}"));
                replay(&mut ratios, &title, &against, &quotients);
            }
        }
    }
    dup2_stdout(&ours).map_err(failed)?;
    Ok(None)
}

fn title(series: &Series, field: &Field) -> String {
    let (figure, temperature) = (series.figure.name(), series.temperature.name());
    let layout = field.layout.kind.name();
    // A slash parts criterion's names.
    let figure = figure.replace("/bin/", "");
    format!("{figure}, {layout}, {temperature}")
}

fn configured<M: Measurement + 'static>(measurement: M, rounds: usize) -> Criterion<M> {
    let granted = GRANTED * u32::try_from(rounds).unwrap_or(u32::MAX);
    Criterion::default()
        .with_measurement(measurement)
        .without_plots()
        .nresamples(20_000)
        .warm_up_time(Duration::from_nanos(1))
        .configure_from_args()
        // Not for the command line: they are what has been measured.
        .sample_size(rounds)
        .measurement_time(granted)
}

fn replay<M>(criterion: &mut Criterion<M>, group: &str, name: &str, samples: &[f64])
where
    M: Measurement<Value = f64> + 'static,
{
    let mut group = criterion.benchmark_group(group);
    group.sampling_mode(SamplingMode::Flat);
    let mut left = samples.iter();
    let mut warm = false;
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|repetitions| {
            if !std::mem::replace(&mut warm, true) {
                std::thread::sleep(PRETENDED);
                return samples[0] * repetitions as f64;
            }
            let sample = left.next().unwrap_or(&samples[0]);
            sample * repetitions as f64
        });
    });
    group.finish();
}

/// Milliseconds that have passed already.
struct Milliseconds;

/// Ours to somebody else's.
struct Ratio;

macro_rules! measured_before {
    ($kind:ident, $unit:literal) => {
        impl Measurement for $kind {
            type Intermediate = ();
            type Value = f64;

            fn start(&self) {}

            fn end(&self, (): ()) -> f64 {
                0.0
            }

            fn add(&self, one: &f64, other: &f64) -> f64 {
                one + other
            }

            fn zero(&self) -> f64 {
                0.0
            }

            fn to_f64(&self, value: &f64) -> f64 {
                *value
            }

            fn formatter(&self) -> &dyn ValueFormatter {
                &$kind
            }
        }

        impl ValueFormatter for $kind {
            fn scale_values(&self, _typical: f64, _values: &mut [f64]) -> &'static str {
                $unit
            }

            fn scale_throughputs(
                &self,
                _typical: f64,
                _throughput: &Throughput,
                _values: &mut [f64],
            ) -> &'static str {
                $unit
            }

            fn scale_for_machines(&self, _values: &mut [f64]) -> &'static str {
                $unit
            }
        }
    };
}

measured_before!(Milliseconds, "ms");
measured_before!(Ratio, "×");
