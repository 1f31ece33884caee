//! Which series a question is about.

use crate::glob::Glob;
use crate::key::KeyRef;
use crate::metric::MetricType;

/// Names by shell glob (any of them), tags by glob of their value (all of them), types (any of
/// them). Empty means no restriction.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    names: Vec<String>,
    globs: Vec<Glob>,
    tags: Vec<(String, Glob)>,
    types: Vec<MetricType>,
}

impl Selector {
    /// Compile a selector.
    #[must_use]
    pub fn new(names: &[String], tags: &[(String, String)], types: &[MetricType]) -> Self {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        Self {
            globs: names.iter().map(|name| Glob::new(name)).collect(),
            names,
            tags: tags.iter().map(|(key, value)| (key.clone(), Glob::new(value))).collect(),
            types: types.to_vec(),
        }
    }

    /// Whether a series is meant.
    #[must_use]
    pub fn matches(&self, key: KeyRef<'_>) -> bool {
        self.has_type(key.kind()) && self.has_name(key.name()) && self.has_tags(key)
    }

    /// Whether series of this type can be meant.
    #[must_use]
    pub fn has_type(&self, kind: MetricType) -> bool {
        self.types.is_empty() || self.types.contains(&kind)
    }

    /// Whether series of this name can be meant.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.matches(name))
    }

    /// Whether a series has the tags that are asked for.
    #[must_use]
    pub fn has_tags(&self, key: KeyRef<'_>) -> bool {
        self.tags.iter().all(|(wanted, value)| {
            key.tags().any(|(own, text)| own == wanted && value.matches(text))
        })
    }

    /// Whether names restrict the question.
    #[must_use]
    pub fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// The names, if there are any and each stands for itself alone.
    #[must_use]
    pub fn exact_names(&self) -> Option<&[String]> {
        let is_exact = self.has_names() && self.globs.iter().all(|glob| glob.literal().is_some());
        is_exact.then_some(&self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn selector(names: &[&str], tags: &[(&str, &str)], types: &[MetricType]) -> Selector {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let tags: Vec<_> =
            tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Selector::new(&names, &tags, types)
    }

    fn key() -> Key {
        Key::new(MetricType::Timer, "web.time", &[("bare", ""), ("host", "a1")])
    }

    #[test]
    fn nothing_asked_is_no_restriction() {
        assert!(selector(&[], &[], &[]).matches(key().get()));
    }

    #[test]
    fn any_name_and_any_type_will_do_but_every_tag_must_match() {
        use MetricType::{Counter, Timer};
        for (names, tags, types, expected) in [
            (&["x", "web.*"][..], &[][..], &[][..], true),
            (&["x", "time"], &[], &[], false),
            (&[], &[], &[Counter, Timer], true),
            (&[], &[], &[Counter], false),
            (&[], &[("host", "a?"), ("bare", "")], &[], true),
            (&[], &[("host", "a?"), ("bare", "x")], &[], false),
            (&[], &[("host", "a*"), ("host", "*2")], &[], false),
            (&[], &[("absent", "*")], &[], false),
        ] {
            assert_eq!(selector(names, tags, types).matches(key().get()), expected);
        }
    }

    #[test]
    fn names_are_exact_when_none_of_them_has_a_wildcard() {
        assert_eq!(selector(&["a", "b[c"], &[], &[]).exact_names().unwrap(), ["a", "b[c"]);
        assert!(selector(&["a", "b*"], &[], &[]).exact_names().is_none());
        assert!(selector(&[], &[], &[]).exact_names().is_none());
        assert!(!selector(&[], &[], &[]).has_names());
    }
}
