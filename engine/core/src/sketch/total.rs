//! A running sum that does not lose what rounding takes away.

/// The sum of many floats, as good as if it were rounded once (Knuth's `TwoSum`).
///
/// Past the largest float it is infinite, and the sum of both infinities is not a number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    sum: f64,
    lost: f64,
}

impl Total {
    /// Add a value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let rounded = sum - self.sum;
        self.lost += (self.sum - (sum - rounded)) + (value - rounded);
        self.sum = sum;
    }

    /// The sum, rounded.
    #[inline]
    #[must_use]
    pub fn value(self) -> f64 {
        let exact = self.sum + self.lost;
        // What was lost on the way to infinity is not a number.
        if exact.is_nan() { self.sum } else { exact }
    }
}

impl From<f64> for Total {
    fn from(sum: f64) -> Self {
        Self { sum, lost: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Total;

    fn total(values: &[f64]) -> f64 {
        let mut total = Total::default();
        for &value in values {
            total.add(value);
        }
        total.value()
    }

    #[test]
    fn small_values_survive_a_large_one_that_comes_and_goes() {
        assert_eq!(total(&[1e16, 1.0, 1.0, -1e16]).to_bits(), 2.0_f64.to_bits());
    }

    #[test]
    fn ten_tenths_are_one() {
        assert_eq!(total(&[0.1; 10]).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn beyond_the_largest_float_it_is_infinite_and_stays_so() {
        assert!(total(&[1.7e308, 1.7e308, -1.0]) > f64::MAX);
        assert!(total(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }
}
