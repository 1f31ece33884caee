//! Histograms as the bytes of a block.
//!
//! Each stands behind its length, so that others can be skipped: flags, numbers, buckets. What
//! follows from something else is left out, which is most of it in histograms of a few samples.

use super::Places;
use crate::column::integer;
use crate::frame::Frame;
use crate::sketch::{Bucket, DEFAULT_SCALE, Sketch};
use crate::varint::{Reader, put, put_length, put_signed};

/// There are buckets of negative samples.
const NEGATIVE: u8 = 1;
/// There are samples that are zero.
const ZERO: u8 = 1 << 1;
/// Weights are doubles; else they are integers.
const FRACTIONS: u8 = 1 << 2;
/// The count is not what the weights add up to: they were added up in another order.
const COUNT: u8 = 1 << 3;
/// The sum is not `min` times the count.
const SUM: u8 = 1 << 4;
/// The highest sample is not the lowest one.
const MAX: u8 = 1 << 5;
/// The scale is not the usual one.
const SCALE: u8 = 1 << 6;

/// The last two bits of a number tell what is in front of them.
const INTEGER: u64 = 0;
const THOUSANDTHS: u64 = 1;
/// Nothing: a double follows.
const DOUBLE: u64 = 2;
const FORM_BITS: u32 = 2;

/// The buckets of one histogram; used again for the next.
#[derive(Default)]
struct Sides {
    positive: Vec<Bucket>,
    negative: Vec<Bucket>,
}

/// Append the histograms of a frame.
pub(super) fn encode(sketches: &[Sketch], places: &Places, out: &mut Vec<u8>) {
    let (mut sides, mut cell) = (Sides::default(), Vec::with_capacity(128));
    for place in places.present.iter() {
        let sketch = &sketches[usize::from(place)];
        sides.clear();
        sketch.copy_buckets(false, &mut sides.positive);
        sketch.copy_buckets(true, &mut sides.negative);
        cell.clear();
        encode_cell(sketch, &sides, &mut cell);
        put_length(out, cell.len());
        out.extend_from_slice(&cell);
    }
}

/// Add the wanted ones of encoded histograms to a frame.
pub(super) fn merge_into(mut reader: Reader, places: &Places, frame: &mut Frame) {
    let mut sides = Sides::default();
    for (place, cell) in places.chosen_cells(&mut reader) {
        sides.clear();
        merge_cell(Reader(cell), &mut sides, place, frame);
    }
}

impl Sides {
    fn clear(&mut self) {
        self.positive.clear();
        self.negative.clear();
    }

    fn weights(&self) -> impl Iterator<Item = f64> + '_ {
        self.positive.iter().chain(&self.negative).map(|&(_, weight)| weight)
    }

    fn weight(&self) -> f64 {
        self.weights().fold(0.0, |sum, weight| sum + weight)
    }
}

fn encode_cell(sketch: &Sketch, sides: &Sides, out: &mut Vec<u8>) {
    let (count, min, max) = (sketch.count(), sketch.min(), sketch.max());
    let is_different = |one: f64, other: f64| one.to_bits() != other.to_bits();
    let flags = [
        (NEGATIVE, !sides.negative.is_empty()),
        (ZERO, sketch.zero_count() != 0.0),
        (FRACTIONS, sides.weights().any(|weight| integer::<1>(weight).is_none())),
        (COUNT, is_different(count, sides.weight() + sketch.zero_count())),
        (SUM, is_different(sketch.sum(), min * count)),
        (MAX, is_different(max, min)),
        (SCALE, sketch.scale() != DEFAULT_SCALE),
    ];
    let flags = flags.iter().fold(0, |all, &(flag, is_set)| if is_set { all | flag } else { all });
    let is_set = |flag| flags & flag != 0;
    out.push(flags);
    if is_set(SCALE) {
        put_signed(out, i64::from(sketch.scale()));
    }
    put_number(out, min);
    let zero_count = sketch.zero_count();
    for (flag, number) in [(MAX, max), (SUM, sketch.sum()), (COUNT, count), (ZERO, zero_count)] {
        if is_set(flag) {
            put_number(out, number);
        }
    }
    put_buckets(out, &sides.positive, is_set(FRACTIONS));
    if is_set(NEGATIVE) {
        put_buckets(out, &sides.negative, is_set(FRACTIONS));
    }
}

fn merge_cell(mut reader: Reader, sides: &mut Sides, place: u8, frame: &mut Frame) {
    let flags = reader.byte();
    let is_set = |flag| flags & flag != 0;
    let scale = if is_set(SCALE) { scale_of(&mut reader) } else { DEFAULT_SCALE };
    let min = number(&mut reader);
    let max = if is_set(MAX) { number(&mut reader) } else { min };
    let sum = is_set(SUM).then(|| number(&mut reader));
    let count = is_set(COUNT).then(|| number(&mut reader));
    let zero_count = if is_set(ZERO) { number(&mut reader) } else { 0.0 };
    read_buckets(&mut reader, is_set(FRACTIONS), &mut sides.positive);
    if is_set(NEGATIVE) {
        read_buckets(&mut reader, is_set(FRACTIONS), &mut sides.negative);
    }
    let count = count.unwrap_or_else(|| sides.weight() + zero_count);
    let sketch = frame.sketch(place, scale);
    sketch.add_buckets(scale, &sides.positive, &sides.negative);
    sketch.add_totals(count, sum.unwrap_or(min * count), min, max, zero_count);
}

fn scale_of(reader: &mut Reader) -> i32 {
    i32::try_from(reader.signed()).expect("a scale was written")
}

/// Number of buckets, the first index, then for each weight the step to the next index.
///
/// An integral weight shares its number with the step, and needs none of its own when it is 1.
fn put_buckets(out: &mut Vec<u8>, buckets: &[Bucket], is_fractional: bool) {
    put_length(out, buckets.len());
    let Some(&(first, _)) = buckets.first() else { return };
    put_signed(out, i64::from(first));
    let mut expected = first;
    for &(index, weight) in buckets {
        let step = u64::from(index.abs_diff(expected));
        expected = index + 1;
        match integer::<1>(weight).filter(|_| !is_fractional) {
            None => {
                put(out, step);
                out.extend_from_slice(&weight.to_le_bytes());
            }
            Some(1) => put(out, step << 1),
            Some(more) => {
                put(out, step << 1 | 1);
                put(out, more.unsigned_abs());
            }
        }
    }
}

fn read_buckets(reader: &mut Reader, is_fractional: bool, buckets: &mut Vec<Bucket>) {
    let count = reader.length();
    if count == 0 {
        return;
    }
    let mut index = reader.signed();
    for _ in 0..count {
        let step = reader.number();
        let (step, weight) = match (is_fractional, step & 1) {
            (true, _) => (step, reader.float()),
            (false, 0) => (step >> 1, 1.0),
            (false, _) => (step >> 1, reader.number() as f64),
        };
        index += step.cast_signed();
        buckets.push((i32::try_from(index).expect("an index was written"), weight));
        index += 1;
    }
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    let forms = [(INTEGER, integer::<1>(number)), (THOUSANDTHS, integer::<1000>(number))];
    for (form, integer) in forms {
        if let Some(integer) = integer {
            let zigzag = (integer << 1 ^ integer >> 63).cast_unsigned();
            return put(out, zigzag << FORM_BITS | form);
        }
    }
    put(out, DOUBLE);
    out.extend_from_slice(&number.to_le_bytes());
}

fn number(reader: &mut Reader) -> f64 {
    let number = reader.number();
    let zigzag = number >> FORM_BITS;
    let integer = || ((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()) as f64;
    match number & ((1 << FORM_BITS) - 1) {
        INTEGER => integer(),
        THOUSANDTHS => integer() / 1000.0,
        _ => reader.float(),
    }
}
