use std::sync::Arc;

use super::Windows;
use crate::block::Block;
use crate::cells::{Cell, CounterCell};
use crate::frame::{Frame, Mask};
use crate::metric::{Class, Id, Instant};
use crate::slot::Slot;

const SERIES: Id = 3;
const STARTED: f64 = 50.0;
/// The windows where nothing else is configured, in seconds.
const USUAL: [f64; 5] = [10.0, 60.0, 300.0, 900.0, 3600.0];

fn one() -> Cell {
    Cell::Counter(CounterCell { count: 1.0, sum: 1.0 })
}

/// A slot in which one series has one sample.
fn slot(start: Instant, end: Instant) -> Arc<Slot> {
    let mut frame = Frame::new(Class::Counter);
    frame.merge(3, &one());
    Arc::new(Slot::new(start, end, vec![(0, Arc::new(Block::seal(&frame)))]))
}

fn tick(at: u32) -> Arc<Slot> {
    let start = f64::from(at) * 10.0;
    let instant = |time| Instant { wall: time, monotonic: time };
    slot(instant(start), instant(start + 10.0))
}

/// Push, and roll up; `meanwhile` looks at the windows before every step.
fn push(windows: &mut Windows, slot: Arc<Slot>, mut meanwhile: impl FnMut(&mut Windows)) {
    let end = slot.end.monotonic;
    windows.push(slot);
    meanwhile(windows);
    while let Some(due) = windows.due() {
        meanwhile(windows);
        windows.finish(due.level, Arc::new(Slot::merge(&due.parts)));
        meanwhile(windows);
    }
    windows.trim(end);
    meanwhile(windows);
}

fn ticked(count: u32) -> Windows {
    let mut windows = Windows::new(10.0, &USUAL);
    (0..count).for_each(|at| push(&mut windows, tick(at), |_| ()));
    windows
}

fn samples(slots: &[Arc<Slot>]) -> f64 {
    let mut frame = Frame::new(Class::Counter);
    Slot::merge_page(slots, 0, &Mask::FULL, &mut frame);
    let Some(Cell::Counter(cell)) = frame.get(3) else { return 0.0 };
    cell.count
}

fn assert_gapless(slots: &[Arc<Slot>]) {
    for pair in slots.windows(2) {
        assert_eq!(pair[0].end.monotonic.to_bits(), pair[1].start.monotonic.to_bits());
    }
}

fn assert_equal(one: f64, other: f64) {
    assert_eq!(one.to_bits(), other.to_bits(), "{one} is not {other}");
}

struct Random(u32);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % limit
    }
}

/// Push slots of odd lengths while the wall clock is stepped now and then.
fn check_random_ticks(random: &mut Random, interval: f64, multiples: &[f64]) {
    let wanted: Vec<f64> = multiples.iter().map(|multiple| interval * multiple).collect();
    let mut windows = Windows::new(interval, &wanted);
    let (mut wall, mut monotonic) = (1_700_000_000.0, STARTED);
    for total in 1..=250 {
        let start = Instant { wall, monotonic };
        let length = interval
            * match random.below(40) {
                0 => 0.01,
                1 => 40.0,
                usual => 0.9 + f64::from(usual) / 200.0,
            };
        let steps = [-500.0, 500.0, 0.4, -0.4];
        let step = steps.get(random.below(24) as usize).copied().unwrap_or(0.0);
        monotonic += length;
        wall += length + step;
        push(&mut windows, slot(start, Instant { wall, monotonic }), |windows| {
            for &window in &wanted {
                let slots = windows.select(window);
                assert_equal(slots[slots.len() - 1].end.monotonic, monotonic);
                assert_gapless(&slots);
                let covered = monotonic - slots[0].start.monotonic;
                assert!(covered >= (window - interval / 2.0).min(monotonic - STARTED) - 1e-6);
                assert!(samples(&slots) <= f64::from(total));
            }
        });
    }
}

#[test]
fn a_window_is_a_run_of_slots_without_gap_or_overlap() {
    let mut random = Random(1);
    for interval in [1.0, 2.0, 10.0, 30.0] {
        for multiples in [
            [1.0, 6.0, 30.0, 90.0, 360.0].as_slice(),
            &[720.0],
            &[60.0, 1.0],
            &[6.0, 90.0, 360.0, 720.0],
            &[30.0],
        ] {
            check_random_ticks(&mut random, interval, multiples);
        }
    }
}

#[test]
fn every_sample_is_in_a_window_once() {
    let windows = ticked(400);
    for (window, longest) in [(10.0, 10.0), (60.0, 60.0), (300.0, 300.0), (900.0, 960.0)] {
        let slots = windows.select(window);
        let length = 4000.0 - slots[0].start.monotonic;
        assert!((window..=longest).contains(&length));
        assert_equal(samples(&slots) * 10.0, length);
    }
}

#[test]
fn memory_is_bounded_by_the_retention() {
    for count in [1, 7, 300, 2000] {
        for level in &ticked(count).levels {
            assert!(level.slots.len() as f64 <= level.retention / level.resolution + 2.0);
        }
    }
}

#[test]
fn a_wall_time_is_found_as_long_as_a_slot_holds_it() {
    let windows = ticked(400);
    for (wall, length) in [(3999.0, 10.0), (3700.0, 10.0), (3650.0, 60.0), (2900.0, 300.0)] {
        let holding = windows.holding(wall).unwrap();
        assert!(holding.start.wall <= wall && wall < holding.end.wall);
        assert_equal(holding.end.monotonic - holding.start.monotonic, length);
        assert_eq!(holding.is_finest, length < 60.0);
    }
    assert_eq!(windows.holding(4000.0), None);
    assert_eq!(windows.holding(-1.0), None);
}

#[test]
fn a_late_sample_is_in_every_window_that_holds_its_time() {
    let mut windows = ticked(400);
    let selected = windows.select(3600.0);
    let before = [300.0, 900.0, 3600.0].map(|window| samples(&windows.select(window)));
    for (wall, more) in [(3755.0, [1.0, 1.0, 1.0]), (3650.0, [1.0, 2.0, 2.0])] {
        assert!(windows.add_late(wall, SERIES, &one()));
        let after = [300.0, 900.0, 3600.0].map(|window| samples(&windows.select(window)));
        for at in 0..3 {
            assert_equal(after[at], before[at] + more[at]);
        }
    }
    assert_equal(samples(&selected), before[2]);
    assert!(!windows.add_late(9999.0, SERIES, &one()));
}

#[test]
fn a_late_sample_that_comes_while_its_slot_is_merged_is_in_the_coarse_one() {
    let mut windows = Windows::new(10.0, &USUAL);
    let mut late = 0.0;
    for at in 0..60 {
        push(&mut windows, tick(at), |windows| {
            if windows.under_way.is_some() {
                assert!(windows.add_late(f64::from(at) * 10.0, SERIES, &one()));
                late += 1.0;
            }
        });
    }
    assert!(late > 10.0);
    for level in &windows.levels[1..] {
        let slots: Vec<_> = level.slots.iter().cloned().collect();
        assert_equal(samples(&slots), 60.0 + late);
    }
}

#[test]
fn a_wall_clock_that_is_set_back_again_and_again_leaves_no_gap() {
    let mut windows = Windows::new(10.0, &USUAL);
    for at in 0..1000 {
        let wall = 10_000.0 + f64::from(at % 3 * 10); // never reaches a minute
        let monotonic = f64::from(at) * 10.0;
        let end = Instant { wall: wall + 10.0, monotonic: monotonic + 10.0 };
        push(&mut windows, slot(Instant { wall, monotonic }, end), |_| ());
    }
    let slots = windows.select(3600.0);
    assert_gapless(&slots);
    assert!(slots[slots.len() - 1].end.monotonic - slots[0].start.monotonic >= 3600.0);
}

#[test]
fn a_late_sample_reaches_the_coarse_slot_although_its_labels_were_moved() {
    let mut windows = Windows::new(10.0, &USUAL);
    for at in 0..12 {
        let step = |is_later| if is_later { -3600.0 } else { 0.0 };
        let monotonic = f64::from(at) * 10.0;
        let start = Instant { wall: 36_000.0 + monotonic + step(at > 2), monotonic };
        let end = Instant { wall: start.wall + 10.0 + step(at == 2), monotonic: monotonic + 10.0 };
        push(&mut windows, slot(start, end), |_| ());
    }
    let holding = windows.holding(36_005.0).unwrap();
    assert_equal(holding.end.monotonic - holding.start.monotonic, 10.0);
    let samples_of = |windows: &Windows| {
        let of_level = |level: usize| {
            samples(&windows.levels[level].slots.iter().cloned().collect::<Vec<_>>())
        };
        [0, 1, 2].map(of_level)
    };
    let before = samples_of(&windows);
    assert!(windows.add_late(36_005.0, SERIES, &one()));
    for (after, before) in samples_of(&windows).into_iter().zip(before) {
        assert_equal(after, before + 1.0);
    }
}

#[test]
fn without_slots_there_is_nothing_to_say() {
    let mut windows = Windows::new(10.0, &USUAL);
    assert!(windows.newest().is_none() && windows.due().is_none());
    assert!(windows.select(60.0).is_empty() && windows.since() > f64::MAX);
    assert_equal(windows.longest(), 3600.0);
    assert_equal(windows.interval(), 10.0);
}

#[test]
fn a_slot_of_no_length_that_crosses_a_boundary_is_rolled_up_once() {
    let mut windows = Windows::new(10.0, &[10.0, 3600.0]);
    let at = |wall: f64| Instant { wall, monotonic: 50.0 };
    for (start, end) in [(0.0, 3600.0), (3600.0, 7200.0)] {
        windows.push(Arc::new(Slot::new(at(start), at(end), Vec::new())));
        let mut rolled_up = 0;
        while let Some(due) = windows.due() {
            windows.finish(due.level, Arc::new(Slot::merge(&due.parts)));
            rolled_up += 1;
        }
        assert!(rolled_up <= 1);
    }
}
