//! The buckets of one side of a histogram.

/// Up to this many buckets are kept as pairs, which cost twice a place of a window.
const FEW: usize = 24;
/// Buckets that are spread wider than this are kept as pairs.
const WIDEST: usize = 2048;
/// A window begins and ends at a multiple of this, so that it seldom has to grow.
const CHUNK: i32 = 64;
/// As many empty places are skipped at once.
const STRIDE: usize = 8;

/// Weights by bucket index.
///
/// A few buckets, or a few spread widely, are pairs sorted by index. Else it is a window of places
/// for all indices from the lowest to the highest, where a sample costs one addition. So memory
/// is bounded by the number of buckets, and by 16 KiB for a window, whatever the values are.
#[derive(Clone, Debug)]
pub(super) enum Buckets {
    Pairs(Vec<Pair>),
    Window(Window),
}

/// Index and weight of a bucket.
type Pair = (i32, f64);

#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    first: i32,
    /// 0 where there is no bucket: weights are positive.
    weights: Vec<f64>,
    occupied: usize,
}

impl Default for Buckets {
    fn default() -> Self {
        Self::Pairs(Vec::new())
    }
}

impl Buckets {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Pairs(pairs) => pairs.len(),
            Self::Window(window) => window.occupied,
        }
    }

    #[inline]
    pub(super) fn add(&mut self, index: i32, weight: f64) {
        match self {
            Self::Window(window) => {
                if window.add(index, weight) {
                    return;
                }
            }
            Self::Pairs(pairs) => match pairs.binary_search_by_key(&index, |&(index, _)| index) {
                Ok(at) => {
                    pairs[at].1 += weight;
                    return;
                }
                Err(at) if pairs.len() < FEW => {
                    pairs.insert(at, (index, weight));
                    return;
                }
                Err(_) => (),
            },
        }
        self.add_apart(index, weight);
    }

    /// Add a bucket that needs another form, or a wider window.
    #[cold]
    fn add_apart(&mut self, index: i32, weight: f64) {
        if let Some(window) = self.window(index, index) {
            window.add(index, weight);
        } else if let Self::Pairs(pairs) = self {
            let at = pairs.partition_point(|&(other, _)| other < index);
            pairs.insert(at, (index, weight));
        }
    }

    /// Add buckets, sorted by index, whose indices have `shift` bits more.
    pub(super) fn add_all(&mut self, others: &[Pair], shift: u32) {
        let (Some(low), Some(high)) = (others.first(), others.last()) else { return };
        let shifted = others.iter().map(|&(index, weight)| (index >> shift, weight));
        let is_few = matches!(self, Self::Pairs(pairs) if pairs.len() + others.len() <= FEW);
        if !is_few && let Some(window) = self.window(low.0 >> shift, high.0 >> shift) {
            for (index, weight) in shifted {
                window.add(index, weight);
            }
        } else if let Self::Pairs(pairs) = self {
            let is_behind = pairs.last().is_none_or(|&(last, _)| last < low.0 >> shift);
            pairs.extend(shifted);
            if !is_behind {
                // Stable, so that weights are added in the order in which they came.
                pairs.sort_by_key(|&(index, _)| index);
            }
            join(pairs);
        }
    }

    /// Add all of `other`, whose indices have `shift` bits more.
    pub(super) fn merge(&mut self, other: &Self, shift: u32) {
        match other {
            Self::Pairs(pairs) => self.add_all(pairs, shift),
            Self::Window(_) => {
                let mut pairs = Vec::with_capacity(other.len());
                other.copy_into(&mut pairs);
                self.add_all(&pairs, shift);
            }
        }
    }

    /// Join `2^steps` neighbours into one.
    pub(super) fn downscale(&mut self, steps: u32) {
        let mut pairs = Vec::with_capacity(self.len());
        self.copy_into(&mut pairs);
        *self = Self::default();
        self.add_all(&pairs, steps);
    }

    /// Forget all buckets, and keep about as much memory as they needed.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Pairs(pairs) => {
                let used = pairs.len();
                pairs.clear();
                pairs.shrink_to((2 * used).max(FEW));
            }
            Self::Window(window) if window.occupied > FEW => {
                window.weights.clear();
                window.occupied = 0;
            }
            Self::Window(_) => *self = Self::default(),
        }
    }

    /// Append all buckets, the lowest index first.
    pub(super) fn copy_into(&self, pairs: &mut Vec<Pair>) {
        match self {
            Self::Pairs(mine) => pairs.extend_from_slice(mine),
            Self::Window(window) => window.copy_into(pairs),
        }
    }

    /// Index and weight, the lowest index first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Pair> + Clone + '_ {
        let (pairs, first, weights): (&[_], _, &[_]) = match self {
            Self::Pairs(pairs) => (pairs, 0, &[]),
            Self::Window(window) => (&[], window.first, &window.weights),
        };
        let end = first.saturating_add(i32::try_from(weights.len()).unwrap_or(i32::MAX));
        let places = (first..end).zip(weights.iter().copied());
        pairs.iter().copied().chain(places.filter(|&(_, weight)| weight != 0.0))
    }

    /// A window over all buckets and these indices; without one, the buckets are pairs.
    fn window(&mut self, low: i32, high: i32) -> Option<&mut Window> {
        match self {
            Self::Pairs(pairs) => {
                let first = pairs.first().map_or(low, |&(first, _)| first.min(low));
                let last = pairs.last().map_or(high, |&(last, _)| last.max(high));
                let mut window = Window::default();
                if window.cover(first, last) {
                    for &(index, weight) in &*pairs {
                        window.add(index, weight);
                    }
                    *self = Self::Window(window);
                }
            }
            Self::Window(window) => {
                if !window.cover(low, high) {
                    let mut pairs = Vec::with_capacity(window.occupied + 1);
                    self.copy_into(&mut pairs);
                    *self = Self::Pairs(pairs);
                }
            }
        }
        match self {
            Self::Pairs(_) => None,
            Self::Window(window) => Some(window),
        }
    }
}

impl Window {
    #[inline]
    fn add(&mut self, index: i32, weight: f64) -> bool {
        let at = usize::try_from(index.wrapping_sub(self.first));
        let Some(place) = at.ok().and_then(|at| self.weights.get_mut(at)) else { return false };
        self.occupied += usize::from(*place == 0.0);
        *place += weight;
        true
    }

    /// Append all buckets, the lowest index first.
    fn copy_into(&self, pairs: &mut Vec<Pair>) {
        // Every place is written, but only those with a bucket are kept: a branch for each would
        // be mispredicted half of the time. One place more is for what is not kept in the end.
        let mut end = pairs.len();
        pairs.resize(end + self.occupied + 1, (0, 0.0));
        for (first, places) in (self.first..).step_by(STRIDE).zip(self.weights.chunks(STRIDE)) {
            if places.iter().fold(0, |bits, weight| bits | weight.to_bits()) == 0 {
                continue;
            }
            for (index, &weight) in (first..).zip(places) {
                pairs[end] = (index, weight);
                end += usize::from(weight != 0.0);
            }
        }
        pairs.truncate(end);
    }

    /// Make places for more indices; false if the window would be too wide.
    fn cover(&mut self, low: i32, high: i32) -> bool {
        let is_inside = |index: i32| {
            let place = usize::try_from(index.wrapping_sub(self.first));
            place.is_ok_and(|place| place < self.weights.len())
        };
        if is_inside(low) && is_inside(high) {
            return true;
        }
        let is_there = |&weight: &f64| weight != 0.0;
        let from = self.weights.iter().position(is_there).unwrap_or(0);
        let to = self.weights.iter().rposition(is_there).map_or(from, |last| last + 1);
        let index_of = |at: usize| self.first + i32::try_from(at).unwrap_or(i32::MAX);
        let (low, high) = if from < to {
            (low.min(index_of(from)), high.max(index_of(to - 1)))
        } else {
            (low, high)
        };
        let Some((first, length)) = span(low, high) else { return false };
        if from == to {
            self.weights.clear();
            self.weights.resize(length, 0.0);
        } else if (first, length) != (self.first, self.weights.len()) {
            let place = usize::try_from(index_of(from).wrapping_sub(first)).unwrap_or(0);
            self.weights.resize(length.max(self.weights.len()), 0.0);
            self.weights.copy_within(from..to, place);
            self.weights[..place].fill(0.0);
            self.weights[place + (to - from)..].fill(0.0);
            self.weights.truncate(length);
        }
        self.first = first;
        true
    }
}

/// Where a window with room for these indices begins and its length; None if it is too wide.
fn span(low: i32, high: i32) -> Option<(i32, usize)> {
    let first = low & -CHUNK;
    let length = usize::try_from((high | (CHUNK - 1)).wrapping_sub(first)).ok()? + 1;
    (length <= WIDEST).then_some((first, length))
}

/// Join neighbours with the same index.
fn join(pairs: &mut Vec<Pair>) {
    pairs.dedup_by(|later, kept| {
        let is_same = later.0 == kept.0;
        if is_same {
            kept.1 += later.1;
        }
        is_same
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Buckets, FEW, WIDEST};

    fn assert_same(buckets: &Buckets, expected: &BTreeMap<i32, f64>) {
        let found: Vec<_> = buckets.iter().collect();
        assert_eq!(found, expected.iter().map(|(&at, &weight)| (at, weight)).collect::<Vec<_>>());
        assert_eq!(buckets.len(), expected.len());
        assert!(buckets.iter().rev().eq(found.into_iter().rev()));
    }

    fn indices(seed: u32, count: u32, range: u32) -> impl Iterator<Item = i32> {
        let mut state = seed;
        (0..count).map(move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i32::try_from((state >> 8) % range).unwrap() - i32::try_from(range / 2).unwrap()
        })
    }

    #[test]
    fn every_spread_keeps_every_bucket() {
        for range in [3, 40, 700, 2040, 2200, 100_000] {
            let (mut buckets, mut expected) = (Buckets::default(), BTreeMap::new());
            for index in indices(range, 3000, range) {
                buckets.add(index, 1.0);
                *expected.entry(index).or_insert(0.0) += 1.0;
            }
            assert_same(&buckets, &expected);
            buckets.downscale(2);
            let mut coarse = BTreeMap::new();
            for (index, weight) in expected {
                *coarse.entry(index >> 2).or_insert(0.0) += weight;
            }
            assert_same(&buckets, &coarse);
        }
    }

    #[test]
    fn merging_equals_adding_whatever_the_forms() {
        for (mine, theirs) in [(5, 5), (30, 5), (5, 300), (3000, 3000), (3000, 9), (9, 90_000)] {
            let (mut left, mut right) = (Buckets::default(), Buckets::default());
            let mut expected = BTreeMap::new();
            for index in indices(1, 200, mine) {
                left.add(index, 1.0);
                *expected.entry(index).or_insert(0.0) += 1.0;
            }
            for index in indices(2, 200, theirs) {
                right.add(index, 2.0);
                *expected.entry(index >> 1).or_insert(0.0) += 2.0;
            }
            left.merge(&right, 1);
            assert_same(&left, &expected);
        }
    }

    #[test]
    fn two_distant_values_do_not_make_a_wide_window() {
        let mut buckets = Buckets::default();
        indices(3, 1000, 1000).for_each(|index| buckets.add(index, 1.0));
        assert!(matches!(buckets, Buckets::Window(_)));
        buckets.add(60_000, 1.0);
        assert!(matches!(buckets, Buckets::Pairs(_)));
    }

    #[test]
    fn a_window_that_was_hardly_used_is_given_back() {
        let mut buckets = Buckets::default();
        indices(4, 1000, 1000).for_each(|index| buckets.add(index, 1.0));
        buckets.clear();
        assert!(matches!(&buckets, Buckets::Window(window) if window.weights.capacity() <= WIDEST));
        buckets.add(1, 1.0);
        buckets.clear();
        assert!(matches!(&buckets, Buckets::Pairs(pairs) if pairs.capacity() <= FEW));
        assert_same(&buckets, &BTreeMap::new());
    }
}
