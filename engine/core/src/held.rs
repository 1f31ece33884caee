//! What gauges hold: their last value when a slot was last sealed, and when that was written.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::metric::{Id, PAGE, page_of, place_of};
use crate::pages::Pages;

/// One gauge's last value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The value.
    pub last: f64,
    /// The monotonic time that it is of.
    pub at: f64,
}

#[derive(Clone)]
struct Page([Option<Value>; PAGE]);

/// The values of all gauges that were ever sealed.
#[derive(Clone, Default)]
pub struct Held(Pages<Option<Box<Page>>>);

impl Held {
    /// What a gauge holds, if a slot with it was sealed.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<Value> {
        let page = self.0.get(page_of(id))?;
        page.as_ref().as_ref()?.0[usize::from(place_of(id))]
    }

    /// Replace what a gauge holds; nothing, when it is forgotten.
    pub fn set(&mut self, id: Id, value: Option<Value>) {
        while self.0.len() <= page_of(id) as usize {
            self.0.push(None);
        }
        let page = self.0.get_mut(page_of(id)).expect("it was added");
        let page = page.get_or_insert_with(|| Box::new(Page([None; PAGE])));
        page.0[usize::from(place_of(id))] = value;
    }
}

/// What the deltas of the open slot apply to.
#[derive(Clone, Default)]
pub struct Bases {
    /// What gauges hold.
    pub held: Held,
    /// Gauges that got a late value after they were written in the open slot: what they held then.
    earlier: HashMap<Id, f64, RandomState>,
}

impl Bases {
    /// What the first delta of the open slot applies to.
    #[must_use]
    pub fn base(&self, id: Id) -> f64 {
        let held = || self.held.get(id).map_or(0.0, |value| value.last);
        self.earlier.get(&id).copied().unwrap_or_else(held)
    }

    /// Take a value from the past: it is what the gauge holds if nothing came after it.
    ///
    /// Where the open slot `has` the gauge already, its deltas have moved the older value.
    pub fn backfill(&mut self, id: Id, value: Value, has: bool) {
        if self.held.get(id).is_some_and(|held| value.at < held.at) {
            return;
        }
        if has {
            let base = self.base(id);
            self.earlier.entry(id).or_insert(base);
        }
        self.held.set(id, Some(value));
    }

    /// The open slot was sealed, and its values are held.
    pub fn settle(&mut self, held: Held) {
        self.held = held;
        self.earlier.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(last: f64, at: f64) -> Value {
        Value { last, at }
    }

    #[test]
    fn a_snapshot_does_not_change() {
        let mut held = Held::default();
        held.set(300, Some(value(1.0, 1.0)));
        let before = held.clone();
        held.set(300, None);
        assert_eq!((before.get(300), held.get(300)), (Some(value(1.0, 1.0)), None));
        assert_eq!(before.get(299), None);
    }

    #[test]
    fn an_older_value_than_the_held_one_changes_nothing() {
        let mut bases = Bases::default();
        bases.backfill(1, value(5.0, 20.0), false);
        bases.backfill(1, value(7.0, 10.0), false);
        assert_eq!(bases.held.get(1), Some(value(5.0, 20.0)));
        assert!((bases.base(1) - 5.0).abs() < f64::EPSILON);
    }

    #[test]
    fn deltas_that_came_before_a_late_value_moved_what_was_held_before_it() {
        let mut bases = Bases::default();
        bases.backfill(1, value(5.0, 10.0), false);
        bases.backfill(1, value(100.0, 20.0), true);
        bases.backfill(1, value(200.0, 30.0), true);
        assert!((bases.base(1) - 5.0).abs() < f64::EPSILON);
        assert_eq!(bases.held.get(1), Some(value(200.0, 30.0)));
        let held = bases.held.clone();
        bases.settle(held);
        assert!((bases.base(1) - 200.0).abs() < f64::EPSILON);
    }
}
