//! The registers of `HyperLogLog`.

use blake2::digest::consts::U8;
use blake2::{Blake2b, Digest};

const PRECISION: u32 = 12;
/// How many registers there are.
pub(super) const REGISTERS: usize = 1 << PRECISION;
const REST_BITS: u32 = 64 - PRECISION;
const REST: u64 = (1 << REST_BITS) - 1;

/// In each the highest rank that was seen, 0 to 53.
#[derive(Clone, Debug)]
pub(super) struct Registers([u8; REGISTERS]);

impl Default for Registers {
    fn default() -> Self {
        Self([0; REGISTERS])
    }
}

impl Registers {
    pub(super) fn add(&mut self, member: &[u8]) {
        let digest = u64::from_be_bytes(Blake2b::<U8>::digest(member).into());
        let rank = (digest & REST).leading_zeros() - PRECISION + 1;
        #[expect(clippy::cast_possible_truncation, reason = "12 bits are left, and at most 53")]
        self.raise((digest >> REST_BITS) as usize, rank as u8);
    }

    pub(super) fn raise(&mut self, at: usize, rank: u8) {
        self.0[at] = self.0[at].max(rank);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = (*mine).max(theirs);
        }
    }

    pub(super) fn ranks(&self) -> &[u8; REGISTERS] {
        &self.0
    }

    pub(super) fn count(&self) -> u64 {
        let registers = REGISTERS as f64;
        let mut by_rank = [0_u32; REST_BITS as usize + 2];
        for &rank in &self.0 {
            by_rank[usize::from(rank)] += 1;
        }
        if by_rank[0] > 0 {
            let linear = registers * (registers / f64::from(by_rank[0])).ln();
            if linear <= 2.5 * registers {
                return rounded(linear);
            }
        }
        let harmonic = by_rank.iter().rev().fold(0.0, |sum, &n| sum / 2.0 + f64::from(n));
        let alpha = 0.7213 / (1.0 + 1.079 / registers);
        rounded(alpha * (registers * registers) / harmonic)
    }
}

/// Round half to even, as the reference does.
fn rounded(estimate: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^64")]
    let count = estimate.round_ties_even() as u64;
    count
}
