//! The `StatsD` and `DogStatsD` wire format: bytes in, samples out; no I/O and no clock.
//!
//! `vitald.wire` is the same in Python, and `tests/data` holds what both must answer.

pub mod dialect;
pub mod extended;
pub mod number;
pub mod parse;
pub mod reason;
pub(crate) mod tags;
