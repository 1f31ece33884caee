//! What a histogram says about its samples.

use std::hint::black_box;

use super::Sketch;

/// A weight such as 1/0.3 is not exact in binary; the slack keeps a rank that falls on a bucket's
/// edge inside that bucket.
const SLACK: f64 = 1.0 - 1e-12;

impl Sketch {
    /// The bound on any quantile's relative error at the present scale.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        let base = base(self.scale);
        (base - 1.0) / (base + 1.0)
    }

    /// The value at each of `fractions` (each 0 to 1), None for all when empty.
    ///
    /// The quantile q is the smallest value v for which at least q of the weight is at most v
    /// (nearest rank, definition 1 of Hyndman and Fan), within `relative_error`; 0 and 1 are the
    /// exact minimum and maximum.
    #[must_use]
    pub fn quantiles(&self, fractions: &[f64]) -> Vec<Option<f64>> {
        if self.is_empty() {
            return vec![None; fractions.len()];
        }
        let mut reached = Vec::with_capacity(self.positive.len() + self.negative.len() + 1);
        let mut sum = 0.0;
        for (value, weight) in self.ascending() {
            sum += weight;
            reached.push((sum, value));
        }
        let total = sum * SLACK;
        let last = reached.len() - 1;
        let answer = |fraction: f64| match fraction {
            0.0 => self.min,
            1.0 => self.max,
            _ => {
                let at = reached.partition_point(|&(sum, _)| sum < fraction * total).min(last);
                reached[at].1.value(self.scale).max(self.min).min(self.max)
            }
        };
        fractions.iter().map(|&fraction| Some(answer(fraction))).collect()
    }

    /// Representative value and weight, from the smallest value to the largest.
    pub fn cells(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.ascending()
            .filter(|(bucket, weight)| !matches!(bucket, Bucket::Zero) || *weight != 0.0)
            .map(|(bucket, weight)| (bucket.value(self.scale), weight))
    }

    fn ascending(&self) -> impl Iterator<Item = (Bucket, f64)> + '_ {
        let negative =
            self.negative.iter().rev().map(|(at, weight)| (Bucket::Negative(at), weight));
        let positive = self.positive.iter().map(|(at, weight)| (Bucket::Positive(at), weight));
        negative.chain([(Bucket::Zero, self.zero_count)]).chain(positive)
    }
}

#[derive(Clone, Copy)]
enum Bucket {
    Negative(i32),
    Zero,
    Positive(i32),
}

impl Bucket {
    fn value(self, scale: i32) -> f64 {
        match self {
            Self::Negative(index) => -midpoint(index, scale),
            Self::Zero => 0.0,
            Self::Positive(index) => midpoint(index, scale),
        }
    }
}

/// The value of a bucket that minimises the worst relative error.
#[must_use]
pub fn midpoint(index: i32, scale: i32) -> f64 {
    let base = base(scale);
    // Harmonic mean of the edges, written so that the top bucket does not overflow.
    let lower = two_to(f64::from(index) * two_to(f64::from(-scale)));
    lower * (2.0 * base / (base + 1.0))
}

fn base(scale: i32) -> f64 {
    two_to(two_to(f64::from(-scale)))
}

/// By `pow`, which is what the reference calls: a compiler that sees the 2 would call `exp2`, which
/// may round differently.
fn two_to(exponent: f64) -> f64 {
    black_box(2.0_f64).powf(exponent)
}
