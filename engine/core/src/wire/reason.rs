//! The words in which the ledger speaks of lines.

/// Why a line was refused; every refused line has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Not UTF-8, or control characters in a name or a tag.
    BadEncoding,
    /// Not the shape of a line.
    Malformed,
    /// Nothing in front of the first colon.
    EmptyName,
    /// A value is missing.
    EmptyValue,
    /// A type is missing.
    EmptyType,
    /// A type that is none of c, m, g, ms, h, d and s.
    UnknownType,
    /// A value that is no finite number; a service check's status that is not 0 to 3.
    BadValue,
    /// A rate that is not above 0 and at most 1.
    BadSampleRate,
    /// A name or a tag over the limit.
    TooLong,
    /// More tags than the limit.
    TooManyTags,
    /// The end of the line was lost with the end of its datagram.
    Truncated,
}

impl Reason {
    /// All reasons; `ALL[reason as usize] == reason`.
    pub const ALL: [Self; 11] = [
        Self::BadEncoding,
        Self::Malformed,
        Self::EmptyName,
        Self::EmptyValue,
        Self::EmptyType,
        Self::UnknownType,
        Self::BadValue,
        Self::BadSampleRate,
        Self::TooLong,
        Self::TooManyTags,
        Self::Truncated,
    ];

    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadEncoding => "bad_encoding",
            Self::Malformed => "malformed",
            Self::EmptyName => "empty_name",
            Self::EmptyValue => "empty_value",
            Self::EmptyType => "empty_type",
            Self::UnknownType => "unknown_type",
            Self::BadValue => "bad_value",
            Self::BadSampleRate => "bad_sample_rate",
            Self::TooLong => "too_long",
            Self::TooManyTags => "too_many_tags",
            Self::Truncated => "truncated",
        }
    }
}

/// What was odd about a line that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Note {
    /// A rate below the smallest was taken as the smallest.
    ClampedRate,
    /// A tag without a key was dropped.
    DroppedTag,
    /// A field that means nothing here was passed over.
    UnknownField,
    /// A timestamp that cannot be used was passed over.
    IgnoredTimestamp,
    /// An optional part of an event or a service check was wrong and left out.
    BadField,
    /// A late sample reached coarse slots alone; the engine notes it, never the parser.
    Uncorrected,
}

impl Note {
    /// All notes; `ALL[note as usize] == note`.
    pub const ALL: [Self; 6] = [
        Self::ClampedRate,
        Self::DroppedTag,
        Self::UnknownField,
        Self::IgnoredTimestamp,
        Self::BadField,
        Self::Uncorrected,
    ];

    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClampedRate => "clamped_rate",
            Self::DroppedTag => "dropped_tag",
            Self::UnknownField => "unknown_field",
            Self::IgnoredTimestamp => "ignored_timestamp",
            Self::BadField => "bad_field",
            Self::Uncorrected => "uncorrected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_notes_are_array_indices() {
        assert!(Reason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
        assert!(Note::ALL.iter().enumerate().all(|(at, note)| *note as usize == at));
    }
}
