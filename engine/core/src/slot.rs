//! What was sampled between two instants.

use std::sync::Arc;

use crate::block::Block;
use crate::cells::Cell;
use crate::frame::{Frame, Mask};
use crate::metric::{Class, Id, Instant, page_of, place_of};

/// The sealed cells of one span of time: a block for every page that was active in it.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Where it starts.
    pub start: Instant,
    /// Where it ends; that moment is not in it.
    pub end: Instant,
    blocks: Vec<(u32, Arc<Block>)>,
}

impl Slot {
    /// A slot of blocks, which are sorted by page, each page once.
    #[must_use]
    pub fn new(start: Instant, end: Instant, blocks: Vec<(u32, Arc<Block>)>) -> Self {
        debug_assert!(blocks.is_sorted_by(|one, other| one.0 < other.0));
        Self { start, end, blocks }
    }

    /// One slot for several consecutive ones, of which there is at least one.
    #[must_use]
    pub fn merge(parts: &[Arc<Self>]) -> Self {
        let mut frames = Frames::default();
        let mut rest: Vec<_> = parts.iter().map(|part| part.blocks.as_slice()).collect();
        let most = rest.iter().map(|blocks| blocks.len()).max().unwrap_or(0);
        let mut blocks = Vec::with_capacity(most);
        let mut found: Vec<&Arc<Block>> = Vec::with_capacity(parts.len());
        while let Some(page) = rest.iter().filter_map(|blocks| Some(blocks.first()?.0)).min() {
            found.clear();
            for part in &mut rest {
                if let Some(((at, block), later)) = part.split_first()
                    && *at == page
                {
                    found.push(block);
                    *part = later;
                }
            }
            blocks.push((page, frames.merge(&found)));
        }
        blocks.shrink_to_fit();
        Self { start: parts[0].start, end: parts[parts.len() - 1].end, blocks }
    }

    /// The block of a page.
    #[must_use]
    pub fn block(&self, page: u32) -> Option<&Arc<Block>> {
        Some(&self.blocks[self.place(page).ok()?].1)
    }

    /// The pages that were active, ascending, with their blocks.
    #[must_use]
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = (u32, &Arc<Block>)> + '_ {
        self.blocks.iter().map(|(page, block)| (*page, block))
    }

    /// Whether a wall time is in this slot, by its labels.
    #[must_use]
    pub fn holds(&self, wall: f64) -> bool {
        self.start.wall <= wall && wall < self.end.wall
    }

    /// Whether another slot's samples are in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.start.monotonic <= other.start.monotonic && other.end.monotonic <= self.end.monotonic
    }

    /// Add the cell of a late sample; a block that was handed out stays as it was.
    ///
    /// # Panics
    ///
    /// If the page has cells of another class.
    pub fn add(&mut self, id: Id, cell: &Cell) {
        let (page, place) = (page_of(id), place_of(id));
        match self.place(page) {
            Ok(at) => Arc::make_mut(&mut self.blocks[at].1).add(place, cell),
            Err(at) => {
                let mut frame = Frame::new(cell.class());
                frame.merge(place, cell);
                self.blocks.insert(at, (page, Arc::new(Block::seal(&frame))));
            }
        }
    }

    /// Add the wanted cells of one page in several slots, oldest first, to a frame.
    pub fn merge_page(slots: &[Arc<Self>], page: u32, wanted: &Mask, frame: &mut Frame) {
        for block in slots.iter().filter_map(|slot| slot.block(page)) {
            block.merge_into(frame, wanted);
        }
    }

    fn place(&self, page: u32) -> Result<usize, usize> {
        self.blocks.binary_search_by_key(&page, |&(page, _)| page)
    }
}

/// A frame of every class that was needed so far.
#[derive(Default)]
struct Frames([Option<Frame>; Class::ALL.len()]);

impl Frames {
    /// One block for all of them, oldest first; one that is alone is shared.
    fn merge(&mut self, blocks: &[&Arc<Block>]) -> Arc<Block> {
        if let [block] = blocks {
            return Arc::clone(block);
        }
        let class = blocks[0].class();
        let frame = self.0[class as usize].get_or_insert_with(|| Frame::new(class));
        frame.clear();
        for block in blocks {
            block.merge_into(frame, &Mask::FULL);
        }
        Arc::new(Block::seal(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::CounterCell;

    fn at(time: f64) -> Instant {
        Instant { wall: 1000.0 + time, monotonic: time }
    }

    fn one(count: f64) -> Cell {
        Cell::Counter(CounterCell { count, sum: count })
    }

    fn slot(start: f64, ids: &[Id]) -> Slot {
        let mut slot = Slot::new(at(start), at(start + 10.0), Vec::new());
        for &id in ids {
            slot.add(id, &one(1.0));
        }
        slot
    }

    fn count(slot: &Slot, id: Id) -> Option<f64> {
        let (page, place) = (page_of(id), place_of(id));
        let mut frame = Frame::new(Class::Counter);
        Slot::merge_page(&[Arc::new(slot.clone())], page, &Mask::of(place), &mut frame);
        let Cell::Counter(cell) = frame.get(place)? else { panic!("a counter") };
        Some(cell.count)
    }

    #[test]
    fn a_merged_slot_has_every_series_of_its_parts() {
        let parts = [slot(0.0, &[1, 2, 300]), slot(10.0, &[2, 900]), slot(20.0, &[2, 300])];
        let merged = Slot::merge(&parts.map(Arc::new));
        assert_eq!(merged.blocks().map(|(page, _)| page).collect::<Vec<_>>(), [0, 1, 3]);
        for (id, expected) in [(1, 1.0), (2, 3.0), (300, 2.0), (900, 1.0)] {
            assert_eq!(count(&merged, id), Some(expected));
        }
        assert_eq!(count(&merged, 3), None);
        assert_eq!((merged.start, merged.end), (at(0.0), at(30.0)));
    }

    #[test]
    fn a_page_that_only_one_part_has_is_shared() {
        let parts = [slot(0.0, &[1]), slot(10.0, &[300])].map(Arc::new);
        let merged = Slot::merge(&parts);
        assert!(Arc::ptr_eq(merged.block(1).unwrap(), parts[1].block(1).unwrap()));
    }

    #[test]
    fn a_late_sample_leaves_what_was_handed_out_as_it_was() {
        let mut changed = slot(0.0, &[1, 2]);
        let before = changed.clone();
        changed.add(1, &one(5.0));
        assert_eq!((count(&before, 1), count(&changed, 1)), (Some(1.0), Some(6.0)));
        assert_eq!(count(&changed, 2), Some(1.0));
    }

    #[test]
    fn a_slot_holds_its_start_and_not_its_end() {
        let slot = slot(0.0, &[]);
        assert!(slot.holds(1000.0) && slot.holds(1009.9));
        assert!(!slot.holds(999.9) && !slot.holds(1010.0));
    }
}
