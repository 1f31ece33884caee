//! `DogStatsD`'s events and service checks.
//!
//! ```text
//! event = "_e{" title-bytes "," text-bytes "}:" title "|" text *( "|" field )
//!         field = d:unix / h:host / k:key / p:normal|low / s:source / t:error|warning|info|success
//!                 / "#" tags / c: / e: / card:
//! check = "_sc|" name "|" status *( "|" field )
//!         status = 0..3   field = d:unix / h:host / "#" tags / m:message / c: / e: / card:
//! ```
//!
//! The two lengths of an event count bytes of UTF-8, and `|` inside title and text is legal. `\n`
//! is an escaped line feed in titles, texts and messages. An optional part that is wrong is noted;
//! the rest is kept.

use super::dialect::Dialect;
use super::number::parse_unsigned;
use super::reason::{Note, Reason};
use super::tags::{self, canonical, has_control, split_tags};
use crate::metric::{Event, ServiceCheck, Tags};

/// A line that is no metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extended {
    /// Something happened.
    Event(Event),
    /// Something was looked at.
    ServiceCheck(ServiceCheck),
}

/// Whether a field says where a line came from; it is legal everywhere and means nothing here.
pub(crate) fn is_origin(field: &str) -> bool {
    ["c:", "e:", "card:"].iter().any(|prefix| field.starts_with(prefix))
}

/// Returns the event of a line that starts with `_e{`.
pub(crate) fn parse_event(
    line: &str,
    dialect: &Dialect,
    notes: &mut Vec<Note>,
) -> Result<Event, Reason> {
    let (title, text, tail) = split_event(line).ok_or(Reason::Malformed)?;
    let mut event = Event {
        title: unescape(title),
        text: unescape(text),
        timestamp: None,
        host: String::new(),
        aggregation_key: String::new(),
        priority: "normal".to_owned(),
        source_type: String::new(),
        alert_type: "info".to_owned(),
        tags: Tags::new(),
    };
    for field in tail.split('|').skip(1) {
        if let Some(text) = field.strip_prefix('#') {
            event.tags = read_tags(text, dialect, notes)?;
        } else if !is_origin(field) {
            notes.extend(read_event_field(&mut event, field).err());
        }
    }
    Ok(event)
}

/// Returns title, text, and what follows them: nothing or `|` and fields.
fn split_event(line: &str) -> Option<(&str, &str, &str)> {
    let (head, rest) = line.strip_prefix("_e{")?.split_once("}:")?;
    let (first, second) = head.split_once(',')?;
    let title_length = usize::try_from(parse_unsigned(first.as_bytes())?).ok()?;
    let text_length = usize::try_from(parse_unsigned(second.as_bytes())?).ok()?;
    let (title, rest) = rest.split_at_checked(title_length)?;
    let (text, tail) = rest.strip_prefix('|')?.split_at_checked(text_length)?;
    let is_whole = !title.is_empty() && (tail.is_empty() || tail.starts_with('|'));
    is_whole.then_some((title, text, tail))
}

fn read_event_field(event: &mut Event, field: &str) -> Result<(), Note> {
    let (key, value) = split_field(field).ok_or(Note::UnknownField)?;
    match key {
        "d:" => event.timestamp = Some(parse_unsigned(value.as_bytes()).ok_or(Note::BadField)?),
        "h:" => value.clone_into(&mut event.host),
        "k:" => value.clone_into(&mut event.aggregation_key),
        "s:" => value.clone_into(&mut event.source_type),
        "p:" if matches!(value, "normal" | "low") => value.clone_into(&mut event.priority),
        "t:" if matches!(value, "info" | "success" | "warning" | "error") => {
            value.clone_into(&mut event.alert_type);
        }
        "p:" | "t:" => return Err(Note::BadField),
        _ => return Err(Note::UnknownField),
    }
    Ok(())
}

/// Returns the service check of a line that starts with `_sc|`.
pub(crate) fn parse_service_check(
    line: &str,
    dialect: &Dialect,
    notes: &mut Vec<Note>,
) -> Result<ServiceCheck, Reason> {
    let mut parts = line.splitn(4, '|').skip(1);
    let (Some(name), Some(status)) = (parts.next(), parts.next()) else {
        return Err(Reason::Malformed);
    };
    if name.is_empty() {
        return Err(Reason::EmptyName);
    }
    if name.len() > dialect.name_length {
        return Err(Reason::TooLong);
    }
    if has_control(name) {
        return Err(Reason::BadEncoding);
    }
    let status = match status.as_bytes() {
        [digit @ b'0'..=b'3'] => digit - b'0',
        _ => return Err(Reason::BadValue),
    };
    let (fields, message) = split_message(parts.next());
    let mut check = ServiceCheck {
        name: name.to_owned(),
        status,
        timestamp: None,
        host: String::new(),
        message: message.map(unescape).unwrap_or_default(),
        tags: Tags::new(),
    };
    for field in fields {
        if let Some(text) = field.strip_prefix('#') {
            check.tags = read_tags(text, dialect, notes)?;
        } else if !is_origin(field) {
            notes.extend(read_check_field(&mut check, field).err());
        }
    }
    Ok(check)
}

/// Returns the fields before the message, and the message.
///
/// The message is the last field and may hold the separator itself; clients put only their origin
/// behind it.
fn split_message(rest: Option<&str>) -> (impl Iterator<Item = &str>, Option<&str>) {
    let mut rest = rest;
    while let Some(text) = rest {
        let at = text.rfind('|');
        if !is_origin(&text[at.map_or(0, |at| at + 1)..]) {
            break;
        }
        rest = at.map(|at| &text[..at]);
    }
    let (fields, message) = match rest {
        Some(text) if text.starts_with("m:") => (None, Some(&text[2..])),
        Some(text) => match text.split_once("|m:") {
            Some((fields, message)) => (Some(fields), Some(message)),
            None => (Some(text), None),
        },
        None => (None, None),
    };
    (fields.into_iter().flat_map(|fields| fields.split('|')), message)
}

fn read_check_field(check: &mut ServiceCheck, field: &str) -> Result<(), Note> {
    let (key, value) = split_field(field).ok_or(Note::UnknownField)?;
    match key {
        "d:" => check.timestamp = Some(parse_unsigned(value.as_bytes()).ok_or(Note::BadField)?),
        "h:" => value.clone_into(&mut check.host),
        // An event's choices, out of place.
        "p:" | "t:" => return Err(Note::BadField),
        _ => return Err(Note::UnknownField),
    }
    Ok(())
}

/// Returns a field's letter with its colon, and its value.
fn split_field(field: &str) -> Option<(&str, &str)> {
    field.split_at_checked(2)
}

fn read_tags(text: &str, dialect: &Dialect, notes: &mut Vec<Note>) -> Result<Tags, Reason> {
    let mut found = Vec::new();
    split_tags(text, ':', &mut found, notes);
    canonical(&mut found);
    if found.len() > dialect.tags {
        return Err(Reason::TooManyTags);
    }
    if found.iter().any(|tag| tags::length(tag) > dialect.name_length) {
        return Err(Reason::TooLong);
    }
    if has_control(text) {
        return Err(Reason::BadEncoding);
    }
    Ok(found.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
}
