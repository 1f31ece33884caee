use super::{DEFAULT_SCALE, Indexer, MAX_BUCKETS, MIN_SCALE, Sketch};

const FRACTIONS: [f64; 10] = [0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 11) as f64 / 2.0_f64.powi(53)
    }

    fn values(&mut self, count: usize, magnitudes: f64) -> Vec<f64> {
        (0..count)
            .map(|_| {
                let value = ((self.next() - 0.5) * 2.0 * magnitudes).exp2();
                match self.next() {
                    sign if sign < 0.2 => -value,
                    sign if sign < 0.25 => 0.0,
                    _ => value,
                }
            })
            .collect()
    }
}

fn sketch_of(values: &[f64], weight: f64, scale: i32) -> Sketch {
    let (mut sketch, indexer) = (Sketch::new(scale), Indexer::new(scale));
    for &value in values {
        sketch.insert(value, weight, &indexer);
    }
    sketch
}

fn plain(values: &[f64]) -> Sketch {
    sketch_of(values, 1.0, DEFAULT_SCALE)
}

fn assert_same(one: &Sketch, other: &Sketch) {
    assert_eq!(one.scale(), other.scale());
    assert!(one.positive().eq(other.positive()));
    assert!(one.negative().eq(other.negative()));
    let facts = |sketch: &Sketch| {
        [sketch.count(), sketch.min(), sketch.max(), sketch.zero_count()].map(f64::to_bits)
    };
    assert_eq!(facts(one), facts(other));
    assert!((one.sum() - other.sum()).abs() <= 1e-12 * one.sum().abs().max(other.sum().abs()));
}

fn close(answer: Option<f64>, truth: f64, bound: f64) -> bool {
    (answer.unwrap() - truth).abs() <= bound * truth.abs()
}

#[test]
fn every_quantile_is_within_the_bound_of_the_raw_samples() {
    for magnitudes in [0.01, 1.0, 8.0, 15.0] {
        let mut values = Random(7).values(20_000, magnitudes);
        let sketch = plain(&values);
        let answers = sketch.quantiles(&FRACTIONS);
        values.sort_by(f64::total_cmp);
        for (fraction, answer) in FRACTIONS.into_iter().zip(answers) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
            let rank = (fraction * 20_000.0 * (1.0 - 1e-12)).ceil() as usize;
            assert!(close(answer, values[rank.saturating_sub(1)], 0.0055), "{fraction}");
        }
    }
}

#[test]
fn merging_equals_inserting_the_union() {
    for (count, magnitudes) in [(1, 1.0), (10, 3.0), (300, 2.0), (300, 900.0), (4000, 30.0)] {
        let mut random = Random(11);
        let (left, right) = (random.values(count, magnitudes), random.values(count, magnitudes));
        let mut merged = plain(&left);
        merged.merge(&plain(&right));
        assert_same(&merged, &plain(&[left, right].concat()));
    }
}

#[test]
fn a_weight_counts_a_sample_that_many_times() {
    let weighted = sketch_of(&[1.0, 2.0, -3.0, 0.0], 10.0, 6);
    let copies = [[1.0; 10], [2.0; 10], [-3.0; 10], [0.0; 10]].concat();
    assert_same(&weighted, &plain(&copies));
    assert_eq!(weighted.quantiles(&FRACTIONS), plain(&copies).quantiles(&FRACTIONS));
}

#[test]
fn an_empty_histogram_has_no_quantiles() {
    assert_eq!(Sketch::new(6).quantiles(&[0.5, 0.99]), [None, None]);
    assert!(Sketch::new(6).is_empty());
}

#[test]
fn the_widest_range_of_doubles_stays_bounded_and_says_what_it_costs() {
    let values: Vec<f64> =
        (0..60_000).map(|at| (f64::from(at) / 60_000.0 * 2045.0 - 1022.0).exp2()).collect();
    let sketch = plain(&values);
    assert!(sketch.positive.len() <= MAX_BUCKETS);
    assert!(sketch.scale() < DEFAULT_SCALE && sketch.scale() >= MIN_SCALE);
    let median = sketch.quantiles(&[0.5])[0];
    assert!(close(median, values[29_999], sketch.relative_error() * (1.0 + 1e-9)));
}

#[test]
fn histograms_of_different_scales_merge_to_the_coarser_one() {
    for (mine, theirs) in [(3, 6), (6, 3)] {
        let mut merged = sketch_of(&[1.5, 3.0, -2.0], 1.0, mine);
        merged.merge(&sketch_of(&[1.6, 100.0, -9.0], 1.0, theirs));
        assert_same(&merged, &sketch_of(&[1.5, 3.0, -2.0, 1.6, 100.0, -9.0], 1.0, 3));
    }
}

#[test]
fn a_histogram_that_was_downscaled_takes_more_samples_at_the_right_places() {
    let wide = Random(5).values(6000, 400.0);
    let mut sketch = plain(&wide);
    assert!(sketch.scale() < 6);
    let indexer = Indexer::new(6);
    sketch.insert(20.0, 1.0, &indexer);
    sketch.insert(-20.0, 1.0, &indexer);
    assert_same(&sketch, &plain(&[wide, vec![20.0, -20.0]].concat()));
}

#[test]
fn a_cleared_histogram_is_as_good_as_a_new_one() {
    let mut sketch = plain(&Random(5).values(6000, 400.0));
    sketch.clear();
    assert_same(&sketch, &Sketch::new(6));
    sketch.insert(20.0, 1.0, &Indexer::new(6));
    assert_same(&sketch, &plain(&[20.0]));
}

#[test]
fn a_sum_beyond_the_largest_double_is_infinite_and_panics_nowhere() {
    let sketch = plain(&[1.7e308, 1.7e308]);
    assert!(sketch.sum() > f64::MAX);
    assert_eq!(sketch.count().to_bits(), 2.0_f64.to_bits());
    let mut both = sketch.clone();
    both.merge(&plain(&[-1.7e308, -1.7e308]));
    assert!(both.sum().is_nan());
    assert!(
        plain(&[f64::MAX, f64::MIN_POSITIVE, -f64::MAX, 5e-324]).quantiles(&FRACTIONS).len() == 10
    );
}

#[test]
fn weights_beyond_the_largest_double_still_have_quantiles() {
    let sketch = sketch_of(&[1.0, 2.0, 3.0], 1.7e308, 6);
    assert!(sketch.quantiles(&FRACTIONS).iter().all(Option::is_some));
}

#[test]
fn cells_ascend_and_hold_all_of_the_weight() {
    let sketch = plain(&Random(3).values(500, 4.0));
    let cells: Vec<_> = sketch.cells().collect();
    assert!(cells.is_sorted_by(|one, other| one.0 < other.0));
    let weight: f64 = cells.iter().map(|cell| cell.1).sum();
    assert_eq!(weight.to_bits(), sketch.count().to_bits());
}
