//! A line that was cut into name, value and suffix, and what finds its route.

use std::ops::Range;

use crate::index::MISS;
use crate::routes::Routes;
use crate::scan::{NONE, Scan, WINDOW};
use crate::spelling::{Print, Spelling};

/// Bytes from the start of a line on that must be readable, whatever its length.
pub const READABLE: usize = WINDOW + 32;

/// Where a line is in the text.
#[derive(Clone, Copy)]
pub struct Cut {
    start: u32,
    colon: u32,
    bar: u32,
    end: u32,
    /// The route that it probably takes, or `MISS`.
    pub candidate: u32,
    /// Tells its route from others.
    pub print: Print,
    /// Of the spelling.
    pub hash: u64,
}

impl Cut {
    /// Cut the line at `start` of a text, of which `scan` has read what lies behind `origin`.
    #[inline]
    #[must_use]
    pub fn new(text: &[u8], origin: usize, start: usize, scan: &Scan, routes: &Routes) -> Self {
        let line = &text[start..];
        let (print, marks) = if let Some(marks) = scan.short_marks(start - origin) {
            let short: &[u8; READABLE] = line.first_chunk().expect("there is slack behind");
            (Print::of_line(short, marks), marks)
        } else {
            let marks = scan.marks(start - origin);
            if marks.bar == NONE {
                return Self::without_value(start, marks.end + start);
            }
            (Print::of_line(line, marks), marks)
        };
        let mut cut = Self {
            start: offset(start),
            colon: offset(start + marks.colon),
            bar: offset(start + marks.bar),
            end: offset(start + marks.end),
            candidate: MISS,
            print,
            hash: routes.hasher().hash(&print),
        };
        if print.has_rest() {
            cut.hash = routes.hasher().hash_rest(cut.hash, cut.spelling(text));
        }
        cut
    }

    #[cold]
    fn without_value(start: usize, end: usize) -> Self {
        Self {
            start: offset(start),
            colon: 0,
            bar: 0,
            end: offset(end),
            candidate: MISS,
            print: Print::default(),
            hash: 0,
        }
    }

    /// Whether there is a value between a colon and a bar.
    #[inline]
    #[must_use]
    pub fn has_value(&self) -> bool {
        self.bar > 0
    }

    /// Where the next line begins.
    #[inline]
    #[must_use]
    pub fn next(&self) -> usize {
        self.end as usize + 1
    }

    /// The whole line, without its line feed.
    #[inline]
    #[must_use]
    pub fn line<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start as usize..self.end as usize]
    }

    /// What is in front of and behind the value, which there must be.
    #[inline]
    #[must_use]
    pub fn spelling<'a>(&self, text: &'a [u8]) -> Spelling<'a> {
        Spelling {
            name: &text[self.start as usize..self.colon as usize],
            suffix: &text[self.bar as usize + 1..self.end as usize],
        }
    }

    /// Where the value stands, which there must be.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Range<usize> {
        self.colon as usize + 1..self.bar as usize
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "buffers are smaller than 4 GiB")]
fn offset(at: usize) -> u32 {
    at as u32
}
