//! What was sealed: the windows, what gauges hold, and samples that name a time in the past.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cells::{Cell, CounterCell, GaugeCell};
use crate::held::{Bases, Held, Value};
use crate::metric::{Id, Instant};
use crate::sketch::Total;
use crate::slot::Slot;
use crate::windows::Windows;
use crate::wire::parse::{Sample, Values};

/// Timestamped samples that may wait for the end of a seal; more are late.
const MOST_PENDING: usize = 100_000;

/// A timestamped sample.
#[derive(Clone, Debug)]
pub struct Late {
    /// Its series.
    pub id: Id,
    /// Its values; the time of a gauge's is still missing.
    pub cell: Cell,
    /// Its time, in Unix seconds.
    wall: f64,
    /// Whether a gauge's value is a delta, which moves what the gauge holds now: that has no place
    /// in the past.
    is_signed: bool,
    /// Whether the open slot had values of the gauge already.
    has: bool,
}

impl Late {
    /// A sample of `id` at `wall`; `has` says that the open slot has samples of it.
    #[must_use]
    pub fn new(sample: &Sample, id: Id, wall: u64, has: bool) -> Self {
        let (cell, is_signed) = match &sample.values {
            Values::Gauge(levels) => {
                let values = levels.iter().map(|&(value, _)| value);
                (Cell::Gauge(gauge(values)), levels.iter().any(|&(_, is_delta)| is_delta))
            }
            Values::Numbers(values) => (Cell::Counter(counter(values, sample.rate)), false),
            Values::Member(_) => unreachable!("only counters and gauges have timestamps"),
        };
        Self { id, cell, wall: wall as f64, is_signed, has }
    }
}

fn counter(values: &[f64], rate: f64) -> CounterCell {
    let mut sum = Total::default();
    for value in values {
        sum.add(value / rate);
    }
    CounterCell { count: values.len() as f64 / rate, sum: sum.value() }
}

fn gauge(values: impl Iterator<Item = f64> + Clone) -> GaugeCell {
    let mut sum = Total::default();
    for value in values.clone() {
        sum.add(value);
    }
    GaugeCell {
        count: values.clone().count() as f64,
        sum: sum.value(),
        min: values.clone().fold(f64::INFINITY, f64::min),
        max: values.clone().fold(f64::NEG_INFINITY, f64::max),
        last: values.last().unwrap_or(0.0),
        at: 0.0,
    }
}

/// Where a timestamped sample belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// In the open slot, whose time it names.
    Now,
    /// In the open slot, for want of a better one.
    Late,
    /// In the past, where it has been put.
    Past,
}

/// What older intervals got since the last seal.
#[derive(Default)]
pub struct Corrections {
    /// Slots that were handed out before, as they are now, and the series that changed.
    pub slots: Vec<(Arc<Slot>, Vec<Id>)>,
    /// The samples by themselves.
    pub late: Vec<(Id, Cell)>,
}

/// See above.
pub struct Past {
    /// The sealed slots.
    pub windows: Windows,
    /// What gauges hold.
    pub bases: Bases,
    /// Late samples that only coarse slots hold.
    pub uncorrected: u64,
    opened: Instant,
    is_sealing: bool,
    pending: Vec<Late>,
    /// By the start of the slot and the series, since the last seal.
    late: BTreeMap<(u64, Id), Cell>,
}

impl Past {
    /// Nothing was sealed yet; the first slot begins at `now`.
    #[must_use]
    pub fn new(now: Instant, windows: Windows) -> Self {
        Self {
            windows,
            bases: Bases::default(),
            uncorrected: 0,
            opened: now,
            is_sealing: false,
            pending: Vec::new(),
            late: BTreeMap::new(),
        }
    }

    /// When the open slot began.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Put a timestamped sample where it belongs, unless that is the open slot.
    pub fn place(&mut self, late: Late) -> Placed {
        let open_end = self.opened.wall + self.windows.interval();
        if self.opened.wall <= late.wall && late.wall < open_end {
            return Placed::Now;
        }
        if late.is_signed {
            return Placed::Late;
        }
        if self.is_sealing {
            // The slot that it belongs to may be the one that is being made.
            if self.pending.len() >= MOST_PENDING {
                return Placed::Late;
            }
            self.pending.push(late);
            return Placed::Past;
        }
        self.put(late).map_or(Placed::Past, |_| Placed::Late)
    }

    /// Begin a seal: a slot opens at `now`. Returns when the one before it was opened.
    pub fn begin(&mut self, now: Instant) -> Instant {
        self.is_sealing = true;
        std::mem::replace(&mut self.opened, now)
    }

    /// Take the new slot and what gauges hold after it.
    pub fn push(&mut self, slot: Arc<Slot>, held: Held) {
        self.windows.push(slot);
        self.bases.settle(held);
    }

    /// End a seal. Returns the samples that waited for it, to be `put` a few at a time.
    pub fn end(&mut self) -> Vec<Late> {
        self.is_sealing = false;
        std::mem::take(&mut self.pending)
    }

    /// What late samples have changed since the last call.
    pub fn corrections(&mut self) -> Corrections {
        let mut found = Corrections::default();
        for ((start, id), cell) in std::mem::take(&mut self.late) {
            found.late.push((id, cell));
            match found.slots.last_mut() {
                Some((slot, ids)) if slot.start.monotonic.to_bits() == start => ids.push(id),
                _ => {
                    let is_it = |slot: &&Arc<Slot>| slot.start.monotonic.to_bits() == start;
                    if let Some(slot) = self.windows.finest().find(is_it) {
                        found.slots.push((Arc::clone(slot), vec![id]));
                    }
                }
            }
        }
        found
    }

    /// Put a sample into every slot that holds its time; gives it back if none does.
    pub fn put(&mut self, mut late: Late) -> Option<Late> {
        let Some(holding) = self.windows.holding(late.wall) else { return Some(late) };
        // In a coarse slot, the sample's own time is finer than the slot's end.
        let at = if holding.is_finest {
            holding.end.monotonic
        } else {
            self.uncorrected += 1;
            holding.start.monotonic + late.wall - holding.start.wall
        };
        if let Cell::Gauge(cell) = &mut late.cell {
            cell.at = at;
            self.bases.backfill(late.id, Value { last: cell.last, at }, late.has);
        }
        self.windows.add_late(late.wall, late.id, &late.cell);
        let place = (holding.start.monotonic.to_bits(), late.id);
        match self.late.get_mut(&place) {
            Some(cell) => cell.merge(&late.cell),
            None => {
                self.late.insert(place, late.cell);
            }
        }
        None
    }
}
