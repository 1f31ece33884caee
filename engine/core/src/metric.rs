//! The vocabulary: what a metric, an event and a service check are, and when.

/// The six types, in the order of `vitald.metric.MetricType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum MetricType {
    /// A sum of value / rate.
    Counter,
    /// The last value.
    Gauge,
    /// Samples in milliseconds.
    Timer,
    /// Samples of anything.
    Histogram,
    /// Samples of anything.
    Distribution,
    /// Distinct members.
    Set,
}

impl MetricType {
    /// All types; `ALL[kind as usize] == kind`.
    pub const ALL: [Self; 6] =
        [Self::Counter, Self::Gauge, Self::Timer, Self::Histogram, Self::Distribution, Self::Set];

    /// The value of the member of `vitald.metric.MetricType`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Timer => "timer",
            Self::Histogram => "histogram",
            Self::Distribution => "distribution",
            Self::Set => "set",
        }
    }

    /// What cells of this type look like.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Counter => Class::Counter,
            Self::Gauge => Class::Gauge,
            Self::Timer | Self::Histogram | Self::Distribution => Class::Sampled,
            Self::Set => Class::Set,
        }
    }
}

/// The four forms of a cell: several types share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Count and sum.
    Counter,
    /// Count, sum, minimum, maximum, last.
    Gauge,
    /// An exponential histogram.
    Sampled,
    /// Members.
    Set,
}

impl Class {
    /// All classes; `ALL[class as usize] == class`.
    pub const ALL: [Self; 4] = [Self::Counter, Self::Gauge, Self::Sampled, Self::Set];
}

/// One moment on both axes: `wall` (Unix seconds) labels, `monotonic` (seconds) measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instant {
    /// Unix seconds.
    pub wall: f64,
    /// Seconds from an arbitrary start.
    pub monotonic: f64,
}

/// A series' number: its page and its place in the page, `page * PAGE + place`.
///
/// All series of one page have cells of one class, so that a page of a slot is a few columns.
pub type Id = u32;

/// How many series a page has: as many as a `u8` can number.
pub const PAGE: usize = 256;

/// The page of a series.
#[must_use]
pub const fn page_of(id: Id) -> u32 {
    id >> 8
}

/// The place of a series in its page.
#[must_use]
pub const fn place_of(id: Id) -> u8 {
    id.to_le_bytes()[0]
}

/// The series at a place of a page.
#[must_use]
pub const fn id_of(page: u32, place: u8) -> Id {
    page << 8 | place as Id
}

/// Tags, sorted by key, each key once; a bare tag has the value "".
pub type Tags = Vec<(String, String)>;

/// A `DogStatsD` event; see `vitald.metric.Event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened, in a few words.
    pub title: String,
    /// What happened, in full.
    pub text: String,
    /// Unix seconds, if the sender gave any.
    pub timestamp: Option<u64>,
    /// Where.
    pub host: String,
    /// Events with the same key belong together.
    pub aggregation_key: String,
    /// `normal` or `low`.
    pub priority: String,
    /// What kind of program sent it.
    pub source_type: String,
    /// `info`, `success`, `warning` or `error`.
    pub alert_type: String,
    /// Tags.
    pub tags: Tags,
}

/// A `DogStatsD` service check; see `vitald.metric.ServiceCheck`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCheck {
    /// Which check.
    pub name: String,
    /// 0 healthy, 1 warning, 2 critical, 3 unknown.
    pub status: u8,
    /// Unix seconds, if the sender gave any.
    pub timestamp: Option<u64>,
    /// Where.
    pub host: String,
    /// Why.
    pub message: String,
    /// Tags.
    pub tags: Tags,
}
