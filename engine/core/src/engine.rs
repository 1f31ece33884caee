//! The engine: shards that take lines, and everything that is done with what they took.
//!
//! All methods may be called from any thread, and none makes others wait for long: of two seals, the
//! second one waits for the first.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use crate::accounts::{Accounts, Ledger};
use crate::held::Held;
use crate::keys::Keys;
use crate::metric::{Instant, MetricType, page_of, place_of};
use crate::open::{Form, Open};
use crate::past::Past;
use crate::reader::Reader;
use crate::rows::{Answer, Interval, Row};
use crate::seal::seal;
use crate::selector::Selector;
use crate::shard::Shard;
use crate::shared::{Shared, locked};
use crate::sketch::Indexer;
use crate::slot::Slot;
use crate::sys::{Datagram, SLACK};
use crate::table::SeriesTable;
use crate::windows::Windows;
use crate::wire::dialect::Dialect;

/// The label of the sidecar's own lines.
pub const INTERNAL: &str = "internal";

/// What an engine can be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seconds between two seals.
    pub interval: f64,
    /// Seconds, each a multiple of `interval`.
    pub windows: Vec<f64>,
    /// Series that may be alive.
    pub series_limit: usize,
    /// Seconds of silence after which a series is forgotten.
    pub series_expiry: f64,
    /// Members that a set keeps exactly.
    pub set_exact_limit: usize,
    /// Scale of new histograms.
    pub histogram_scale: i32,
}

/// Late samples that are put into the past before anybody else gets a turn.
const TOGETHER: usize = 64;

/// Reasons for which clients say that they dropped something; they choose them.
const MOST_REASONS: usize = 100;

/// Memory for the text of one `ingest` that is kept for the next.
const MOST_KEPT: usize = 1 << 20;

/// The window is longer than the longest one, which is this many seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongestWindow(pub f64);

/// See above.
pub struct Engine {
    shared: Arc<Shared>,
    started: Instant,
    interval: f64,
    /// Seals after which routes that nobody uses may go.
    turn_every: u32,
    /// Where `ingest` goes.
    own: Mutex<Own>,
    readers: Mutex<Vec<Attached>>,
    /// The books of readers that are gone, and what they sampled since the last seal.
    closed: Mutex<(Accounts, Vec<Open>)>,
    /// What clients said that they dropped, by reason.
    reported: Mutex<HashMap<String, f64>>,
    /// One seal at a time.
    sealing: Mutex<()>,
}

struct Attached {
    /// What `detach` calls it; nothing once that was called.
    id: Option<i32>,
    reader: Arc<Reader>,
}

struct Own {
    shard: Shard,
    text: Vec<u8>,
}

impl Engine {
    /// An engine whose first slot begins at `now`.
    #[must_use]
    pub fn new(now: Instant, settings: &Settings) -> Self {
        let windows = Windows::new(settings.interval, &settings.windows);
        // A series that is forgotten and comes back must not stand twice in one window.
        let expiry = settings.series_expiry.max(windows.longest());
        let form = Arc::new(Form {
            set_limit: settings.set_exact_limit,
            indexer: Indexer::new(settings.histogram_scale),
        });
        let shard = Shard::new(now.monotonic, &form);
        let table = SeriesTable::new(settings.series_limit, expiry);
        let most_routes = 2 * settings.series_limit + 1000;
        let past = Past::new(now, windows);
        Self {
            shared: Arc::new(Shared::new(form, most_routes, table, past)),
            started: now,
            interval: settings.interval,
            turn_every: turns(expiry / settings.interval),
            own: Mutex::new(Own { shard, text: Vec::new() }),
            readers: Mutex::default(),
            closed: Mutex::default(),
            reported: Mutex::default(),
            sealing: Mutex::default(),
        }
    }

    /// Start receiving on a bound datagram socket, in a thread of its own.
    ///
    /// `id` names the socket for `detach`, `label` in the ledger; several may have one label.
    ///
    /// # Errors
    ///
    /// When the socket is none, or there can be no other thread.
    pub fn attach(
        &self,
        socket: OwnedFd,
        id: i32,
        label: &str,
        dialect: Dialect,
    ) -> io::Result<()> {
        let mut readers = locked(&self.readers);
        let opened = self.shared.past().opened().monotonic;
        let reader = Reader::start(socket, label, dialect, opened, Arc::clone(&self.shared))?;
        readers.push(Attached { id: Some(id), reader: Arc::new(reader) });
        Ok(())
    }

    /// Take what the kernel still holds for a socket, then stop receiving on it.
    ///
    /// Takes about a second at most: see `Reader::stop` for what happens to the rest.
    pub fn detach(&self, id: i32) {
        let leaving = |each: &mut Attached| {
            each.id.take_if(|known| *known == id).map(|_| Arc::clone(&each.reader))
        };
        let leaving: Vec<_> = locked(&self.readers).iter_mut().filter_map(leaving).collect();
        for reader in leaving {
            reader.stop();
            self.close(&reader);
        }
    }

    /// Keep the books of a reader that has stopped, in which every line is at all times.
    fn close(&self, reader: &Arc<Reader>) {
        let mut readers = locked(&self.readers);
        readers.retain(|each| !Arc::ptr_eq(&each.reader, reader));
        let mut shard = reader.books();
        let mut closed = locked(&self.closed);
        closed.0.merge(&shard.accounts);
        closed.1.push(shard.swap(0.0, self.turn_every).0);
    }

    /// Take one datagram's worth of lines; see `vitald.aggregator.engine.Engine.ingest`.
    pub fn ingest(&self, data: &[u8], label: &str, is_cut: bool, dialect: &Dialect) {
        let mut own = locked(&self.own);
        let Own { shard, text } = &mut *own;
        let accounts = &mut shard.accounts;
        let is_internal = label == INTERNAL;
        if is_internal {
            let lines = data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
            accounts.internal_lines += lines.count() as u64;
        } else {
            let traffic = accounts.listener(label);
            if data.is_empty() && !is_cut {
                return;
            }
            traffic.datagrams += 1;
            traffic.bytes += data.len() as u64;
        }
        text.clear();
        text.extend_from_slice(data);
        text.resize(data.len() + SLACK + 1, 0);
        // The sidecar's own lines are never cut.
        let true_length = data.len() + usize::from(is_cut && !is_internal);
        let datagram = Datagram { start: 0, length: data.len(), true_length };
        shard.take(&self.shared, dialect, text, std::iter::once(datagram));
        text.shrink_to(MOST_KEPT);
    }

    /// Seal the open slot at `now`, roll the windows up, expire idle series.
    #[must_use]
    pub fn rotate(&self, now: Instant) -> Interval {
        let _one_at_a_time = locked(&self.sealing);
        let opened = self.shared.past().begin(now);
        let mut opens = self.swap(now);
        let bases = self.shared.past().bases.clone();
        let (blocks, held) = seal(&mut opens, &bases, now.monotonic, &self.shared.form);
        self.give_back(opens);
        let slot = Arc::new(Slot::new(opened, now, blocks));
        self.see(&slot);
        let keys = self.shared.table().keys();
        let mut interval = Interval::new(&slot, &keys, &held, None);
        self.report(&slot, &keys, &held);
        self.correct(&mut interval, &keys, &held);
        (interval.events, interval.service_checks) = self.shared.extended().take();
        self.shared.past().push(slot, held);
        self.roll_up(now);
        self.expire(now);
        self.add_leftovers();
        self.shared.sweep();
        interval
    }

    /// Merge the sealed slots of the last `window` seconds.
    ///
    /// # Errors
    ///
    /// When there is no window as long as that.
    pub fn query(&self, selector: Selector, window: f64) -> Result<Answer, LongestWindow> {
        let past = self.shared.past_first();
        if window > past.windows.longest() {
            return Err(LongestWindow(past.windows.longest()));
        }
        let slots = past.windows.select(window);
        let until = past.windows.newest().map_or(self.started, |slot| slot.end);
        let since = until.monotonic - window + self.interval / 2.0;
        let complete = slots.first().is_some_and(|slot| slot.start.monotonic <= since);
        let table = self.shared.table_first();
        let (keys, held) = (table.keys(), past.bases.held.clone());
        let named = selector
            .exact_names()
            .map(|names| names.iter().flat_map(|name| table.named(name)).collect());
        drop((table, past));
        Ok(Answer::new(slots, complete, &keys, &held, selector, named))
    }

    /// Account for every line up to this moment.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut all = Accounts::default();
        all.merge(&locked(&self.own).shard.accounts);
        {
            let readers = locked(&self.readers);
            all.merge(&locked(&self.closed).0);
            for Attached { reader, .. } in readers.iter() {
                all.merge(&reader.books().accounts);
            }
        }
        let mut ledger = all.ledger();
        let uncorrected = self.shared.past_first().uncorrected;
        if uncorrected > 0 {
            ledger.notes.push(("uncorrected", uncorrected));
        }
        let table = self.shared.table_first();
        ledger.series_active = table.active();
        ledger.series_limit = table.limit();
        ledger.client_reported.clone_from(&locked(&self.reported));
        ledger
    }

    /// Begin a slot in every shard; return what was sampled in the ones before.
    fn swap(&self, now: Instant) -> Vec<Open> {
        let (own, routes) = locked(&self.own).shard.swap(now.monotonic, self.turn_every);
        let mut discarded = routes;
        let mut opens = vec![own];
        for Attached { reader, .. } in locked(&self.readers).iter() {
            let (open, routes) = reader.shard().swap(now.monotonic, self.turn_every);
            discarded.extend(routes);
            opens.push(open);
        }
        opens.append(&mut locked(&self.closed).1);
        for routes in discarded {
            self.shared.discard(routes);
        }
        opens
    }

    /// Give the cleared memory to the shards it came from, as far as they are still there.
    fn give_back(&self, opens: Vec<Open>) {
        let mut opens = opens.into_iter();
        if let Some(open) = opens.next() {
            locked(&self.own).shard.give_back(open);
        }
        for (Attached { reader, .. }, open) in locked(&self.readers).iter().zip(opens) {
            reader.shard().give_back(open);
        }
    }

    /// Note which series had samples.
    fn see(&self, slot: &Slot) {
        for (page, block) in slot.blocks() {
            self.shared.table().seen(page, block.present().iter(), slot.end.monotonic);
        }
    }

    /// Enter what clients said, in this slot, that they dropped.
    fn report(&self, slot: &Arc<Slot>, keys: &Keys, held: &Held) {
        let reports = self.shared.table().reports().to_vec();
        if reports.is_empty() {
            return;
        }
        let mut reported = locked(&self.reported);
        let rows = Interval::new(slot, keys, held, Some(reports)).rows(false);
        for row in rows.flatten().filter(|row| row.key().kind() == MetricType::Counter) {
            let reason = row.key().tags().find(|&(key, _)| key == "reason").map(|(_, value)| value);
            let entry = match reason {
                Some(reason) if !reason.is_empty() => format!("dropped_{reason}"),
                _ => "dropped".to_owned(),
            };
            let is_known = reported.contains_key(&entry) || reported.len() < MOST_REASONS;
            let entry = if is_known { entry } else { "dropped".to_owned() };
            *reported.entry(entry).or_insert(0.0) += row.sum;
        }
    }

    fn correct(&self, interval: &mut Interval, keys: &Keys, held: &Held) {
        let found = self.shared.past().corrections();
        interval.corrections = found
            .slots
            .into_iter()
            .map(|(slot, ids)| Interval::new(&slot, keys, held, Some(ids)))
            .collect();
        let row = |(id, cell)| {
            let page = keys.page(page_of(id))?;
            page.get(place_of(id))?;
            Some(Row::new(page, place_of(id), cell))
        };
        interval.late = found.late.into_iter().filter_map(row).collect();
    }

    /// Merge fine slots into coarser ones, while questions are answered from the fine ones.
    fn roll_up(&self, now: Instant) {
        loop {
            let due = self.shared.past().windows.due();
            let Some(roll_up) = due else { break };
            let slot = Arc::new(Slot::merge(&roll_up.parts));
            self.shared.past().windows.finish(roll_up.level, slot);
        }
        self.shared.past().windows.trim(now.monotonic);
    }

    /// Forget idle series, a page at a time.
    fn expire(&self, now: Instant) {
        let since = self.shared.past().windows.since();
        let (horizon, pages) = {
            let table = self.shared.table();
            (table.horizon(now.monotonic, since), table.pages())
        };
        for page in 0..pages {
            let gone = self.shared.table().expire(page, horizon, now.monotonic);
            if !gone.is_empty() {
                let mut past = self.shared.past();
                for id in gone {
                    past.bases.held.set(id, None);
                }
            }
        }
    }

    /// Count timestamped samples that waited for the seal now, when no slot holds them.
    fn add_leftovers(&self) {
        let mut pending = self.shared.past().end().into_iter().peekable();
        while pending.peek().is_some() {
            let leftovers: Vec<_> = {
                let mut past = self.shared.past();
                pending.by_ref().take(TOGETHER).filter_map(|late| past.put(late)).collect()
            };
            if !leftovers.is_empty() {
                locked(&self.own).shard.add_late(&self.shared, leftovers);
            }
        }
    }
}

/// How many seals an expiry lasts.
fn turns(intervals: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let turns = intervals.ceil() as u32;
    turns.max(1)
}
