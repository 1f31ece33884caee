//! Members as the bytes that a sealed slot keeps.
//!
//! The limit and a number that tells the form, then one of:
//!
//! - all members, each behind its length;
//! - the registers: the lowest rank, what each has above it in four bits, the number of those that
//!   have more, and these by themselves (place, rank).

use super::Members;
use super::registers::{REGISTERS, Registers};
use crate::varint::{Reader, put, put_length};

const EXACT: u8 = 0;
const ESTIMATED: u8 = 1;
/// Four bits: as much above the lowest rank, or more.
const MOST: u8 = 15;

impl Members {
    /// Append the encoded form.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_length(out, self.limit);
        match &self.registers {
            None => {
                out.push(EXACT);
                put_length(out, self.exact.as_bytes().len());
                out.extend_from_slice(self.exact.as_bytes());
            }
            Some(registers) => {
                out.push(ESTIMATED);
                encode_registers(registers.ranks(), out);
            }
        }
    }

    /// Take all of an encoded set; an empty one takes its limit, too.
    pub(crate) fn merge_encoded(&mut self, encoded: &mut Reader) {
        let limit = encoded.length();
        if self.count() == 0 {
            self.limit = limit;
        }
        if encoded.byte() == EXACT {
            let length = encoded.length();
            let mut members = Reader(encoded.take(length));
            while !members.0.is_empty() {
                let length = usize::from(members.byte());
                self.take(members.take(length));
            }
        } else {
            merge_registers(self.estimate(), encoded);
        }
    }
}

fn encode_registers(ranks: &[u8; REGISTERS], out: &mut Vec<u8>) {
    let lowest = ranks.iter().copied().min().unwrap_or(0);
    let above = |rank: u8| (rank - lowest).min(MOST);
    out.push(lowest);
    out.extend(ranks.chunks_exact(2).map(|pair| above(pair[0]) | above(pair[1]) << 4));
    let high = ranks.iter().enumerate().filter(|&(_, &rank)| rank - lowest > MOST);
    put_length(out, high.clone().count());
    for (at, &rank) in high {
        put(out, at as u64);
        out.push(rank);
    }
}

fn merge_registers(registers: &mut Registers, encoded: &mut Reader) {
    let lowest = encoded.byte();
    for (at, pair) in encoded.take(REGISTERS / 2).iter().enumerate() {
        registers.raise(2 * at, lowest + (pair & MOST));
        registers.raise(2 * at + 1, lowest + (pair >> 4));
    }
    for _ in 0..encoded.length() {
        let at = encoded.length();
        registers.raise(at, encoded.byte());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(from: u32, to: u32, limit: usize) -> Members {
        let mut counted = Members::new(limit);
        (from..to).for_each(|at| counted.add(format!("member-{at}").as_bytes()));
        counted
    }

    #[test]
    fn a_sealed_set_merges_like_an_open_one() {
        for (limit, size) in [(1000, 0), (1000, 1), (1000, 700), (0, 1), (1000, 9000), (9, 100_000)]
        {
            let sealed = numbered(0, size, limit);
            let mut bytes = Vec::new();
            sealed.encode(&mut bytes);
            for mut mine in [Members::new(limit), numbered(500, 900, limit)] {
                let mut expected = mine.clone();
                expected.merge(&sealed);
                let mut reader = Reader(&bytes);
                mine.merge_encoded(&mut reader);
                assert!(reader.0.is_empty());
                assert_eq!(mine.count(), expected.count());
                assert_eq!(mine.is_exact(), expected.is_exact());
            }
        }
    }

    #[test]
    fn every_rank_comes_back() {
        let mut ranks = [1; REGISTERS];
        for (at, rank) in ranks.iter_mut().enumerate() {
            *rank += u8::try_from(at % 53).unwrap();
        }
        let mut bytes = Vec::new();
        encode_registers(&ranks, &mut bytes);
        let mut registers = Registers::default();
        merge_registers(&mut registers, &mut Reader(&bytes));
        assert_eq!(registers.ranks(), &ranks);
    }

    #[test]
    fn an_estimated_set_takes_half_of_its_registers_bytes() {
        let mut bytes = Vec::new();
        numbered(0, 200_000, 1000).encode(&mut bytes);
        assert!(bytes.len() < 2100);
    }
}
