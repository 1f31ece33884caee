//! Cutting datagrams into lines at three marks: the first colon, the first bar behind it, the end.
//!
//! A datagram is looked at once, 64 bytes at a time, whatever is in it: where its colons, bars and
//! line feeds are becomes bits. A line is then cut by looking at the 64 bits from its start on. One
//! comparison of 64 bytes costs less than a branch that goes wrong.

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

/// Where all colons, bars and line feeds of a text are.
#[derive(Default)]
pub struct Scan(Vec<Found>);

impl Scan {
    /// Look at a text; there must be `WINDOW` readable bytes behind its `length`.
    #[inline]
    pub fn read(&mut self, text: &[u8], length: usize) {
        self.0.clear();
        let windows = text.as_chunks().0.iter().take(length.div_ceil(WINDOW));
        self.0.extend(windows.map(Found::of));
        // What lies behind the last window is looked at together with it.
        self.0.push(Found::default());
    }

    /// Find the marks of the line at `start`, counted from there; there must be a line feed.
    #[must_use]
    pub fn marks(&self, start: usize) -> Marks {
        let (mut colon, mut bar, mut at) = (NONE, NONE, 0);
        loop {
            let found = self.window(start + at);
            let inside = found.inside();
            let mut bars = found.bars & inside;
            if colon == NONE {
                let colons = found.colons & inside;
                bars &= behind_first(colons);
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

    /// The same for a line that has all three marks within the first window, as most lines have.
    #[inline]
    #[must_use]
    pub fn short_marks(&self, start: usize) -> Option<Marks> {
        let found = self.window(start);
        let colons = found.colons & found.inside();
        let bars = found.bars & found.inside() & behind_first(colons);
        // The marks are below 64; said in this way, whoever uses them need not look.
        let place = |bits: u64| bits.trailing_zeros() as usize % WINDOW;
        (found.feeds != 0 && bars != 0).then(|| Marks {
            colon: place(colons),
            bar: place(bars),
            end: place(found.feeds),
        })
    }

    /// The window that begins at `at`.
    #[inline]
    fn window(&self, at: usize) -> Found {
        let [here, next] = self.0[at / WINDOW..].first_chunk().expect("a line feed is behind it");
        let behind = at % WINDOW;
        Found {
            colons: joined(here.colons, next.colons, behind),
            bars: joined(here.bars, next.bars, behind),
            feeds: joined(here.feeds, next.feeds, behind),
        }
    }
}

/// The 64 bits of two words from bit `at` of the first on.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the other half is cut off on purpose")]
fn joined(first: u64, second: u64, at: usize) -> u64 {
    ((u128::from(second) << 64 | u128::from(first)) >> at) as u64
}

/// All bits above the lowest one; none without one.
#[inline]
fn behind_first(bits: u64) -> u64 {
    !(bits & bits.wrapping_neg()).wrapping_sub(1)
}

/// One bit for every byte of a window.
#[derive(Clone, Copy, Default)]
struct Found {
    colons: u64,
    bars: u64,
    feeds: u64,
}

impl Found {
    /// All bits below the first line feed; all there are if there is none.
    #[inline]
    fn inside(&self) -> u64 {
        (self.feeds & self.feeds.wrapping_neg()).wrapping_sub(1)
    }

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

    fn plainly(text: &[u8]) -> Marks {
        let find = |from: usize, byte: u8| {
            text[from..].iter().position(|&found| found == byte).map_or(NONE, |at| from + at)
        };
        let end = find(0, b'\n');
        let colon = Some(find(0, b':')).filter(|&at| at < end).unwrap_or(NONE);
        let bar = if colon == NONE { NONE } else { find(colon, b'|') };
        Marks { colon, bar: if bar < end { bar } else { NONE }, end }
    }

    fn check(lines: &str) {
        let mut text = lines.as_bytes().to_vec();
        text.extend_from_slice(b"\n:|:|\n");
        text.resize(text.len() + WINDOW, b'|');
        let mut scan = Scan::default();
        scan.read(&text, lines.len() + 1);
        let mut start = 0;
        while start <= lines.len() {
            let found = scan.marks(start);
            assert_eq!(found, plainly(&text[start..]), "{lines:?} from {start}");
            let is_short = found.bar != NONE && found.end < WINDOW;
            assert_eq!(scan.short_marks(start), is_short.then_some(found));
            start += found.end + 1;
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
