//! What all shards share, each part behind its own lock and held for a moment only.
//!
//! Locks are taken in this order, and only `past` and `table` ever together: a shard, `past`,
//! `table`; `extended`, `discarded` and `drops` are taken alone.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::extended::Waiting;
use crate::open::Form;
use crate::past::Past;
use crate::priority::PriorityMutex;
use crate::routes::Generation;
use crate::sys;
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
    table: PriorityMutex<SeriesTable>,
    past: PriorityMutex<Past>,
    extended: Mutex<Waiting>,
    discarded: Mutex<Vec<Generation>>,
    /// The kernel's count of what it dropped, by socket, when it was last asked. A socket stays when
    /// nobody reads it any more: it may come back.
    drops: Mutex<HashMap<u64, u32>>,
}

impl Shared {
    /// The shared parts of a new engine.
    #[must_use]
    pub fn new(form: Arc<Form>, most_routes: usize, table: SeriesTable, past: Past) -> Self {
        Self {
            form,
            most_routes,
            stamp: AtomicU64::new(1),
            table: PriorityMutex::new(table),
            past: PriorityMutex::new(past),
            extended: Mutex::default(),
            discarded: Mutex::default(),
            drops: Mutex::default(),
        }
    }

    /// Who is alive.
    pub fn table(&self) -> MutexGuard<'_, SeriesTable> {
        self.table.lock()
    }

    /// Who is alive, for a question: before the next line of any reader.
    pub fn table_first(&self) -> MutexGuard<'_, SeriesTable> {
        self.table.lock_first()
    }

    /// What was sealed.
    pub fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock()
    }

    /// What was sealed, for a question: before the next line of any reader.
    pub fn past_first(&self) -> MutexGuard<'_, Past> {
        self.past.lock_first()
    }

    /// Events and service checks that wait for the next seal.
    pub fn extended(&self) -> MutexGuard<'_, Waiting> {
        locked(&self.extended)
    }

    /// How many datagrams the kernel has dropped at a socket since this was last asked, by any of
    /// those who read it.
    ///
    /// # Errors
    ///
    /// When the socket cannot be asked.
    pub fn fresh_drops(&self, socket: BorrowedFd<'_>) -> io::Result<u32> {
        let cookie = sys::cookie(socket)?;
        let mut drops = locked(&self.drops);
        // Asked with the lock, so that the counts come in their order; they wrap around.
        let now = sys::drops(socket)?;
        let before = drops.insert(cookie, now).unwrap_or(0);
        Ok(now.wrapping_sub(before))
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
