//! A mutex for a busy thread, in front of which somebody who comes seldom gets his turn.
//!
//! The mutex of the standard library can be had again at once by the thread that has just released
//! it, while the one it woke is still on its way: who asks under a flood would wait for its end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::shared::locked;

/// See above.
#[derive(Debug, Default)]
pub struct PriorityMutex<T> {
    value: Mutex<T>,
    /// Held by one who is to be next, for as long as he waits.
    next: Mutex<()>,
    waiting: AtomicUsize,
}

impl<T> PriorityMutex<T> {
    /// Nobody holds it.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), next: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// Lock, behind one who waits in `lock_first`; costs nothing more if there is none.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if self.is_awaited() {
            drop(locked(&self.next));
        }
        locked(&self.value)
    }

    /// Lock, before any thread that is only then going to `lock`.
    pub fn lock_first(&self) -> MutexGuard<'_, T> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let next = locked(&self.next);
        let value = locked(&self.value);
        drop(next);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        value
    }

    /// Whether somebody waits in `lock_first`.
    #[inline]
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::spin_loop;
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::{Duration, Instant};

    fn work(time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            spin_loop();
        }
    }

    #[test]
    fn one_who_locks_again_at_once_lets_in_who_waits() {
        let (turns, is_over) = (PriorityMutex::new(0_u64), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut turns = turns.lock();
                    *turns += 1;
                    work(Duration::from_micros(500));
                }
            });
            let mut last = 0;
            let mut passed: Vec<u64> = (0..100)
                .map(|_| {
                    let now = *turns.lock_first();
                    now - std::mem::replace(&mut last, now)
                })
                .collect();
            is_over.store(true, Ordering::Relaxed);
            passed.sort_unstable();
            // One turn is under way; another one begins if this thread is slow to ask.
            assert!(passed[50] <= 2, "turns that went by before this thread's: {passed:?}");
        });
    }

    #[test]
    fn the_holder_sees_that_somebody_waits() {
        let mutex = PriorityMutex::new(());
        let held = mutex.lock();
        assert!(!mutex.is_awaited());
        thread::scope(|scope| {
            scope.spawn(|| drop(mutex.lock_first()));
            while !mutex.is_awaited() {
                thread::yield_now();
            }
            drop(held);
        });
        assert!(!mutex.is_awaited());
    }
}
