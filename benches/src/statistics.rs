//! Medians, and ratios of samples that were taken side by side.

/// Middle and quartiles of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Half of the samples are below.
    pub median: f64,
    /// A quarter of the samples are below.
    pub lower: f64,
    /// A quarter of the samples are above.
    pub upper: f64,
}

impl Summary {
    /// `None` of nothing.
    pub fn of(samples: &[f64]) -> Option<Summary> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Summary {
            median: at(&sorted, 0.5)?,
            lower: at(&sorted, 0.25)?,
            upper: at(&sorted, 0.75)?,
        })
    }
}

/// The value at a part of the way through sorted samples, between two of them if need be.
fn at(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * (sorted.len().checked_sub(1)? as f64);
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(below + (above - below) * place.fract())
}

/// Quotients round by round: what slows a whole round down falls out.
pub fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    let rounds = ours.iter().zip(theirs);
    rounds.map(|(our, their)| our / their).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(samples: &[f64], expected: Option<(f64, f64, f64)>) {
        let expected = expected.map(|(median, lower, upper)| Summary {
            median,
            lower,
            upper,
        });
        assert_eq!(Summary::of(samples), expected, "{samples:?}");
    }

    #[test]
    fn summaries() {
        check(&[], None);
        check(&[4.0], Some((4.0, 4.0, 4.0)));
        check(&[3.0, 1.0], Some((2.0, 1.5, 2.5)));
        check(&[9.0, 1.0, 2.0], Some((2.0, 1.5, 5.5)));
        check(&[4.0, 1.0, 3.0, 2.0, 90.0], Some((3.0, 2.0, 4.0)));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The medians' quotient would be 1; in each round ours takes half or double.
        let ratios = ratios(&[1.0, 4.0, 2.0], &[2.0, 2.0, 4.0]);
        assert_eq!(ratios, [0.5, 2.0, 0.5]);
        check(&ratios, Some((0.5, 0.5, 1.25)));
    }
}
