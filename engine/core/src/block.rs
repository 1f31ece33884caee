//! The cells of one page in one sealed slot, in a compact form.
//!
//! One piece of memory: class and form, which places there are, then the cells by class. Beside it
//! are the few late cells that came since it was written.

mod late;
mod numbers;
mod sampled;
mod sets;
#[cfg(test)]
mod tests;

use crate::cells::Cell;
use crate::frame::{Columns, Frame, Mask, wrong_class};
use crate::metric::{Class, PAGE};
use crate::varint::Reader;
use late::Late;

/// The first byte has the class in its lower two bits, and above them how places are told.
const CLASS: u8 = 3;
const FORM_BITS: u32 = 2;
/// Their number, then each.
const LISTED: u8 = 0;
/// A bit for each place of the page.
const MASKED: u8 = 1;
/// Nothing: all are present.
const ALL: u8 = 2;
/// A mask takes as many bytes.
const MOST_LISTED: usize = 31;
/// Enough for a page of counters or gauges.
const USUAL_BYTES: usize = 4096;

/// The sealed cells of one page.
#[derive(Clone, Debug)]
pub struct Block {
    sealed: Box<[u8]>,
    late: Option<Box<Late>>,
}

/// Which cells a block has, and which of them are to be read.
struct Places {
    present: Mask,
    chosen: Mask,
}

impl Places {
    /// The chosen cells, where each stands behind its length; what is behind the last is not read.
    fn chosen_cells<'a>(&self, reader: &mut Reader<'a>) -> impl Iterator<Item = (u8, &'a [u8])> {
        let cells = self.present.iter().filter_map(|place| {
            let length = reader.length();
            let cell = reader.take(length);
            self.chosen.contains(place).then_some((place, cell))
        });
        cells.take(self.chosen.len())
    }
}

impl Block {
    /// Seal all cells of a frame.
    #[must_use]
    pub fn seal(frame: &Frame) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        let places = Places { present: *frame.present(), chosen: *frame.present() };
        put_header(frame.class(), &places.present, &mut bytes);
        match &frame.columns {
            Columns::Counter(counters) => numbers::encode_counters(counters, &places, &mut bytes),
            Columns::Gauge(gauges) => numbers::encode_gauges(gauges, &places, &mut bytes),
            Columns::Sampled(sketches) => sampled::encode(sketches, &places, &mut bytes),
            Columns::Set(sets) => sets::encode(sets, &places, &mut bytes),
        }
        // A copy of the right size, because shrinking leaves a hole behind every block.
        Self { sealed: Box::from(bytes.as_slice()), late: None }
    }

    /// The class of the cells.
    #[must_use]
    pub fn class(&self) -> Class {
        Class::ALL[usize::from(self.sealed[0] & CLASS)]
    }

    /// Where there are cells.
    #[must_use]
    pub fn present(&self) -> Mask {
        let sealed = present(&mut Reader(&self.sealed));
        self.late.as_ref().map_or(sealed, |late| sealed.or(&late.places()))
    }

    /// Add the cell of a late sample.
    ///
    /// # Panics
    ///
    /// If it is of another class: a page has cells of one class.
    pub fn add(&mut self, place: u8, cell: &Cell) {
        if cell.class() != self.class() {
            wrong_class();
        }
        if self.late.is_none() {
            self.late = Late::like(cell).map(Box::new);
        }
        if self.late.as_mut().is_some_and(|late| late.push(place, cell)) {
            return;
        }
        let mut frame = Frame::new(self.class());
        self.merge_into(&mut frame, &Mask::FULL);
        frame.merge(place, cell);
        *self = Self::seal(&frame);
    }

    /// Add the cells in wanted places to a frame, whose cells are older.
    ///
    /// # Panics
    ///
    /// If the classes differ: a page has cells of one class.
    pub fn merge_into(&self, frame: &mut Frame, wanted: &Mask) {
        match &self.late {
            None => self.merge_sealed(frame, wanted),
            Some(late) => self.merge_with(late, frame, wanted),
        }
    }

    #[cold]
    fn merge_with(&self, late: &Late, frame: &mut Frame, wanted: &Mask) {
        let places = late.places().and(wanted);
        self.merge_sealed(frame, &wanted.without(&places));
        if places.is_empty() {
            return;
        }
        let mut together = Frame::new(self.class());
        self.merge_sealed(&mut together, &places);
        late.merge_into(&mut together, &places);
        for place in together.present().iter() {
            together.get(place).iter().for_each(|cell| frame.merge(place, cell));
        }
    }

    fn merge_sealed(&self, frame: &mut Frame, wanted: &Mask) {
        let mut reader = Reader(&self.sealed);
        let present = present(&mut reader);
        let places = Places { present, chosen: present.and(wanted) };
        if places.chosen.is_empty() {
            return;
        }
        match (self.class(), &mut frame.columns) {
            (Class::Counter, Columns::Counter(counters)) => {
                numbers::merge_counters(reader, &places, counters);
            }
            (Class::Gauge, Columns::Gauge(gauges)) => {
                numbers::merge_gauges(reader, &places, gauges);
            }
            (Class::Sampled, Columns::Sampled(_)) => sampled::merge_into(reader, &places, frame),
            (Class::Set, Columns::Set(_)) => sets::merge_into(reader, &places, frame),
            _ => wrong_class(),
        }
        frame.mark(&places.chosen);
    }

    /// Add the length of every cell to those in its place, if cells of this class have one.
    pub fn add_lengths(&self, lengths: &mut [usize; PAGE]) {
        if matches!(self.class(), Class::Counter | Class::Gauge) {
            return;
        }
        let mut reader = Reader(&self.sealed);
        for place in present(&mut reader).iter() {
            let length = reader.length();
            reader.take(length);
            lengths[usize::from(place)] += length;
        }
    }

    /// The bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let late = self.late.as_ref().map_or(0, |late| late.bytes());
        size_of::<Self>() + self.sealed.len() + late
    }
}

fn put_header(class: Class, present: &Mask, out: &mut Vec<u8>) {
    let form = match present.len() {
        PAGE => ALL,
        count if count > MOST_LISTED => MASKED,
        _ => LISTED,
    };
    out.push(form << FORM_BITS | class as u8);
    match form {
        LISTED => {
            out.push(present.len().to_le_bytes()[0]);
            out.extend(present.iter());
        }
        MASKED => out.extend(present.to_bytes()),
        _ => (),
    }
}

fn present(reader: &mut Reader) -> Mask {
    match reader.byte() >> FORM_BITS {
        LISTED => {
            let count = usize::from(reader.byte());
            reader.take(count).iter().copied().collect()
        }
        MASKED => Mask::from_bytes(&reader.array()),
        _ => Mask::FULL,
    }
}
