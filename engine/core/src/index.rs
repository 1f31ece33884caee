//! Where a route is, by the hash of its spelling.

use wide::u32x4;

/// There is no such number.
pub const MISS: u32 = u32::MAX;

const PARTS: usize = 16;

/// Entries of a bucket, which are looked at together.
const ENTRIES: usize = 4;

/// Hash to number: open addressing over buckets.
///
/// It is in parts that grow one at a time, so that no growth takes long.
#[derive(Default)]
pub struct Index([Part; PARTS]);

#[derive(Default)]
struct Part {
    /// A power of two many.
    buckets: Vec<Bucket>,
    used: usize,
}

/// Filled from the first entry on; a bucket with room ends a search.
#[derive(Clone, Copy, Default)]
struct Bucket {
    /// A part of each hash; 0 is an empty entry.
    tags: [u32; ENTRIES],
    numbers: [u32; ENTRIES],
}

impl Index {
    /// The first number with this hash that is the one, or `MISS`.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> u32 {
        let buckets = &self.0[part_of(hash)].buckets;
        let Some(mask) = buckets.len().checked_sub(1) else { return MISS };
        let tag = tag_of(hash);
        let mut at = place_of(tag);
        loop {
            let bucket = &buckets[at & mask];
            let mut found = bucket.entries_with(tag);
            while found != 0 {
                let number = bucket.numbers[found.trailing_zeros() as usize % ENTRIES];
                if is_it(number) {
                    return number;
                }
                found &= found - 1;
            }
            if bucket.has_room() {
                return MISS;
            }
            at += 1;
        }
    }

    /// Add a number, which is not `MISS`.
    pub fn insert(&mut self, hash: u64, number: u32) {
        let part = &mut self.0[part_of(hash)];
        // With half of the entries in use hardly any search goes beyond its first bucket.
        if part.used * 2 >= part.buckets.len() * ENTRIES {
            part.grow();
        }
        part.used += 1;
        part.put(tag_of(hash), number);
    }
}

impl Part {
    fn grow(&mut self) {
        let longer = vec![Bucket::default(); (self.buckets.len() * 2).max(ENTRIES)];
        for bucket in std::mem::replace(&mut self.buckets, longer) {
            for (tag, number) in bucket.tags.into_iter().zip(bucket.numbers) {
                if tag != 0 {
                    self.put(tag, number);
                }
            }
        }
    }

    fn put(&mut self, tag: u32, number: u32) {
        let mask = self.buckets.len() - 1;
        let mut at = place_of(tag) & mask;
        while !self.buckets[at].has_room() {
            at = (at + 1) & mask;
        }
        let bucket = &mut self.buckets[at];
        let free = bucket.entries_with(0).trailing_zeros() as usize;
        (bucket.tags[free], bucket.numbers[free]) = (tag, number);
    }
}

impl Bucket {
    /// One bit for every entry.
    #[inline]
    fn entries_with(&self, tag: u32) -> u32 {
        u32x4::new(self.tags).simd_eq(u32x4::splat(tag)).to_bitmask()
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.tags[ENTRIES - 1] == 0
    }
}

/// The part is chosen by bits that are not in the tag.
#[inline]
fn part_of(hash: u64) -> usize {
    (hash >> 60) as usize % PARTS
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the other half is cut off on purpose")]
fn tag_of(hash: u64) -> u32 {
    hash as u32 | 1
}

/// The bucket, before the mask; the lowest bit of every tag is the same.
#[inline]
fn place_of(tag: u32) -> usize {
    tag as usize >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_found_by_its_hash_at_any_size() {
        let mut index = Index::default();
        let hash = |number: u32| u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for number in 0..10_000 {
            assert_eq!(index.find(hash(number), |_| true), MISS);
            index.insert(hash(number), number);
            assert_eq!(index.find(hash(number / 2), |_| true), number / 2);
        }
    }

    #[test]
    fn of_several_with_one_hash_the_one_that_is_asked_for_is_found() {
        let mut index = Index::default();
        for number in 0..100 {
            index.insert(7, number);
        }
        assert_eq!(index.find(7, |number| number == 60), 60);
        assert_eq!(index.find(7, |_| false), MISS);
    }
}
