//! Counters and gauges as the bytes of a block: a column for each of their numbers.

use super::Places;
use crate::cells::GaugeCell;
use crate::column::{self, Column};
use crate::frame::{Counters, Gauges, Numbers};
use crate::metric::PAGE;
use crate::varint::Reader;

/// With fewer cells wanted, numbers are looked up one by one instead of reading all of a column.
const MANY: usize = 16;

/// Append the counters of a frame.
pub(super) fn encode_counters(counters: &Counters, places: &Places, out: &mut Vec<u8>) {
    let mut columns = Columns::new(places, out);
    columns.put(|at| counters.count.get(at));
    columns.put(|at| counters.sum.get(at));
}

/// Append the gauges of a frame.
pub(super) fn encode_gauges(gauges: &Gauges, places: &Places, out: &mut Vec<u8>) {
    let mut columns = Columns::new(places, out);
    columns.put(|at| gauges.at[at]);
    columns.put(|at| gauges.count[at]);
    // These are often the same, and a column like the one before costs nothing.
    columns.put(|at| gauges.sum.get(at));
    columns.put(|at| gauges.min[at]);
    columns.put(|at| gauges.max[at]);
    columns.put(|at| gauges.last[at]);
}

/// Add the wanted ones of encoded counters to a frame's.
pub(super) fn merge_counters(reader: Reader, places: &Places, counters: &mut Counters) {
    each::<2>(reader, places, |at, [count, sum]| counters.add(at, count, sum));
}

/// Add the wanted ones of encoded gauges to a frame's.
pub(super) fn merge_gauges(reader: Reader, places: &Places, gauges: &mut Gauges) {
    each::<6>(reader, places, |place, [at, count, sum, min, max, last]| {
        gauges.add(place, &GaugeCell { count, sum, min, max, last, at });
    });
}

/// Writes columns, of which each knows the one before.
struct Columns<'a> {
    places: &'a Places,
    before: Option<Numbers>,
    out: &'a mut Vec<u8>,
}

impl<'a> Columns<'a> {
    fn new(places: &'a Places, out: &'a mut Vec<u8>) -> Self {
        Self { places, before: None, out }
    }

    fn put(&mut self, number: impl Fn(usize) -> f64) {
        let (mut numbers, mut rows) = ([0.0; PAGE], 0);
        for place in self.places.present.iter() {
            numbers[rows] = number(usize::from(place));
            rows += 1;
        }
        column::encode(&numbers[..rows], self.before.as_ref().map(|before| &before[..]), self.out);
        self.before = Some(numbers);
    }
}

/// Call `add` with the numbers of every wanted place.
#[inline]
fn each<const N: usize>(mut reader: Reader, places: &Places, mut add: impl FnMut(usize, [f64; N])) {
    let rows = places.present.len();
    let mut before = None;
    let columns: [Column; N] =
        std::array::from_fn(|_| *before.insert(Column::read(&mut reader, rows, before)));
    if places.chosen.len() < MANY {
        for place in places.chosen.iter() {
            let row = places.present.rank(place);
            add(usize::from(place), columns.map(|column| column.get(row)));
        }
        return;
    }
    let mut numbers = [[0.0; PAGE]; N];
    for (column, numbers) in columns.iter().zip(&mut numbers) {
        column.decode(&mut numbers[..rows]);
    }
    let row_of = |row: usize| std::array::from_fn(|at| numbers[at][row]);
    if rows == PAGE && places.chosen == places.present {
        (0..PAGE).for_each(|place| add(place, row_of(place)));
        return;
    }
    for (row, place) in places.present.iter().enumerate() {
        if places.chosen.contains(place) {
            add(usize::from(place), row_of(row));
        }
    }
}
