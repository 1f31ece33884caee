//! A shard: what one thread needs to take lines without waiting for another.
//!
//! A line of a known spelling goes along its route: its value is parsed and added to an accumulator.
//! Any other line is parsed in full, and earns a route if its kind allows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::accounts::Accounts;
use crate::metric::Class;
use crate::open::{Form, Open};
use crate::past::{Late, Placed};
use crate::routes::{Generation, LONGEST_SPELLING, MISS, Route, Routes, Spelling};
use crate::scan::{self, NONE};
use crate::shared::Shared;
use crate::sys::Datagram;
use crate::table::Found;
use crate::values::{self, Target};
use crate::wire::dialect::{Dialect, GaugeSign};
use crate::wire::extended::Extended;
use crate::wire::parse::{Line, Reason, Sample, parse_line};

/// Lines that are cut before the first of them is taken: their look-ups wait for memory together.
const TOGETHER: usize = 256;

/// Where a line is in the text, and what is known of its route.
#[derive(Clone, Copy)]
struct Cut {
    start: u32,
    colon: u32,
    bar: u32,
    end: u32,
    hash: u64,
    candidate: u32,
}

/// A line that was cut, and its route.
#[derive(Clone, Copy)]
struct Routed {
    cut: u32,
    number: u32,
}

/// See above; whoever uses it has it alone (it is behind a mutex).
pub struct Shard {
    /// Where its lines went.
    pub accounts: Accounts,
    open: Open,
    /// The memory of the slot before the open one.
    spare: Option<Open>,
    /// The number of the open slot; routes know their places by it.
    epoch: u32,
    /// When the open slot began, in monotonic seconds.
    opened: f64,
    routes: Vec<(Dialect, Routes)>,
    cuts: Vec<Cut>,
    /// By class.
    routed: [Vec<Routed>; Class::ALL.len()],
}

impl Shard {
    /// An empty shard, whose first slot begins at `opened` (monotonic seconds).
    #[must_use]
    pub fn new(opened: f64, form: &Arc<Form>) -> Self {
        Self {
            accounts: Accounts::default(),
            open: Open::new(Arc::clone(form)),
            spare: None,
            epoch: 1,
            opened,
            routes: Vec::new(),
            cuts: Vec::with_capacity(TOGETHER),
            routed: Default::default(),
        }
    }

    /// Begin a slot at `opened`; return what was sampled in the one before, and what to drop.
    ///
    /// Nothing here takes longer for more series.
    pub fn swap(&mut self, opened: f64, turn_every: u32) -> (Open, Vec<Generation>) {
        self.epoch += 1;
        self.opened = opened;
        let fresh = self.spare.take().unwrap_or_else(|| self.open.successor());
        let sampled = std::mem::replace(&mut self.open, fresh);
        let is_time = self.epoch.is_multiple_of(turn_every);
        let turned = |(_, routes): &mut (Dialect, Routes)| is_time.then(|| routes.turn());
        (sampled, self.routes.iter_mut().filter_map(turned).collect())
    }

    /// Give back the memory of a slot that was sealed.
    pub fn give_back(&mut self, cleared: Open) {
        self.spare = Some(cleared);
    }

    /// Count timestamped samples now that no slot holds.
    pub fn add_late(&mut self, shared: &Shared, samples: Vec<Late>) {
        self.open.stamp = next_stamp(shared);
        for late in samples {
            self.accounts.late += 1;
            let place = self.open.place(late.id, late.cell.class());
            self.open.add_cell(place, &late.cell);
        }
    }

    /// Take datagrams out of `text`, which has `sys::SLACK` bytes of no meaning behind each.
    pub fn take(
        &mut self,
        shared: &Shared,
        dialect: &Dialect,
        text: &mut [u8],
        datagrams: impl Iterator<Item = Datagram>,
    ) {
        self.open.stamp = shared.stamp.fetch_add(1, Ordering::Relaxed);
        let speech = self.speech(shared, dialect);
        for datagram in datagrams {
            let end = datagram.start + datagram.length;
            let whole = if datagram.is_cut() {
                let last = memchr::memrchr(b'\n', &text[datagram.start..end]);
                last.map_or(datagram.start, |at| datagram.start + at)
            } else {
                end
            };
            // The last line ends like the others. Of a cut datagram it is there already.
            if !datagram.is_cut() {
                text[end] = b'\n';
            }
            self.cut(shared, speech, text, datagram.start, whole);
            if datagram.is_cut() {
                self.run(shared, speech, text);
                let rest = whole + usize::from(text[whole] == b'\n' && whole < end);
                self.accounts.reject(&text[rest..end], Reason::Truncated, next_stamp(shared));
            }
        }
        self.run(shared, speech, text);
    }

    /// The number of a dialect's routes, which are turned first if it is time.
    fn speech(&mut self, shared: &Shared, dialect: &Dialect) -> usize {
        let known = self.routes.iter().position(|(known, _)| known == dialect);
        let speech = known.unwrap_or_else(|| {
            self.routes.push((dialect.clone(), Routes::new(shared.most_routes)));
            self.routes.len() - 1
        });
        let routes = &mut self.routes[speech].1;
        if routes.is_full() {
            shared.discard(routes.turn());
        }
        speech
    }

    /// Cut the lines between `start` and `end`, where a line feed is.
    fn cut(&mut self, shared: &Shared, speech: usize, text: &[u8], start: usize, end: usize) {
        assert!(u32::try_from(text.len()).is_ok(), "buffers are smaller than 4 GiB");
        #[expect(clippy::cast_possible_truncation, reason = "it is in the text")]
        let offset = |at: usize| at as u32;
        let mut at = start;
        while at < end {
            let marks = scan::marks(text, at);
            let mut cut = Cut {
                start: offset(at),
                colon: 0,
                bar: 0,
                end: offset(marks.end),
                hash: 0,
                candidate: MISS,
            };
            if marks.bar != NONE {
                let spelling = Spelling {
                    name: &text[at..marks.colon],
                    suffix: &text[marks.bar + 1..marks.end],
                };
                cut.hash = self.routes[speech].1.hash(spelling);
                (cut.colon, cut.bar) = (offset(marks.colon), offset(marks.bar));
            }
            self.cuts.push(cut);
            if self.cuts.len() == TOGETHER {
                self.run(shared, speech, text);
            }
            at = marks.end + 1;
        }
    }

    /// Take the lines that were cut.
    ///
    /// Those with a route are added class by class: the order of lines means something to gauges
    /// alone, and a branch that is always the same costs nothing.
    fn run(&mut self, shared: &Shared, speech: usize, text: &[u8]) {
        let mut cuts = std::mem::take(&mut self.cuts);
        let routes = &self.routes[speech].1;
        for cut in cuts.iter_mut().filter(|cut| cut.bar > 0) {
            cut.candidate = routes.candidate(cut.hash);
        }
        if routes.is_large() {
            let candidates = || cuts.iter().map(|cut| cut.candidate).filter(|&at| at != MISS);
            candidates().for_each(|candidate| routes.touch(candidate));
            candidates().for_each(|candidate| routes.touch_spelling(candidate));
        }
        for (at, cut) in (0..).zip(&cuts) {
            if let Some((number, class)) = self.route_of(shared, speech, text, *cut) {
                self.routed[class as usize].push(Routed { cut: at, number });
            } else {
                self.add_routed(shared, speech, text, &cuts);
                self.take_line(shared, speech, &text[cut.start as usize..cut.end as usize]);
            }
        }
        self.add_routed(shared, speech, text, &cuts);
        cuts.clear();
        self.cuts = cuts;
    }

    /// The route of a line, with its place in the open slot.
    #[inline]
    fn route_of(
        &mut self,
        shared: &Shared,
        speech: usize,
        text: &[u8],
        cut: Cut,
    ) -> Option<(u32, Class)> {
        if cut.bar == 0 {
            return None;
        }
        let spelling = Spelling {
            name: &text[cut.start as usize..cut.colon as usize],
            suffix: &text[cut.bar as usize + 1..cut.end as usize],
        };
        let routes = &mut self.routes[speech].1;
        let number = routes.find(cut.hash, spelling, cut.candidate);
        if number == MISS {
            return None;
        }
        let route = routes.at(number);
        let is_active = route.epoch == self.epoch
            || activate(route, self.epoch, self.opened, &mut self.open, shared);
        is_active.then_some((number, route.class))
    }

    fn add_routed(&mut self, shared: &Shared, speech: usize, text: &[u8], cuts: &[Cut]) {
        self.add_class(Class::Counter, shared, speech, text, cuts);
        self.add_class(Class::Gauge, shared, speech, text, cuts);
        self.add_class(Class::Sampled, shared, speech, text, cuts);
        self.add_class(Class::Set, shared, speech, text, cuts);
    }

    /// Add the values of the lines whose routes lead to a class.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "where the class is known, one branch of four is left"
    )]
    fn add_class(
        &mut self,
        class: Class,
        shared: &Shared,
        speech: usize,
        text: &[u8],
        cuts: &[Cut],
    ) {
        let mut waiting = std::mem::take(&mut self.routed[class as usize]);
        let routes = &mut self.routes[speech].1;
        if routes.is_large() {
            for each in &waiting {
                self.open.touch(class, routes.at(each.number).place);
            }
        }
        for Routed { cut, number } in waiting.drain(..) {
            let cut = cuts[cut as usize];
            let value = cut.colon as usize + 1..cut.bar as usize;
            let (dialect, routes) = &mut self.routes[speech];
            let is_delta = dialect.gauge_sign == GaugeSign::Delta;
            let Route { place, rate, .. } = *routes.at(number);
            let target = Target { class, place, rate };
            let values = values::add_text(&mut self.open, target, text, value, is_delta);
            self.accounts.aggregated += u64::from(values > 0);
            self.accounts.values += values;
            if values == 0 {
                self.take_line(shared, speech, &text[cut.start as usize..cut.end as usize]);
            }
        }
        self.routed[class as usize] = waiting;
    }

    /// Account for one line in full; the only place that parses.
    #[cold]
    fn take_line(&mut self, shared: &Shared, speech: usize, line: &[u8]) {
        if line.is_empty() || line == b"\r" {
            return;
        }
        let mut parsed = match parse_line(line, &self.routes[speech].0) {
            Ok(parsed) => parsed,
            Err(reason) => return self.accounts.reject(line, reason, next_stamp(shared)),
        };
        let is_kept = if let Some(item) = parsed.extended.take() {
            self.keep(shared, item, line.len())
        } else {
            self.add_samples(shared, speech, line, &parsed);
            true
        };
        if is_kept {
            self.accounts.aggregated += 1;
            for note in parsed.notes {
                self.accounts.note(note);
            }
        }
    }

    fn keep(&mut self, shared: &Shared, item: Extended, size: usize) -> bool {
        let is_event = matches!(item, Extended::Event(_));
        let is_kept = shared.extended().keep(item, size);
        self.accounts.shed += u64::from(!is_kept);
        self.accounts.events += u64::from(is_kept && is_event);
        self.accounts.service_checks += u64::from(is_kept && !is_event);
        is_kept
    }

    fn add_samples(&mut self, shared: &Shared, speech: usize, line: &[u8], parsed: &Line) {
        for sample in &parsed.samples {
            self.accounts.values += sample.values.count() as u64;
            let found = shared.table().get(&sample.key, self.opened);
            self.accounts.overflowed += u64::from(found.is_overflowed);
            let place = self.add(shared, sample, found);
            if let Some(place) = place
                && parsed.samples.len() == 1
                && parsed.notes.is_empty()
                && !found.is_overflowed
            {
                self.learn(speech, line, sample, found, place);
            }
        }
    }

    /// Count a sample in the open slot, or in the past if it says so; return its place.
    fn add(&mut self, shared: &Shared, sample: &Sample, found: Found) -> Option<u32> {
        if let Some(wall) = sample.timestamp {
            let late = Late::new(sample, found.id, wall, self.open.has_gauge(found.id));
            match shared.past().place(late) {
                Placed::Now => (),
                Placed::Late => self.accounts.late += 1,
                Placed::Past => return None,
            }
        }
        let place = self.open.place(found.id, sample.key.kind().class());
        values::add_sample(&mut self.open, place, sample);
        // A route would not see the timestamp.
        sample.timestamp.is_none().then_some(place)
    }

    /// Give the spelling of a line a route.
    fn learn(&mut self, speech: usize, line: &[u8], sample: &Sample, found: Found, place: u32) {
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let Some(bar) = memchr::memchr(b'|', &line[colon..]) else { return };
        if line.len() > LONGEST_SPELLING {
            return;
        }
        let route = Route {
            id: found.id,
            generation: found.generation,
            epoch: self.epoch,
            place,
            rate: sample.rate,
            class: sample.key.kind().class(),
        };
        let spelling = Spelling { name: &line[..colon], suffix: &line[colon + bar + 1..] };
        self.routes[speech].1.learn(spelling, route);
    }
}

fn next_stamp(shared: &Shared) -> u64 {
    shared.stamp.fetch_add(1, Ordering::Relaxed)
}

/// Give a route its place in the open slot; false if its series is gone.
#[cold]
fn activate(route: &mut Route, epoch: u32, opened: f64, open: &mut Open, shared: &Shared) -> bool {
    if !shared.table().touch(route.id, route.generation, opened) {
        return false;
    }
    route.place = open.spelling_place(route.id, route.class);
    route.epoch = epoch;
    true
}
