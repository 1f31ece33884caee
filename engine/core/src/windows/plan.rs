//! Which levels a set of windows needs.

use std::collections::VecDeque;

use super::Level;

/// A window of more slots than this is answered from a coarser level of at least that many.
const MOST_SLOTS: f64 = 30.0;
const FEWEST_SLOTS: f64 = 12.0;

/// Choose resolutions so that every window (ascending) has 12 to 30 slots where it can.
pub(super) fn levels(interval: f64, windows: &[f64]) -> Vec<Level> {
    let mut finer = Vec::new();
    let mut level = new_level(interval, interval);
    for &window in windows {
        if window / level.resolution > MOST_SLOTS {
            let resolution = coarser(level.resolution, window, windows);
            // The finer level must reach back over what the coarser one has not rolled up yet.
            level.retention = level.retention.max(resolution);
            finer.push(std::mem::replace(&mut level, new_level(resolution, window)));
        }
        level.retention = level.retention.max(window);
    }
    finer.push(level);
    finer
}

fn new_level(resolution: f64, retention: f64) -> Level {
    Level { resolution, retention, slots: VecDeque::new() }
}

fn coarser(resolution: f64, window: f64, windows: &[f64]) -> f64 {
    let fits = |&&candidate: &&f64| {
        candidate > resolution
            && candidate % resolution == 0.0
            && (FEWEST_SLOTS..=MOST_SLOTS).contains(&(window / candidate))
    };
    let fitting = windows.iter().find(fits).copied();
    fitting.unwrap_or_else(|| resolution * -floor_div(-window, resolution * MOST_SLOTS))
}

/// The largest whole number of `divisor`s (positive) in a value, as exact as the remainder is.
pub(super) fn floor_div(value: f64, divisor: f64) -> f64 {
    ((value - value.rem_euclid(divisor)) / divisor).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(interval: f64, windows: &[f64]) -> Vec<(f64, f64)> {
        let levels = levels(interval, windows);
        levels.iter().map(|level| (level.resolution, level.retention)).collect()
    }

    #[test]
    fn the_default_windows_need_three_levels() {
        let expected = [(10.0, 300.0), (60.0, 900.0), (300.0, 3600.0)];
        assert_eq!(plan(10.0, &[10.0, 60.0, 300.0, 900.0, 3600.0]), expected);
    }

    #[test]
    fn the_levels_are_those_of_the_reference() {
        assert_eq!(plan(1.0, &[1.0]), [(1.0, 1.0)]);
        assert_eq!(plan(1.0, &[60.0, 3600.0]), [(1.0, 2.0), (2.0, 120.0), (120.0, 3600.0)]);
        assert_eq!(
            plan(2.0, &[120.0, 180.0, 3600.0, 7200.0]),
            [(2.0, 4.0), (4.0, 120.0), (8.0, 180.0), (120.0, 3600.0), (240.0, 7200.0)]
        );
        assert_eq!(plan(10.0, &[10.0, 86400.0]), [(10.0, 2880.0), (2880.0, 86400.0)]);
        assert_eq!(
            plan(0.5, &[10.0, 60.0, 300.0, 900.0, 3600.0]),
            [(0.5, 10.0), (2.0, 60.0), (10.0, 300.0), (60.0, 900.0), (300.0, 3600.0)]
        );
        assert_eq!(plan(5.0, &[35.0, 38885.0]), [(5.0, 1300.0), (1300.0, 38885.0)]);
        assert_eq!(plan(0.1, &[1.0, 10.0, 600.0]), [(0.1, 1.0), (0.4, 20.0), (20.0, 600.0)]);
    }

    #[test]
    fn a_value_is_divided_like_in_the_reference() {
        for (value, divisor, expected) in
            [(7.0, 2.0, 3.0), (-7.0, 2.0, -4.0), (6.0, 2.0, 3.0), (0.0, 5.0, 0.0), (0.3, 0.1, 2.0)]
        {
            assert_eq!(floor_div(value, divisor).to_bits(), f64::to_bits(expected));
        }
    }
}
