use std::sync::Arc;

use super::Answer;
use crate::block::Block;
use crate::cardinality::Members;
use crate::frame::Frame;
use crate::held::Held;
use crate::key::Key;
use crate::metric::{Class, Instant, MetricType, PAGE};
use crate::selector::Selector;
use crate::sketch::{Indexer, Sketch};
use crate::slot::Slot;
use crate::table::SeriesTable;

const SLOTS: u32 = 10;
const PAGES: u32 = 2;

fn at(slot: u32) -> Instant {
    let time = f64::from(slot) * 10.0;
    Instant { wall: time, monotonic: time }
}

/// A histogram of so many buckets.
fn sketch(buckets: u32) -> Sketch {
    let (mut sketch, indexer) = (Sketch::new(6), Indexer::new(6));
    (0..buckets).for_each(|bucket| sketch.add_bucket(bucket.cast_signed(), false, 3.0));
    sketch.insert(1.0, f64::from(buckets), &indexer);
    sketch
}

fn members(count: u32) -> Members {
    let mut members = Members::new(1000);
    (0..count).for_each(|member| members.add(format!("member-{member}").as_bytes()));
    members
}

/// Slots with the same block for each page.
fn slots(block: &Arc<Block>) -> Vec<Arc<Slot>> {
    let blocks: Vec<_> = (0..PAGES).map(|page| (page, Arc::clone(block))).collect();
    let slot = |number| Arc::new(Slot::new(at(number), at(number + 1), blocks.clone()));
    (0..SLOTS).map(slot).collect()
}

/// The numbers in the names of an answer's rows, batch by batch.
fn batches(kind: MetricType, frame: &Frame) -> Vec<Vec<usize>> {
    let mut table = SeriesTable::new(10_000, 3600.0);
    for number in 0..PAGES as usize * PAGE {
        table.get(&Key::new(kind, &number.to_string(), &[]), 0.0);
    }
    let slots = slots(&Arc::new(Block::seal(frame)));
    let selector = Selector::new(&[], &[], &[]);
    let answer = Answer::new(slots, true, &table.keys(), &Held::default(), selector, None);
    let number = |row: super::Row| row.key().name().parse().unwrap();
    answer.rows().map(|batch| batch.into_iter().map(number).collect()).collect()
}

fn assert_all_in_order(batches: &[Vec<usize>]) {
    let numbers: Vec<_> = batches.iter().flatten().copied().collect();
    assert_eq!(numbers, (0..PAGES as usize * PAGE).collect::<Vec<_>>());
}

#[test]
fn a_batch_of_small_histograms_has_several_pages() {
    let mut frame = Frame::new(Class::Sampled);
    (0..=u8::MAX).for_each(|place| frame.add_sketch(place, &sketch(5)));
    let batches = batches(MetricType::Timer, &frame);
    assert_all_in_order(&batches);
    assert_eq!(batches.len(), 1);
}

#[test]
fn a_batch_of_large_histograms_ends_inside_a_page() {
    let mut frame = Frame::new(Class::Sampled);
    (0..=u8::MAX).for_each(|place| frame.add_sketch(place, &sketch(850)));
    let batches = batches(MetricType::Timer, &frame);
    assert_all_in_order(&batches);
    assert!(batches.iter().all(|batch| (1..200).contains(&batch.len())));
}

#[test]
fn a_batch_of_large_sets_ends_inside_a_page() {
    let mut frame = Frame::new(Class::Set);
    let members = members(900);
    (0..=u8::MAX).for_each(|place| frame.add_set(place, 900.0, &members));
    let batches = batches(MetricType::Set, &frame);
    assert_all_in_order(&batches);
    assert!(batches.iter().all(|batch| (1..40).contains(&batch.len())));
}

#[test]
fn a_few_large_histograms_leave_the_small_ones_together() {
    let mut frame = Frame::new(Class::Sampled);
    let buckets = |place| if place % 128 == 100 { 2000 } else { 1 };
    (0..=u8::MAX).for_each(|place| frame.add_sketch(place, &sketch(buckets(place))));
    let batches = batches(MetricType::Timer, &frame);
    assert_all_in_order(&batches);
    assert_eq!(batches.len(), 1);
}
