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

use crate::cut::Cut;
use crate::index::{Index, MISS};
use crate::metric::{Class, Id};
use crate::spelling::{Print, Spelling, SpellingHasher};

/// A longer spelling gets no route: their memory must not be the sender's choice.
pub const LONGEST_SPELLING: usize = 512;

/// More routes than this are not all in a core's own cache.
const LARGE: usize = 8192;

/// Routes that lie in one piece of memory.
const PIECE: usize = 1024;

/// Where the values of one spelling go.
///
/// One line of a cache: all that a line of a known spelling needs to find its accumulator.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Route {
    /// Tells whether it is the route of a spelling.
    pub print: Print,
    /// The form of the series' cells.
    pub class: Class,
    /// Where the series is in an open slot.
    pub place: u32,
    /// The open slot that `place` is about.
    pub epoch: u32,
    /// The sample rate, in (0, 1].
    pub rate: f64,
}

/// The series that a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Which.
    pub id: Id,
    /// Says, with the id, that it is still the same one.
    pub generation: u32,
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

    /// Hashes the prints of spellings; senders cannot predict how.
    #[inline]
    #[must_use]
    pub fn hasher(&self) -> &SpellingHasher {
        &self.hasher
    }

    /// The hash of a spelling.
    #[must_use]
    pub fn hash(&self, spelling: Spelling<'_>, print: &Print) -> u64 {
        let hash = self.hasher.hash(print);
        if print.has_rest() { self.hasher.hash_rest(hash, spelling) } else { hash }
    }

    /// Find the candidates of many lines, so that they wait for memory at the same time.
    #[inline]
    pub fn look_ahead(&self, cuts: &mut [Cut]) {
        for cut in &mut *cuts {
            cut.candidate = self.candidate(cut.hash);
        }
        if self.is_large() {
            let candidates = cuts.iter().map(|cut| cut.candidate).filter(|&at| at != MISS);
            // One after the other, they arrive hardly later than the first one alone would.
            candidates.for_each(|candidate| _ = black_box(self.current.at(candidate).epoch));
        }
    }

    /// A route that probably is the one of the spelling with this hash, or `MISS`.
    ///
    /// Looks at the index alone.
    #[inline]
    #[must_use]
    pub fn candidate(&self, hash: u64) -> u32 {
        self.current.index.find(hash, |_| true)
    }

    /// Whether there are so many that most of them are in no cache.
    #[inline]
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.current.origins.len() > LARGE
    }

    /// The route of a line that was looked ahead for, or `MISS`.
    #[inline]
    pub fn find(&mut self, cut: &Cut, text: &[u8]) -> u32 {
        let Cut { candidate, print, hash, .. } = cut;
        if *candidate != MISS
            && self.current.at(*candidate).print == *print
            && (!print.has_rest()
                || self.current.has_rest_of(*candidate, cut.spelling(text), print))
        {
            return *candidate;
        }
        self.find_elsewhere(*hash, cut.spelling(text), print)
    }

    #[cold]
    fn find_elsewhere(&mut self, hash: u64, spelling: Spelling<'_>, print: &Print) -> u32 {
        let found = self.current.find(hash, spelling, print);
        if found != MISS {
            return found;
        }
        let found = self.previous.find(hash, spelling, print);
        if found == MISS {
            return MISS;
        }
        let series = self.previous.origins[found as usize].series;
        self.current.add(hash, spelling, *self.previous.at(found), series)
    }

    /// The route at a number that `find` gave.
    #[inline]
    pub fn at(&mut self, number: u32) -> &mut Route {
        self.current.at_mut(number)
    }

    /// The series of the route at a number that `find` gave.
    #[must_use]
    pub fn series(&self, number: u32) -> Series {
        self.current.origins[number as usize].series
    }

    /// Remember the route of a spelling, in place of an older one; not when there is no room.
    pub fn learn(&mut self, spelling: Spelling<'_>, route: Route, series: Series) {
        let hash = self.hash(spelling, &route.print);
        let known = self.find_elsewhere(hash, spelling, &route.print);
        if known != MISS {
            *self.at(known) = route;
            self.current.origins[known as usize].series = series;
        } else if !self.is_full() && spelling.length() <= LONGEST_SPELLING {
            self.current.add(hash, spelling, route, series);
        }
    }

    /// Whether it is time to `turn`.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.current.origins.len() >= self.most
    }

    /// Begin a generation; numbers of routes are void. Returns what to drop, which may take long.
    #[must_use]
    pub fn turn(&mut self) -> Generation {
        let current = std::mem::take(&mut self.current);
        std::mem::replace(&mut self.previous, current)
    }
}

/// Routes of one age.
#[derive(Default)]
pub struct Generation {
    index: Index,
    /// In pieces: to move all of them into a larger one would take long.
    routes: Vec<Vec<Route>>,
    /// By the number of the route.
    origins: Vec<Origin>,
    rests: Vec<u8>,
}

/// What is rarely needed of a route.
#[derive(Clone, Copy)]
struct Origin {
    series: Series,
    /// Where in `rests` is what the print does not have.
    rest: u32,
}

impl Generation {
    #[inline]
    fn at(&self, number: u32) -> &Route {
        &self.routes[number as usize / PIECE][number as usize % PIECE]
    }

    #[inline]
    fn at_mut(&mut self, number: u32) -> &mut Route {
        &mut self.routes[number as usize / PIECE][number as usize % PIECE]
    }

    #[inline]
    fn is_route_of(&self, number: u32, spelling: Spelling<'_>, print: &Print) -> bool {
        self.at(number).print == *print
            && (!print.has_rest() || self.has_rest_of(number, spelling, print))
    }

    fn has_rest_of(&self, number: u32, spelling: Spelling<'_>, print: &Print) -> bool {
        let start = self.origins[number as usize].rest as usize;
        let (name, suffix) = print.rest_lengths();
        let (name_rest, suffix_rest) = spelling.rest();
        let known = &self.rests[start..start + name + suffix];
        // Most often one of them is empty, and then it is not worth a call.
        (name == 0 || known[..name] == *name_rest) && (suffix == 0 || known[name..] == *suffix_rest)
    }

    fn find(&self, hash: u64, spelling: Spelling<'_>, print: &Print) -> u32 {
        self.index.find(hash, |number| self.is_route_of(number, spelling, print))
    }

    fn add(&mut self, hash: u64, spelling: Spelling<'_>, route: Route, series: Series) -> u32 {
        let (Ok(rest), Ok(number)) =
            (u32::try_from(self.rests.len()), u32::try_from(self.origins.len()))
        else {
            return MISS; // four gigabytes of spellings
        };
        let (name, suffix) = spelling.rest();
        self.rests.extend_from_slice(name);
        self.rests.extend_from_slice(suffix);
        if self.origins.len().is_multiple_of(PIECE) {
            self.routes.push(Vec::with_capacity(PIECE));
        }
        self.routes[number as usize / PIECE].push(route);
        self.origins.push(Origin { series, rest });
        self.index.insert(hash, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling<'a>(name: &'a str, suffix: &'a str) -> Spelling<'a> {
        Spelling { name: name.as_bytes(), suffix: suffix.as_bytes() }
    }

    fn learn(routes: &mut Routes, spelling: Spelling<'_>, id: Id) {
        let print = spelling.print();
        let route = Route { print, class: Class::Counter, place: 0, epoch: 0, rate: 1.0 };
        routes.learn(spelling, route, Series { id, generation: 0 });
    }

    fn look(routes: &mut Routes, spelling: Spelling<'_>) -> Option<Id> {
        let print = spelling.print();
        let found = routes.find_elsewhere(routes.hash(spelling, &print), spelling, &print);
        (found != MISS).then(|| routes.series(found).id)
    }

    #[test]
    fn a_route_is_one_line_of_a_cache() {
        assert_eq!(size_of::<Route>(), 64);
    }

    #[test]
    fn spellings_that_differ_in_what_no_print_has_are_two() {
        let mut routes = Routes::new(10);
        let fill = "x".repeat(40);
        let names = [format!("{fill}a"), format!("{fill}b")];
        learn(&mut routes, spelling(&names[0], "c"), 1);
        learn(&mut routes, spelling(&names[1], "c"), 2);
        learn(&mut routes, spelling("a", "c|#tag:one"), 3);
        learn(&mut routes, spelling("a", "c|#tag:two"), 4);
        assert_eq!(look(&mut routes, spelling(&names[0], "c")), Some(1));
        assert_eq!(look(&mut routes, spelling(&names[1], "c")), Some(2));
        assert_eq!(look(&mut routes, spelling("a", "c|#tag:one")), Some(3));
        assert_eq!(look(&mut routes, spelling("a", "c|#tag:two")), Some(4));
        assert_eq!(look(&mut routes, spelling("a", "c|#tag:six")), None);
    }

    #[test]
    fn every_spelling_finds_its_own_route() {
        let mut routes = Routes::new(100_000);
        let names: Vec<String> = (0..20_000).map(|number| format!("name{number}")).collect();
        for (id, name) in (0..).zip(&names) {
            learn(&mut routes, spelling(name, "c"), id);
        }
        for (id, name) in (0..).zip(&names) {
            assert_eq!(look(&mut routes, spelling(name, "c")), Some(id));
            assert_eq!(look(&mut routes, spelling(name, "g")), None);
        }
    }

    #[test]
    fn a_letter_that_moves_from_the_name_to_the_suffix_makes_another_spelling() {
        let mut routes = Routes::new(10);
        learn(&mut routes, spelling("ab", "c"), 1);
        assert_eq!(look(&mut routes, spelling("a", "bc")), None);
    }

    #[test]
    fn what_is_learnt_again_replaces_the_older_route() {
        let mut routes = Routes::new(1);
        learn(&mut routes, spelling("a", "c"), 1);
        learn(&mut routes, spelling("a", "c"), 2);
        assert_eq!(look(&mut routes, spelling("a", "c")), Some(2));
    }

    #[test]
    fn only_what_is_used_survives_two_turns() {
        let mut routes = Routes::new(10);
        learn(&mut routes, spelling("used", "c"), 1);
        learn(&mut routes, spelling("idle", "c"), 2);
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
            learn(&mut routes, spelling(name, "c"), id);
        }
        assert!(routes.is_full());
        assert_eq!(look(&mut routes, spelling("c", "c")), None);
        drop(routes.turn());
        learn(&mut routes, spelling("c", "c"), 2);
        assert_eq!(look(&mut routes, spelling("c", "c")), Some(2));
    }

    #[test]
    fn a_spelling_that_is_too_long_gets_no_route() {
        let mut routes = Routes::new(2);
        let long = "x".repeat(LONGEST_SPELLING);
        learn(&mut routes, spelling(&long, "c"), 1);
        assert_eq!(look(&mut routes, spelling(&long, "c")), None);
        learn(&mut routes, spelling(&long, ""), 1);
        assert_eq!(look(&mut routes, spelling(&long, "")), Some(1));
    }
}
