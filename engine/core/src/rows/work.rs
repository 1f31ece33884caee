//! How much work it is to merge cells, told before it is done.
//!
//! The measure is a byte of a histogram in a block, which takes about two nanoseconds. Counters and
//! gauges take so little that a whole block of them has one number.

use std::sync::Arc;

use crate::frame::Mask;
use crate::metric::{Class, PAGE};
use crate::slot::Slot;

/// A bound on one batch.
pub(super) const MOST: usize = 2 << 20;
/// A block of counters or gauges.
const BLOCK: usize = 2 << 10;
/// Looking at all keys of a page.
pub(super) const KEYS: usize = 8 * BLOCK;
/// A histogram or a set in a block, beside its bytes.
const CELL: usize = 32;
/// Sets that are merged before anybody looks at what became of them.
const STEP: usize = 256 << 10;
/// Sets that become an estimate take so many times as long, because every member is hashed.
pub(super) const ESTIMATE: usize = 8;

/// Some places of a page, and how much work they are.
pub(super) struct Part {
    pub(super) places: Mask,
    pub(super) work: usize,
}

/// The first of the wanted places of a page: as many as make `most` work, and at least one.
pub(super) fn first_part(
    slots: &[Arc<Slot>],
    page: u32,
    class: Class,
    wanted: &Mask,
    most: usize,
) -> Part {
    let blocks = || slots.iter().filter_map(|slot| slot.block(page));
    let work = BLOCK * blocks().count();
    let most = match class {
        Class::Counter | Class::Gauge => return Part { places: *wanted, work },
        Class::Sampled => most,
        Class::Set => most.min(STEP),
    };
    let each = CELL * blocks().count();
    let all = work + each * wanted.len() + blocks().map(|block| block.bytes()).sum::<usize>();
    if all <= most {
        return Part { places: *wanted, work: all };
    }
    let mut bytes = [0; PAGE];
    blocks().for_each(|block| block.add_lengths(&mut bytes));
    let mut part = Part { places: Mask::EMPTY, work };
    for place in wanted.iter() {
        part.places.insert(place);
        part.work += each + bytes[usize::from(place)];
        if part.work >= most {
            break;
        }
    }
    part
}
