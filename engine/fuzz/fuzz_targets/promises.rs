//! What is true of all rows.

use std::collections::HashMap;

use vitald_core::metric::Class;
use vitald_core::rows::Row;
use vitald_core::sketch::Sketch;

/// Occupied buckets of one side at most, at any scale that can still be lowered.
const MAX_BUCKETS: usize = 2048;
const MIN_SCALE: i32 = -1;

/// How many samples every series had.
pub type Samples = HashMap<Vec<u8>, f64>;

/// Look at every row of some batches; return how many samples each has.
pub fn samples_in(batches: impl Iterator<Item = Vec<Row>>) -> Samples {
    let mut samples = Samples::new();
    for batch in batches {
        assert!(batch.len() <= 1000);
        for row in &batch {
            assert_row(row);
            let before = samples.insert(row.key().as_bytes().to_vec(), row.count);
            assert!(before.is_none(), "a series stands twice in one answer");
        }
    }
    samples
}

/// Look at one row.
pub fn assert_row(row: &Row) {
    let class = row.key().kind().class();
    assert!(row.count >= 0.0 && row.count.is_finite());
    assert_eq!(row.last.is_some(), class == Class::Gauge);
    assert_eq!(row.unique.is_some(), class == Class::Set);
    assert_eq!(row.histogram.is_some(), class == Class::Sampled);
    let is_measured = matches!(class, Class::Gauge | Class::Sampled) && row.count > 0.0;
    assert_eq!((row.min.is_some(), row.max.is_some()), (is_measured, is_measured));
    if let (Some(min), Some(max)) = (row.min, row.max) {
        assert!(min <= max || min.is_nan() || max.is_nan());
    }
    if let Some(histogram) = &row.histogram {
        assert_histogram(row, histogram);
    }
}

fn assert_histogram(row: &Row, histogram: &Sketch) {
    assert!(histogram.scale() >= MIN_SCALE);
    let (mut buckets, mut weight) = ([0, 0], histogram.zero_count());
    for (side, count) in histogram.positive().map(|(_, count)| (0, count)) {
        buckets[side] += 1;
        weight += count;
    }
    for (side, count) in histogram.negative().map(|(_, count)| (1, count)) {
        buckets[side] += 1;
        weight += count;
    }
    assert!(histogram.scale() == MIN_SCALE || buckets.iter().all(|side| *side <= MAX_BUCKETS));
    assert!((weight - row.count).abs() <= 1e-9 * row.count);
    let quantiles = histogram.quantiles(&[0.0, 0.1, 0.5, 0.9, 1.0]);
    let quantiles: Vec<f64> = quantiles.into_iter().flatten().collect();
    assert_eq!(quantiles.len(), 5);
    assert!(quantiles.is_sorted());
    assert_eq!((Some(quantiles[0]), Some(quantiles[4])), (row.min, row.max));
}
