//! From a line's value to the accumulator of its series.

use std::ops::Range;

use crate::metric::Class;
use crate::open::Open;
use crate::wire::number::{parse_number, parse_number_in};
use crate::wire::parse::{Sample, Values};

/// Where the values of a line go.
#[derive(Clone, Copy)]
pub struct Target {
    /// The form of the series' cells.
    pub class: Class,
    /// Where the series is in the open slot.
    pub place: u32,
    /// The sample rate, in (0, 1].
    pub rate: f64,
}

/// Add what stands in `text` at `value`; return how many values, none if any one is odd.
#[inline(always)]
#[expect(clippy::inline_always, reason = "where the class is known, one branch of four is left")]
pub fn add_text(
    open: &mut Open,
    target: Target,
    text: &[u8],
    value: Range<usize>,
    is_delta: bool,
) -> u64 {
    if target.class == Class::Set {
        let member = &text[value];
        let is_member = !member.is_empty() && (member.is_ascii() || str::from_utf8(member).is_ok());
        if is_member {
            open.add_member(target.place, member);
        }
        return u64::from(is_member);
    }
    // Most counters are incremented by one.
    let number = match text[value.clone()] {
        [digit @ b'0'..=b'9'] => f64::from(digit - b'0'),
        _ => match parse_number_in(text, value.clone()) {
            Some(number) => number,
            None => return add_packed(open, target, &text[value], is_delta),
        },
    };
    let is_delta = target.class == Class::Gauge && is_delta && is_signed(&text[value]);
    open.add(target.class, target.place, number, target.rate, is_delta);
    1
}

/// Add values that are packed into one line, all or none.
#[cold]
fn add_packed(open: &mut Open, target: Target, text: &[u8], is_delta: bool) -> u64 {
    let items = || text.split(|&byte| byte == b':');
    if items().any(|item| parse_number(item).is_none()) {
        return 0;
    }
    let mut count = 0;
    for item in items() {
        let number = parse_number(item).unwrap_or_default();
        let is_delta = is_delta && is_signed(item);
        open.add(target.class, target.place, number, target.rate, is_delta);
        count += 1;
    }
    count
}

/// Add the values of a parsed sample.
pub fn add_sample(open: &mut Open, place: u32, sample: &Sample) {
    let class = sample.key.kind().class();
    match &sample.values {
        Values::Member(member) => open.add_member(place, member),
        Values::Gauge(levels) => {
            for &(value, is_delta) in levels {
                open.add(class, place, value, sample.rate, is_delta);
            }
        }
        Values::Numbers(numbers) => {
            for &number in numbers {
                open.add(class, place, number, sample.rate, false);
            }
        }
    }
}

fn is_signed(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'+' | b'-'))
}
