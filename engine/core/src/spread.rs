//! A hash table in parts that grow one at a time, so that no insertion takes long.

use hashbrown::HashTable;
use hashbrown::hash_table::{AbsentEntry, Entry, OccupiedEntry};

const PARTS: usize = 64;

/// See above; hashes are the caller's, and all their bits must count.
#[derive(Clone, Debug)]
pub struct Spread<T>(Box<[HashTable<T>]>);

impl<T> Default for Spread<T> {
    fn default() -> Self {
        Self((0..PARTS).map(|_| HashTable::new()).collect())
    }
}

impl<T> Spread<T> {
    /// The item with this hash that is the one.
    pub fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        self.0[part_of(hash)].find(hash, is_it)
    }

    /// The entry of an item that is there, to change it or take it out.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn find_entry(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&T) -> bool,
    ) -> Result<OccupiedEntry<'_, T>, AbsentEntry<'_, T>> {
        self.0[part_of(hash)].find_entry(hash, is_it)
    }

    /// The entry of an item that may be there.
    pub fn entry(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&T) -> bool,
        hasher: impl Fn(&T) -> u64,
    ) -> Entry<'_, T> {
        self.0[part_of(hash)].entry(hash, is_it, hasher)
    }

    /// Put in an item that is not there.
    pub fn insert_unique(&mut self, hash: u64, item: T, hasher: impl Fn(&T) -> u64) {
        self.0[part_of(hash)].insert_unique(hash, item, hasher);
    }

    /// Forget all items, but keep the memory.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(HashTable::clear);
    }
}

/// Hash tables place by the lowest bits and compare by the highest ones: these are neither.
fn part_of(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use foldhash::fast::RandomState;

    use super::*;

    #[test]
    fn every_item_is_found_until_it_is_taken_out() {
        let hasher = RandomState::default();
        let hash = |item: &u32| hasher.hash_one(item);
        let mut spread = Spread::default();
        for item in 0..10_000_u32 {
            spread.insert_unique(hash(&item), item, hash);
        }
        for item in (0..10_000).step_by(2) {
            let entry = spread.find_entry(hash(&item), |&other| other == item);
            assert_eq!(entry.expect("it was put in").remove().0, item);
        }
        for item in 0..10_000 {
            let found = spread.find(hash(&item), |&other| other == item);
            assert_eq!(found.is_some(), item % 2 == 1);
        }
        assert!(spread.0.iter().all(|part| part.len() < 2 * 5000 / PARTS));
        spread.clear();
        assert!(spread.0.iter().all(HashTable::is_empty));
    }
}
