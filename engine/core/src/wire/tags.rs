//! Tags: `DogStatsD`'s field and the four spellings inside a name.
//!
//! ```text
//! field     = "#" tag *( "," tag )             tag = key [ ":" value ]
//! graphite  = name *( ";" key "=" value )
//! influx    = name *( "," key "=" value )
//! librato   = name "#" key "=" value *( "," key "=" value )
//! signalfx  = head "[" key "=" value *( "," key "=" value ) "]" tail
//! ```
//!
//! Order never matters, a repeated key keeps its last value, and a tag without a key is dropped.

use std::borrow::Cow;

use super::dialect::TagFormats;
use super::reason::Note;

/// Tags as they stand in a line.
pub(crate) type Found<'a> = Vec<(&'a str, &'a str)>;

/// C0, DEL and C1: what a terminal might obey.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Adds the tags of a comma-separated list to `found`, and a note for each that has no key.
pub(crate) fn split_tags<'a>(
    text: &'a str,
    separator: char,
    found: &mut Found<'a>,
    notes: &mut Vec<Note>,
) {
    collect(text.split(','), separator, found, notes);
}

fn collect<'a>(
    items: impl Iterator<Item = &'a str>,
    separator: char,
    found: &mut Found<'a>,
    notes: &mut Vec<Note>,
) {
    for item in items {
        let (key, value) = item.split_once(separator).unwrap_or((item, ""));
        if key.is_empty() {
            notes.push(Note::DroppedTag);
        } else {
            found.push((key, value));
        }
    }
}

/// Returns the bare name and adds the tags spelled inside it to `found`.
pub(crate) fn split_name<'a>(
    name: &'a str,
    formats: TagFormats,
    found: &mut Found<'a>,
    notes: &mut Vec<Note>,
) -> Cow<'a, str> {
    if formats.contains(TagFormats::SIGNALFX)
        && let Some((head, rest)) = name.split_once('[')
        && let Some((inside, tail)) = rest.split_once(']')
    {
        split_tags(inside, '=', found, notes);
        return Cow::Owned([head, tail].concat());
    }
    if formats.contains(TagFormats::GRAPHITE)
        && let Some((bare, items)) = name.split_once(';')
    {
        collect(items.split(';'), '=', found, notes);
        return Cow::Borrowed(bare);
    }
    if formats.contains(TagFormats::LIBRATO)
        && let Some((bare, items)) = name.split_once('#')
    {
        split_tags(items, '=', found, notes);
        return Cow::Borrowed(bare);
    }
    if formats.contains(TagFormats::INFLUX)
        && let Some((bare, items)) = name.split_once(',')
    {
        split_tags(items, '=', found, notes);
        return Cow::Borrowed(bare);
    }
    Cow::Borrowed(name)
}

/// Brings tags into the one form in which equal tags are equal.
pub(crate) fn canonical(tags: &mut Found<'_>) {
    // The sort is stable, so of equal keys the last one of the line comes last.
    tags.sort_by_key(|(key, _)| *key);
    tags.dedup_by(|later, kept| {
        let repeated = later.0 == kept.0;
        if repeated {
            kept.1 = later.1;
        }
        repeated
    });
}

/// The length of a tag as limits count it: its colon is there even when its value is empty.
pub(crate) fn length((key, value): &(&str, &str)) -> usize {
    key.len() + 1 + value.len()
}
