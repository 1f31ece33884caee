//! A shard: what one thread needs to take lines without waiting for another.
//!
//! A line of a known spelling goes along its route: its value is parsed and added to an accumulator.
//! Any other line is parsed in full, and earns a route if its kind allows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::accounts::Accounts;
use crate::cut::Cut;
use crate::index::MISS;
use crate::metric::Class;
use crate::open::{Form, Open};
use crate::past::{Late, Placed};
use crate::routes::{Generation, LONGEST_SPELLING, Route, Routes, Series};
use crate::scan::Scan;
use crate::shared::Shared;
use crate::spelling::Spelling;
use crate::sys::Datagram;
use crate::table::Found;
use crate::values::{self, Target};
use crate::wire::dialect::{Dialect, GaugeSign};
use crate::wire::extended::Extended;
use crate::wire::parse::{Line, Reason, Sample, parse_line};

/// Lines that are cut before the first of them is taken: their look-ups wait for memory together.
const TOGETHER: usize = 128;

/// A line that was cut, and where its value goes.
#[derive(Clone, Copy)]
struct Routed {
    cut: u32,
    target: Target,
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
    scan: Scan,
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
            scan: Scan::default(),
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
        let mut scan = std::mem::take(&mut self.scan);
        scan.read(&text[start..], end - start + 1);
        let mut at = start;
        while at < end {
            let cut = Cut::new(text, start, at, &scan, &self.routes[speech].1);
            at = cut.next();
            self.cuts.push(cut);
            if self.cuts.len() == TOGETHER {
                self.run(shared, speech, text);
            }
        }
        self.scan = scan;
    }

    /// Take the lines that were cut.
    ///
    /// Those with a route are added class by class: the order of lines means something to gauges
    /// alone, and a branch that is always the same costs nothing.
    fn run(&mut self, shared: &Shared, speech: usize, text: &[u8]) {
        let mut cuts = std::mem::take(&mut self.cuts);
        self.routes[speech].1.look_ahead(&mut cuts);
        for (at, cut) in (0..).zip(&cuts) {
            if let Some(target) = self.target_of(shared, speech, text, cut) {
                self.routed[target.class as usize].push(Routed { cut: at, target });
            } else {
                self.add_routed(shared, speech, text, &cuts);
                self.take_line(shared, speech, cut.line(text));
            }
        }
        self.add_routed(shared, speech, text, &cuts);
        cuts.clear();
        self.cuts = cuts;
    }

    /// Where the value of a line goes, if there is a route that says it.
    #[inline]
    fn target_of(
        &mut self,
        shared: &Shared,
        speech: usize,
        text: &[u8],
        cut: &Cut,
    ) -> Option<Target> {
        if !cut.has_value() {
            return None;
        }
        let routes = &mut self.routes[speech].1;
        let number = routes.find(cut, text);
        if number == MISS {
            return None;
        }
        let Route { class, place, epoch, rate, .. } = *routes.at(number);
        if epoch == self.epoch {
            return Some(Target { class, place, rate });
        }
        let place = self.activate(shared, speech, number)?;
        Some(Target { class, place, rate })
    }

    /// Give a route its place in the open slot; none if its series is gone.
    #[cold]
    fn activate(&mut self, shared: &Shared, speech: usize, number: u32) -> Option<u32> {
        let routes = &mut self.routes[speech].1;
        let Series { id, generation } = routes.series(number);
        if !shared.table().touch(id, generation, self.opened) {
            return None;
        }
        let route = routes.at(number);
        route.place = self.open.spelling_place(id, route.class);
        route.epoch = self.epoch;
        Some(route.place)
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
        if self.routes[speech].1.is_large() {
            for each in &waiting {
                self.open.touch(class, each.target.place);
            }
        }
        let is_delta = self.routes[speech].0.gauge_sign == GaugeSign::Delta;
        for Routed { cut, target } in waiting.drain(..) {
            let cut = &cuts[cut as usize];
            let target = Target { class, ..target };
            let values = values::add_text(&mut self.open, target, text, cut.value(), is_delta);
            self.accounts.aggregated += u64::from(values > 0);
            self.accounts.values += values;
            if values == 0 {
                self.take_line(shared, speech, cut.line(text));
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
        let spelling = Spelling { name: &line[..colon], suffix: &line[colon + bar + 1..] };
        let route = Route {
            print: spelling.print(),
            class: sample.key.kind().class(),
            place,
            epoch: self.epoch,
            rate: sample.rate,
        };
        let series = Series { id: found.id, generation: found.generation };
        self.routes[speech].1.learn(spelling, route, series);
    }
}

fn next_stamp(shared: &Shared) -> u64 {
    shared.stamp.fetch_add(1, Ordering::Relaxed)
}
