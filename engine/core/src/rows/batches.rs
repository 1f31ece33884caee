//! The rows of several slots, a batch at a time.

use std::ops::Range;
use std::sync::Arc;

use super::Row;
use super::work::{self, first_part};
use crate::frame::{Frame, Mask};
use crate::held::Held;
use crate::key::KeyRef;
use crate::keys::{KeyPage, Keys};
use crate::metric::{Class, Id, PAGE, id_of, page_of, place_of};
use crate::selector::Selector;
use crate::slot::Slot;

/// Rows of one batch at most.
const BATCH: usize = 1000;

/// Which series without samples have rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
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
pub(super) enum Wanted {
    All,
    Matching(Arc<Selector>),
    /// Sorted.
    These(Arc<[Id]>, Option<Arc<Selector>>),
}

impl Wanted {
    pub(super) fn these(mut ids: Vec<Id>, selector: Option<Arc<Selector>>) -> Self {
        ids.sort_unstable();
        Self::These(ids.into(), selector)
    }

    fn includes(&self, key: KeyRef<'_>) -> bool {
        match self {
            Self::All | Self::These(_, None) => true,
            Self::Matching(selector) | Self::These(_, Some(selector)) => selector.matches(key),
        }
    }
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
    /// The pages that were not begun.
    pages: Range<u32>,
    /// The page that was, and its places that have no rows yet.
    rest: (u32, Mask),
    frames: Frames,
}

impl Rows {
    pub(super) fn new(slots: Vec<Arc<Slot>>, keys: &Keys, held: &Held, wanted: Wanted) -> Self {
        Self {
            slots: slots.into(),
            keys: keys.clone(),
            held: held.clone(),
            wanted,
            idle: Idle::None,
            pages: 0..keys.pages(),
            rest: (0, Mask::EMPTY),
            frames: Frames::default(),
        }
    }

    /// The same rows, and those of series without samples.
    pub(super) fn with(self, idle: Idle) -> Self {
        Self { idle, ..self }
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

    /// Begin a page, or go on with one, for about as much work as is `left` of a batch; return
    /// how much it was, or None at the end.
    fn step(&mut self, rows: &mut Vec<Row>, left: usize) -> Option<usize> {
        let mut work = 0;
        if self.rest.1.is_empty() {
            let page = self.next_page()?;
            let mask = self.keys.page(page).map_or(Mask::EMPTY, |keys| self.mask(page, keys));
            self.rest = (page, mask);
            work += work::KEYS;
        }
        let (page, rest) = self.rest;
        if let Some(keys) = self.keys.page(page).map(Arc::clone)
            && !rest.is_empty()
        {
            let part = first_part(&self.slots, page, keys.class(), &rest, left);
            self.rest.1 = rest.without(&part.places);
            let has_estimates = self.add_rows(page, &keys, &part.places, rows);
            work += part.work * if has_estimates { work::ESTIMATE } else { 1 };
        }
        Some(work)
    }

    /// Append the rows of some places of a page; say whether sets among them are estimates.
    fn add_rows(
        &mut self,
        page: u32,
        keys: &Arc<KeyPage>,
        places: &Mask,
        rows: &mut Vec<Row>,
    ) -> bool {
        let class = keys.class();
        let frame = self.frames.0[class as usize].get_or_insert_with(|| Frame::new(class));
        frame.clear();
        Slot::merge_page(&self.slots, page, places, frame);
        let has_estimates = frame.has_estimates();
        for place in places.iter() {
            let held = self.held.get(id_of(page, place)).map(|value| value.last);
            if let Some(cell) = frame.take(place) {
                rows.push(Row::new(keys, place, cell));
            } else if self.idle.includes(class) && (held.is_some() || class == Class::Counter) {
                rows.push(Row { last: held, ..Row::without_samples(keys, place) });
            }
        }
        has_estimates
    }
}

impl Iterator for Rows {
    type Item = Vec<Row>;

    fn next(&mut self) -> Option<Vec<Row>> {
        let (mut rows, mut work) = (Vec::new(), 0);
        let mut is_over = true;
        while work < work::MOST && rows.len() + PAGE <= BATCH {
            let Some(more) = self.step(&mut rows, work::MOST - work) else { break };
            is_over = false;
            work += more;
        }
        (!is_over).then_some(rows)
    }
}
