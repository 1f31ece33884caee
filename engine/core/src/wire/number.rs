//! Numbers on the wire.
//!
//! ```text
//! number = [+-] ( digits [ "." *digit ] / "." digits ) [ ("e"/"E") [+-] digits ]
//! ```
//!
//! No blanks, underscores, hex, inf or nan; a number that overflows a double is no number. Every
//! result is the double nearest to the decimal, as Python's `float` has it.

use std::ops::Range;

/// Powers of ten that a double holds exactly, as many as the digits of a `u64` need.
const POWERS: [f64; 20] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19,
];

/// Every integer up to here is a double.
const MOST_EXACT: u64 = 1 << 53;

/// Powers of ten by the byte of a word in which the point stands; 8 is no point.
const POWERS_BEHIND: [f64; 9] = [1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1e0, 1e0];

/// One in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Returns the finite value of a part of `data`, `None` when it is not a number of the grammar.
///
/// The same as `parse_number(&data[range])`, and faster where numbers of many lengths follow each
/// other: up to eight bytes are read as one word, without a loop whose end no CPU can predict. For
/// that, the word may begin in front of the number.
///
/// # Panics
///
/// When `range` is not within `data`.
#[inline]
#[must_use]
pub fn parse_number_in(data: &[u8], range: Range<usize>) -> Option<f64> {
    let word = data[..range.end].last_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let text = &data[range];
    word.and_then(|word| parse_word(word, text)).or_else(|| parse_number(text))
}

/// Reads up to eight digits and a point, which the word of the last eight bytes holds as well.
#[inline]
fn parse_word(word: u64, text: &[u8]) -> Option<f64> {
    let first = *text.first()?;
    let length = text.len() - usize::from(matches!(first, b'-' | b'+'));
    if length == 0 || length > 8 {
        return None;
    }
    // The first byte is the lowest one. What is no part of the number becomes leading zeros.
    let digits = (word ^ (EACH * u64::from(b'0'))) & (u64::MAX << (64 - 8 * length));
    // The lowest byte that is a point has its highest bit set, and none has below it (Warren,
    // Hacker's Delight, 6-1).
    let others = digits ^ (EACH * u64::from(b'.' ^ b'0'));
    let points = others.wrapping_sub(EACH) & !others & (EACH << 7);
    // Without a point all of this changes nothing: a branch would be a coin toss.
    let point = (points & points.wrapping_neg()) >> 7;
    let below = point.saturating_sub(1);
    let digits = ((digits & below) << 8) | (digits & !(below | (point * 0xff)));
    let is_number = (digits | digits.wrapping_add(EACH * (0x80 - 10))) & (EACH << 7) == 0;
    if !is_number || (point != 0 && length == 1) {
        return None;
    }
    let place = points.trailing_zeros() / 8;
    let value = f64::from(eight_digits(digits)) / POWERS_BEHIND[place as usize];
    Some(signed(value, first == b'-'))
}

/// The value of eight digits, the first of them in the lowest byte: pairs, then fours, then all.
#[inline]
fn eight_digits(digits: u64) -> u32 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let outer = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul((1_000_000 << 32) + 100);
    let inner = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul((10_000 << 32) + 1);
    (outer.wrapping_add(inner) >> 32) as u32
}

/// Returns the finite value of `text`, `None` when it is not a number of the grammar.
#[inline]
#[must_use]
pub fn parse_number(text: &[u8]) -> Option<f64> {
    parse_short(text).or_else(|| parse_any(text))
}

/// Reads a number without exponent whose digits fit a double's mantissa.
///
/// Mantissa and power of ten are exact doubles then, so that the one division rounds correctly
/// (Clinger, How to Read Floating Point Numbers Accurately, 1990).
#[inline]
fn parse_short(text: &[u8]) -> Option<f64> {
    let is_negative = text.first() == Some(&b'-');
    let digits = if let [b'-' | b'+', digits @ ..] = text { digits } else { text };
    // 19 digits and a point; so many digits cannot overflow the mantissa.
    if digits.len() > 20 {
        return None;
    }
    let mut mantissa = 0_u64;
    let mut at = 0;
    while at < digits.len() && digits[at].is_ascii_digit() {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digits[at] - b'0'));
        at += 1;
    }
    if at == digits.len() {
        let is_exact = at > 0 && at < 20 && mantissa <= MOST_EXACT;
        return is_exact.then(|| signed(mantissa as f64, is_negative));
    }
    if digits[at] != b'.' {
        return None;
    }
    let fraction = &digits[at + 1..];
    for byte in fraction {
        if !byte.is_ascii_digit() {
            return None;
        }
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
    }
    let is_exact = digits.len() > 1 && mantissa <= MOST_EXACT;
    is_exact.then(|| signed(mantissa as f64 / POWERS[fraction.len()], is_negative))
}

#[inline]
fn signed(value: f64, is_negative: bool) -> f64 {
    if is_negative { -value } else { value }
}

/// Restricted to these bytes, std's grammar is exactly the one above: every other form that it
/// knows needs a letter other than e.
#[cold]
fn parse_any(text: &[u8]) -> Option<f64> {
    let is_spelled = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.iter().all(is_spelled) {
        return None;
    }
    let value: f64 = str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Returns the value of 1 to 18 ASCII digits, `None` otherwise.
#[must_use]
pub fn parse_unsigned(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests;
