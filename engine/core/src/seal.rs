//! Sealing: what all shards sampled becomes one block a page.

use std::sync::Arc;

use crate::block::Block;
use crate::cells::{CounterCell, GaugeCell};
use crate::frame::Frame;
use crate::held::{Bases, Held, Value};
use crate::metric::{Class, Id, page_of, place_of};
use crate::open::{Form, Open, OpenGauge};

/// The blocks of a slot, by page.
pub type Blocks = Vec<(u32, Arc<Block>)>;

/// Seal what the shards sampled until `at` (monotonic seconds), and clear it.
///
/// Returns the blocks, and what all gauges hold then.
#[must_use]
pub fn seal(opens: &mut [Open], bases: &Bases, at: f64, form: &Form) -> (Blocks, Held) {
    let mut blocks = counters(opens);
    blocks.extend(samples(opens, form));
    blocks.extend(sets(opens));
    let (gauges, held) = gauges(opens, bases, at);
    blocks.extend(gauges);
    blocks.sort_unstable_by_key(|&(page, _)| page);
    opens.iter_mut().for_each(Open::clear);
    (blocks, held)
}

/// Make a block of every page: `add` puts one accumulator into the frame of its page.
///
/// One frame is enough for all pages, because they are made one after the other.
fn by_page<T>(
    class: Class,
    accumulators: impl Iterator<Item = T>,
    id: impl Fn(&T) -> Id,
    mut add: impl FnMut(&mut Frame, u8, T),
) -> Blocks {
    let mut sorted: Vec<(u32, T)> = accumulators.map(|each| (page_of(id(&each)), each)).collect();
    sorted.sort_by_key(|&(page, _)| page);
    let mut frame = Frame::new(class);
    let mut blocks = Blocks::new();
    let mut each = sorted.into_iter().peekable();
    while let Some((page, accumulator)) = each.next() {
        let place = place_of(id(&accumulator));
        add(&mut frame, place, accumulator);
        if each.peek().is_none_or(|&(next, _)| next != page) {
            blocks.push((page, Arc::new(Block::seal(&frame))));
            frame.clear();
        }
    }
    blocks
}

fn counters(opens: &[Open]) -> Blocks {
    let counters = opens.iter().flat_map(|open| &open.counters).filter(|each| each.count > 0.0);
    by_page(
        Class::Counter,
        counters,
        |each| each.id,
        |frame, place, each| {
            frame.add_counter(place, CounterCell { count: each.count, sum: each.sum.value() });
        },
    )
}

fn samples(opens: &mut [Open], form: &Form) -> Blocks {
    let samples = opens.iter_mut().flat_map(|open| &mut open.samples);
    let samples = samples.filter(|each| !each.is_empty());
    by_page(
        Class::Sampled,
        samples,
        |each| each.id,
        |frame, place, each| {
            frame.add_sketch(place, &each.take(form));
        },
    )
}

fn sets(opens: &[Open]) -> Blocks {
    let sets = opens.iter().flat_map(|open| &open.sets).filter(|each| each.count > 0.0);
    by_page(
        Class::Set,
        sets,
        |each| each.id,
        |frame, place, each| {
            frame.add_set(place, each.count, &each.members);
        },
    )
}

/// A gauge that several shards wrote is what the last one of them left.
fn gauges(opens: &[Open], bases: &Bases, at: f64) -> (Blocks, Held) {
    let gauges = opens.iter().flat_map(|open| &open.gauges);
    let mut gauges: Vec<&OpenGauge> = gauges.filter(|each| !each.is_empty()).collect();
    if opens.iter().filter(|open| !open.gauges.is_empty()).count() > 1 {
        gauges.sort_by_key(|gauge| (gauge.id, gauge.stamp));
    }
    let mut held = bases.held.clone();
    let mut before = None;
    let blocks = by_page(
        Class::Gauge,
        gauges.into_iter(),
        |each| each.id,
        |frame, place, each| {
            let base = match before {
                Some((id, last)) if id == each.id => last,
                _ => bases.base(each.id),
            };
            let cell = cell(each, base, at);
            before = Some((each.id, cell.last));
            held.set(each.id, Some(Value { last: cell.last, at }));
            frame.add_gauge(place, &cell);
        },
    );
    (blocks, held)
}

/// Put the levels that are relative where they belong: on `base`.
fn cell(gauge: &OpenGauge, base: f64, at: f64) -> GaugeCell {
    let OpenGauge { moved, written, level, is_absolute, .. } = gauge;
    let mut cell = GaugeCell {
        count: written.count,
        sum: written.sum.value(),
        min: written.min,
        max: written.max,
        last: if *is_absolute { *level } else { base + level },
        at,
    };
    if moved.count > 0.0 {
        cell.count += moved.count;
        cell.sum += moved.count * base + moved.sum.value();
        cell.min = cell.min.min(base + moved.min);
        cell.max = cell.max.max(base + moved.max);
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::Indexer;

    fn form() -> Arc<Form> {
        Arc::new(Form { set_limit: 10, indexer: Indexer::new(6) })
    }

    /// One shard's slot in which gauge 7 got these values: (value, is a delta, stamp).
    fn open(values: &[(f64, bool, u64)]) -> Open {
        let mut open = Open::new(form());
        for &(value, is_delta, stamp) in values {
            let place = open.place(7, Class::Gauge);
            open.stamp = stamp;
            open.add(Class::Gauge, place, value, 1.0, is_delta);
        }
        open
    }

    fn last(opens: &mut [Open], base: f64) -> f64 {
        let mut bases = Bases::default();
        bases.backfill(7, Value { last: base, at: 0.0 }, false);
        seal(opens, &bases, 10.0, &form()).1.get(7).unwrap().last
    }

    #[test]
    fn deltas_of_several_shards_add_up_on_what_was_held() {
        let mut opens = [open(&[(2.0, true, 1)]), open(&[(-5.0, true, 2)])];
        assert!((last(&mut opens, 10.0) - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_last_shard_to_write_a_gauge_has_the_last_word() {
        for stamps in [[1, 2], [2, 1]] {
            let mut opens = stamps.map(|stamp| open(&[(stamp as f64, false, stamp)]));
            assert!((last(&mut opens, 0.0) - 2.0).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn levels_in_front_of_the_first_value_are_relative_to_what_was_held() {
        let values = [(1.0, true, 1), (-4.0, true, 2), (100.0, false, 3), (5.0, true, 4)];
        let mut bases = Bases::default();
        bases.backfill(7, Value { last: 10.0, at: 0.0 }, false);
        let open = open(&values);
        let cell = cell(&open.gauges[0], 10.0, 10.0);
        assert_eq!(
            [cell.count, cell.sum, cell.min, cell.max, cell.last],
            [4.0, 223.0, 7.0, 105.0, 105.0]
        );
    }

    #[test]
    fn what_was_sealed_is_gone() {
        let mut opens = [open(&[(1.0, false, 1)])];
        let (blocks, _) = seal(&mut opens, &Bases::default(), 10.0, &form());
        assert_eq!(blocks.len(), 1);
        assert!(opens[0].gauges.is_empty() && !opens[0].has_gauge(7));
    }
}
