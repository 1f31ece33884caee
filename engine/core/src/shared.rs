//! What all shards share, each part behind its own lock and held for a moment only.
//!
//! Locks are taken in this order, and only `past` and `table` ever together: a shard, `past`,
//! `table`; `extended` and `discarded` are taken alone.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::extended::Waiting;
use crate::open::Form;
use crate::past::Past;
use crate::routes::Generation;
use crate::table::SeriesTable;

/// Generations of routes that may wait to be freed.
const MOST_DISCARDED: usize = 4;

/// See above.
pub struct Shared {
    /// What new accumulators look like.
    pub form: Arc<Form>,
    /// Routes that one dialect of one shard may have.
    pub most_routes: usize,
    /// Counts batches and rejected lines, so that their order is known over all shards.
    pub stamp: AtomicU64,
    table: Mutex<SeriesTable>,
    past: Mutex<Past>,
    extended: Mutex<Waiting>,
    discarded: Mutex<Vec<Generation>>,
}

impl Shared {
    /// The shared parts of a new engine.
    #[must_use]
    pub fn new(form: Arc<Form>, most_routes: usize, table: SeriesTable, past: Past) -> Self {
        Self {
            form,
            most_routes,
            stamp: AtomicU64::new(1),
            table: Mutex::new(table),
            past: Mutex::new(past),
            extended: Mutex::default(),
            discarded: Mutex::default(),
        }
    }

    /// Who is alive.
    pub fn table(&self) -> MutexGuard<'_, SeriesTable> {
        locked(&self.table)
    }

    /// What was sealed.
    pub fn past(&self) -> MutexGuard<'_, Past> {
        locked(&self.past)
    }

    /// Events and service checks that wait for the next seal.
    pub fn extended(&self) -> MutexGuard<'_, Waiting> {
        locked(&self.extended)
    }

    /// Leave it to the next seal to free what takes long to free, unless too much waits for that: a
    /// sender who never repeats a spelling pays for it.
    pub fn discard(&self, routes: Generation) {
        let mut discarded = locked(&self.discarded);
        if discarded.len() < MOST_DISCARDED {
            discarded.push(routes);
        }
    }

    /// Free what was discarded.
    pub fn sweep(&self) {
        let discarded = std::mem::take(&mut *locked(&self.discarded));
        drop(discarded);
    }
}

/// Lock; a thread that panicked with the lock has left nothing that can be trusted.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread has panicked with this lock")
}
