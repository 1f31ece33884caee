//! Which bucket a value belongs to.

const MANTISSA_BITS: u32 = 52;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;
const EXPONENT_BIAS: i32 = 1023;
const INFINITE: u64 = 0x7ff;

/// A finer scale than this gets no table.
const FINEST_TABLE: i32 = 8;

/// A mantissa this near to an edge is decided by the formula.
///
/// What `log2` returns is below 1,075, where the last place is worth 2^-42. An error of one there
/// is one of `2^-42 * ln 2 * mantissa` in the value, which is less than 1,420 mantissa steps.
const DOUBT: u64 = 4096;

/// One of the equal parts of an octave: at most one edge of a bucket is in it.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The mantissa of that edge; without one, the end of this part.
    edge: u64,
    /// The bucket of the values up to the edge, counted from the octave's first power of two.
    below: i32,
}

/// Finds buckets: `ceil(log2(value) * 2^scale) - 1`, mostly without the logarithm.
///
/// The exponent of a float tells the octave. A table of `2^(scale + 1)` equal parts of the octave
/// tells the bucket, and the only edge that may be in the way: the narrowest bucket is
/// `ln 2 / 2^scale` of an octave wide, which is more than such a part.
#[derive(Clone, Debug)]
pub struct Indexer {
    scale: i32,
    factor: f64,
    /// The table is one of scale 0 at the least; a coarser index has this many bits fewer.
    coarser: u32,
    octave_bits: u32,
    part_shift: u32,
    parts: Box<[Part]>,
}

impl Indexer {
    /// Prepare for one scale.
    #[must_use]
    pub fn new(scale: i32) -> Self {
        let fine = scale.max(0);
        let octave_bits = fine.unsigned_abs();
        Self {
            scale,
            factor: f64::from(scale).exp2(),
            coarser: (fine - scale).unsigned_abs(),
            octave_bits,
            part_shift: MANTISSA_BITS.saturating_sub(octave_bits + 1),
            parts: if fine <= FINEST_TABLE { parts(octave_bits) } else { Box::default() },
        }
    }

    /// The scale.
    #[must_use]
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// The bucket of a positive finite value; a power of the base belongs to the bucket below.
    #[inline]
    #[must_use]
    pub fn index(&self, value: f64) -> i32 {
        let bits = value.to_bits();
        let mantissa = bits & MANTISSA;
        // With the sign bit, so that everything but normal positive numbers is out of range.
        let exponent = bits >> MANTISSA_BITS;
        let part = (mantissa >> self.part_shift) as usize;
        let Some(part) = self.parts.get(part) else { return self.by_formula(value) };
        let is_clear = mantissa.abs_diff(part.edge) > DOUBT || mantissa == 0;
        if !is_clear || exponent.wrapping_sub(1) >= INFINITE - 1 {
            return self.by_formula(value);
        }
        let octave = (exponent as i32 - EXPONENT_BIAS) << self.octave_bits;
        (octave + part.below + i32::from(mantissa > part.edge)) >> self.coarser
    }

    #[cold]
    fn by_formula(&self, value: f64) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm is at most 1,074")]
        let top = (value.log2() * self.factor).ceil() as i32;
        top.saturating_sub(1)
    }
}

fn parts(octave_bits: u32) -> Box<[Part]> {
    let buckets = 1_i32 << octave_bits;
    let edges: Vec<u64> = (0..buckets)
        .map(|at| (f64::from(at) / f64::from(buckets)).exp2().to_bits() & MANTISSA)
        .collect();
    let width = 1_u64 << (MANTISSA_BITS - octave_bits - 1);
    let (mut at, mut below) = (0, -1);
    (0..2_u64 << octave_bits)
        .map(|part| {
            let end = (part + 1) * width;
            let edge = edges.get(at).copied().filter(|&edge| edge < end);
            let found = Part { edge: edge.unwrap_or(end), below };
            if edge.is_some() {
                at += 1;
                below += 1;
            }
            found
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Indexer;

    fn formula(value: f64, scale: i32) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "the formula of the reference")]
        let top = (value.log2() * 2.0_f64.powi(scale)).ceil() as i32;
        top - 1
    }

    fn check(indexer: &Indexer, value: f64) {
        assert_eq!(indexer.index(value), formula(value, indexer.scale()), "{value:e}");
    }

    #[test]
    fn values_next_to_every_edge_are_in_the_bucket_of_the_formula() {
        for scale in -1..=9 {
            let indexer = Indexer::new(scale);
            let buckets = 1 << scale.max(0);
            for octave in [-1022, -1021, -700, -37, -2, -1, 0, 1, 2, 9, 52, 511, 1000, 1023] {
                for at in 0..buckets {
                    let part = (f64::from(at) / f64::from(buckets)).exp2();
                    let edge = (part * 2.0_f64.powi(octave)).to_bits();
                    for ulps in (0..40).chain([60, 300, 1400, 4095, 4096, 4097, 5000]) {
                        check(&indexer, f64::from_bits(edge + ulps));
                        check(&indexer, f64::from_bits(edge - ulps));
                    }
                }
            }
        }
    }

    #[test]
    fn any_positive_double_is_in_the_bucket_of_the_formula() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let indexers: Vec<Indexer> = (-1..=9).map(Indexer::new).collect();
        for _ in 0..100_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let value = f64::from_bits(state >> 1);
            if value.is_finite() && value > 0.0 {
                for indexer in &indexers {
                    check(indexer, value);
                }
            }
        }
    }

    #[test]
    fn plain_numbers_are_in_the_bucket_of_the_formula() {
        let indexer = Indexer::new(6);
        for number in 1..200_000 {
            check(&indexer, f64::from(number));
            check(&indexer, f64::from(number) / 1000.0);
        }
    }

    #[test]
    fn a_power_of_two_is_in_the_bucket_below_it() {
        let indexer = Indexer::new(6);
        for power in -1074..1024 {
            let value = if power < -1022 {
                f64::from_bits(1 << (power + 1074))
            } else {
                2.0_f64.powi(power)
            };
            assert_eq!(indexer.index(value), power * 64 - 1);
        }
    }

    #[test]
    fn what_has_no_bucket_panics_nowhere() {
        for scale in [-1, 6, 20] {
            let indexer = Indexer::new(scale);
            for value in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let _ = indexer.index(value).wrapping_add(1);
            }
        }
    }
}
