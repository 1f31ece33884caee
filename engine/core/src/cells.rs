//! One series in one sealed slot, and how the cells of several slots merge.
//!
//! The forms and rules of `vitald.aggregator.series`.

use crate::cardinality::Members;
use crate::metric::Class;
use crate::sketch::Sketch;

/// What a slot keeps of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CounterCell {
    /// The weighted number of samples.
    pub count: f64,
    /// The weighted sum of their values.
    pub sum: f64,
}

/// What a slot keeps of a gauge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaugeCell {
    /// The number of samples.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The lowest; infinity without one.
    pub min: f64,
    /// The highest; negative infinity without one.
    pub max: f64,
    /// The value that the gauge holds.
    pub last: f64,
    /// When that was written, on the monotonic clock.
    pub at: f64,
}

impl GaugeCell {
    /// Add a cell of the same gauge.
    #[inline]
    pub fn merge(&mut self, later: &Self) {
        self.count += later.count;
        self.sum += later.sum;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        // Of two at the same moment the one that came later counts.
        if later.at >= self.at {
            (self.last, self.at) = (later.last, later.at);
        }
    }
}

/// What a slot keeps of a set.
#[derive(Clone, Debug)]
pub struct SetCell {
    /// The number of samples.
    pub count: f64,
    /// Their distinct members.
    pub members: Members,
}

/// A cell of any class.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Of a counter.
    Counter(CounterCell),
    /// Of a gauge.
    Gauge(GaugeCell),
    /// Of a set.
    Set(SetCell),
    /// Of a timer, histogram or distribution.
    Sampled(Sketch),
}

impl Cell {
    /// The class.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Counter(_) => Class::Counter,
            Self::Gauge(_) => Class::Gauge,
            Self::Set(_) => Class::Set,
            Self::Sampled(_) => Class::Sampled,
        }
    }

    /// Add a cell of the same series, which came later.
    ///
    /// # Panics
    ///
    /// If the classes differ: a series has cells of one class.
    pub fn merge(&mut self, later: &Self) {
        match (self, later) {
            (Self::Counter(mine), Self::Counter(later)) => {
                mine.count += later.count;
                mine.sum += later.sum;
            }
            (Self::Gauge(mine), Self::Gauge(later)) => mine.merge(later),
            (Self::Set(mine), Self::Set(later)) => {
                mine.count += later.count;
                mine.members.merge(&later.members);
            }
            (Self::Sampled(mine), Self::Sampled(later)) => mine.merge(later),
            _ => unreachable!("a series has cells of one class"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(last: f64, at: f64) -> GaugeCell {
        GaugeCell { count: 1.0, sum: last, min: last, max: last, last, at }
    }

    fn merged(mut first: GaugeCell, later: GaugeCell) -> GaugeCell {
        first.merge(&later);
        first
    }

    #[test]
    fn a_gauge_keeps_what_was_written_last_whatever_comes_last() {
        let both = GaugeCell { count: 2.0, sum: 12.0, min: 3.0, max: 9.0, last: 9.0, at: 20.0 };
        assert_eq!(merged(gauge(3.0, 10.0), gauge(9.0, 20.0)), both);
        assert_eq!(merged(gauge(9.0, 20.0), gauge(3.0, 10.0)), both);
    }

    #[test]
    fn of_two_values_at_one_moment_a_gauge_keeps_the_later_one() {
        assert_eq!(merged(gauge(3.0, 10.0), gauge(9.0, 10.0)).last.to_bits(), 9.0_f64.to_bits());
    }

    #[test]
    fn cells_of_every_class_merge() {
        let mut members = Members::new(10);
        members.add(b"a");
        let set = SetCell { count: 1.0, members };
        let cells = [
            Cell::Counter(CounterCell { count: 1.0, sum: 2.0 }),
            Cell::Gauge(gauge(1.0, 1.0)),
            Cell::Set(set),
            Cell::Sampled(Sketch::new(6)),
        ];
        for mut cell in cells {
            let (class, later) = (cell.class(), cell.clone());
            cell.merge(&later);
            assert_eq!(cell.class(), class);
        }
    }
}
