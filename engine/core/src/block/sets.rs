//! Sets as the bytes of a block: each behind its length, with its number of samples.

use super::Places;
use crate::cells::SetCell;
use crate::frame::Frame;
use crate::varint::{Reader, put_length};

/// Append the sets of a frame.
pub(super) fn encode(sets: &[SetCell], places: &Places, out: &mut Vec<u8>) {
    let mut cell = Vec::new();
    for place in places.present.iter() {
        let SetCell { count, members } = &sets[usize::from(place)];
        cell.clear();
        cell.extend_from_slice(&count.to_le_bytes());
        members.encode(&mut cell);
        put_length(out, cell.len());
        out.extend_from_slice(&cell);
    }
}

/// Add the wanted ones of encoded sets to a frame.
pub(super) fn merge_into(mut reader: Reader, places: &Places, frame: &mut Frame) {
    for (place, cell) in places.chosen_cells(&mut reader) {
        let mut cell = Reader(cell);
        let count = cell.float();
        let limit = Reader(cell.0).length();
        let set = frame.set(place, limit);
        set.count += count;
        set.members.merge_encoded(&mut cell);
    }
}
