//! Rolling windows: rings of sealed slots, rolled up from fine to coarse.
//!
//! Every level is a ring of slots of one resolution (10 s, 1 m and 5 m by default). A slot ends
//! where its resolution's boundary of the wall clock was crossed; when that boundary is crossed on
//! a coarser level, that level gets one slot merged from the finer ones. Ages are measured on the
//! monotonic clock and wall times are labels, so that a step of the wall clock makes one slot
//! shorter or longer and moves nothing else.
//!
//! Merging a slot of many series takes long, and nobody may wait for it. So it is done outside of
//! the lock around the windows: `due` says what to merge and `finish` takes the result. Until then
//! questions are answered from the finer level, like those about what is not rolled up yet.
//!
//! A window is answered from the level that was chosen for it, and its most recent part, which has
//! not been rolled up yet, from the finer levels. So the near end is always the last sealed slot,
//! and the far end is exact to that level's resolution.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::cells::Cell;
use crate::metric::{Id, Instant};
use crate::slot::Slot;

/// A ring of slots of one resolution, kept for `retention` seconds.
#[derive(Debug)]
struct Level {
    resolution: f64,
    retention: f64,
    slots: VecDeque<Arc<Slot>>,
}

/// The levels for a set of windows.
#[derive(Debug)]
pub struct Windows {
    interval: f64,
    longest: f64,
    levels: Vec<Level>,
    /// The level that is looked at next since the last push: each of them once.
    next: usize,
    under_way: Option<UnderWay>,
}

/// A coarse slot that is to be merged.
#[derive(Clone, Debug)]
pub struct RollUp {
    /// The level that gets it.
    pub level: usize,
    /// What it is merged from, oldest first.
    pub parts: Vec<Arc<Slot>>,
}

/// A coarse slot that is being merged, and the late cells that its parts got meanwhile.
#[derive(Debug)]
struct UnderWay {
    level: usize,
    /// The span, with no cells in it.
    span: Slot,
    late: BTreeMap<Id, Cell>,
}

/// The finest sealed slot that holds a wall time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Holding {
    /// Where it starts.
    pub start: Instant,
    /// Where it ends.
    pub end: Instant,
    /// Whether it is one that was pushed, and is still kept as such.
    pub is_finest: bool,
}

impl Windows {
    /// No slots; `windows` are seconds, each a multiple of `interval`.
    #[must_use]
    pub fn new(interval: f64, windows: &[f64]) -> Self {
        let mut windows = windows.to_vec();
        windows.sort_by(f64::total_cmp);
        Self {
            interval,
            longest: windows.last().copied().unwrap_or(interval),
            levels: plan::levels(interval, &windows),
            next: 1,
            under_way: None,
        }
    }

    /// The interval.
    #[must_use]
    pub fn interval(&self) -> f64 {
        self.interval
    }

    /// The longest window.
    #[must_use]
    pub fn longest(&self) -> f64 {
        self.longest
    }

    /// The slot that was pushed last.
    #[must_use]
    pub fn newest(&self) -> Option<&Arc<Slot>> {
        self.levels[0].slots.back()
    }

    /// The slots of the finest level, oldest first.
    pub fn finest(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.levels[0].slots.iter()
    }

    /// The monotonic start of the oldest slot; infinity without one.
    #[must_use]
    pub fn since(&self) -> f64 {
        let oldest = self.levels.iter().filter_map(|level| level.slots.front());
        oldest.map(|slot| slot.start.monotonic).fold(f64::INFINITY, f64::min)
    }

    /// Take a newly sealed slot of the finest level.
    ///
    /// Then comes what is `due`, until nothing is any more, and `trim`.
    pub fn push(&mut self, slot: Arc<Slot>) {
        self.levels[0].slots.push_back(slot);
        self.next = 1;
    }

    /// What has to be rolled up after the last push: one level at a time, finer ones first.
    ///
    /// Its parts are to be merged and given to `finish` before anything else is asked for.
    pub fn due(&mut self) -> Option<RollUp> {
        let newest = self.newest()?;
        let due = (self.next..self.levels.len()).find_map(|level| {
            let parts = parts_due(&self.levels[level - 1], &self.levels[level], newest)?;
            Some(RollUp { level, parts })
        });
        self.next = due.as_ref().map_or(self.levels.len(), |due| due.level + 1);
        let due = due?;
        let (first, last) = (&due.parts[0], &due.parts[due.parts.len() - 1]);
        self.under_way = Some(UnderWay {
            level: due.level,
            span: Slot::new(first.start, last.end, Vec::new()),
            late: BTreeMap::new(),
        });
        Some(due)
    }

    /// Take the slot that was merged from the parts of what was `due`.
    pub fn finish(&mut self, level: usize, mut slot: Arc<Slot>) {
        if let Some(under_way) = self.under_way.take_if(|under_way| under_way.level == level) {
            for (id, cell) in under_way.late {
                Arc::make_mut(&mut slot).add(id, &cell);
            }
        }
        self.levels[level].slots.push_back(slot);
    }

    /// Forget what is too old at a monotonic time, but nothing that is still to be rolled up.
    pub fn trim(&mut self, now: f64) {
        let mut rolled_up = f64::INFINITY;
        for level in self.levels.iter_mut().rev() {
            let horizon = (now - level.retention - level.resolution).min(rolled_up);
            while level.slots.front().is_some_and(|slot| slot.end.monotonic <= horizon) {
                level.slots.pop_front();
            }
            rolled_up = level.slots.back().map_or(f64::NEG_INFINITY, |slot| slot.end.monotonic);
        }
    }

    /// The slots of the last `window` seconds, oldest first, without overlap.
    #[must_use]
    pub fn select(&self, window: f64) -> Vec<Arc<Slot>> {
        let Some(newest) = self.newest() else { return Vec::new() };
        // Half an interval of slack: a slot that ends a moment after the horizon is not in it.
        let horizon = newest.end.monotonic - window + self.interval / 2.0;
        let first = self.levels.iter().position(|level| level.retention >= window);
        let levels = &self.levels[..=first.unwrap_or(self.levels.len() - 1)];
        let mut chosen: Vec<Arc<Slot>> = Vec::new();
        for level in levels.iter().rev() {
            let reached = chosen.last().map_or(f64::NEG_INFINITY, |slot| slot.end.monotonic);
            let fitting = level
                .slots
                .iter()
                .filter(|slot| slot.end.monotonic > horizon && slot.start.monotonic >= reached);
            chosen.extend(fitting.cloned());
        }
        chosen
    }

    /// The finest sealed slot that holds a wall time, by its labels.
    #[must_use]
    pub fn holding(&self, wall: f64) -> Option<Holding> {
        let (level, slot) = self.finest_of(wall)?;
        Some(Holding { start: slot.start, end: slot.end, is_finest: level == 0 })
    }

    /// Add the cell of a late sample to every slot that holds its time; say whether there is one.
    ///
    /// The finest is chosen by its labels, the others are those that it was rolled up into. Slots
    /// that were handed out do not change.
    ///
    /// # Panics
    ///
    /// If a slot has cells of another class for the series.
    pub fn add_late(&mut self, wall: f64, id: Id, cell: &Cell) -> bool {
        let Some((finest_level, finest)) = self.finest_of(wall) else { return false };
        let finest = Slot::new(finest.start, finest.end, Vec::new());
        for level in &mut self.levels[finest_level..] {
            if let Some(slot) = level.slots.iter_mut().rev().find(|slot| slot.covers(&finest)) {
                Arc::make_mut(slot).add(id, cell);
            }
        }
        if let Some(under_way) = &mut self.under_way
            && under_way.span.covers(&finest)
        {
            let late = under_way.late.entry(id);
            late.and_modify(|late| late.merge(cell)).or_insert_with(|| cell.clone());
        }
        true
    }

    /// The level and the slot that a wall time is in.
    fn finest_of(&self, wall: f64) -> Option<(usize, &Arc<Slot>)> {
        self.levels.iter().enumerate().find_map(|(at, level)| {
            Some((at, level.slots.iter().rev().find(|slot| slot.holds(wall))?))
        })
    }
}

/// The finer slots that make up the next coarser one, if it is time for one.
fn parts_due(finer: &Level, coarser: &Level, newest: &Slot) -> Option<Vec<Arc<Slot>>> {
    let since = coarser.slots.back().map_or(f64::NEG_INFINITY, |slot| slot.end.monotonic);
    let parts = || finer.slots.iter().filter(|slot| slot.start.monotonic >= since);
    let (first, last) = (parts().next()?, parts().next_back()?);
    if last.end.monotonic.to_bits() != newest.end.monotonic.to_bits() {
        return None;
    }
    let boundaries = |wall| plan::floor_div(wall, coarser.resolution);
    let is_crossed = (boundaries(newest.end.wall) - boundaries(newest.start.wall)).abs() > 0.0;
    // A wall clock that is set back again and again must not keep slots past their retention.
    let is_long = newest.end.monotonic - first.start.monotonic >= 2.0 * coarser.resolution;
    (is_crossed || is_long).then(|| parts().cloned().collect())
}
