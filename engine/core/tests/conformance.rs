//! The corpus of `tests/data`, which the Python code reads as well: both must answer the same.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vitald_core::accounts::Ledger;
use vitald_core::engine::{Engine, Settings};
use vitald_core::glob::Glob;
use vitald_core::metric::{Event, Instant, ServiceCheck};
use vitald_core::wire::dialect::{Dialect, GaugeSign, TagFormats};
use vitald_core::wire::extended::Extended;
use vitald_core::wire::number::{parse_number, parse_number_in};
use vitald_core::wire::parse::{Line, Note, Reason, Sample, Values, parse_line};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data")
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn lines() -> Vec<Value> {
    let folder = fs::read_dir(data().join("lines")).expect("the corpus is part of the checkout");
    folder.flat_map(|file| list(&read(&file.unwrap().path())).to_vec()).collect()
}

fn raw(entry: &Value) -> Vec<u8> {
    match entry.get("line") {
        Some(line) => text(line).as_bytes().to_vec(),
        None => text(&entry["bytes"]).chars().map(|char| u8::try_from(char).unwrap()).collect(),
    }
}

fn dialect(entry: &Value) -> Dialect {
    let mut dialect = Dialect::default();
    for (key, value) in entry.get("dialect").and_then(Value::as_object).into_iter().flatten() {
        let number = || usize::try_from(value.as_u64().unwrap()).unwrap();
        match key.as_str() {
            "gauge_sign" => dialect.gauge_sign = GaugeSign::from_name(text(value)).unwrap(),
            "tag_formats" => {
                let formats = list(value).iter().map(|name| TagFormats::from_name(text(name)));
                dialect.tag_formats =
                    formats.fold(TagFormats::NONE, |all, one| all.with(one.unwrap()));
            }
            "name_length" => dialect.name_length = number(),
            "tags" => dialect.tags = number(),
            _ => panic!("cannot read an entry: unknown choice {key}"),
        }
    }
    dialect
}

/// What the corpus would say of a line: everything that is not at its default.
fn described(parsed: &Result<Line, Reason>) -> Value {
    let line = match parsed {
        Ok(line) => line,
        Err(reason) => return json!({"rejected": reason.as_str()}),
    };
    let mut entry = Map::new();
    match &line.extended {
        Some(Extended::Event(event)) => entry.insert("event".into(), described_event(event)),
        Some(Extended::ServiceCheck(check)) => entry.insert("check".into(), described_check(check)),
        None => entry.insert("samples".into(), line.samples.iter().map(described_sample).collect()),
    };
    if !line.notes.is_empty() {
        let notes: Vec<_> = line.notes.iter().map(|note| note.as_str()).collect();
        entry.insert("notes".into(), json!(notes));
    }
    Value::Object(entry)
}

fn described_sample(sample: &Sample) -> Value {
    let mut entry = Map::new();
    entry.insert("type".into(), json!(sample.key.kind().as_str()));
    entry.insert("name".into(), json!(sample.key.name()));
    let tags: Vec<_> = sample.key.tags().collect();
    insert_unless(&mut entry, "tags", json!(tags), &json!([]));
    match &sample.values {
        Values::Numbers(values) => entry.insert("values".into(), json!(values)),
        Values::Member(member) => {
            entry.insert("values".into(), json!([str::from_utf8(member).unwrap()]))
        }
        Values::Gauge(values) => {
            let (values, signed): (Vec<_>, Vec<_>) = values.iter().copied().unzip();
            if signed.contains(&true) {
                entry.insert("signed".into(), json!(signed));
            }
            entry.insert("values".into(), json!(values))
        }
    };
    insert_unless(&mut entry, "rate", json!(sample.rate), &json!(1.0));
    insert_unless(&mut entry, "timestamp", json!(sample.timestamp), &Value::Null);
    Value::Object(entry)
}

fn described_event(event: &Event) -> Value {
    let mut entry = Map::new();
    entry.insert("title".into(), json!(event.title));
    entry.insert("text".into(), json!(event.text));
    insert_unless(&mut entry, "timestamp", json!(event.timestamp), &Value::Null);
    insert_unless(&mut entry, "host", json!(event.host), &json!(""));
    insert_unless(&mut entry, "aggregation_key", json!(event.aggregation_key), &json!(""));
    insert_unless(&mut entry, "priority", json!(event.priority), &json!("normal"));
    insert_unless(&mut entry, "source_type", json!(event.source_type), &json!(""));
    insert_unless(&mut entry, "alert_type", json!(event.alert_type), &json!("info"));
    insert_unless(&mut entry, "tags", json!(event.tags), &json!([]));
    Value::Object(entry)
}

fn described_check(check: &ServiceCheck) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), json!(check.name));
    entry.insert("status".into(), json!(check.status));
    insert_unless(&mut entry, "timestamp", json!(check.timestamp), &Value::Null);
    insert_unless(&mut entry, "host", json!(check.host), &json!(""));
    insert_unless(&mut entry, "message", json!(check.message), &json!(""));
    insert_unless(&mut entry, "tags", json!(check.tags), &json!([]));
    Value::Object(entry)
}

fn insert_unless(entry: &mut Map<String, Value>, key: &str, value: Value, default: &Value) {
    if value != *default {
        entry.insert(key.into(), value);
    }
}

/// What an entry says of its line. Texts are compared: -0.0 and 0.0 are equal as numbers.
fn expected(entry: &Value) -> String {
    let mut expected = entry.as_object().expect("an entry").clone();
    for given in ["line", "bytes", "dialect", "why"] {
        expected.remove(given);
    }
    Value::Object(expected).to_string()
}

#[test]
fn every_line_is_answered_as_the_corpus_says() {
    for entry in lines() {
        let parsed = parse_line(&raw(&entry), &dialect(&entry));
        assert_eq!(described(&parsed).to_string(), expected(&entry), "{entry}");
    }
}

#[test]
fn the_corpus_has_every_reason_and_note_of_the_parser() {
    let (mut reasons, mut notes) = (HashSet::new(), HashSet::new());
    for entry in lines() {
        match parse_line(&raw(&entry), &dialect(&entry)) {
            Ok(line) => notes.extend(line.notes),
            Err(reason) => _ = reasons.insert(reason),
        }
    }
    let silent: Vec<_> = Reason::ALL.iter().filter(|reason| !reasons.contains(reason)).collect();
    assert_eq!(silent, [&Reason::Truncated]);
    let silent: Vec<_> = Note::ALL.iter().filter(|note| !notes.contains(note)).collect();
    assert_eq!(silent, [&Note::Uncorrected]);
}

/// Reads a number as it stands in a line.
fn parse_behind(text: &str) -> Option<f64> {
    let data = format!("name:{text}|c");
    parse_number_in(data.as_bytes(), 5..5 + text.len())
}

#[test]
fn numbers_are_read_to_the_last_bit() {
    let numbers = read(&data().join("numbers.json"));
    for (text, value) in numbers["valid"].as_object().unwrap() {
        let value = value.as_f64().map(f64::to_bits);
        assert_eq!(parse_number(text.as_bytes()).map(f64::to_bits), value, "{text}");
        assert_eq!(parse_behind(text).map(f64::to_bits), value, "{text}");
    }
    for other in list(&numbers["invalid"]) {
        assert_eq!(parse_number(text(other).as_bytes()), None, "{other}");
        assert_eq!(parse_behind(text(other)), None, "{other}");
    }
}

#[test]
fn globs_match_what_the_corpus_says() {
    for entry in list(&read(&data().join("globs.json"))) {
        let glob = Glob::new(text(&entry["glob"]));
        for (kind, expected) in [("matches", true), ("misses", false)] {
            for name in list(&entry[kind]) {
                assert_eq!(glob.matches(text(name)), expected, "{name} {entry}");
            }
        }
    }
}

/// The counts that are not 0, as the corpus has them.
fn described_ledger(ledger: &Ledger) -> Value {
    let mut entry = Map::new();
    for (name, count) in [
        ("lines", ledger.lines),
        ("aggregated", ledger.aggregated),
        ("values", ledger.values),
        ("late", ledger.late),
        ("events", ledger.events),
        ("service_checks", ledger.service_checks),
    ] {
        if count > 0 {
            entry.insert(name.into(), json!(count));
        }
    }
    for (name, counts) in [("rejected", &ledger.rejected), ("notes", &ledger.notes)] {
        if !counts.is_empty() {
            let counts = counts.iter().map(|&(word, count)| (word.to_owned(), json!(count)));
            entry.insert(name.into(), Value::Object(counts.collect()));
        }
    }
    Value::Object(entry)
}

fn times(counts: &Value, factor: u64) -> Value {
    match counts {
        Value::Object(counts) => Value::Object(
            counts.iter().map(|(name, count)| (name.clone(), times(count, factor))).collect(),
        ),
        count => json!(count.as_u64().expect("a count") * factor),
    }
}

#[test]
fn datagrams_are_accounted_for_as_the_corpus_says_however_often_they_come() {
    let start = Instant { wall: 1_700_000_000.0, monotonic: 500.0 };
    let settings = Settings {
        interval: 10.0,
        windows: vec![10.0, 60.0],
        series_limit: 1000,
        series_expiry: 3600.0,
        set_exact_limit: 1000,
        histogram_scale: 6,
    };
    let corpus = read(&data().join("datagrams.json"));
    for entry in list(&corpus) {
        let datagram = match entry.get("datagram") {
            Some(datagram) => text(datagram).as_bytes().to_vec(),
            None => raw(entry),
        };
        let is_cut = entry.get("cut").is_some_and(|cut| cut == &json!(true));
        for repeats in [1, 3] {
            let engine = Engine::new(start, &settings);
            for _ in 0..repeats {
                engine.ingest(&datagram, "udp", is_cut, &dialect(entry));
            }
            let found = described_ledger(&engine.ledger());
            assert_eq!(found, times(&entry["ledger"], repeats), "{entry}");
        }
    }
}
