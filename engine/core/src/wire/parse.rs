//! One line of `StatsD`, parsed by explicit grammar.
//!
//! ```text
//! line    = name [ name-tags ] ":" values "|" type *( "|" field )
//! values  = value *( ":" value )                  a set's single value keeps its colons
//! type    = c / m / g / ms / h / d / s
//! field   = "@" rate / "#" tags / "T" unix / "c:" id / "e:" text / "card:" word / other
//! ```
//!
//! The old form `name:1|c:2|g` puts several (values, type, rate) into one line; its tags hold for
//! all of them. A line is taken whole or rejected whole, under exactly one reason. What is odd but
//! harmless is taken and noted. Nothing here panics, does I/O or looks at a clock.

use super::dialect::{Dialect, GaugeSign};
use super::extended::{Extended, is_origin, parse_event, parse_service_check};
use super::number::{parse_number, parse_unsigned};
pub use super::reason::{Note, Reason};
use super::tags::{self, Found, canonical, has_control, split_name, split_tags};
use crate::key::{Key, KeyWriter};
use crate::metric::MetricType;

/// The weight of one line is bounded, so its cost and its effect do not depend on a number in it.
pub const MIN_RATE: f64 = 1e-6;

/// A line that was understood: its samples, or the one event or service check it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// One for every piece of the line, in order.
    pub samples: Vec<Sample>,
    /// The event or service check that the line is.
    pub extended: Option<Extended>,
    /// What was odd, in order.
    pub notes: Vec<Note>,
}

/// The values of one series in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which series.
    pub key: Key,
    /// Its values, in order.
    pub values: Values,
    /// Above 0 and at most 1; 1 for gauges and sets.
    pub rate: f64,
    /// Unix seconds, above 0; for counters and gauges only.
    pub timestamp: Option<u64>,
}

/// Values as their type reads them.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Finite numbers.
    Numbers(Vec<f64>),
    /// Finite numbers, and whether each is a delta.
    Gauge(Vec<(f64, bool)>),
    /// A set's one member: UTF-8, not empty.
    Member(Vec<u8>),
}

impl Values {
    /// How many values.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Gauge(values) => values.len(),
            Self::Member(_) => 1,
        }
    }
}

/// Parses one line without its line feed; one trailing carriage return is dropped.
///
/// # Errors
///
/// The one reason why the line is refused.
pub fn parse_line(line: &[u8], dialect: &Dialect) -> Result<Line, Reason> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = str::from_utf8(line).map_err(|_| Reason::BadEncoding)?;
    let mut notes = Vec::new();
    let extended = if line.starts_with("_e{") {
        Extended::Event(parse_event(line, dialect, &mut notes)?)
    } else if line.starts_with("_sc|") {
        Extended::ServiceCheck(parse_service_check(line, dialect, &mut notes)?)
    } else {
        let samples = parse_metric(line, dialect, &mut notes)?;
        return Ok(Line { samples, extended: None, notes });
    };
    Ok(Line { samples: Vec::new(), extended: Some(extended), notes })
}

fn parse_metric(
    line: &str,
    dialect: &Dialect,
    notes: &mut Vec<Note>,
) -> Result<Vec<Sample>, Reason> {
    let (name, rest) = line.split_once(':').ok_or(Reason::Malformed)?;
    if name.contains('|') || !rest.contains('|') {
        return Err(Reason::Malformed);
    }
    if name.is_empty() {
        return Err(Reason::EmptyName);
    }
    let mut parts = rest.split('|');
    let mut pieces = split_pieces(&mut parts)?;
    let fields = read_fields(parts, notes);
    if let Some(last) = pieces.last_mut() {
        last.rate = fields.rate;
    }
    let mut tags = Vec::new();
    let bare = split_name(name, dialect.tag_formats, &mut tags, notes);
    if bare.is_empty() {
        return Err(Reason::EmptyName);
    }
    tags.extend(fields.tags);
    canonical(&mut tags);
    let measured = pieces
        .iter()
        .map(|piece| measure(piece, fields.timestamp, dialect, notes))
        .collect::<Result<Vec<_>, _>>()?;
    check_limits(&bare, &tags, dialect)?;
    Ok(samples(measured, &bare, &tags))
}

/// What stands between a name and the fields: `values|type[|@rate]`, still unchecked.
struct Piece<'a> {
    values: &'a str,
    kind: &'a str,
    rate: Option<&'a str>,
}

/// Takes the pieces off the front of a line's parts, and leaves its fields.
///
/// A colon behind the type, or behind a rate that follows it at once, starts the next piece.
fn split_pieces<'a>(
    parts: &mut (impl Iterator<Item = &'a str> + Clone),
) -> Result<Vec<Piece<'a>>, Reason> {
    let mut pieces = Vec::with_capacity(1);
    let mut values = parts.next().ok_or(Reason::Malformed)?;
    loop {
        let part = parts.next().ok_or(Reason::Malformed)?;
        let (kind, mut following) = cut(part);
        let mut rate = None;
        if following.is_none()
            && let Some(text) = parts.clone().next().and_then(|next| next.strip_prefix('@'))
            && let (text, Some(after)) = cut(text)
        {
            (rate, following) = (Some(text), Some(after));
            parts.next();
        }
        pieces.push(Piece { values, kind, rate });
        match following {
            Some(after) => values = after,
            None => return Ok(pieces),
        }
    }
}

fn cut(part: &str) -> (&str, Option<&str>) {
    part.split_once(':').map_or((part, None), |(before, after)| (before, Some(after)))
}

/// What holds for the whole line, still unchecked.
#[derive(Default)]
struct Fields<'a> {
    tags: Found<'a>,
    rate: Option<&'a str>,
    timestamp: Option<&'a str>,
}

/// Reads the fields in any order; of a repeated one the last counts.
fn read_fields<'a>(parts: impl Iterator<Item = &'a str>, notes: &mut Vec<Note>) -> Fields<'a> {
    let mut fields = Fields::default();
    for part in parts {
        if let Some(tags) = part.strip_prefix('#') {
            fields.tags.clear();
            split_tags(tags, ':', &mut fields.tags, notes);
        } else if let Some(rate) = part.strip_prefix('@') {
            fields.rate = Some(rate);
        } else if let Some(timestamp) = part.strip_prefix('T') {
            fields.timestamp = Some(timestamp);
        } else if !is_origin(part) {
            notes.push(Note::UnknownField);
        }
    }
    fields
}

/// A sample before it is known that its key may be built.
struct Measured {
    kind: MetricType,
    values: Values,
    rate: f64,
    timestamp: Option<u64>,
}

fn measure(
    piece: &Piece<'_>,
    timestamp: Option<&str>,
    dialect: &Dialect,
    notes: &mut Vec<Note>,
) -> Result<Measured, Reason> {
    let kind = match piece.kind {
        "c" | "m" => MetricType::Counter,
        "g" => MetricType::Gauge,
        "ms" => MetricType::Timer,
        "h" => MetricType::Histogram,
        "d" => MetricType::Distribution,
        "s" => MetricType::Set,
        "" if piece.values.is_empty() => return Err(Reason::EmptyValue),
        "" => return Err(Reason::EmptyType),
        _ => return Err(Reason::UnknownType),
    };
    let rate = read_rate(piece.rate, notes)?;
    let text = piece.values.as_bytes();
    let is_set = kind == MetricType::Set;
    if text.is_empty() || !is_set && text.split(|byte| *byte == b':').any(<[u8]>::is_empty) {
        return Err(Reason::EmptyValue);
    }
    let (values, rate) = match kind {
        MetricType::Set => (Values::Member(text.to_vec()), 1.0),
        MetricType::Gauge => (Values::Gauge(gauge_values(text, dialect.gauge_sign)?), 1.0),
        _ => (Values::Numbers(numbers(text)?), rate),
    };
    let timestamp = read_timestamp(timestamp, kind, notes);
    Ok(Measured { kind, values, rate, timestamp })
}

fn numbers(text: &[u8]) -> Result<Vec<f64>, Reason> {
    let items = text.split(|byte| *byte == b':');
    items.map(|item| parse_number(item).ok_or(Reason::BadValue)).collect()
}

fn gauge_values(text: &[u8], sign: GaugeSign) -> Result<Vec<(f64, bool)>, Reason> {
    let items = text.split(|byte| *byte == b':');
    let read = |item: &[u8]| {
        let is_delta = sign == GaugeSign::Delta && matches!(item.first(), Some(b'+' | b'-'));
        Ok((parse_number(item).ok_or(Reason::BadValue)?, is_delta))
    };
    items.map(read).collect()
}

fn read_rate(text: Option<&str>, notes: &mut Vec<Note>) -> Result<f64, Reason> {
    let Some(text) = text else { return Ok(1.0) };
    let rate = parse_number(text.as_bytes()).ok_or(Reason::BadSampleRate)?;
    if rate <= 0.0 || rate > 1.0 {
        return Err(Reason::BadSampleRate);
    }
    if rate < MIN_RATE {
        notes.push(Note::ClampedRate);
    }
    Ok(rate.max(MIN_RATE))
}

fn read_timestamp(text: Option<&str>, kind: MetricType, notes: &mut Vec<Note>) -> Option<u64> {
    let text = text?;
    let is_timestamped = matches!(kind, MetricType::Counter | MetricType::Gauge);
    let seconds = parse_unsigned(text.as_bytes()).filter(|seconds| is_timestamped && *seconds > 0);
    if seconds.is_none() {
        notes.push(Note::IgnoredTimestamp);
    }
    seconds
}

fn check_limits(name: &str, tags: &Found<'_>, dialect: &Dialect) -> Result<(), Reason> {
    if has_control(name) || tags.iter().any(|(key, value)| has_control(key) || has_control(value)) {
        return Err(Reason::BadEncoding);
    }
    // A key stores its lengths in 16 bits.
    let limit = dialect.name_length.min(usize::from(u16::MAX));
    if name.len() > limit || tags.iter().any(|tag| tags::length(tag) > limit) {
        return Err(Reason::TooLong);
    }
    if tags.len() > dialect.tags {
        return Err(Reason::TooManyTags);
    }
    Ok(())
}

/// Gives every sample its key. Samples of one type share one: what a line with many pieces and
/// many tags takes in memory must not be their product.
fn samples(measured: Vec<Measured>, name: &str, tags: &Found<'_>) -> Vec<Sample> {
    let mut writer = KeyWriter::default();
    let mut keys: [Option<Key>; MetricType::ALL.len()] = Default::default();
    let mut key_of = |kind: MetricType| {
        let build = || {
            writer.start(kind, name);
            for (key, value) in tags {
                writer.tag(key, value);
            }
            Key::from_bytes(writer.bytes())
        };
        keys[kind as usize].get_or_insert_with(build).clone()
    };
    let with_key = |Measured { kind, values, rate, timestamp }| Sample {
        key: key_of(kind),
        values,
        rate,
        timestamp,
    };
    measured.into_iter().map(with_key).collect()
}

#[cfg(test)]
mod tests;
