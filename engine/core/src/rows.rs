//! What an engine hands out: sealed intervals and answers. Their rows are made when they are asked
//! for, a batch at a time, from snapshots that no lock guards.

use std::ops::Range;
use std::sync::Arc;

use crate::cells::Cell;
use crate::frame::{Frame, Mask};
use crate::held::Held;
use crate::key::KeyRef;
use crate::keys::{KeyPage, Keys};
use crate::metric::{Class, Event, Id, PAGE, ServiceCheck, id_of, page_of, place_of};
use crate::selector::Selector;
use crate::sketch::Sketch;
use crate::slot::Slot;

/// Rows of one batch at most.
pub const BATCH: usize = 1000;

/// A bound on how long one batch takes, in blocks of numbers that are looked at.
const WORK: usize = 1024;

/// Looking at all keys of a page takes as long as so many blocks.
const KEYS: usize = 8;

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

/// Which series without samples have rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idle {
    None,
    Gauges,
    GaugesAndCounters,
}

impl Idle {
    fn includes(self, class: Class) -> bool {
        match class {
            Class::Gauge => self != Self::None,
            Class::Counter => self == Self::GaugesAndCounters,
            Class::Sampled | Class::Set => false,
        }
    }
}

/// Which series rows are about.
#[derive(Clone)]
enum Wanted {
    All,
    Matching(Arc<Selector>),
    These(Arc<[Id]>, Option<Arc<Selector>>),
}

impl Wanted {
    fn includes(&self, key: KeyRef<'_>) -> bool {
        match self {
            Self::All | Self::These(_, None) => true,
            Self::Matching(selector) | Self::These(_, Some(selector)) => selector.matches(key),
        }
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
        let wanted = these.map_or(Wanted::All, |ids| Wanted::These(sorted(ids), None));
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
        Rows { idle, ..self.rows.clone() }
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
            Some(ids) => Wanted::These(sorted(ids), Some(selector)),
            None => Wanted::Matching(selector),
        };
        Self {
            start: ends.map_or(0.0, |(start, _)| start.wall),
            end: ends.map_or(0.0, |(_, end)| end.wall),
            seconds: ends.map_or(0.0, |(start, end)| end.monotonic - start.monotonic),
            complete,
            rows: Rows { idle: Idle::Gauges, ..Rows::new(slots, keys, held, wanted) },
        }
    }

    /// The rows, in no particular order.
    #[must_use]
    pub fn rows(&self) -> Rows {
        self.rows.clone()
    }
}

fn sorted(mut ids: Vec<Id>) -> Arc<[Id]> {
    ids.sort_unstable();
    ids.into()
}

/// Where cells are merged, one frame a class; a copy begins with none.
#[derive(Default)]
struct Frames([Option<Frame>; Class::ALL.len()]);

impl Clone for Frames {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Batches of rows. A batch may be empty: it takes a bounded time, whatever it finds.
#[derive(Clone)]
pub struct Rows {
    slots: Arc<[Arc<Slot>]>,
    keys: Keys,
    held: Held,
    wanted: Wanted,
    idle: Idle,
    pages: Range<u32>,
    frames: Frames,
}

impl Rows {
    fn new(slots: Vec<Arc<Slot>>, keys: &Keys, held: &Held, wanted: Wanted) -> Self {
        Self {
            slots: slots.into(),
            keys: keys.clone(),
            held: held.clone(),
            wanted,
            idle: Idle::None,
            pages: 0..keys.pages(),
            frames: Frames::default(),
        }
    }

    /// The next page that any wanted series can be in.
    fn next_page(&mut self) -> Option<u32> {
        let page = match &self.wanted {
            Wanted::These(ids, _) => {
                let next = ids.partition_point(|&id| page_of(id) < self.pages.start);
                page_of(*ids.get(next)?)
            }
            _ => self.pages.start,
        };
        self.pages.start = page.max(self.pages.start) + 1;
        (page < self.pages.end).then_some(page)
    }

    /// Which places of a page have rows.
    fn mask(&self, page: u32, keys: &KeyPage) -> Mask {
        let mut candidates = Mask::EMPTY;
        match &self.wanted {
            Wanted::These(ids, _) => {
                let first = ids.partition_point(|&id| page_of(id) < page);
                let here = ids[first..].iter().take_while(|&&id| page_of(id) == page);
                here.for_each(|&id| _ = candidates.insert(place_of(id)));
            }
            _ if self.idle.includes(keys.class()) => candidates = Mask::FULL,
            _ => {
                let blocks = self.slots.iter().filter_map(|slot| slot.block(page));
                blocks.for_each(|block| candidates = candidates.or(&block.present()));
            }
        }
        let mut mask = Mask::EMPTY;
        for place in candidates.iter() {
            if keys.get(place).is_some_and(|key| self.wanted.includes(key)) {
                mask.insert(place);
            }
        }
        mask
    }

    /// Append the rows of one page; return how much work that was.
    fn add_page(&mut self, page: u32, rows: &mut Vec<Row>) -> usize {
        let Some(keys) = self.keys.page(page).map(Arc::clone) else { return 0 };
        let (wanted, class) = (self.mask(page, &keys), keys.class());
        if wanted.is_empty() {
            return KEYS;
        }
        let frame = self.frames.0[class as usize].get_or_insert_with(|| Frame::new(class));
        frame.clear();
        Slot::merge_page(&self.slots, page, &wanted, frame);
        for place in wanted.iter() {
            let held = self.held.get(id_of(page, place)).map(|value| value.last);
            if let Some(cell) = frame.take(place) {
                rows.push(Row::new(&keys, place, cell));
            } else if self.idle.includes(class) && (held.is_some() || class == Class::Counter) {
                rows.push(Row { last: held, ..Row::without_samples(&keys, place) });
            }
        }
        // Histograms take longer than columns of numbers.
        self.slots.len() * if class == Class::Sampled { 8 } else { 1 } + KEYS
    }
}

impl Iterator for Rows {
    type Item = Vec<Row>;

    fn next(&mut self) -> Option<Vec<Row>> {
        let mut rows = Vec::new();
        let (mut work, mut is_over) = (0, true);
        while work < WORK && rows.len() + PAGE <= BATCH {
            let Some(page) = self.next_page() else { break };
            is_over = false;
            work += self.add_page(page, &mut rows);
        }
        (!is_over).then_some(rows)
    }
}
