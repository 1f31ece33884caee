//! Which series have a name: a list through the series themselves, for every name and type.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::key::KeyRef;
use crate::keys::Keys;
use crate::metric::{Id, MetricType};
use crate::spread::Spread;

const NONE: Id = Id::MAX;

/// One name of one type.
struct Name {
    first: Id,
    /// How many of its series are no overflow series.
    owners: u32,
}

#[derive(Clone, Copy)]
struct Link {
    previous: Id,
    next: Id,
}

/// The names; the keys themselves are the caller's.
#[derive(Default)]
pub struct Names {
    hasher: RandomState,
    table: Spread<Name>,
    links: Vec<Link>,
}

impl Names {
    /// Enter a series, whose key is in `keys`; `owns` says that it is no overflow series.
    pub fn add(&mut self, id: Id, owns: bool, keys: &Keys) {
        let key = keys.get(id).expect("the caller has put it there");
        if self.links.len() <= id as usize {
            self.links.resize(id as usize + 1, Link { previous: NONE, next: NONE });
        }
        let Self { hasher, table, links } = self;
        let hash = |key: KeyRef<'_>| hasher.hash_one((key.kind(), key.name()));
        let is_it = |name: &Name| same_name(keys, name.first, key.kind(), key.name());
        let entry = table
            .entry(hash(key), is_it, |name| hash(key_of(keys, name.first)))
            .or_insert(Name { first: NONE, owners: 0 });
        let name = entry.into_mut();
        links[id as usize] = Link { previous: NONE, next: name.first };
        if name.first != NONE {
            links[name.first as usize].previous = id;
        }
        name.first = id;
        name.owners += u32::from(owns);
    }

    /// Take a series out, whose key is still in `keys`.
    pub fn remove(&mut self, id: Id, owns: bool, keys: &Keys) {
        let Link { previous, next } = self.links[id as usize];
        if previous != NONE {
            self.links[previous as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        let key = key_of(keys, id);
        let hash = self.hasher.hash_one((key.kind(), key.name()));
        let is_it = |name: &Name| same_name(keys, name.first, key.kind(), key.name());
        let mut entry = self.table.find_entry(hash, is_it).ok().expect("it was entered");
        let name = entry.get_mut();
        name.owners -= u32::from(owns);
        if name.first == id {
            name.first = next;
        }
        if name.first == NONE {
            entry.remove();
        }
    }

    /// How many series of that name are no overflow series.
    #[must_use]
    pub fn owners(&self, kind: MetricType, name: &str, keys: &Keys) -> u32 {
        self.find(kind, name, keys).map_or(0, |found| found.owners)
    }

    /// All series of that name.
    pub fn ids(&self, kind: MetricType, name: &str, keys: &Keys) -> impl Iterator<Item = Id> + '_ {
        let mut at = self.find(kind, name, keys).map_or(NONE, |found| found.first);
        std::iter::from_fn(move || {
            let id = (at != NONE).then_some(at)?;
            at = self.links[id as usize].next;
            Some(id)
        })
    }

    fn find(&self, kind: MetricType, name: &str, keys: &Keys) -> Option<&Name> {
        let is_it = |found: &Name| same_name(keys, found.first, kind, name);
        self.table.find(self.hasher.hash_one((kind, name)), is_it)
    }
}

fn key_of(keys: &Keys, id: Id) -> KeyRef<'_> {
    keys.get(id).expect("names are of series that are alive")
}

fn same_name(keys: &Keys, id: Id, kind: MetricType, name: &str) -> bool {
    keys.get(id).is_some_and(|key| key.kind() == kind && key.name() == name)
}
