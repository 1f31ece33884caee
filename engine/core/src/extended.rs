//! Events and service checks of the open interval, of all shards.

use crate::metric::{Event, ServiceCheck};
use crate::wire::extended::Extended;

/// Events and service checks that one interval may carry, each kind,
pub const MOST_EVENTS: usize = 1000;

/// and the bytes of all their lines.
pub const MOST_EVENT_BYTES: usize = 1_000_000;

/// What waits for the next seal.
#[derive(Default)]
pub struct Waiting {
    events: Vec<Event>,
    service_checks: Vec<ServiceCheck>,
    bytes: usize,
}

impl Waiting {
    /// Keep one, whose line had `size` bytes; false if there are too many.
    pub fn keep(&mut self, item: Extended, size: usize) -> bool {
        let kept = match item {
            Extended::Event(_) => self.events.len(),
            Extended::ServiceCheck(_) => self.service_checks.len(),
        };
        if kept >= MOST_EVENTS || self.bytes + size > MOST_EVENT_BYTES {
            return false;
        }
        self.bytes += size;
        match item {
            Extended::Event(event) => self.events.push(event),
            Extended::ServiceCheck(check) => self.service_checks.push(check),
        }
        true
    }

    /// Hand over what there is and begin again.
    pub fn take(&mut self) -> (Vec<Event>, Vec<ServiceCheck>) {
        let Self { events, service_checks, .. } = std::mem::take(self);
        (events, service_checks)
    }
}
