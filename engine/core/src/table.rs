//! The series table: who is alive, how many may be, and where the rest goes.
//!
//! Ids are given out in pages of one class each.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::key::{Key, KeyRef, KeyWriter};
use crate::keys::Keys;
use crate::metric::{Class, Id, MetricType, PAGE, id_of, page_of, place_of};
use crate::names::Names;
use crate::spread::Spread;

/// Where lines go whose name is unknown when there is no room for another series.
pub const OVERFLOW_NAME: &str = "vitald.overflow";

/// The counter in which clients say what they dropped.
pub const CLIENT_DROPPED: &str = "vitald.client.dropped";

/// What is known of a series beside its key.
#[derive(Clone, Copy)]
struct Record {
    /// Monotonic seconds: when it surely still had samples.
    last_seen: f64,
    /// When the open slot began in which a line found it; whether there are samples is known later.
    touched: f64,
    /// How often this id was given away before.
    generation: u32,
    is_overflow: bool,
}

/// A series that was found or made for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The series.
    pub id: Id,
    /// Says, with the id, that it is still the same series.
    pub generation: u32,
    /// Whether it is an overflow series, and not the key's own.
    pub is_overflowed: bool,
}

/// At most `limit` series, and one overflow series a known name beside them.
///
/// A new series past the limit is folded into `name{overflow=true}` when its name is known with its
/// type, else into `vitald.overflow` of its type: the totals over a name and over everything stay
/// exact while memory stays bounded.
pub struct SeriesTable {
    limit: usize,
    expiry: f64,
    hasher: RandomState,
    ids: Spread<Id>,
    names: Names,
    keys: Keys,
    records: Vec<[Record; PAGE]>,
    /// By class: places that can be given out, the next one last.
    free: [Vec<Id>; Class::ALL.len()],
    active: usize,
    reports: Vec<Id>,
    writer: KeyWriter,
}

impl SeriesTable {
    /// An empty table; `expiry` is in seconds.
    #[must_use]
    pub fn new(limit: usize, expiry: f64) -> Self {
        Self {
            limit,
            expiry,
            hasher: RandomState::default(),
            ids: Spread::default(),
            names: Names::default(),
            keys: Keys::default(),
            records: Vec::new(),
            free: Default::default(),
            active: 0,
            reports: Vec::new(),
            writer: KeyWriter::default(),
        }
    }

    /// How many series are alive, without overflow series.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active
    }

    /// How many may be.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many pages there are.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.keys.pages()
    }

    /// All keys as they are now.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// The series in which clients say what they dropped.
    #[must_use]
    pub fn reports(&self) -> &[Id] {
        &self.reports
    }

    /// The ids of all series of that name, of any type.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<Id> {
        let of_kind = |kind| self.names.ids(kind, name, &self.keys);
        MetricType::ALL.into_iter().flat_map(of_kind).collect()
    }

    /// Return the series of `key`, new if need be; an overflow series at the limit.
    ///
    /// It is then in use at `now` (monotonic seconds).
    pub fn get(&mut self, key: &Key, now: f64) -> Found {
        let key = key.get();
        let id = self.find(key).unwrap_or_else(|| {
            if self.active < self.limit {
                self.add(key, now, false)
            } else {
                self.overflow_for(key, now)
            }
        });
        let is_overflowed = self.keys.get(id) != Some(key);
        let record = self.record(id);
        record.last_seen = record.last_seen.max(now);
        Found { id, generation: record.generation, is_overflowed }
    }

    /// Say that the slot that began at `opened` may have samples of a series, which is not to be
    /// forgotten before that is known; and whether it is still the same series.
    pub fn touch(&mut self, id: Id, generation: u32, opened: f64) -> bool {
        let record = self.record(id);
        if record.generation != generation {
            return false;
        }
        record.touched = opened;
        true
    }

    /// Say that a slot was sealed at `now` with samples of these places of a page.
    pub fn seen(&mut self, page: u32, places: impl Iterator<Item = u8>, now: f64) {
        let records = &mut self.records[page as usize];
        for place in places {
            records[usize::from(place)].last_seen = now;
        }
    }

    /// Forget the series of one page that had no sample since `horizon`, and that the slot which
    /// began at `opened` has not touched; return them.
    ///
    /// Page by page, so that nobody waits long for the table.
    pub fn expire(&mut self, page: u32, horizon: f64, opened: f64) -> Vec<Id> {
        let is_idle = |record: &Record| record.last_seen < horizon && record.touched < opened;
        let records = &self.records[page as usize];
        let idle: Vec<Id> = (0..=u8::MAX)
            .filter(|&place| is_idle(&records[usize::from(place)]))
            .map(|place| id_of(page, place))
            .filter(|&id| self.keys.get(id).is_some())
            .collect();
        if idle.is_empty() {
            return idle;
        }
        for &id in &idle {
            self.remove(id);
        }
        let keys = &self.keys;
        self.reports.retain(|&report| keys.get(report).is_some());
        idle
    }

    /// The moment before which a series must have been idle to be forgotten.
    ///
    /// A series that slots since `held_since` may hold stays: if it was forgotten and came back, it
    /// would stand twice in one answer.
    #[must_use]
    pub fn horizon(&self, now: f64, held_since: f64) -> f64 {
        (now - self.expiry).min(held_since)
    }

    fn find(&self, key: KeyRef<'_>) -> Option<Id> {
        let is_it = |&id: &Id| self.keys.get(id) == Some(key);
        self.ids.find(self.hasher.hash_one(key), is_it).copied()
    }

    fn record(&mut self, id: Id) -> &mut Record {
        &mut self.records[page_of(id) as usize][usize::from(place_of(id))]
    }

    fn overflow_for(&mut self, key: KeyRef<'_>, now: f64) -> Id {
        let kind = key.kind();
        if self.names.owners(kind, key.name(), &self.keys) > 0 {
            self.writer.start(kind, key.name());
            self.writer.tag("overflow", "true");
        } else {
            self.writer.start(kind, OVERFLOW_NAME);
        }
        let folded = Key::from_bytes(self.writer.bytes());
        self.find(folded.get()).unwrap_or_else(|| self.add(folded.get(), now, true))
    }

    fn add(&mut self, key: KeyRef<'_>, now: f64, is_overflow: bool) -> Id {
        let class = key.kind().class();
        if self.free[class as usize].is_empty() {
            self.add_page(class);
        }
        let id = self.free[class as usize].pop().expect("a page was added");
        if key.name() == CLIENT_DROPPED && !is_overflow {
            self.reports.push(id);
        }
        self.keys.set(id, Some(key));
        let record = self.record(id);
        (record.last_seen, record.touched, record.is_overflow) = (now, now, is_overflow);
        self.active += usize::from(!is_overflow);
        self.names.add(id, !is_overflow, &self.keys);
        let Self { ids, keys, hasher, .. } = self;
        let hash = |&id: &Id| hasher.hash_one(keys.get(id).expect("it is alive"));
        ids.insert_unique(hash(&id), id, hash);
        id
    }

    fn add_page(&mut self, class: Class) {
        let page = self.keys.add_page(class);
        self.records.push(
            [Record { last_seen: 0.0, touched: 0.0, generation: 0, is_overflow: false }; PAGE],
        );
        self.free[class as usize].extend((0..=u8::MAX).rev().map(|place| id_of(page, place)));
    }

    fn remove(&mut self, id: Id) {
        let is_overflow = self.record(id).is_overflow;
        self.names.remove(id, !is_overflow, &self.keys);
        let key = self.keys.get(id).expect("it is alive");
        let class = key.kind().class();
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.ids.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.keys.set(id, None);
        self.record(id).generation += 1;
        self.active -= usize::from(!is_overflow);
        self.free[class as usize].push(id);
    }
}

#[cfg(test)]
mod tests;
