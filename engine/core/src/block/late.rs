//! Late cells that are not in the bytes of their block yet.
//!
//! Bytes are written anew as a whole, so a few cells wait and go in together. Until then whoever
//! reads the block adds them in the order in which they came, and answers are the same.

use crate::cells::{Cell, CounterCell, GaugeCell};
use crate::frame::{Frame, Mask};

/// As many wait: they take about as much memory as the bytes of a full page.
const MOST: usize = 32;

/// The cells that wait, with their places. No others than counters and gauges can be late.
#[derive(Clone, Debug)]
pub(super) enum Late {
    Counters(Vec<(u8, CounterCell)>),
    Gauges(Vec<(u8, GaugeCell)>),
}

impl Late {
    /// None yet, for cells like this one; nothing, if their class goes into the bytes at once.
    pub(super) fn like(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Counter(_) => Some(Self::Counters(Vec::new())),
            Cell::Gauge(_) => Some(Self::Gauges(Vec::new())),
            Cell::Sampled(_) | Cell::Set(_) => None,
        }
    }

    /// Take a cell of the class of the others; false if there is no room.
    pub(super) fn push(&mut self, place: u8, cell: &Cell) -> bool {
        match (self, cell) {
            (Self::Counters(cells), &Cell::Counter(cell)) if cells.len() < MOST => {
                cells.push((place, cell));
            }
            (Self::Gauges(cells), &Cell::Gauge(cell)) if cells.len() < MOST => {
                cells.push((place, cell));
            }
            _ => return false,
        }
        true
    }

    /// Where there are cells.
    pub(super) fn places(&self) -> Mask {
        self.iter().map(|(place, _)| place).collect()
    }

    /// Add the wanted cells to a frame with those of the block's bytes.
    pub(super) fn merge_into(&self, frame: &mut Frame, wanted: &Mask) {
        for (place, cell) in self.iter().filter(|&(place, _)| wanted.contains(place)) {
            frame.merge(place, &cell);
            // Each time, as if the bytes had been written each time.
            frame.round(place);
        }
    }

    /// The bytes of memory that they take.
    pub(super) fn bytes(&self) -> usize {
        let cells = match self {
            Self::Counters(cells) => cells.capacity() * size_of::<(u8, CounterCell)>(),
            Self::Gauges(cells) => cells.capacity() * size_of::<(u8, GaugeCell)>(),
        };
        size_of::<Self>() + cells
    }

    fn iter(&self) -> impl Iterator<Item = (u8, Cell)> + '_ {
        (0..).map_while(|at| match self {
            Self::Counters(cells) => {
                cells.get(at).map(|&(place, cell)| (place, Cell::Counter(cell)))
            }
            Self::Gauges(cells) => cells.get(at).map(|&(place, cell)| (place, Cell::Gauge(cell))),
        })
    }
}
