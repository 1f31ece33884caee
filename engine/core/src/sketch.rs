//! The base-2 exponential histogram: insert, merge, quantile.
//!
//! This is the data model of OpenTelemetry's exponential histogram and of Prometheus' native
//! histogram, with the same buckets and answers as `vitald.sketch`, which says why: at scale s,
//! `base = 2^(2^-s)`, and bucket i holds the values in `(base^i, base^(i + 1)]`.

mod buckets;
mod indexer;
mod quantiles;
#[cfg(test)]
mod tests;
mod total;

use buckets::Buckets;
pub use indexer::Indexer;
pub use quantiles::midpoint;
pub use total::Total;

/// The scale where nothing else is configured.
pub const DEFAULT_SCALE: i32 = 6;
/// All doubles of one sign fit into 1,049 buckets at scale -1, so no side ever needs a lower one.
pub const MIN_SCALE: i32 = -1;
/// A side with more occupied buckets than this halves its scale step.
pub const MAX_BUCKETS: usize = 2048;

/// Index and weight of a bucket.
pub(crate) type Bucket = (i32, f64);

/// A weighted sample of floats.
///
/// Values are finite floats in the sender's own unit, weights are positive.
#[derive(Clone, Debug)]
pub struct Sketch {
    count: Total,
    sum: Total,
    min: f64,
    max: f64,
    zero_count: f64,
    /// The scale without any downscaling, in which buckets are given.
    finest: i32,
    scale: i32,
    positive: Buckets,
    negative: Buckets,
}

impl Default for Sketch {
    fn default() -> Self {
        Self::new(DEFAULT_SCALE)
    }
}

impl Sketch {
    /// An empty histogram.
    #[must_use]
    pub fn new(scale: i32) -> Self {
        Self {
            count: Total::default(),
            sum: Total::default(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zero_count: 0.0,
            finest: scale,
            scale,
            positive: Buckets::default(),
            negative: Buckets::default(),
        }
    }

    /// Add a finite value `weight` times; the indexer is one of the scale given to `new`.
    #[inline]
    pub fn insert(&mut self, value: f64, weight: f64, indexer: &Indexer) {
        debug_assert_eq!(indexer.scale(), self.finest);
        if value > 0.0 {
            self.add_bucket(indexer.index(value), false, weight);
        } else if value < 0.0 {
            self.add_bucket(indexer.index(-value), true, weight);
        } else {
            self.zero_count += weight;
        }
        self.count.add(weight);
        self.sum.add(value * weight);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Add to one bucket, by its index at the scale given to `new`, and to nothing else.
    #[inline]
    pub fn add_bucket(&mut self, index: i32, negative: bool, weight: f64) {
        let side = if negative { &mut self.negative } else { &mut self.positive };
        side.add(index >> (self.finest - self.scale), weight);
        if side.len() > MAX_BUCKETS {
            self.bound();
        }
    }

    /// Add to the buckets of both sides, sorted by index at this scale, and to nothing else.
    pub(crate) fn add_buckets(&mut self, scale: i32, positive: &[Bucket], negative: &[Bucket]) {
        self.coarsen(scale);
        let shift = (scale - self.scale).unsigned_abs();
        self.positive.add_all(positive, shift);
        self.negative.add_all(negative, shift);
        self.bound();
    }

    /// Append the buckets of one side, the lowest index first.
    pub(crate) fn copy_buckets(&self, negative: bool, out: &mut Vec<Bucket>) {
        let side = if negative { &self.negative } else { &self.positive };
        side.copy_into(out);
    }

    /// Become coarser, down to a scale.
    fn coarsen(&mut self, scale: i32) {
        if self.scale > scale {
            self.downscale(self.scale - scale);
        }
    }

    /// Add to everything but the buckets.
    pub fn add_totals(&mut self, count: f64, sum: f64, min: f64, max: f64, zero_count: f64) {
        // Rounded here, as in the reference: counts are equal to the last bit.
        self.count = Total::from(self.count() + count);
        self.sum.add(sum);
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        self.zero_count += zero_count;
    }

    /// Add all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.coarsen(other.scale);
        let shift = (other.scale - self.scale).unsigned_abs();
        self.positive.merge(&other.positive, shift);
        self.negative.merge(&other.negative, shift);
        self.add_totals(other.count(), other.sum(), other.min, other.max, other.zero_count);
        self.bound();
    }

    /// Forget all samples, but keep the memory and the scale given to `new`.
    pub fn clear(&mut self) {
        self.reset(self.finest);
    }

    /// Become an empty histogram of another scale, but keep the memory.
    pub fn reset(&mut self, scale: i32) {
        let (mut positive, mut negative) =
            (std::mem::take(&mut self.positive), std::mem::take(&mut self.negative));
        positive.clear();
        negative.clear();
        *self = Self { positive, negative, ..Self::new(scale) };
    }

    /// Whether there is no sample.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0.0
    }

    /// The weighted number of samples.
    #[inline]
    #[must_use]
    pub fn count(&self) -> f64 {
        self.count.value()
    }

    /// The weighted sum of the samples; infinite or not a number where it exceeds a double.
    #[inline]
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum.value()
    }

    /// The lowest sample; infinity without one.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The highest sample; negative infinity without one.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The weight of the samples that are zero.
    #[must_use]
    pub fn zero_count(&self) -> f64 {
        self.zero_count
    }

    /// The present scale, which is lower than the one given to `new` after a downscale.
    #[must_use]
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// The buckets of positive samples, index and weight, the lowest index first.
    #[must_use]
    pub fn positive(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> + Clone + '_ {
        self.positive.iter()
    }

    /// The buckets of negative samples, by their magnitudes, the lowest index first.
    #[must_use]
    pub fn negative(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> + Clone + '_ {
        self.negative.iter()
    }

    fn bound(&mut self) {
        while self.positive.len().max(self.negative.len()) > MAX_BUCKETS && self.scale > MIN_SCALE {
            self.downscale(1);
        }
    }

    /// Merge `2^steps` neighbouring buckets into one; exact, because the bases nest.
    fn downscale(&mut self, steps: i32) {
        self.positive.downscale(steps.unsigned_abs());
        self.negative.downscale(steps.unsigned_abs());
        self.scale -= steps;
    }
}
