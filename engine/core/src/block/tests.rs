use super::Block;
use crate::cardinality::Members;
use crate::cells::{Cell, CounterCell, GaugeCell, SetCell};
use crate::frame::{Frame, Mask};
use crate::metric::Class;
use crate::sketch::{Indexer, Sketch};

/// How many cells of a page there are.
const SIZES: [u8; 6] = [1, 2, 31, 32, 200, 255];

fn number(seed: u32) -> f64 {
    let mixed = seed.wrapping_mul(2_654_435_761) >> 8;
    let odd = [0.0, -0.0, 0.1, 1.0 / 3.0, -7.25, 1e300, 123_456_789.0, 20.086, -5e-324];
    match mixed % 3 {
        0 => f64::from(mixed % 1000),
        1 => f64::from(mixed % 100_000) / 1000.0,
        _ => odd[(mixed % 9) as usize],
    }
}

fn sketch(seed: u32) -> Sketch {
    let scale = if seed.is_multiple_of(7) { 3 } else { 6 };
    let (mut sketch, indexer) = (Sketch::new(scale), Indexer::new(scale));
    let weight = [1.0, 1.0, 10.0, 1.0 / 0.3][(seed % 4) as usize];
    for at in 0..=seed % 40 {
        sketch.insert(number(seed + at), weight, &indexer);
    }
    sketch
}

fn members(seed: u32) -> Members {
    let mut members = Members::new(20);
    (0..seed % 40).for_each(|at| members.add(&(seed / 3 + at).to_le_bytes()));
    members
}

fn cell(class: Class, seed: u32) -> Cell {
    let count = f64::from(1 + seed % 5);
    match class {
        Class::Counter => Cell::Counter(CounterCell { count, sum: number(seed) }),
        Class::Gauge => Cell::Gauge(GaugeCell {
            count,
            sum: number(seed),
            min: number(seed + 1),
            max: number(seed + 2),
            last: number(seed + 3),
            at: f64::from(seed % 3),
        }),
        Class::Sampled => Cell::Sampled(sketch(seed)),
        Class::Set => Cell::Set(SetCell { count, members: members(seed) }),
    }
}

/// What tells two cells apart, as bits.
fn facts(cell: &Cell) -> Vec<u64> {
    let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect();
    match cell {
        // A sum that was started from nothing is 0, not -0.
        Cell::Counter(cell) => bits(&[cell.count, cell.sum + 0.0]),
        Cell::Gauge(cell) => {
            bits(&[cell.count, cell.sum + 0.0, cell.min, cell.max, cell.last, cell.at])
        }
        Cell::Set(cell) => vec![cell.count.to_bits(), cell.members.count()],
        Cell::Sampled(sketch) => {
            let mut numbers = vec![sketch.count(), sketch.sum() + 0.0, sketch.min(), sketch.max()];
            numbers.extend([sketch.zero_count(), f64::from(sketch.scale())]);
            let buckets = sketch.positive().chain(sketch.negative());
            numbers.extend(buckets.flat_map(|(index, weight)| [f64::from(index), weight]));
            bits(&numbers)
        }
    }
}

fn places(size: u8) -> impl Iterator<Item = u8> {
    (0..size).map(move |at| if size < 100 { at.wrapping_mul(57) } else { at })
}

fn frame_of(class: Class, size: u8, seed: u32) -> Frame {
    let mut frame = Frame::new(class);
    for place in places(size) {
        frame.merge(place, &cell(class, seed + u32::from(place)));
    }
    frame
}

#[test]
fn every_cell_comes_back_to_the_last_bit() {
    for class in Class::ALL {
        let mut again = Frame::new(class);
        for size in SIZES {
            let frame = frame_of(class, size, 1000);
            let block = Block::seal(&frame);
            assert_eq!((block.class(), block.present()), (class, *frame.present()));
            again.clear();
            block.merge_into(&mut again, &Mask::FULL);
            assert_eq!(again.present(), frame.present());
            for place in 0..=255 {
                let cells = (again.get(place), frame.get(place));
                assert_eq!(cells.0.as_ref().map(facts), cells.1.as_ref().map(facts), "{class:?}");
            }
        }
    }
}

#[test]
fn blocks_merge_like_their_cells() {
    for class in Class::ALL {
        for (older, later) in [(1, 255), (255, 1), (200, 200), (31, 32)] {
            let seals = [(older, 5), (later, 77)].map(|(size, seed)| frame_of(class, size, seed));
            let mut merged = Frame::new(class);
            for frame in &seals {
                Block::seal(frame).merge_into(&mut merged, &Mask::FULL);
            }
            for place in 0..=255 {
                let expected = match (seals[0].get(place), seals[1].get(place)) {
                    (Some(mut older), Some(later)) => {
                        older.merge(&later);
                        Some(older)
                    }
                    (older, later) => older.or(later),
                };
                let found = merged.get(place);
                assert_eq!(found.as_ref().map(facts), expected.as_ref().map(facts), "{class:?}");
            }
        }
    }
}

#[test]
fn only_what_is_wanted_is_read() {
    for class in Class::ALL {
        for (size, wanted) in [(255, 1), (255, 30), (200, 200), (20, 9), (1, 1)] {
            let frame = frame_of(class, size, 9);
            let wanted: Mask = (0..wanted).map(|at: u8| at.wrapping_mul(5)).collect();
            let mut chosen = Frame::new(class);
            Block::seal(&frame).merge_into(&mut chosen, &wanted);
            assert_eq!(*chosen.present(), frame.present().and(&wanted));
            for place in 0..=255 {
                let expected = frame.get(place).filter(|_| wanted.contains(place));
                let found = chosen.get(place);
                assert_eq!(found.as_ref().map(facts), expected.as_ref().map(facts), "{class:?}");
            }
        }
    }
}

#[test]
fn a_frame_is_as_good_as_a_new_one_when_it_was_cleared() {
    for class in Class::ALL {
        let mut frame = frame_of(class, 255, 3);
        frame.clear();
        assert!(frame.present().is_empty() && frame.get(0).is_none());
        let one = cell(class, 8);
        frame.merge(7, &one);
        assert_eq!(frame.get(7).as_ref().map(facts), Some(facts(&one)));
    }
}

#[test]
fn a_cell_that_was_taken_is_gone() {
    for class in Class::ALL {
        let mut frame = frame_of(class, 200, 3);
        let expected = frame.get(5).as_ref().map(facts);
        assert_eq!(frame.take(5).as_ref().map(facts), expected);
        assert!(frame.take(5).is_none() && frame.get(5).is_none());
        let one = cell(class, 8);
        frame.merge(5, &one);
        assert_eq!(frame.get(5).as_ref().map(facts), Some(facts(&one)));
    }
}

#[test]
fn a_sum_over_many_blocks_is_rounded_once() {
    let mut frame = Frame::new(Class::Counter);
    frame.add_counter(0, CounterCell { count: 1.0, sum: 0.1 });
    let block = Block::seal(&frame);
    frame.clear();
    (0..10).for_each(|_| block.merge_into(&mut frame, &Mask::FULL));
    let Some(Cell::Counter(cell)) = frame.get(0) else { panic!("a counter") };
    assert_eq!(cell, CounterCell { count: 10.0, sum: 1.0 });
}

#[test]
fn blocks_are_as_small_as_they_are_promised_to_be() {
    let mut counters = Frame::new(Class::Counter);
    (0..=255).for_each(|place| {
        let value = f64::from(place);
        counters.add_counter(place, CounterCell { count: value + 9.0, sum: 1e6 + value * 200.0 });
    });
    assert!(Block::seal(&counters).bytes() < 4 * 256);
    let mut timers = Frame::new(Class::Sampled);
    (0..=255_u8).for_each(|place| {
        let (mut sketch, indexer) = (Sketch::new(6), Indexer::new(6));
        (0..10).for_each(|at| sketch.insert((f64::from(at) * 0.7).exp() / 3.0, 1.0, &indexer));
        timers.add_sketch(place, &sketch);
    });
    assert!(Block::seal(&timers).bytes() < 60 * 256);
    for class in Class::ALL {
        assert!(Block::seal(&frame_of(class, 1, 2)).bytes() < 100);
    }
}

/// The cells of late samples, in the order in which they came.
fn late(class: Class) -> impl Iterator<Item = (u8, Cell)> {
    (0..100_u32).map(move |at| ((at * 91 % 60).to_le_bytes()[0] * 4, cell(class, at * 37)))
}

#[test]
fn late_cells_are_read_as_if_the_block_was_sealed_after_each() {
    for class in Class::ALL {
        let mut block = Block::seal(&frame_of(class, 200, 9));
        let mut resealed = block.clone();
        for (place, cell) in late(class) {
            block.add(place, &cell);
            let mut frame = Frame::new(class);
            resealed.merge_into(&mut frame, &Mask::FULL);
            frame.merge(place, &cell);
            resealed = Block::seal(&frame);
            assert_eq!(block.present(), resealed.present());
            for wanted in [Mask::FULL, late(class).take(3).map(|(place, _)| place).collect()] {
                let [mut found, mut expected] = [(); 2].map(|()| frame_of(class, 10, 3));
                block.merge_into(&mut found, &wanted);
                resealed.merge_into(&mut expected, &wanted);
                for place in 0..=255 {
                    let cells = [found.get(place), expected.get(place)];
                    assert_eq!(cells[0].as_ref().map(facts), cells[1].as_ref().map(facts));
                }
            }
        }
    }
}

#[test]
fn the_bytes_are_written_once_for_many_late_cells() {
    for class in [Class::Counter, Class::Gauge] {
        let mut block = Block::seal(&frame_of(class, 200, 9));
        let (mut bytes, mut writes) = (block.sealed.clone(), 0);
        for (place, cell) in late(class) {
            block.add(place, &cell);
            writes += u32::from(block.sealed != bytes);
            bytes.clone_from(&block.sealed);
        }
        assert_eq!(writes, 3);
    }
}

#[test]
fn what_waits_for_a_block_takes_no_more_than_a_page() {
    let mut block = Block::seal(&frame_of(Class::Counter, 1, 9));
    let most = (0..1000).map(|_| {
        block.add(7, &cell(Class::Counter, 3));
        block.bytes()
    });
    assert!(most.max().unwrap() < 4 * 256);
}
