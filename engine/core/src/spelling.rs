//! What tells one line from another: the text in front of the value and the text behind it.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use crate::scan::Marks;

/// Bytes of a name that are in its print: most names are not longer.
const NAME: usize = 32;

/// Bytes of a suffix that are in its print: type and rate, but no tags.
const SUFFIX: usize = 8;

/// What a print keeps of a text is in front of the middle of this.
static MASK: [u8; 2 * NAME] = {
    let mut mask = [0; 2 * NAME];
    let mut at = 0;
    while at < NAME {
        mask[at] = 0xff;
        at += 1;
    }
    mask
};

/// Two lines with the same spelling differ in their values alone.
#[derive(Clone, Copy)]
pub struct Spelling<'a> {
    /// Up to the first colon.
    pub name: &'a [u8],
    /// From behind the first bar.
    pub suffix: &'a [u8],
}

impl<'a> Spelling<'a> {
    /// The spelling without the value, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.name.len() + self.suffix.len()
    }

    /// The print of this spelling.
    #[must_use]
    pub fn print(&self) -> Print {
        Print {
            name: beginning(self.name),
            suffix: beginning(self.suffix),
            name_length: length(self.name.len()),
            suffix_length: length(self.suffix.len()),
        }
    }

    /// What the print does not have, of name and suffix.
    #[must_use]
    pub fn rest(&self) -> (&'a [u8], &'a [u8]) {
        (behind(self.name, NAME), behind(self.suffix, SUFFIX))
    }
}

/// A spelling in so many bytes that comparing and hashing it takes no loop and no branch.
///
/// It is the whole spelling, unless `has_rest`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Print {
    name: [u8; NAME],
    suffix: [u8; SUFFIX],
    name_length: u16,
    suffix_length: u16,
}

impl Print {
    /// The print of the spelling of a line, by its marks.
    ///
    /// So many bytes are read whatever the lengths are; there must be `SLACK` more behind the line.
    #[inline]
    #[must_use]
    pub fn of_line(line: &[u8], marks: Marks) -> Self {
        let Marks { colon, bar, end } = marks;
        let name = line.first_chunk().expect("there is slack behind");
        let suffix = line[bar + 1..].first_chunk().expect("there is slack behind");
        let suffix_length = end - bar - 1;
        Self {
            name: masked(name, colon),
            suffix: masked(suffix, suffix_length),
            name_length: length(colon),
            suffix_length: length(suffix_length),
        }
    }

    /// Whether there is more of the spelling than the print has.
    #[inline]
    #[must_use]
    pub fn has_rest(&self) -> bool {
        usize::from(self.name_length) > NAME || usize::from(self.suffix_length) > SUFFIX
    }

    /// Of what the print does not have, the bytes of the name and of the suffix.
    #[must_use]
    pub fn rest_lengths(&self) -> (usize, usize) {
        let (name, suffix) = (usize::from(self.name_length), usize::from(self.suffix_length));
        (name.saturating_sub(NAME), suffix.saturating_sub(SUFFIX))
    }

    fn lengths(&self) -> u64 {
        u64::from(self.name_length) << 16 | u64::from(self.suffix_length)
    }
}

/// Hashes spellings, with seeds of its own, so that no sender can make hashes collide.
///
/// A print takes three multiplications, in the manner of foldhash, which hashes what a print does
/// not have.
pub struct SpellingHasher {
    seeds: [u64; 6],
    others: RandomState,
}

impl Default for SpellingHasher {
    fn default() -> Self {
        let others = RandomState::default();
        Self { seeds: [0, 1, 2, 3, 4, 5].map(|number: u64| others.hash_one(number)), others }
    }
}

impl SpellingHasher {
    /// The hash of a spelling that is its print.
    #[inline]
    #[must_use]
    pub fn hash(&self, print: &Print) -> u64 {
        let word = |at: usize| {
            let bytes = print.name[at..].first_chunk().expect("a print has four words");
            u64::from_le_bytes(*bytes)
        };
        let seeds = &self.seeds;
        let name = fold(word(0) ^ seeds[0], word(8) ^ seeds[1])
            ^ fold(word(16) ^ seeds[2], word(24) ^ seeds[3]);
        let suffix = u64::from_le_bytes(print.suffix);
        fold(name ^ suffix ^ seeds[4], print.lengths() ^ seeds[5])
    }

    /// The hash of a spelling that is more than its print, which has `hash`.
    #[must_use]
    pub fn hash_rest(&self, hash: u64, spelling: Spelling<'_>) -> u64 {
        let mut hasher = self.others.build_hasher();
        let (name, suffix) = spelling.rest();
        // The print has both lengths, so it need not be told which of the two it is.
        for part in [name, suffix].into_iter().filter(|part| !part.is_empty()) {
            hasher.write(part);
        }
        fold(hash, hasher.finish())
    }
}

/// Multiply, and let both halves of the product count.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the other half is taken as well")]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

/// The first `length` bytes, and zeros.
#[inline]
fn masked<const N: usize>(bytes: &[u8; N], length: usize) -> [u8; N] {
    let mask: &[u8; N] = MASK[NAME - length.min(N)..].first_chunk().expect("it has both halves");
    let mut kept = [0; N];
    let words = bytes.as_chunks::<8>().0.iter().zip(mask.as_chunks::<8>().0);
    for (kept, (bytes, mask)) in kept.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *kept = (u64::from_ne_bytes(*bytes) & u64::from_ne_bytes(*mask)).to_ne_bytes();
    }
    kept
}

fn beginning<const N: usize>(text: &[u8]) -> [u8; N] {
    let length = text.len().min(N);
    let mut bytes = [0; N];
    bytes[..length].copy_from_slice(&text[..length]);
    bytes
}

fn behind(text: &[u8], length: usize) -> &[u8] {
    &text[length.min(text.len())..]
}

/// Of what is longer than any route's spelling, no length need be known.
#[inline]
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn hash(hasher: &SpellingHasher, name: &[u8], suffix: &[u8]) -> u64 {
        let spelling = Spelling { name, suffix };
        let print = spelling.print();
        let hash = hasher.hash(&print);
        if print.has_rest() { hasher.hash_rest(hash, spelling) } else { hash }
    }

    #[test]
    fn hardly_any_two_of_many_spellings_have_the_same_hash() {
        let hasher = SpellingHasher::default();
        let mut found = HashSet::new();
        let mut low_bits = vec![0_u32; 1 << 12];
        let fill = "a".repeat(40);
        let mut count = 0;
        for length in 0..40 {
            for number in 0..1000 {
                for suffix in ["c", "ms", "g", "c|#a:b,c:d,e:f"] {
                    let name = format!("{}{number}", &fill[..length]);
                    let hash = hash(&hasher, name.as_bytes(), suffix.as_bytes());
                    found.insert(hash);
                    low_bits[usize::try_from(hash & 0xfff).unwrap()] += 1;
                    count += 1;
                }
            }
        }
        assert_eq!(found.len(), count);
        // 160,000 in 4,096: 39 on average, with a standard deviation of 6.
        assert!(low_bits.iter().all(|&each| (5..90).contains(&each)));
    }

    #[test]
    fn names_of_one_letter_differ_by_their_length() {
        let hasher = SpellingHasher::default();
        for text in [[b'a'; 64], [0; 64]] {
            let found: HashSet<u64> =
                (0..64).map(|length| hash(&hasher, &text[..length], b"c")).collect();
            assert_eq!(found.len(), 64);
        }
    }

    #[test]
    fn no_two_engines_hash_alike() {
        let one = || hash(&SpellingHasher::default(), b"name.of.some.length", b"c");
        assert_ne!(one(), one());
    }

    #[test]
    fn the_print_of_a_line_is_that_of_its_spelling() {
        for name_length in 0..70 {
            for suffix_length in 0..20 {
                let mut line = [b'x'; 256];
                let bar = name_length + 1;
                line[bar..].fill(b'y');
                let end = bar + 1 + suffix_length;
                let spelling = Spelling { name: &line[..name_length], suffix: &line[bar + 1..end] };
                let print = Print::of_line(&line, Marks { colon: name_length, bar, end });
                assert_eq!(print, spelling.print());
                let rest = spelling.rest();
                assert_eq!(print.rest_lengths(), (rest.0.len(), rest.1.len()));
                assert_eq!(print.has_rest(), name_length > 32 || suffix_length > 8);
            }
        }
    }
}
