//! One number of every cell of a block, exactly, in as few bytes as a simple form allows.
//!
//! A byte tells the form:
//!
//! - `SAME`: the numbers of the column before;
//! - `EQUAL`: one double for all;
//! - integers divided by 1, 10, 100 or 1000, because most numbers were written as decimals: the
//!   lowest, then what each has above it, all in the same number of bytes (0 to 7);
//! - `SINGLES`, `DOUBLES`: all as they are.

use crate::metric::PAGE;
use crate::varint::{Reader, put_signed};

const SAME: u8 = 0xfc;
const EQUAL: u8 = 0xfd;
const SINGLES: u8 = 0xfe;
const DOUBLES: u8 = 0xff;
/// Integers are told by their width, and above that by the divisor's number.
const WIDTH_BITS: u32 = 3;
const WIDTH: u8 = (1 << WIDTH_BITS) - 1;
const DIVISORS: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];
/// Every integer up to here is a double.
const EXACT: u64 = 1 << 53;

/// A column in a block's bytes.
#[derive(Clone, Copy)]
pub(crate) enum Column<'a> {
    Equal(f64),
    Integers { lowest: i64, divisor: f64, width: u8, above: &'a [u8] },
    Singles(&'a [u8]),
    Doubles(&'a [u8]),
}

/// Append a column of at most `PAGE` numbers.
pub(crate) fn encode(values: &[f64], before: Option<&[f64]>, out: &mut Vec<u8>) {
    let is_same = |one: &f64, other: &f64| one.to_bits() == other.to_bits();
    if before.is_some_and(|before| values.iter().zip(before).all(|(a, b)| is_same(a, b))) {
        out.push(SAME);
        return;
    }
    let is_integral = encode_integers::<1>(values, 0, out)
        || encode_integers::<10>(values, 1, out)
        || encode_integers::<100>(values, 2, out)
        || encode_integers::<1000>(values, 3, out);
    if is_integral {
        return;
    }
    if values.iter().all(|value| is_same(value, &values[0])) {
        out.push(EQUAL);
        out.extend_from_slice(&values[0].to_le_bytes());
    } else if values.iter().all(|&value| is_same(&f64::from(single(value)), &value)) {
        out.push(SINGLES);
        out.extend(values.iter().flat_map(|&value| single(value).to_le_bytes()));
    } else {
        out.push(DOUBLES);
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}

/// Append a column of integers over a divisor, if that is what the numbers are.
fn encode_integers<const DIVISOR: u16>(values: &[f64], number: u8, out: &mut Vec<u8>) -> bool {
    let mut integers = [0; PAGE];
    let (mut lowest, mut highest) = (i64::MAX, i64::MIN);
    for (&value, place) in values.iter().zip(&mut integers) {
        let Some(integer) = integer::<DIVISOR>(value) else { return false };
        *place = integer;
        lowest = lowest.min(integer);
        highest = highest.max(integer);
    }
    let width = 8 - highest.abs_diff(lowest).leading_zeros() / 8;
    out.push(number << WIDTH_BITS | width.to_le_bytes()[0]);
    put_signed(out, lowest);
    for integer in &integers[..values.len()] {
        out.extend_from_slice(&integer.abs_diff(lowest).to_le_bytes()[..width as usize]);
    }
    true
}

/// The integer that gives this very double when it is divided.
#[inline]
pub(crate) fn integer<const DIVISOR: u16>(value: f64) -> Option<i64> {
    let divisor = f64::from(DIVISOR);
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is found out")]
    let integer = (value * divisor + 0.5_f64.copysign(value)) as i64;
    let is_it = (integer as f64 / divisor).to_bits() == value.to_bits();
    (is_it && integer.unsigned_abs() < EXACT).then_some(integer)
}

fn single(value: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "whoever calls looks at what it gives")]
    let single = value as f32;
    single
}

impl<'a> Column<'a> {
    /// Read a column of that many numbers.
    pub(crate) fn read(reader: &mut Reader<'a>, rows: usize, before: Option<Self>) -> Self {
        match reader.byte() {
            SAME => before.expect("the first column is like no other"),
            EQUAL => Self::Equal(reader.float()),
            SINGLES => Self::Singles(reader.take(4 * rows)),
            DOUBLES => Self::Doubles(reader.take(8 * rows)),
            form => {
                let (lowest, width) = (reader.signed(), form & WIDTH);
                let divisor = DIVISORS[usize::from(form >> WIDTH_BITS)];
                let above = reader.take(usize::from(width) * rows);
                Self::Integers { lowest, divisor, width, above }
            }
        }
    }

    /// One number.
    pub(crate) fn get(&self, at: usize) -> f64 {
        match *self {
            Self::Equal(value) => value,
            Self::Integers { lowest, divisor, width, above } => {
                let width = usize::from(width);
                integral(&above[at * width..][..width], lowest) / divisor
            }
            Self::Singles(bytes) => f64::from(f32::from_le_bytes(Reader(&bytes[4 * at..]).array())),
            Self::Doubles(bytes) => Reader(&bytes[8 * at..]).float(),
        }
    }

    /// All numbers.
    pub(crate) fn decode(&self, values: &mut [f64]) {
        match *self {
            Self::Equal(value) => values.fill(value),
            Self::Integers { lowest, divisor, width, above } => {
                decode_integers(above, width, lowest, values);
                if divisor > 1.0 {
                    for value in values {
                        *value /= divisor;
                    }
                }
            }
            Self::Singles(bytes) => {
                for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f64::from(f32::from_le_bytes(bytes));
                }
            }
            Self::Doubles(bytes) => {
                for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f64::from_le_bytes(bytes);
                }
            }
        }
    }
}

#[inline]
fn integral(above: &[u8], lowest: i64) -> f64 {
    let mut bytes = [0; 8];
    bytes[..above.len()].copy_from_slice(above);
    lowest.wrapping_add(i64::from_le_bytes(bytes)) as f64
}

fn decode_integers(above: &[u8], width: u8, lowest: i64, values: &mut [f64]) {
    match width {
        0 => values.fill(lowest as f64),
        1 => decode_width::<1>(above, lowest, values),
        2 => decode_width::<2>(above, lowest, values),
        3 => decode_width::<3>(above, lowest, values),
        4 => decode_width::<4>(above, lowest, values),
        5 => decode_width::<5>(above, lowest, values),
        6 => decode_width::<6>(above, lowest, values),
        _ => decode_width::<7>(above, lowest, values),
    }
}

/// The width is a constant here, so that a load is one instruction or two.
fn decode_width<const WIDTH: usize>(above: &[u8], lowest: i64, values: &mut [f64]) {
    for (value, above) in values.iter_mut().zip(above.as_chunks::<WIDTH>().0) {
        *value = integral(above, lowest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length_of(values: &[f64]) -> usize {
        let mut bytes = Vec::new();
        encode(values, None, &mut bytes);
        let mut reader = Reader(&bytes);
        let column = Column::read(&mut reader, values.len(), None);
        assert!(reader.0.is_empty());
        let mut decoded = vec![0.0; values.len()];
        column.decode(&mut decoded);
        for (at, value) in values.iter().enumerate() {
            assert_eq!(decoded[at].to_bits(), value.to_bits());
            assert_eq!(column.get(at).to_bits(), value.to_bits());
        }
        bytes.len()
    }

    #[test]
    fn a_number_takes_the_bytes_of_its_column_s_form() {
        let numbers =
            |value: fn(f64) -> f64| (0..200).map(f64::from).map(value).collect::<Vec<_>>();
        for (values, bytes) in [
            (numbers(|_| 7.0), 0),
            (numbers(|at| 1_000_000.0 - at), 1),
            (numbers(|at| at * 300.0), 2),
            (numbers(|at| at * 80_000.0), 3),
            (numbers(|at| at * 80_000_000.0), 5),
            (numbers(|at| at * 8e12), 7),
            (numbers(|at| at / 10.0), 1),
            (numbers(|at| at + 0.001), 3),
            (numbers(|at| at * 0.25), 2),
            (numbers(|at| at / 1024.0), 4),
            (numbers(|at| 1e-3 / (at + 3.0)), 8),
            (numbers(|_| std::f64::consts::PI), 0),
        ] {
            let length = length_of(&values);
            assert!((bytes * 200..=bytes * 200 + 9).contains(&length), "{length} for {values:?}");
        }
    }

    #[test]
    fn every_double_comes_back_to_the_last_bit() {
        let odd = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            -0.3,
            1e15,
            9_007_199_254_740_992.0,
            9_007_199_254_740_993.0,
            9_007_199_254_740_991.0,
            -9_007_199_254_740_991.0,
            1e300,
            -1e300,
            5e-324,
            f64::MAX,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::MIN_POSITIVE,
            0.001,
            123.456,
        ];
        for first in odd {
            length_of(&[first]);
            for second in odd {
                length_of(&[first, second]);
                length_of(&[first, second, first, 3.0, 0.5]);
            }
        }
    }

    #[test]
    fn a_column_like_the_one_before_takes_one_byte() {
        let (values, mut bytes) = ([1.5, 2.5], Vec::new());
        encode(&values, None, &mut bytes);
        let first = bytes.len();
        encode(&values, Some(&values), &mut bytes);
        assert_eq!(bytes.len(), first + 1);
        let mut reader = Reader(&bytes);
        let before = Column::read(&mut reader, 2, None);
        let column = Column::read(&mut reader, 2, Some(before));
        assert_eq!(column.get(1).to_bits(), 2.5_f64.to_bits());
    }
}
