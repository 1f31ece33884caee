//! Any traffic, with seals and questions anywhere in it, leaves an engine whose books balance and
//! whose rows hold every sample once.
//!
//! The first byte chooses the settings. Behind it are steps, each ended by a zero byte: a letter
//! (see `Run::step`), one byte that chooses, and text.

#![no_main]

mod dialects;
mod promises;

use libfuzzer_sys::fuzz_target;
use promises::Samples;
use vitald_core::engine::{Engine, INTERNAL, Settings};
use vitald_core::metric::{Instant, MetricType};
use vitald_core::selector::Selector;
use vitald_core::wire::parse::parse_line;

const WINDOWS: [f64; 5] = [1.0, 5.0, 30.0, 60.0, 600.0];
const LENGTHS: [f64; 4] = [1.0, 0.5, 7.0, 150.0];
const JUMPS: [f64; 5] = [0.0, -300.0, -0.25, 5.0, 300.0];

/// An input may let this many intervals pass, so that none takes long.
const MOST_TICKS: u32 = 60;

fuzz_target!(|data: &[u8]| {
    let Some((choice, steps)) = data.split_first() else { return };
    let mut run = Run::new(*choice);
    for step in steps.split(|byte| *byte == 0) {
        run.step(step);
        run.assert_books();
    }
    run.end();
});

/// An engine, and what was told to it.
struct Run {
    engine: Engine,
    now: Instant,
    ticks: u32,
    lines: u64,
    internal_lines: u64,
    /// What was sent, by series; and what all intervals and their late rows had of it.
    sent: Samples,
    sampled: Samples,
}

impl Run {
    fn new(choice: u8) -> Self {
        let settings = Settings {
            interval: 1.0,
            windows: WINDOWS.to_vec(),
            series_limit: if choice & 1 == 0 { 1000 } else { 3 },
            series_expiry: if choice & 2 == 0 { 30.0 } else { 900.0 },
            set_exact_limit: if choice & 4 == 0 { 1000 } else { 2 },
            histogram_scale: if choice & 8 == 0 { 6 } else { 0 },
        };
        let now = Instant { wall: 1_700_000_000.0, monotonic: 500.0 };
        let engine = Engine::new(now, &settings);
        Self {
            engine,
            now,
            ticks: 0,
            lines: 0,
            internal_lines: 0,
            sent: Samples::new(),
            sampled: Samples::new(),
        }
    }

    fn step(&mut self, step: &[u8]) {
        let &[letter, choice, ref text @ ..] = step else { return };
        match letter {
            b't' => self.tick(
                LENGTHS[usize::from(choice) % LENGTHS.len()],
                JUMPS[text.first().map_or(0, |jump| usize::from(*jump)) % JUMPS.len()],
            ),
            b'n' => (0..choice % 64).for_each(|_| self.tick(1.0, 0.0)),
            b'q' => self.question(WINDOWS[usize::from(choice) % WINDOWS.len()], text),
            b'o' => {
                self.internal_lines += count(text, |line| !line.is_empty());
                self.ingest(text, INTERNAL, false, choice);
            }
            b'c' => self.ingest(text, "unixgram", true, choice),
            _ => self.ingest(text, "udp", false, choice),
        }
    }

    fn ingest(&mut self, text: &[u8], label: &str, is_cut: bool, choice: u8) {
        let whole = match text.iter().rposition(|byte| *byte == b'\n') {
            Some(end) if is_cut => &text[..end],
            None if is_cut => &[],
            _ => text,
        };
        self.lines += count(whole, |line| !matches!(line, b"" | b"\r")) + u64::from(is_cut);
        let dialect = dialects::dialect(choice);
        self.engine.ingest(text, label, is_cut, &dialect);
        let lines = whole.split(|byte| *byte == b'\n').filter_map(|l| parse_line(l, &dialect).ok());
        for sample in lines.flat_map(|line| line.samples) {
            let count = sample.values.count() as f64 / sample.rate;
            add(&mut self.sent, sample.key.get().as_bytes(), count);
        }
    }

    fn tick(&mut self, length: f64, jump: f64) {
        if self.ticks == MOST_TICKS {
            return;
        }
        self.ticks += 1;
        self.now.wall += length + jump;
        self.now.monotonic += length;
        let interval = self.engine.rotate(self.now);
        assert_eq!((interval.end, interval.seconds), (self.now.wall, length));
        for (key, count) in promises::samples_in(interval.rows(true)) {
            add(&mut self.sampled, &key, count);
        }
        for row in &interval.late {
            promises::assert_row(row);
            add(&mut self.sampled, row.key().as_bytes(), row.count);
        }
        for correction in &interval.corrections {
            let corrected = promises::samples_in(correction.rows(false));
            assert!(!corrected.is_empty() && corrected.values().all(|count| *count > 0.0));
        }
    }

    fn question(&self, window: f64, glob: &[u8]) {
        let names: Vec<_> = String::from_utf8_lossy(glob).split(',').map(str::to_owned).collect();
        let types = [MetricType::Counter, MetricType::Gauge, MetricType::Timer, MetricType::Set];
        for selector in [Selector::new(&[], &[], &[]), Selector::new(&names, &[], &types)] {
            let answer = self.engine.query(selector, window).expect("the window is configured");
            assert!(answer.seconds >= 0.0);
            promises::samples_in(answer.rows());
        }
    }

    fn assert_books(&self) {
        let ledger = self.engine.ledger();
        let sum = |counts: &[(&str, u64)]| counts.iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(ledger.lines, ledger.aggregated + sum(&ledger.rejected) + sum(&ledger.shed));
        assert_eq!((ledger.lines, ledger.internal_lines), (self.lines, self.internal_lines));
        assert!(ledger.series_active <= ledger.series_limit);
        assert!(ledger.last_rejected.len() <= 50);
    }

    /// Seal what is left: then every series has had all of its samples, and none of another's.
    fn end(mut self) {
        self.ticks = 0;
        // A timestamped sample that came too late for its slot may be in the interval after next.
        self.tick(1.0, 0.0);
        self.tick(1.0, 0.0);
        self.question(600.0, b"*");
        self.assert_books();
        assert_near(self.sampled.values().sum(), self.sent.values().sum());
        if self.engine.ledger().series_overflowed == 0 {
            self.sampled.retain(|_, count| *count > 0.0);
            assert_eq!(self.sampled.len(), self.sent.len());
            for (key, count) in &self.sent {
                assert_near(self.sampled[key], *count);
            }
        }
    }
}

fn add(samples: &mut Samples, key: &[u8], count: f64) {
    *samples.entry(key.to_vec()).or_insert(0.0) += count;
}

/// Weights such as 1 / 0.3 are no exact doubles.
fn assert_near(value: f64, expected: f64) {
    assert!((value - expected).abs() <= 1e-9 * expected, "{value} and not {expected}");
}

fn count(text: &[u8], is_line: impl Fn(&[u8]) -> bool) -> u64 {
    text.split(|byte| *byte == b'\n').filter(|line| is_line(line)).count() as u64
}
