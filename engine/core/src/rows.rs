//! What an engine hands out: sealed intervals and answers. Their rows are made when they are asked
//! for, a batch at a time, from snapshots that no lock guards.

mod batches;
mod work;

use std::sync::Arc;

pub use batches::Rows;
use batches::{Idle, Wanted};

use crate::cells::Cell;
use crate::held::Held;
use crate::key::KeyRef;
use crate::keys::{KeyPage, Keys};
use crate::metric::{Event, Id, ServiceCheck};
use crate::selector::Selector;
use crate::sketch::Sketch;
use crate::slot::Slot;

/// One series over one span of time; see `vitald.aggregator.interval.Row`.
#[derive(Clone)]
pub struct Row {
    keys: Arc<KeyPage>,
    place: u8,
    /// Weighted number of samples.
    pub count: f64,
    /// Their weighted sum; a counter's value.
    pub sum: f64,
    /// The lowest sample.
    pub min: Option<f64>,
    /// The highest sample.
    pub max: Option<f64>,
    /// A gauge's value.
    pub last: Option<f64>,
    /// A set's number of different members.
    pub unique: Option<u64>,
    /// A timer's, histogram's or distribution's samples.
    pub histogram: Option<Box<Sketch>>,
}

impl Row {
    /// The row of a cell of the series in a place.
    #[must_use]
    pub fn new(keys: &Arc<KeyPage>, place: u8, cell: Cell) -> Self {
        let row = Self::without_samples(keys, place);
        match cell {
            Cell::Counter(cell) => Self { count: cell.count, sum: cell.sum, ..row },
            Cell::Gauge(cell) if cell.count > 0.0 => Self {
                count: cell.count,
                sum: cell.sum,
                min: Some(cell.min),
                max: Some(cell.max),
                last: Some(cell.last),
                ..row
            },
            Cell::Gauge(cell) => Self { last: Some(cell.last), ..row },
            Cell::Set(cell) => {
                Self { count: cell.count, unique: Some(cell.members.count()), ..row }
            }
            Cell::Sampled(sketch) => Self {
                count: sketch.count(),
                sum: sketch.sum(),
                min: Some(sketch.min()),
                max: Some(sketch.max()),
                histogram: Some(Box::new(sketch)),
                ..row
            },
        }
    }

    fn without_samples(keys: &Arc<KeyPage>, place: u8) -> Self {
        Self {
            keys: Arc::clone(keys),
            place,
            count: 0.0,
            sum: 0.0,
            min: None,
            max: None,
            last: None,
            unique: None,
            histogram: None,
        }
    }

    /// Which series.
    #[must_use]
    pub fn key(&self) -> KeyRef<'_> {
        self.keys.get(self.place).expect("rows are made of series that have a key")
    }
}

/// A sealed interval; see `vitald.aggregator.interval.Interval`.
pub struct Interval {
    /// Unix seconds.
    pub start: f64,
    /// Unix seconds.
    pub end: f64,
    /// True length.
    pub seconds: f64,
    /// Events that came in it.
    pub events: Vec<Event>,
    /// Service checks that came in it.
    pub service_checks: Vec<ServiceCheck>,
    /// Older intervals that changed.
    pub corrections: Vec<Self>,
    /// The samples that changed them.
    pub late: Vec<Row>,
    rows: Rows,
}

impl Interval {
    /// The interval of a slot; without `these`, of all its series.
    #[must_use]
    pub fn new(slot: &Arc<Slot>, keys: &Keys, held: &Held, these: Option<Vec<Id>>) -> Self {
        let wanted = these.map_or(Wanted::All, |ids| Wanted::these(ids, None));
        Self {
            start: slot.start.wall,
            end: slot.end.wall,
            seconds: slot.end.monotonic - slot.start.monotonic,
            events: Vec::new(),
            service_checks: Vec::new(),
            corrections: Vec::new(),
            late: Vec::new(),
            rows: Rows::new(vec![Arc::clone(slot)], keys, held, wanted),
        }
    }

    /// The rows of series with samples; with `idle`, of counters and gauges without one as well.
    #[must_use]
    pub fn rows(&self, idle: bool) -> Rows {
        let idle = if idle { Idle::GaugesAndCounters } else { Idle::None };
        self.rows.clone().with(idle)
    }
}

/// The answer to a question; see `vitald.aggregator.interval.Answer`.
pub struct Answer {
    /// Unix seconds.
    pub start: f64,
    /// Unix seconds.
    pub end: f64,
    /// True length.
    pub seconds: f64,
    /// Whether the slots cover the whole window.
    pub complete: bool,
    rows: Rows,
}

impl Answer {
    /// The answer from `slots`, oldest first; `named` are the only series it can be about.
    #[must_use]
    pub fn new(
        slots: Vec<Arc<Slot>>,
        complete: bool,
        keys: &Keys,
        held: &Held,
        selector: Selector,
        named: Option<Vec<Id>>,
    ) -> Self {
        let selector = Arc::new(selector);
        let ends = slots.first().map(|slot| slot.start).zip(slots.last().map(|slot| slot.end));
        let wanted = match named {
            Some(ids) => Wanted::these(ids, Some(selector)),
            None => Wanted::Matching(selector),
        };
        Self {
            start: ends.map_or(0.0, |(start, _)| start.wall),
            end: ends.map_or(0.0, |(_, end)| end.wall),
            seconds: ends.map_or(0.0, |(start, end)| end.monotonic - start.monotonic),
            complete,
            rows: Rows::new(slots, keys, held, wanted).with(Idle::Gauges),
        }
    }

    /// The rows, in no particular order.
    #[must_use]
    pub fn rows(&self) -> Rows {
        self.rows.clone()
    }
}

#[cfg(test)]
mod tests;
