use serde::Serialize;

/// A figure over several measurements.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of one figure of each sample; all 0 if there is no sample.
    pub fn of<T>(samples: &[T], figure: impl Fn(&T) -> f64) -> Self {
        let mut values: Vec<f64> = samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let half = values.len() / 2;
        let even = values.len().is_multiple_of(2) && half > 0;
        let median = if even { f64::midpoint(at(half - 1), at(half)) } else { at(half) };
        Self { median, min: at(0), max: at(values.len().saturating_sub(1)) }
    }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^52 here")]
pub fn count(number: u64) -> f64 {
    number as f64
}

/// The latency in milliseconds below which so many percent of the times, in microseconds, are.
pub fn percentile(times: &mut [u32], percent: usize) -> f64 {
    if times.is_empty() {
        return 0.0;
    }
    let index = (times.len() * percent / 100).min(times.len() - 1);
    let (_, time, _) = times.select_nth_unstable(index);
    f64::from(*time) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_stand_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values, |value| *value);
        let odd = spread(&[3.0, 1.0, 2.0]);
        assert_eq!(
            [odd.median, odd.min, odd.max].map(f64::to_bits),
            [2.0, 1.0, 3.0].map(f64::to_bits)
        );
        assert!((spread(&[1.0, 2.0, 3.0, 10.0]).median - 2.5).abs() < 1e-9);
        assert!(spread(&[]).median.abs() < 1e-9);
    }

    #[test]
    fn percentiles_count_from_below() {
        let mut times: Vec<u32> = (1..=1000).rev().collect();
        assert!((percentile(&mut times, 50) - 0.501).abs() < 1e-9);
        assert!((percentile(&mut times, 99) - 0.991).abs() < 1e-9);
        assert!(percentile(&mut [], 99).abs() < 1e-9);
    }
}
