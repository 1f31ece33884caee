//! Hashing what tells one line from another.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

/// Hashes names and suffixes, with seeds of its own, so that no sender can make hashes collide.
///
/// Most names have 16 to 32 bytes, and most suffixes one or two. Those take two multiplications
/// and no loop, in the manner of foldhash, which hashes the others.
pub struct SpellingHasher {
    seeds: [u64; 5],
    others: RandomState,
}

impl Default for SpellingHasher {
    fn default() -> Self {
        let others = RandomState::default();
        Self { seeds: [0, 1, 2, 3, 4].map(|number: u64| others.hash_one(number)), others }
    }
}

impl SpellingHasher {
    /// The hash of a name and a suffix.
    #[inline]
    #[must_use]
    pub fn hash(&self, name: &[u8], suffix: &[u8]) -> u64 {
        let name_hash = match (name.first_chunk::<16>(), name.last_chunk::<16>()) {
            (Some(first), Some(last)) if name.len() <= 32 => {
                let ([a, b], [c, d]) = (words(first), words(last));
                // The two may overlap: the length tells by how much.
                let length = (name.len() as u64) << 56;
                fold(a ^ self.seeds[0], b ^ self.seeds[1] ^ length)
                    ^ fold(c ^ self.seeds[2], d ^ self.seeds[3])
            }
            _ => self.long(name),
        };
        let suffix_hash = match *suffix {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_le_bytes([a, b])),
            _ => self.long(suffix),
        };
        fold(name_hash ^ suffix_hash, self.seeds[4])
    }

    fn long(&self, text: &[u8]) -> u64 {
        let mut hasher = self.others.build_hasher();
        hasher.write(text);
        hasher.finish()
    }
}

#[inline]
fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let bits = u128::from_le_bytes(*bytes);
    [low(bits), low(bits >> 64)]
}

/// Multiply, and let both halves of the product count.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    low(product) ^ low(product >> 64)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the other half is cut off on purpose")]
fn low(bits: u128) -> u64 {
    bits as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn hardly_any_two_of_many_spellings_have_the_same_hash() {
        let hasher = SpellingHasher::default();
        let mut found = HashSet::new();
        let mut low_bits = vec![0_u32; 1 << 12];
        let fill = "a".repeat(40);
        let mut count = 0;
        for length in 0..40 {
            for number in 0..1000 {
                for suffix in ["c", "ms", "g", "c|#a:b"] {
                    let name = format!("{}{number}", &fill[..length]);
                    let hash = hasher.hash(name.as_bytes(), suffix.as_bytes());
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
        let text = [b'a'; 64];
        let found: HashSet<u64> =
            (0..64).map(|length| hasher.hash(&text[..length], b"c")).collect();
        assert_eq!(found.len(), 64);
    }

    #[test]
    fn no_two_engines_hash_alike() {
        let hash = || SpellingHasher::default().hash(b"name.of.some.length", b"c");
        assert_ne!(hash(), hash());
    }
}
