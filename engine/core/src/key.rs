//! The identity of a series, in one piece of memory that is compared and hashed as bytes.
//!
//! Layout: type, name length (u16, little endian), name, then for every tag, sorted by key, each
//! key once: key length (u16), key, value length (u16), value. All text is UTF-8.

use std::sync::Arc;

use crate::metric::MetricType;

/// A key that is kept somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyRef<'a>(&'a [u8]);

impl<'a> KeyRef<'a> {
    /// Take bytes in the layout above, as `KeyWriter` makes them.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes that are the identity.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The type.
    #[must_use]
    pub fn kind(self) -> MetricType {
        MetricType::ALL[usize::from(self.0[0])]
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'a str {
        text(self.0, 1).0
    }

    /// The tags, sorted by key.
    pub fn tags(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut at = text(self.0, 1).1;
        std::iter::from_fn(move || {
            (at < self.0.len()).then(|| {
                let (key, after_key) = text(self.0, at);
                let (value, after_value) = text(self.0, after_key);
                at = after_value;
                (key, value)
            })
        })
    }
}

/// A key by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// Take bytes in the layout above, as `KeyWriter` makes them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// Build a key; the tags must be sorted by key, each key once.
    #[must_use]
    pub fn new(kind: MetricType, name: &str, tags: &[(&str, &str)]) -> Self {
        let mut writer = KeyWriter::default();
        writer.start(kind, name);
        for (key, value) in tags {
            writer.tag(key, value);
        }
        Self::from_bytes(writer.bytes())
    }

    /// The key, to be looked at.
    #[must_use]
    pub fn get(&self) -> KeyRef<'_> {
        KeyRef(&self.0)
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> MetricType {
        self.get().kind()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.get().name()
    }

    /// The tags, sorted by key.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.get().tags()
    }
}

/// Builds keys in a buffer that is used again and again.
#[derive(Default)]
pub struct KeyWriter(Vec<u8>);

impl KeyWriter {
    /// Start a new key.
    pub fn start(&mut self, kind: MetricType, name: &str) {
        self.0.clear();
        self.0.push(kind as u8);
        self.text(name);
    }

    /// Add a tag; tags come sorted by key, each key once.
    pub fn tag(&mut self, key: &str, value: &str) {
        self.text(key);
        self.text(value);
    }

    /// The key so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).expect("a line is shorter than 64 KiB");
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }
}

fn text(bytes: &[u8], at: usize) -> (&str, usize) {
    let length = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let end = at + 2 + length;
    (str::from_utf8(&bytes[at + 2..end]).expect("keys are built from text"), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_what_it_was_built_from() {
        let key = Key::new(MetricType::Timer, "näme", &[("a", ""), ("b", "c:d")]);
        assert_eq!((key.kind(), key.name()), (MetricType::Timer, "näme"));
        assert_eq!(key.tags().collect::<Vec<_>>(), [("a", ""), ("b", "c:d")]);
    }

    #[test]
    fn keys_that_differ_in_one_place_differ() {
        let keys = [
            Key::new(MetricType::Counter, "a", &[]),
            Key::new(MetricType::Gauge, "a", &[]),
            Key::new(MetricType::Counter, "a", &[("b", "")]),
            Key::new(MetricType::Counter, "a", &[("", "b")]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(at + 1).all(|other| other != key));
        }
    }
}
