//! Cutting datagrams into lines at three marks: the first colon, the first bar behind it, the end.
//!
//! A line is looked at 64 bytes at a time, whatever is in it: one comparison of 64 bytes costs less
//! than a branch that goes wrong.

use wide::u8x16;

/// What one window over the text is wide.
pub const WINDOW: usize = 64;

/// No such mark in this line.
pub const NONE: usize = usize::MAX;

/// Where the marks of one line are; `colon` and `bar` may be `NONE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The first colon.
    pub colon: usize,
    /// The first bar behind that colon.
    pub bar: usize,
    /// The line feed.
    pub end: usize,
}

/// Find the marks of the line at `start`.
///
/// There must be a line feed somewhere behind `start`, and `WINDOW` readable bytes behind that.
#[inline]
#[must_use]
pub fn marks(text: &[u8], start: usize) -> Marks {
    let (mut colon, mut bar, mut at) = (NONE, NONE, start);
    loop {
        let window = text[at..].first_chunk().expect("a window is readable behind the line");
        let found = Found::of(window);
        // All bits below the first line feed; all there are if there is none.
        let inside = (found.feeds & found.feeds.wrapping_neg()).wrapping_sub(1);
        let mut bars = found.bars & inside;
        if colon == NONE {
            let colons = found.colons & inside;
            // Bars in front of the colon are part of the name; with no colon yet, all are.
            bars &= !(colons & colons.wrapping_neg()).wrapping_sub(1);
            if colons != 0 {
                colon = at + colons.trailing_zeros() as usize;
            }
        }
        if bar == NONE && bars != 0 {
            bar = at + bars.trailing_zeros() as usize;
        }
        if found.feeds != 0 {
            return Marks { colon, bar, end: at + found.feeds.trailing_zeros() as usize };
        }
        at += WINDOW;
    }
}

/// One bit for every byte of a window.
struct Found {
    colons: u64,
    bars: u64,
    feeds: u64,
}

impl Found {
    #[inline]
    fn of(window: &[u8; WINDOW]) -> Self {
        let (mut colons, mut bars, mut feeds) = (0, 0, 0);
        for (at, lanes) in window.as_chunks::<16>().0.iter().enumerate() {
            let lanes = u8x16::new(*lanes);
            let bits = |byte: u8| u64::from(lanes.simd_eq(u8x16::splat(byte)).to_bitmask());
            colons |= bits(b':') << (16 * at);
            bars |= bits(b'|') << (16 * at);
            feeds |= bits(b'\n') << (16 * at);
        }
        Self { colons, bars, feeds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plainly(text: &[u8], start: usize) -> Marks {
        let find = |from: usize, byte: u8| {
            text[from..].iter().position(|&found| found == byte).map_or(NONE, |at| from + at)
        };
        let end = find(start, b'\n');
        let colon = Some(find(start, b':')).filter(|&at| at < end).unwrap_or(NONE);
        let bar = if colon == NONE { NONE } else { find(colon, b'|') };
        Marks { colon, bar: if bar < end { bar } else { NONE }, end }
    }

    fn check(lines: &str) {
        let mut text = lines.as_bytes().to_vec();
        text.extend_from_slice(b"\n:|:|\n");
        text.resize(text.len() + WINDOW, b'|');
        let mut start = 0;
        while start <= lines.len() {
            let found = marks(&text, start);
            assert_eq!(found, plainly(&text, start), "{lines:?} from {start}");
            start = found.end + 1;
        }
    }

    #[test]
    fn marks_are_found_where_they_are() {
        for lines in ["a:1|c", "a", "", "a:b", "a|b", "a|b:c|d|e:f", ":|", "|:", "a:1|c\nb:2|g\n\n"]
        {
            check(lines);
        }
    }

    #[test]
    fn marks_may_be_in_any_window() {
        for long in [1, 62, 63, 64, 65, 127, 128, 129, 1000] {
            let fill = "x".repeat(long);
            for lines in [
                format!("{fill}:1|c"),
                format!("a:{fill}|c\nb:1|c"),
                format!("a:1|{fill}\n{fill}"),
                format!("{fill}|{fill}:{fill}|{fill}:{fill}\n{fill}:"),
            ] {
                check(&lines);
            }
        }
    }
}
