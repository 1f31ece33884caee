//! How long a question takes in the engine alone, without Python.
//!
//! `query WINDOW GLOB…` aggregates the lines of standard input once in each interval of a window,
//! then asks for each glob a few times. Prints one line of JSON for each: rows, and milliseconds.

use std::env;
use std::io::{self, Read, Write};
use std::time;

use vitald_core::engine::{Engine, Settings};
use vitald_core::metric::Instant;
use vitald_core::selector::Selector;
use vitald_core::wire::dialect::Dialect;

const INTERVAL: f64 = 10.0;
const LONGEST: f64 = 3600.0;
/// Intervals before the question: a window of a minute is full.
const INTERVALS: u32 = 7;
const TIMES: usize = 11;
const DATAGRAM: usize = 60_000;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let usage = || io::Error::other("cannot ask: the arguments are WINDOW GLOB…");
    let window = arguments.next().and_then(|text| text.parse().ok()).ok_or_else(usage)?;
    let mut lines = Vec::new();
    io::stdin().read_to_end(&mut lines)?;
    let engine = filled(&lines);
    for glob in arguments {
        let (rows, mut times) = (rows(&engine, &glob, window), times(&engine, &glob, window));
        times.sort_by(f64::total_cmp);
        let (median, slowest) = (times[TIMES / 2], times[TIMES - 1]);
        writeln!(
            io::stdout(),
            "{{\"rows\": {rows}, \"median\": {median:.4}, \"slowest\": {slowest:.4}}}"
        )?;
    }
    Ok(())
}

fn filled(lines: &[u8]) -> Engine {
    let settings = Settings {
        interval: INTERVAL,
        windows: vec![INTERVAL, 60.0, 300.0, 900.0, LONGEST],
        series_limit: 10_000_000,
        series_expiry: LONGEST,
        set_exact_limit: 1000,
        histogram_scale: 6,
    };
    let engine = Engine::new(Instant { wall: 0.0, monotonic: 0.0 }, &settings);
    for tick in 1..=INTERVALS {
        let mut left = lines;
        while !left.is_empty() {
            let most = left.len().min(DATAGRAM);
            let end = memchr::memrchr(b'\n', &left[..most]).map_or(most, |at| at + 1);
            engine.ingest(&left[..end], "query", false, &Dialect::default());
            left = &left[end..];
        }
        let now = f64::from(tick) * INTERVAL;
        drop(engine.rotate(Instant { wall: now, monotonic: now }));
    }
    engine
}

fn times(engine: &Engine, glob: &str, window: f64) -> Vec<f64> {
    (0..TIMES)
        .map(|_| {
            let began = time::Instant::now();
            rows(engine, glob, window);
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}

/// Ask, make all rows, batch by batch, and count them.
fn rows(engine: &Engine, glob: &str, window: f64) -> usize {
    let selector = Selector::new(&[glob.to_owned()], &[], &[]);
    engine.query(selector, window).map_or(0, |answer| answer.rows().map(|batch| batch.len()).sum())
}
