//! The cells of one page where they can be added to.

mod mask;

pub use mask::Mask;

use crate::cardinality::{DEFAULT_EXACT_LIMIT, Members};
use crate::cells::{Cell, CounterCell, GaugeCell, SetCell};
use crate::metric::{Class, PAGE};
use crate::sketch::{DEFAULT_SCALE, Sketch};

/// Up to 256 cells of one class, used again and again: `clear` keeps the memory.
///
/// Sums of counters and gauges are as good as if they were rounded once, however many cells are
/// added up.
#[derive(Debug)]
pub struct Frame {
    present: Mask,
    pub(crate) columns: Columns,
}

/// Where there is no cell, counters and gauges are what adds nothing, and the rest is garbage.
#[derive(Debug)]
pub(crate) enum Columns {
    Counter(Box<Counters>),
    Gauge(Box<Gauges>),
    Sampled(Box<[Sketch]>),
    Set(Box<[SetCell]>),
}

/// One number of each cell.
pub(crate) type Numbers = [f64; PAGE];

/// Sums, with what rounding took away from each; see `sketch::Total`.
#[derive(Debug)]
pub(crate) struct Totals {
    sum: Numbers,
    lost: Numbers,
}

#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) count: Totals,
    pub(crate) sum: Totals,
}

#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) count: Numbers,
    pub(crate) sum: Totals,
    pub(crate) min: Numbers,
    pub(crate) max: Numbers,
    pub(crate) last: Numbers,
    pub(crate) at: Numbers,
}

impl Frame {
    /// No cells.
    #[must_use]
    pub fn new(class: Class) -> Self {
        let columns = match class {
            Class::Counter => Columns::Counter(Box::new(Counters::new())),
            Class::Gauge => Columns::Gauge(Box::new(Gauges::new())),
            Class::Sampled => Columns::Sampled(repeated(Sketch::new(DEFAULT_SCALE))),
            Class::Set => {
                let members = Members::new(DEFAULT_EXACT_LIMIT);
                Columns::Set(repeated(SetCell { count: 0.0, members }))
            }
        };
        Self { present: Mask::EMPTY, columns }
    }

    /// Forget all cells.
    pub fn clear(&mut self) {
        self.present = Mask::EMPTY;
        match &mut self.columns {
            Columns::Counter(counters) => **counters = Counters::new(),
            Columns::Gauge(gauges) => **gauges = Gauges::new(),
            // These are cleared when they are used next.
            Columns::Sampled(_) | Columns::Set(_) => (),
        }
    }

    /// The class of the cells.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.columns {
            Columns::Counter(_) => Class::Counter,
            Columns::Gauge(_) => Class::Gauge,
            Columns::Sampled(_) => Class::Sampled,
            Columns::Set(_) => Class::Set,
        }
    }

    /// Where there are cells.
    #[must_use]
    pub fn present(&self) -> &Mask {
        &self.present
    }

    /// Whether there are sets whose members are not kept any more.
    pub(crate) fn has_estimates(&self) -> bool {
        let Columns::Set(sets) = &self.columns else { return false };
        self.present.iter().any(|place| !sets[usize::from(place)].members.is_exact())
    }

    /// Say that there are cells in more places, which are in the columns already.
    pub(crate) fn mark(&mut self, places: &Mask) {
        self.present = self.present.or(places);
    }

    /// A copy of the cell in a place.
    #[must_use]
    pub fn get(&self, place: u8) -> Option<Cell> {
        let at = usize::from(place);
        self.present.contains(place).then(|| match &self.columns {
            Columns::Counter(counters) => Cell::Counter(counters.get(at)),
            Columns::Gauge(gauges) => Cell::Gauge(gauges.get(at)),
            Columns::Sampled(sketches) => Cell::Sampled(sketches[at].clone()),
            Columns::Set(sets) => Cell::Set(sets[at].clone()),
        })
    }

    /// Take the cell out of a place, without a copy.
    pub fn take(&mut self, place: u8) -> Option<Cell> {
        let at = usize::from(place);
        let cell = match &mut self.columns {
            Columns::Sampled(sketches) if self.present.contains(place) => {
                Cell::Sampled(std::mem::take(&mut sketches[at]))
            }
            Columns::Set(sets) if self.present.contains(place) => {
                let members = Members::new(sets[at].members.limit());
                Cell::Set(std::mem::replace(&mut sets[at], SetCell { count: 0.0, members }))
            }
            _ => self.get(place)?,
        };
        match &mut self.columns {
            Columns::Counter(counters) => counters.forget(at),
            Columns::Gauge(gauges) => gauges.forget(at),
            Columns::Sampled(_) | Columns::Set(_) => (),
        }
        self.present.remove(place);
        Some(cell)
    }

    /// Add a cell to what is in a place.
    ///
    /// # Panics
    ///
    /// Like all that adds: if the class is not the frame's, because a page has cells of one class.
    pub fn merge(&mut self, place: u8, cell: &Cell) {
        match cell {
            Cell::Counter(cell) => self.add_counter(place, *cell),
            Cell::Gauge(cell) => self.add_gauge(place, cell),
            Cell::Sampled(sketch) => self.add_sketch(place, sketch),
            Cell::Set(cell) => self.add_set(place, cell.count, &cell.members),
        }
    }

    /// Round the sums in a place, as sealing does.
    pub(crate) fn round(&mut self, place: u8) {
        let at = usize::from(place);
        match &mut self.columns {
            Columns::Counter(counters) => {
                counters.count.round(at);
                counters.sum.round(at);
            }
            Columns::Gauge(gauges) => gauges.sum.round(at),
            Columns::Sampled(_) | Columns::Set(_) => (),
        }
    }

    /// Add a counter's cell to what is in a place.
    #[inline]
    pub fn add_counter(&mut self, place: u8, cell: CounterCell) {
        let Columns::Counter(counters) = &mut self.columns else { wrong_class() };
        counters.add(usize::from(place), cell.count, cell.sum);
        self.present.insert(place);
    }

    /// Add a gauge's cell to what is in a place.
    #[inline]
    pub fn add_gauge(&mut self, place: u8, cell: &GaugeCell) {
        let Columns::Gauge(gauges) = &mut self.columns else { wrong_class() };
        gauges.add(usize::from(place), cell);
        self.present.insert(place);
    }

    /// Add a histogram to what is in a place.
    pub fn add_sketch(&mut self, place: u8, sketch: &Sketch) {
        self.sketch(place, sketch.scale()).merge(sketch);
    }

    /// Add a set's cell to what is in a place.
    pub fn add_set(&mut self, place: u8, count: f64, members: &Members) {
        let cell = self.set(place, members.limit());
        cell.count += count;
        cell.members.merge(members);
    }

    /// The histogram in a place; a new one has this scale.
    pub(crate) fn sketch(&mut self, place: u8, scale: i32) -> &mut Sketch {
        let Columns::Sampled(sketches) = &mut self.columns else { wrong_class() };
        let sketch = &mut sketches[usize::from(place)];
        if self.present.insert(place) {
            sketch.reset(scale);
        }
        sketch
    }

    /// The set in a place; a new one has this limit.
    pub(crate) fn set(&mut self, place: u8, limit: usize) -> &mut SetCell {
        let Columns::Set(sets) = &mut self.columns else { wrong_class() };
        let cell = &mut sets[usize::from(place)];
        if self.present.insert(place) {
            cell.count = 0.0;
            cell.members.reset(limit);
        }
        cell
    }
}

/// A class that is not the frame's.
#[cold]
pub(crate) fn wrong_class() -> ! {
    unreachable!("a page has cells of one class")
}

fn repeated<T: Clone>(empty: T) -> Box<[T]> {
    vec![empty; PAGE].into_boxed_slice()
}

impl Totals {
    const fn new() -> Self {
        Self { sum: [0.0; PAGE], lost: [0.0; PAGE] }
    }

    #[inline]
    pub(crate) fn add(&mut self, at: usize, value: f64) {
        let before = self.sum[at];
        let sum = before + value;
        let rounded = sum - before;
        self.lost[at] += (before - (sum - rounded)) + (value - rounded);
        self.sum[at] = sum;
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> f64 {
        let exact = self.sum[at] + self.lost[at];
        if exact.is_nan() { self.sum[at] } else { exact }
    }

    fn round(&mut self, at: usize) {
        (self.sum[at], self.lost[at]) = (self.get(at), 0.0);
    }

    fn forget(&mut self, at: usize) {
        (self.sum[at], self.lost[at]) = (0.0, 0.0);
    }
}

impl Counters {
    const fn new() -> Self {
        Self { count: Totals::new(), sum: Totals::new() }
    }

    #[inline]
    pub(crate) fn add(&mut self, at: usize, count: f64, sum: f64) {
        self.count.add(at, count);
        self.sum.add(at, sum);
    }

    fn get(&self, at: usize) -> CounterCell {
        CounterCell { count: self.count.get(at), sum: self.sum.get(at) }
    }

    fn forget(&mut self, at: usize) {
        self.count.forget(at);
        self.sum.forget(at);
    }
}

impl Gauges {
    const fn new() -> Self {
        Self {
            count: [0.0; PAGE],
            sum: Totals::new(),
            min: [f64::INFINITY; PAGE],
            max: [f64::NEG_INFINITY; PAGE],
            last: [0.0; PAGE],
            at: [f64::NEG_INFINITY; PAGE],
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, at: usize, cell: &GaugeCell) {
        self.count[at] += cell.count;
        self.sum.add(at, cell.sum);
        self.min[at] = self.min[at].min(cell.min);
        self.max[at] = self.max[at].max(cell.max);
        // Of two at the same moment the one that came later counts.
        if cell.at >= self.at[at] {
            (self.last[at], self.at[at]) = (cell.last, cell.at);
        }
    }

    fn get(&self, at: usize) -> GaugeCell {
        GaugeCell {
            count: self.count[at],
            sum: self.sum.get(at),
            min: self.min[at],
            max: self.max[at],
            last: self.last[at],
            at: self.at[at],
        }
    }

    fn forget(&mut self, at: usize) {
        (self.count[at], self.last[at], self.at[at]) = (0.0, 0.0, f64::NEG_INFINITY);
        (self.min[at], self.max[at]) = (f64::INFINITY, f64::NEG_INFINITY);
        self.sum.forget(at);
    }
}
