//! The keys of all series, in pages.
//!
//! Rows are made from a snapshot of them, without any lock. The keys of a page are one piece of memory, so that
//! going through all of them is as fast as reading.

use std::sync::Arc;

use crate::key::KeyRef;
use crate::metric::{Class, Id, PAGE, page_of, place_of};
use crate::pages::Pages;

/// The keys of one page.
#[derive(Clone)]
pub struct KeyPage {
    class: Class,
    /// Start and length in `bytes`; no key has the length 0.
    places: [(u32, u32); PAGE],
    bytes: Vec<u8>,
}

impl KeyPage {
    fn new(class: Class) -> Self {
        Self { class, places: [(0, 0); PAGE], bytes: Vec::new() }
    }

    /// What the cells of all series of this page look like.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The key in a place.
    #[must_use]
    pub fn get(&self, place: u8) -> Option<KeyRef<'_>> {
        let (start, length) = self.places[usize::from(place)];
        let (start, length) = (start as usize, length as usize);
        (length > 0).then(|| KeyRef::from_bytes(&self.bytes[start..start + length]))
    }

    /// Put a key into a place; the bytes of the one before are left behind for a while.
    fn set(&mut self, place: u8, key: Option<KeyRef<'_>>) {
        let bytes = key.map_or(&[][..], KeyRef::as_bytes);
        self.places[usize::from(place)] = (0, 0);
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.make_room(bytes.len());
        }
        let offset = |at: usize| u32::try_from(at).expect("keys are shorter than 64 KiB each");
        self.places[usize::from(place)] = (offset(self.bytes.len()), offset(bytes.len()));
        self.bytes.extend_from_slice(bytes);
    }

    /// Move the keys that are left together, with room for some more.
    fn make_room(&mut self, more: usize) {
        let used: usize = self.places.iter().map(|&(_, length)| length as usize).sum();
        let mut bytes = Vec::with_capacity(used + more.max(used / 4));
        for (start, length) in &mut self.places {
            let begin = *start as usize;
            let moved = &self.bytes[begin..begin + *length as usize];
            *start = u32::try_from(bytes.len()).expect("it does not grow");
            bytes.extend_from_slice(moved);
        }
        self.bytes = bytes;
    }
}

/// All keys at one moment, by page.
#[derive(Clone, Default)]
pub struct Keys(Pages<KeyPage>);

impl Keys {
    /// The page of that number.
    #[must_use]
    pub fn page(&self, page: u32) -> Option<&Arc<KeyPage>> {
        self.0.get(page)
    }

    /// The key of a series.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<KeyRef<'_>> {
        self.page(page_of(id))?.get(place_of(id))
    }

    /// How many pages there are.
    #[must_use]
    pub fn pages(&self) -> u32 {
        u32::try_from(self.0.len()).expect("ids are u32")
    }

    /// Replace the key of a series; its page must be there.
    pub fn set(&mut self, id: Id, key: Option<KeyRef<'_>>) {
        let page = self.0.get_mut(page_of(id)).expect("it was added");
        page.set(place_of(id), key);
    }

    /// Append a page, and return its number.
    pub fn add_page(&mut self, class: Class) -> u32 {
        self.0.push(KeyPage::new(class));
        self.pages() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::metric::MetricType;

    #[test]
    fn every_key_stays_what_it_is_whatever_comes_and_goes() {
        let mut keys = Keys::default();
        keys.add_page(Class::Counter);
        let key = |round: u32, place: u8| {
            let length = (u32::from(place) * 7 + round * 13) % 90;
            Key::new(MetricType::Counter, &"n".repeat(length as usize), &[("round", "x")])
        };
        for round in 0..20 {
            for place in 0..=u8::MAX {
                let is_gone = (u32::from(place) + round) % 3 == 0;
                keys.set(place.into(), (!is_gone).then_some(key(round, place).get()));
            }
            for place in 0..=u8::MAX {
                let is_gone = (u32::from(place) + round) % 3 == 0;
                let expected = key(round, place);
                assert_eq!(keys.get(place.into()), (!is_gone).then_some(expected.get()));
            }
        }
        let used: usize =
            keys.page(0).unwrap().places.iter().map(|&(_, length)| length as usize).sum();
        assert!(keys.page(0).unwrap().bytes.capacity() < 3 * used);
    }
}
