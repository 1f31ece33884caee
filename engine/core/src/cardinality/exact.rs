//! A set of short byte strings in one piece of memory.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Distinct members of at most 255 bytes.
///
/// All of them stand in `bytes` one after another, each behind its length, and the table holds
/// where: no member has an allocation of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Exact {
    bytes: Vec<u8>,
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Exact {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Add a member; say whether it is new. There is room for at least 66 million.
    #[inline]
    pub(super) fn insert(&mut self, member: &[u8]) -> bool {
        let Ok(place) = u32::try_from(self.bytes.len()) else { return false };
        let bytes = &self.bytes;
        let entry = self.places.entry(
            self.hasher.hash_one(member),
            |&place| at(bytes, place) == member,
            |&place| self.hasher.hash_one(at(bytes, place)),
        );
        let Entry::Vacant(vacant) = entry else { return false };
        vacant.insert(place);
        self.append(member);
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> + '_ {
        let mut place = 0;
        std::iter::from_fn(move || {
            let length = usize::from(*self.bytes.get(place)?);
            let member = &self.bytes[place + 1..=place + length];
            place += 1 + length;
            Some(member)
        })
    }

    /// All members, each behind its length.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forget all members, and keep about as much memory as they needed.
    pub(super) fn clear(&mut self) {
        let used = (self.bytes.len(), self.places.len());
        self.bytes.clear();
        self.bytes.shrink_to(2 * used.0);
        self.places.clear();
        self.places.shrink_to(2 * used.1, |_| 0);
    }

    fn append(&mut self, member: &[u8]) {
        self.bytes.push(u8::try_from(member.len()).expect("long members are digests"));
        self.bytes.extend_from_slice(member);
    }
}

#[inline]
fn at(bytes: &[u8], place: u32) -> &[u8] {
    let place = place as usize;
    &bytes[place + 1..=place + usize::from(bytes[place])]
}
