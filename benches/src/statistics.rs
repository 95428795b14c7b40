//! Medians, and ratios of samples that were taken side by side.

/// Middle, least and greatest of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    /// `None` of nothing.
    pub fn of(samples: &[f64]) -> Option<Summary> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        };
        Some(Summary { median, min, max })
    }

    /// Of the quotients, round by round: what slows a whole round down falls out.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Summary> {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(theirs)
            .map(|(our, their)| our / their)
            .collect();
        Summary::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(samples: &[f64], expected: Option<(f64, f64, f64)>) {
        let expected = expected.map(|(median, min, max)| Summary { median, min, max });
        assert_eq!(Summary::of(samples), expected, "{samples:?}");
    }

    #[test]
    fn summaries() {
        check(&[], None);
        check(&[4.0], Some((4.0, 4.0, 4.0)));
        check(&[3.0, 1.0], Some((2.0, 1.0, 3.0)));
        check(&[9.0, 1.0, 2.0], Some((2.0, 1.0, 9.0)));
        check(&[4.0, 1.0, 3.0, 2.0], Some((2.5, 1.0, 4.0)));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The medians' quotient would be 1; in each round ours takes half or double.
        let ratios = Summary::of_ratios(&[1.0, 4.0, 2.0], &[2.0, 2.0, 4.0]);
        assert_eq!(
            ratios,
            Some(Summary {
                median: 0.5,
                min: 0.5,
                max: 2.0
            })
        );
    }
}
