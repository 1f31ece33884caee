//! What a listener accepts where `StatsD`'s dialects disagree.

/// What `+5|g` and `-5|g` mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GaugeSign {
    /// A change of the gauge, as `StatsD` says.
    #[default]
    Delta,
    /// A value, as `DogStatsD` says.
    Absolute,
}

impl GaugeSign {
    /// The sign rule of this name, as configuration spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "delta" => Some(Self::Delta),
            "absolute" => Some(Self::Absolute),
            _ => None,
        }
    }
}

/// A set of spellings of tags inside a name; `DogStatsD`'s `|#` needs none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagFormats(u8);

impl TagFormats {
    /// No spelling: a name is a name.
    pub const NONE: Self = Self(0);
    /// `name;key=value`
    pub const GRAPHITE: Self = Self(1);
    /// `name,key=value`
    pub const INFLUX: Self = Self(2);
    /// `name#key=value`
    pub const LIBRATO: Self = Self(4);
    /// `name[key=value]`
    pub const SIGNALFX: Self = Self(8);

    /// The one spelling of this name, as configuration spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "graphite" => Some(Self::GRAPHITE),
            "influx" => Some(Self::INFLUX),
            "librato" => Some(Self::LIBRATO),
            "signalfx" => Some(Self::SIGNALFX),
            _ => None,
        }
    }

    /// The spellings of either set.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every spelling of `other` is understood.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Default for TagFormats {
    fn default() -> Self {
        Self::GRAPHITE
    }
}

/// The choices of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// What the sign of a gauge's value means.
    pub gauge_sign: GaugeSign,
    /// Which spellings of tags inside a name are understood.
    pub tag_formats: TagFormats,
    /// The longest name, and the longest tag with its colon, in bytes.
    pub name_length: usize,
    /// The most tags of one line.
    pub tags: usize,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            gauge_sign: GaugeSign::default(),
            tag_formats: TagFormats::default(),
            name_length: 255,
            tags: 32,
        }
    }
}
