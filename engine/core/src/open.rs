//! The open slot of one shard: what was sampled since the last seal, in columns of accumulators.
//!
//! A series that is not active costs nothing here. A place may be empty: a line whose value is
//! refused leaves one. A counter may have several places, one for each of its spellings, which costs
//! less than to find the one that there is; sealing merges them.

use std::hint::black_box;
use std::sync::Arc;

use crate::cardinality::Members;
use crate::cells::{Cell, CounterCell, GaugeCell};
use crate::metric::{Class, Id};
use crate::sketch::{Indexer, Sketch, Total};
use crate::spread::Spread;

/// Buckets that wait until they are added to a histogram together.
const WAITING: usize = 14;

/// What the accumulators need to know of the configuration.
#[derive(Clone, Debug)]
pub struct Form {
    /// Members that a set keeps exactly.
    pub set_limit: usize,
    /// Finds the buckets of new histograms.
    pub indexer: Indexer,
}

/// A counter's samples.
#[derive(Clone, Copy, Debug)]
pub struct OpenCounter {
    /// Which.
    pub id: Id,
    /// Weighted number of samples.
    pub count: f64,
    /// Sum of value / rate.
    pub sum: Total,
}

impl OpenCounter {
    fn new(id: Id) -> Self {
        Self { id, count: 0.0, sum: Total::default() }
    }

    #[inline]
    fn add(&mut self, value: f64, rate: f64) {
        if rate < 1.0 {
            self.count += 1.0 / rate;
            self.sum.add(value / rate);
        } else {
            self.count += 1.0;
            self.sum.add(value);
        }
    }

    fn add_cell(&mut self, cell: &CounterCell) {
        self.count += cell.count;
        self.sum.add(cell.sum);
    }
}

/// Some values of a gauge.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// How many.
    pub count: f64,
    /// Their sum.
    pub sum: Total,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Span {
    fn new() -> Self {
        Self { count: 0.0, sum: Total::default(), min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum.add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

/// A gauge's values.
///
/// What it held before is not known here. Until there is an absolute value, levels are relative to
/// that; sealing adds it.
#[derive(Clone, Copy, Debug)]
pub struct OpenGauge {
    /// Which.
    pub id: Id,
    /// Whether `level` is a value, and not relative to what the gauge held before.
    pub is_absolute: bool,
    /// The last value, or how far deltas have moved the gauge.
    pub level: f64,
    /// When it was last written: larger is later, over all shards.
    pub stamp: u64,
    /// Levels before the first absolute value, relative to what the gauge held before.
    pub moved: Span,
    /// Levels from then on.
    pub written: Span,
}

impl OpenGauge {
    fn new(id: Id) -> Self {
        Self {
            id,
            is_absolute: false,
            level: 0.0,
            stamp: 0,
            moved: Span::new(),
            written: Span::new(),
        }
    }

    /// Whether it has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moved.count + self.written.count == 0.0
    }

    fn add_cell(&mut self, cell: &GaugeCell, stamp: u64) {
        (self.stamp, self.level, self.is_absolute) = (stamp, cell.last, true);
        self.written.count += cell.count;
        self.written.sum.add(cell.sum);
        self.written.min = self.written.min.min(cell.min);
        self.written.max = self.written.max.max(cell.max);
    }

    /// Take the next value; a delta moves the gauge.
    #[inline]
    pub fn add(&mut self, value: f64, is_delta: bool, stamp: u64) {
        self.stamp = stamp;
        self.level = if is_delta { self.level + value } else { value };
        self.is_absolute |= !is_delta;
        if self.is_absolute {
            self.written.add(self.level);
        } else {
            self.moved.add(self.level);
        }
    }
}

/// A set's members.
#[derive(Debug)]
pub struct OpenSet {
    /// Which.
    pub id: Id,
    /// Number of samples.
    pub count: f64,
    /// The different ones.
    pub members: Members,
}

impl OpenSet {
    fn new(id: Id, limit: usize) -> Self {
        Self { id, count: 0.0, members: Members::new(limit) }
    }
}

/// A timer's, histogram's or distribution's samples.
///
/// A bucket waits in line with the sums until there are several: that is one piece of memory for
/// a series with few samples, and fewer visits to the histogram for one with many.
#[derive(Debug)]
pub struct OpenSamples {
    /// Which.
    pub id: Id,
    waiting: u32,
    count: f64,
    sum: Total,
    min: f64,
    max: f64,
    zero_count: f64,
    buckets: [i32; WAITING],
    sketch: Option<Box<Sketch>>,
}

impl OpenSamples {
    fn new(id: Id) -> Self {
        Self {
            id,
            waiting: 0,
            count: 0.0,
            sum: Total::default(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zero_count: 0.0,
            buckets: [0; WAITING],
            sketch: None,
        }
    }

    #[inline]
    fn add(&mut self, value: f64, rate: f64, form: &Form) {
        let weight = 1.0 / rate;
        self.count += weight;
        self.sum.add(value * weight);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value > 0.0 && rate >= 1.0 {
            self.buckets[self.waiting as usize] = form.indexer.index(value);
            self.waiting += 1;
            if self.waiting as usize == WAITING {
                self.settle(form);
            }
        } else {
            self.add_apart(value, weight, form);
        }
    }

    #[cold]
    fn add_apart(&mut self, value: f64, weight: f64, form: &Form) {
        if value == 0.0 {
            self.zero_count += weight;
        } else {
            let index = form.indexer.index(value.abs());
            self.sketch(form).add_bucket(index, value < 0.0, weight);
        }
    }

    fn settle(&mut self, form: &Form) {
        let waiting = std::mem::take(&mut self.waiting) as usize;
        let buckets = self.buckets;
        let sketch = self.sketch(form);
        for &index in &buckets[..waiting] {
            sketch.add_bucket(index, false, 1.0);
        }
    }

    fn sketch(&mut self, form: &Form) -> &mut Sketch {
        self.sketch.get_or_insert_with(|| Box::new(Sketch::new(form.indexer.scale())))
    }

    /// Whether it has no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    /// Take the histogram of all samples out.
    #[must_use]
    pub fn take(&mut self, form: &Form) -> Box<Sketch> {
        self.settle(form);
        let mut sketch = self.sketch.take().expect("settling has used it");
        sketch.add_totals(self.count, self.sum.value(), self.min, self.max, self.zero_count);
        sketch
    }
}

/// The open slot of one shard.
#[derive(Debug)]
pub struct Open {
    /// By place.
    pub counters: Vec<OpenCounter>,
    /// By place.
    pub gauges: Vec<OpenGauge>,
    /// By place.
    pub samples: Vec<OpenSamples>,
    /// By place.
    pub sets: Vec<OpenSet>,
    /// Of what is added next: larger than before, over all shards.
    pub stamp: u64,
    form: Arc<Form>,
    places: Spread<(Id, u32)>,
}

impl Open {
    /// Nothing was sampled yet.
    #[must_use]
    pub fn new(form: Arc<Form>) -> Self {
        Self {
            counters: Vec::new(),
            gauges: Vec::new(),
            samples: Vec::new(),
            sets: Vec::new(),
            stamp: 0,
            form,
            places: Spread::default(),
        }
    }

    /// An empty slot of the same form, with room for as much.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self {
            counters: Vec::with_capacity(self.counters.len()),
            gauges: Vec::with_capacity(self.gauges.len()),
            samples: Vec::with_capacity(self.samples.len()),
            sets: Vec::with_capacity(self.sets.len()),
            ..Self::new(Arc::clone(&self.form))
        }
    }

    /// The place of a series, new if need be.
    pub fn place(&mut self, id: Id, class: Class) -> u32 {
        if let Some(place) = self.find(id) {
            return place;
        }
        let place = self.push(id, class);
        self.places.insert_unique(hash(id), (id, place), |&(id, _)| hash(id));
        place
    }

    /// A place for one spelling of a series.
    ///
    /// Only counters have one for each: the values of a gauge have an order, and what samples and
    /// members take must not grow with the ways in which a sender spells one series.
    pub fn spelling_place(&mut self, id: Id, class: Class) -> u32 {
        if class == Class::Counter { self.push(id, class) } else { self.place(id, class) }
    }

    /// Whether a gauge was sampled.
    #[must_use]
    pub fn has_gauge(&self, id: Id) -> bool {
        let gauge = self.find(id).and_then(|place| self.gauges.get(place as usize));
        gauge.is_some_and(|gauge| gauge.id == id && !gauge.is_empty())
    }

    /// Bring a place into the cache.
    #[inline]
    pub fn touch(&self, class: Class, place: u32) {
        let place = place as usize;
        match class {
            Class::Counter => _ = black_box(self.counters[place].id),
            // The others are in two or three lines of the cache.
            Class::Gauge => {
                let gauge = &self.gauges[place];
                black_box((gauge.moved.count, gauge.written.max));
            }
            Class::Sampled => {
                let samples = &self.samples[place];
                black_box((samples.count, samples.sketch.is_some()));
            }
            Class::Set => _ = black_box(self.sets[place].id),
        }
    }

    /// Add a number at a place, `1 / rate` times; a gauge is moved by a delta.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "where the class is known, one branch of four is left"
    )]
    pub fn add(&mut self, class: Class, place: u32, value: f64, rate: f64, is_delta: bool) {
        let place = place as usize;
        match class {
            Class::Counter => self.counters[place].add(value, rate),
            Class::Gauge => self.gauges[place].add(value, is_delta, self.stamp),
            Class::Sampled => self.samples[place].add(value, rate, &self.form),
            Class::Set => unreachable!("members of sets are no numbers"),
        }
    }

    /// Add a member at a set's place.
    #[inline]
    pub fn add_member(&mut self, place: u32, member: &[u8]) {
        let set = &mut self.sets[place as usize];
        set.count += 1.0;
        set.members.add(member);
    }

    /// Add what was added up elsewhere, of absolute values.
    ///
    /// # Panics
    ///
    /// If it is no counter's and no gauge's.
    pub fn add_cell(&mut self, place: u32, cell: &Cell) {
        let place = place as usize;
        match cell {
            Cell::Counter(cell) => self.counters[place].add_cell(cell),
            Cell::Gauge(cell) => self.gauges[place].add_cell(cell, self.stamp),
            Cell::Sampled(_) | Cell::Set(_) => unreachable!("nobody adds these up"),
        }
    }

    /// Forget everything but the memory.
    pub fn clear(&mut self) {
        self.counters.clear();
        self.gauges.clear();
        self.samples.clear();
        self.sets.clear();
        self.places.clear();
    }

    fn find(&self, id: Id) -> Option<u32> {
        self.places.find(hash(id), |&(known, _)| known == id).map(|&(_, place)| place)
    }

    fn push(&mut self, id: Id, class: Class) -> u32 {
        match class {
            Class::Counter => push(&mut self.counters, OpenCounter::new(id)),
            Class::Gauge => push(&mut self.gauges, OpenGauge::new(id)),
            Class::Sampled => push(&mut self.samples, OpenSamples::new(id)),
            Class::Set => push(&mut self.sets, OpenSet::new(id, self.form.set_limit)),
        }
    }
}

fn push<T>(column: &mut Vec<T>, accumulator: T) -> u32 {
    let place = u32::try_from(column.len()).expect("there are fewer places than ids");
    column.push(accumulator);
    place
}

/// Ids are ours, not a sender's: it is enough to spread them (Knuth's multiplicative hashing).
fn hash(id: Id) -> u64 {
    u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}

#[cfg(test)]
mod tests;
