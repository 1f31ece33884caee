//! Any bytes are a line, and what is made of them keeps every promise of the parser.
//!
//! The first byte chooses the dialect, the rest is the line.

#![no_main]

mod dialects;

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use vitald_core::key::Key;
use vitald_core::metric::MetricType;
use vitald_core::wire::dialect::Dialect;
use vitald_core::wire::number::{parse_number, parse_number_in};
use vitald_core::wire::parse::{Line, MIN_RATE, Reason, Sample, Values, parse_line};

fuzz_target!(|data: &[u8]| {
    let Some((choice, line)) = data.split_first() else { return };
    let dialect = dialects::dialect(*choice);
    let parsed = parse_line(line, &dialect);
    match &parsed {
        Ok(parsed) => assert_promises(parsed, line, &dialect),
        Err(reason) => assert_ne!(*reason, Reason::Truncated, "the parser sees whole lines only"),
    }
    if !line.ends_with(b"\r") {
        assert_eq!(parsed, parse_line(&[line, b"\r"].concat(), &dialect));
    }
    let mut start = 0;
    for text in line.split(|byte| b":|@".contains(byte)) {
        assert_number(line, start..start + text.len());
        start += text.len() + 1;
    }
});

fn assert_promises(parsed: &Line, line: &[u8], dialect: &Dialect) {
    assert_ne!(parsed.samples.is_empty(), parsed.extended.is_none());
    for sample in &parsed.samples {
        assert_key(&sample.key, dialect);
        assert_sample(sample);
    }
    let values: usize = parsed.samples.iter().map(|sample| sample.values.count()).sum();
    assert!(values <= line.len() && parsed.notes.len() <= line.len());
}

fn assert_key(key: &Key, dialect: &Dialect) {
    let tags: Vec<_> = key.tags().collect();
    assert!(!key.name().is_empty() && key.name().len() <= dialect.name_length);
    assert!(tags.len() <= dialect.tags);
    assert!(tags.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, each key once");
    assert!(tags.iter().all(|(key, value)| key.len() + 1 + value.len() <= dialect.name_length));
    let texts = tags.iter().flat_map(|(key, value)| [*key, *value]).chain([key.name()]);
    assert!(texts.into_iter().all(|text| !text.contains(char::is_control)));
    assert_eq!(*key, Key::new(key.kind(), key.name(), &tags));
}

fn assert_sample(sample: &Sample) {
    assert!((MIN_RATE..=1.0).contains(&sample.rate));
    assert_ne!(sample.timestamp, Some(0));
    let kind = sample.key.kind();
    match &sample.values {
        Values::Numbers(values) => {
            assert!(!matches!(kind, MetricType::Gauge | MetricType::Set));
            assert!(!values.is_empty() && values.iter().all(|value| value.is_finite()));
        }
        Values::Gauge(values) => {
            assert_eq!((kind, sample.rate), (MetricType::Gauge, 1.0));
            assert!(!values.is_empty() && values.iter().all(|(value, _)| value.is_finite()));
        }
        Values::Member(member) => {
            assert_eq!((kind, sample.rate), (MetricType::Set, 1.0));
            assert!(!member.is_empty() && str::from_utf8(member).is_ok());
        }
    }
    let is_timestamped = matches!(kind, MetricType::Counter | MetricType::Gauge);
    assert!(is_timestamped || sample.timestamp.is_none());
}

/// The fast ways to a number give what the standard library's correctly rounded one does.
fn assert_number(line: &[u8], range: Range<usize>) {
    let text = &line[range.clone()];
    let is_grammar = text.iter().all(|byte| b"0123456789+-.eE".contains(byte));
    let expected = str::from_utf8(text).ok().filter(|_| is_grammar);
    let expected = expected.and_then(|text| text.parse::<f64>().ok()).filter(|v| v.is_finite());
    assert_eq!(parse_number(text).map(f64::to_bits), expected.map(f64::to_bits));
    assert_eq!(parse_number_in(line, range).map(f64::to_bits), expected.map(f64::to_bits));
}
