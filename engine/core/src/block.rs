//! The cells of one page in one sealed slot: a compact form that never changes.
//!
//! One piece of memory: class and form, which places there are, then the cells by class.

mod numbers;
mod sampled;
mod sets;
#[cfg(test)]
mod tests;

use crate::frame::{Columns, Frame, Mask, wrong_class};
use crate::metric::{Class, PAGE};
use crate::varint::Reader;

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
pub struct Block(Box<[u8]>);

/// Which cells a block has, and which of them are to be read.
struct Places {
    present: Mask,
    chosen: Mask,
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
        Self(Box::from(bytes.as_slice()))
    }

    /// The class of the cells.
    #[must_use]
    pub fn class(&self) -> Class {
        Class::ALL[usize::from(self.0[0] & CLASS)]
    }

    /// Where there are cells.
    #[must_use]
    pub fn present(&self) -> Mask {
        present(&mut Reader(&self.0))
    }

    /// Add the cells in wanted places to a frame, whose cells are older.
    ///
    /// # Panics
    ///
    /// If the classes differ: a page has cells of one class.
    pub fn merge_into(&self, frame: &mut Frame, wanted: &Mask) {
        let mut reader = Reader(&self.0);
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

    /// The bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.len()
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
