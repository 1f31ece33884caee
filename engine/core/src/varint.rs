//! Numbers in as few bytes as they need (LEB128), and reading back what was written.
//!
//! What is read here was written by this process: that it is whole is an invariant, not a hope.

/// Append an unsigned number, seven bits a byte, the lowest first.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Append a signed number; small magnitudes take few bytes.
#[inline]
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, (number << 1 ^ number >> 63).cast_unsigned());
}

/// Append a length.
#[inline]
pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    put(out, length as u64);
}

/// Reads forward through bytes.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn byte(&mut self) -> u8 {
        let (&byte, rest) = self.0.split_first().expect("what was written is whole");
        self.0 = rest;
        byte
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("what was written is whole");
        self.0 = rest;
        *taken
    }

    #[inline]
    pub(crate) fn number(&mut self) -> u64 {
        let mut byte = self.byte();
        let mut number = u64::from(byte & 0x7f);
        let mut shift = 7;
        while byte > 0x7f {
            byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        number
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }

    #[inline]
    pub(crate) fn length(&mut self) -> usize {
        usize::try_from(self.number()).expect("it was the length of something here")
    }

    #[inline]
    pub(crate) fn float(&mut self) -> f64 {
        f64::from_le_bytes(self.array())
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, put, put_signed};

    #[test]
    fn numbers_come_back_in_the_bytes_they_need() {
        let mut bytes = Vec::new();
        for (number, length) in [(0, 1), (127, 1), (128, 2), (1 << 14, 3), (u64::MAX, 10)] {
            bytes.clear();
            put(&mut bytes, number);
            assert_eq!((Reader(&bytes).number(), bytes.len()), (number, length));
        }
        for (number, length) in [(0, 1), (-64, 1), (63, 1), (64, 2), (i64::MIN, 10), (i64::MAX, 10)]
        {
            bytes.clear();
            put_signed(&mut bytes, number);
            assert_eq!((Reader(&bytes).signed(), bytes.len()), (number, length));
        }
    }
}
