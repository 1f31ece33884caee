//! The dialects that an input chooses among.

use vitald_core::wire::dialect::{Dialect, GaugeSign, TagFormats};

/// The dialect of a choice; every choice has one.
#[must_use]
pub fn dialect(choice: u8) -> Dialect {
    let every = TagFormats::GRAPHITE
        .with(TagFormats::INFLUX)
        .with(TagFormats::LIBRATO)
        .with(TagFormats::SIGNALFX);
    match choice % 4 {
        0 => Dialect::default(),
        1 => Dialect { gauge_sign: GaugeSign::Absolute, ..Dialect::default() },
        2 => Dialect { tag_formats: every, ..Dialect::default() },
        _ => Dialect {
            gauge_sign: GaugeSign::Delta,
            tag_formats: TagFormats::NONE,
            name_length: 8,
            tags: 2,
        },
    }
}
