//! The books behind the ledger: every line is entered exactly once.

use std::collections::HashMap;

use crate::wire::parse::{Note, Reason};

/// The last different rejected lines are kept for people to look at,
pub const MOST_REJECTED_KEPT: usize = 50;

/// each cut to this many bytes.
pub const REJECTED_LENGTH: usize = 200;

/// What came in at one listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams, or reads of a stream.
    pub datagrams: u64,
    /// Bytes.
    pub bytes: u64,
    /// Datagrams that the kernel dropped; `None` where it keeps no count.
    pub kernel_dropped: Option<u64>,
    /// Reads that failed.
    pub errors: u64,
}

impl Traffic {
    /// Add another socket of the same listener.
    pub fn merge(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.errors += other.errors;
        if let Some(dropped) = other.kernel_dropped {
            *self.kernel_dropped.get_or_insert(0) += dropped;
        }
    }
}

/// A line that was rejected, as people may look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// Its first `REJECTED_LENGTH` bytes.
    pub line: Vec<u8>,
    /// Why.
    pub reason: Reason,
    /// How often, since it was kept.
    pub times: u64,
    /// Larger for what was seen later.
    pub stamp: u64,
}

/// Where the lines of one shard went. How many there were is not stored: it is the sum.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// Lines taken.
    pub aggregated: u64,
    /// Values in them.
    pub values: u64,
    /// Timestamped samples that no slot holds.
    pub late: u64,
    /// Events taken.
    pub events: u64,
    /// Service checks taken.
    pub service_checks: u64,
    /// Lines of the sidecar's own.
    pub internal_lines: u64,
    /// Samples that went to an overflow series.
    pub overflowed: u64,
    /// Events and service checks refused because there were too many.
    pub shed: u64,
    rejected: [u64; Reason::ALL.len()],
    notes: [u64; Note::ALL.len()],
    kept: Vec<RejectedLine>,
    traffic: Vec<(String, Traffic)>,
}

impl Accounts {
    /// Enter one line that was refused; `stamp` is larger than all before.
    pub fn reject(&mut self, line: &[u8], reason: Reason, stamp: u64) {
        self.rejected[reason as usize] += 1;
        let line = &line[..line.len().min(REJECTED_LENGTH)];
        self.keep(RejectedLine { line: line.to_vec(), reason, times: 1, stamp });
    }

    /// Enter what was odd about a line that was taken.
    pub fn note(&mut self, note: Note) {
        self.notes[note as usize] += 1;
    }

    /// The traffic of a listener, which outlives its sockets.
    pub fn listener(&mut self, label: &str) -> &mut Traffic {
        let at = self.traffic.iter().position(|(known, _)| known == label).unwrap_or_else(|| {
            self.traffic.push((label.to_owned(), Traffic::default()));
            self.traffic.len() - 1
        });
        &mut self.traffic[at].1
    }

    /// Add the books of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.aggregated += other.aggregated;
        self.values += other.values;
        self.late += other.late;
        self.events += other.events;
        self.service_checks += other.service_checks;
        self.internal_lines += other.internal_lines;
        self.overflowed += other.overflowed;
        self.shed += other.shed;
        for (mine, theirs) in self.rejected.iter_mut().zip(other.rejected) {
            *mine += theirs;
        }
        for (mine, theirs) in self.notes.iter_mut().zip(other.notes) {
            *mine += theirs;
        }
        for line in &other.kept {
            self.keep(line.clone());
        }
        for (label, traffic) in &other.traffic {
            self.listener(label).merge(traffic);
        }
    }

    /// The ledger, but for what the series table and clients know.
    #[must_use]
    pub fn ledger(mut self) -> Ledger {
        self.kept.sort_by_key(|line| std::cmp::Reverse(line.stamp));
        let rejected: Vec<_> = named(Reason::ALL.map(Reason::as_str), self.rejected);
        Ledger {
            lines: self.aggregated
                + self.shed
                + rejected.iter().map(|(_, times)| times).sum::<u64>(),
            internal_lines: self.internal_lines,
            values: self.values,
            aggregated: self.aggregated,
            rejected,
            shed: named(["too_many_events"], [self.shed]),
            notes: named(Note::ALL.map(Note::as_str), self.notes),
            late: self.late,
            events: self.events,
            service_checks: self.service_checks,
            series_active: 0,
            series_limit: 0,
            series_overflowed: self.overflowed,
            listeners: self.traffic,
            last_rejected: self.kept,
            client_reported: HashMap::new(),
        }
    }

    /// Keep a rejected line as the last one seen, in place of the one not seen for longest.
    fn keep(&mut self, line: RejectedLine) {
        let same = |kept: &RejectedLine| kept.reason == line.reason && kept.line == line.line;
        if let Some(kept) = self.kept.iter_mut().find(|kept| same(kept)) {
            kept.times += line.times;
            kept.stamp = kept.stamp.max(line.stamp);
        } else if self.kept.len() < MOST_REJECTED_KEPT {
            self.kept.push(line);
        } else if let Some(oldest) = self.kept.iter_mut().min_by_key(|kept| kept.stamp)
            && oldest.stamp < line.stamp
        {
            *oldest = line;
        }
    }
}

fn named<const N: usize>(names: [&'static str; N], counts: [u64; N]) -> Vec<(&'static str, u64)> {
    names.into_iter().zip(counts).filter(|&(_, count)| count > 0).collect()
}

/// Where every line went; see `vitald.aggregator.interval.Ledger`.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Always `aggregated` and all `rejected` and all `shed`.
    pub lines: u64,
    /// Those of the sidecar's own.
    pub internal_lines: u64,
    /// Values in aggregated lines.
    pub values: u64,
    /// Lines taken.
    pub aggregated: u64,
    /// By reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// By reason.
    pub shed: Vec<(&'static str, u64)>,
    /// What was odd, and how often.
    pub notes: Vec<(&'static str, u64)>,
    /// Timestamped samples that no slot holds.
    pub late: u64,
    /// Events taken.
    pub events: u64,
    /// Service checks taken.
    pub service_checks: u64,
    /// Series that are alive.
    pub series_active: usize,
    /// How many may be.
    pub series_limit: usize,
    /// Samples that went to an overflow series.
    pub series_overflowed: u64,
    /// By label.
    pub listeners: Vec<(String, Traffic)>,
    /// The last different ones, the newest first.
    pub last_rejected: Vec<RejectedLine>,
    /// What clients said that they dropped, by reason.
    pub client_reported: HashMap<String, f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_rejected_again_is_kept_once_and_is_the_newest() {
        let mut accounts = Accounts::default();
        for (stamp, line) in (1..).zip([b"a", b"b", b"a"]) {
            accounts.reject(line, Reason::Malformed, stamp);
        }
        let kept: Vec<_> = accounts
            .ledger()
            .last_rejected
            .into_iter()
            .map(|kept| (kept.line, kept.times))
            .collect();
        assert_eq!(kept, [(b"a".to_vec(), 2), (b"b".to_vec(), 1)]);
    }

    #[test]
    fn the_newest_lines_are_kept_of_all_shards() {
        let (mut one, mut other) = (Accounts::default(), Accounts::default());
        for stamp in 0..200_u64 {
            let books = if stamp % 2 == 0 { &mut one } else { &mut other };
            books.reject(stamp.to_string().as_bytes(), Reason::Malformed, stamp);
        }
        one.merge(&other);
        let ledger = one.ledger();
        let stamps: Vec<_> = ledger.last_rejected.iter().map(|kept| kept.stamp).collect();
        assert_eq!(stamps, (150..200).rev().collect::<Vec<_>>());
        assert_eq!((ledger.lines, &ledger.rejected[..]), (200, &[("malformed", 200)][..]));
    }

    #[test]
    fn a_kernel_that_counts_no_drops_is_told_from_one_that_counted_none() {
        let mut accounts = Accounts::default();
        accounts.listener("unix").datagrams = 1;
        accounts.listener("udp").kernel_dropped = Some(0);
        let mut all = Accounts::default();
        all.merge(&accounts);
        let listeners = all.ledger().listeners;
        assert_eq!(listeners[0].1.kernel_dropped, None);
        assert_eq!(listeners[1].1.kernel_dropped, Some(0));
    }
}
