//! The fast path: spellings that were seen before.
//!
//! A route stands for all lines with the same name and the same text behind the value. They differ
//! in the value alone, so they belong to one series with one rate, and nothing but the value is
//! parsed. Routes are a cache: any of them may be forgotten, and is learnt again from its next line.
//!
//! They live in two generations. What is used moves from the previous one into the current one; when
//! it is time, the current one becomes the previous one and what was left there is dropped as a
//! whole. So what nobody uses goes away, no step takes long, and memory has a bound.

use std::hint::black_box;

use crate::metric::{Class, Id};
use crate::spelling::SpellingHasher;

/// A longer spelling gets no route: their memory must not be the sender's choice.
pub const LONGEST_SPELLING: usize = 512;

/// More routes than this are not all in a core's own cache.
const LARGE: usize = 8192;

/// There is no such route.
pub const MISS: u32 = u32::MAX;

/// Where the values of one spelling go.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The series.
    pub id: Id,
    /// Says, with the id, that it is still the same series.
    pub generation: u32,
    /// The open slot that `place` is about.
    pub epoch: u32,
    /// Where the series is in that open slot.
    pub place: u32,
    /// The sample rate, in (0, 1].
    pub rate: f64,
    /// The form of the series' cells.
    pub class: Class,
}

/// What tells one line from another: the text in front of the value and the text behind it.
#[derive(Clone, Copy)]
pub struct Spelling<'a> {
    /// Up to the first colon.
    pub name: &'a [u8],
    /// From behind the first bar.
    pub suffix: &'a [u8],
}

/// Some `most` routes at most, and as many of the generation before.
pub struct Routes {
    most: usize,
    hasher: SpellingHasher,
    current: Generation,
    previous: Generation,
}

impl Routes {
    /// No routes yet.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let hasher = SpellingHasher::default();
        Self { most, hasher, current: Generation::default(), previous: Generation::default() }
    }

    /// The hash of a spelling; senders cannot predict it.
    #[inline]
    #[must_use]
    pub fn hash(&self, spelling: Spelling<'_>) -> u64 {
        self.hasher.hash(spelling.name, spelling.suffix)
    }

    /// A route that probably is the one of the spelling with this hash, or `MISS`.
    ///
    /// Touches the index alone, so that many of these can wait for memory at the same time.
    #[inline]
    #[must_use]
    pub fn candidate(&self, hash: u64) -> u32 {
        self.current.index.find(hash, |_| true)
    }

    /// Whether there are so many that most of them are in no cache.
    #[inline]
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.current.routes.len() > LARGE
    }

    /// Bring a route into the cache; to touch many, one after the other, takes hardly longer.
    #[inline]
    pub fn touch(&self, number: u32) {
        black_box(self.current.routes[number as usize].0.start);
    }

    /// Bring the spelling of a route into the cache.
    #[inline]
    pub fn touch_spelling(&self, number: u32) {
        black_box(self.current.spellings[self.current.routes[number as usize].0.start as usize]);
    }

    /// The route of a spelling, or `MISS`; `candidate` is where to look first.
    #[inline]
    pub fn find(&mut self, hash: u64, spelling: Spelling<'_>, candidate: u32) -> u32 {
        if candidate != MISS && self.current.is_route_of(candidate, spelling) {
            return candidate;
        }
        self.find_elsewhere(hash, spelling)
    }

    #[cold]
    fn find_elsewhere(&mut self, hash: u64, spelling: Spelling<'_>) -> u32 {
        let found = self.current.find(hash, spelling);
        if found != MISS {
            return found;
        }
        let found = self.previous.find(hash, spelling);
        if found == MISS {
            return MISS;
        }
        self.current.add(hash, spelling, self.previous.routes[found as usize].1)
    }

    /// The route at a number that `find` gave.
    #[inline]
    pub fn at(&mut self, number: u32) -> &mut Route {
        &mut self.current.routes[number as usize].1
    }

    /// Remember the route of a spelling, in place of an older one; not when there is no room.
    pub fn learn(&mut self, spelling: Spelling<'_>, route: Route) {
        let hash = self.hash(spelling);
        let known = self.find_elsewhere(hash, spelling);
        if known != MISS {
            *self.at(known) = route;
        } else if !self.is_full() && spelling.length() <= LONGEST_SPELLING {
            self.current.add(hash, spelling, route);
        }
    }

    /// Whether it is time to `turn`.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.current.routes.len() >= self.most
    }

    /// Begin a generation; numbers of routes are void. Returns what to drop, which may take long.
    #[must_use]
    pub fn turn(&mut self) -> Generation {
        let current = std::mem::take(&mut self.current);
        std::mem::replace(&mut self.previous, current)
    }
}

impl Spelling<'_> {
    fn length(&self) -> usize {
        self.name.len() + self.suffix.len()
    }
}

/// Routes of one age.
#[derive(Default)]
pub struct Generation {
    index: Index,
    routes: Vec<(Place, Route)>,
    spellings: Vec<u8>,
}

/// Where a spelling is in `spellings`: the name, then the suffix.
#[derive(Clone, Copy)]
struct Place {
    start: u32,
    name: u16,
    suffix: u16,
}

impl Generation {
    #[inline]
    fn is_route_of(&self, number: u32, spelling: Spelling<'_>) -> bool {
        let place = self.routes[number as usize].0;
        let start = place.start as usize;
        let (name, suffix) = (usize::from(place.name), usize::from(place.suffix));
        name == spelling.name.len()
            && suffix == spelling.suffix.len()
            && self.spellings[start..start + name] == *spelling.name
            && self.spellings[start + name..start + name + suffix] == *spelling.suffix
    }

    fn find(&self, hash: u64, spelling: Spelling<'_>) -> u32 {
        self.index.find(hash, |number| self.is_route_of(number, spelling))
    }

    fn add(&mut self, hash: u64, spelling: Spelling<'_>, route: Route) -> u32 {
        let (Ok(start), Ok(number)) =
            (u32::try_from(self.spellings.len()), u32::try_from(self.routes.len()))
        else {
            return MISS; // four gigabytes of spellings
        };
        let length = |text: &[u8]| u16::try_from(text.len()).expect("LONGEST_SPELLING is less");
        let place = Place { start, name: length(spelling.name), suffix: length(spelling.suffix) };
        self.spellings.extend_from_slice(spelling.name);
        self.spellings.extend_from_slice(spelling.suffix);
        self.routes.push((place, route));
        self.index.insert(hash, number);
        number
    }
}

/// Hash to number: open addressing over entries of eight bytes, half of it a part of the hash.
///
/// It is in parts that grow one at a time, so that no growth takes long.
#[derive(Default)]
struct Index([Part; PARTS]);

const PARTS: usize = 16;

#[derive(Default)]
struct Part {
    /// The hash's low half above, the number plus one below; 0 is empty. A power of two long.
    entries: Vec<u64>,
    used: usize,
}

impl Index {
    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> u32 {
        let entries = &self.0[part_of(hash)].entries;
        let Some(mask) = entries.len().checked_sub(1) else { return MISS };
        let tag = low_half(hash);
        let mut at = tag as usize & mask;
        loop {
            let entry = entries[at & mask];
            if entry == 0 {
                return MISS;
            }
            let number = low_half(entry) - 1;
            if low_half(entry >> 32) == tag && is_it(number) {
                return number;
            }
            at += 1;
        }
    }

    fn insert(&mut self, hash: u64, number: u32) {
        let part = &mut self.0[part_of(hash)];
        if part.used * 4 >= part.entries.len() * 3 {
            part.grow();
        }
        part.used += 1;
        part.put(u64::from(low_half(hash)) << 32 | u64::from(number + 1));
    }
}

impl Part {
    fn grow(&mut self) {
        let longer = vec![0; (self.entries.len() * 2).max(16)];
        for entry in std::mem::replace(&mut self.entries, longer) {
            if entry != 0 {
                self.put(entry);
            }
        }
    }

    fn put(&mut self, entry: u64) {
        let mask = self.entries.len() - 1;
        let mut at = low_half(entry >> 32) as usize & mask;
        while self.entries[at] != 0 {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }
}

/// The part is chosen by bits that the place in it is not chosen by.
#[inline]
fn part_of(hash: u64) -> usize {
    (hash >> 60) as usize % PARTS
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the other half is cut off on purpose")]
fn low_half(bits: u64) -> u32 {
    bits as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling<'a>(name: &'a str, suffix: &'a str) -> Spelling<'a> {
        Spelling { name: name.as_bytes(), suffix: suffix.as_bytes() }
    }

    fn route(id: Id) -> Route {
        Route { id, generation: 0, epoch: 0, place: 0, rate: 1.0, class: Class::Counter }
    }

    fn look(routes: &mut Routes, spelling: Spelling<'_>) -> Option<Id> {
        let hash = routes.hash(spelling);
        let candidate = routes.candidate(hash);
        let found = routes.find(hash, spelling, candidate);
        (found != MISS).then(|| routes.at(found).id)
    }

    #[test]
    fn every_spelling_finds_its_own_route() {
        let mut routes = Routes::new(100_000);
        let names: Vec<String> = (0..20_000).map(|number| format!("name{number}")).collect();
        for (id, name) in (0..).zip(&names) {
            routes.learn(spelling(name, "c"), route(id));
        }
        for (id, name) in (0..).zip(&names) {
            assert_eq!(look(&mut routes, spelling(name, "c")), Some(id));
            assert_eq!(look(&mut routes, spelling(name, "g")), None);
        }
    }

    #[test]
    fn a_letter_that_moves_from_the_name_to_the_suffix_makes_another_spelling() {
        let mut routes = Routes::new(10);
        routes.learn(spelling("ab", "c"), route(1));
        assert_eq!(look(&mut routes, spelling("a", "bc")), None);
    }

    #[test]
    fn what_is_learnt_again_replaces_the_older_route() {
        let mut routes = Routes::new(1);
        routes.learn(spelling("a", "c"), route(1));
        routes.learn(spelling("a", "c"), route(2));
        assert_eq!(look(&mut routes, spelling("a", "c")), Some(2));
    }

    #[test]
    fn only_what_is_used_survives_two_turns() {
        let mut routes = Routes::new(10);
        routes.learn(spelling("used", "c"), route(1));
        routes.learn(spelling("idle", "c"), route(2));
        for _ in 0..2 {
            drop(routes.turn());
            assert_eq!(look(&mut routes, spelling("used", "c")), Some(1));
        }
        assert_eq!(look(&mut routes, spelling("idle", "c")), None);
    }

    #[test]
    fn no_more_than_most_are_learnt_until_the_turn() {
        let mut routes = Routes::new(2);
        for (id, name) in (0..).zip(["a", "b", "c"]) {
            routes.learn(spelling(name, "c"), route(id));
        }
        assert!(routes.is_full());
        assert_eq!(look(&mut routes, spelling("c", "c")), None);
        drop(routes.turn());
        routes.learn(spelling("c", "c"), route(2));
        assert_eq!(look(&mut routes, spelling("c", "c")), Some(2));
    }

    #[test]
    fn a_spelling_that_is_too_long_gets_no_route() {
        let mut routes = Routes::new(2);
        let long = "x".repeat(LONGEST_SPELLING);
        routes.learn(spelling(&long, "c"), route(1));
        assert_eq!(look(&mut routes, spelling(&long, "c")), None);
        routes.learn(spelling(&long, ""), route(1));
        assert_eq!(look(&mut routes, spelling(&long, "")), Some(1));
    }
}
