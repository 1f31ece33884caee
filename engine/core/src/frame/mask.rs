//! Which places of a page.

const WORDS: usize = 4;
const WORD_BITS: usize = 64;

/// A set of places, 0 to 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask([u64; WORDS]);

impl Mask {
    /// No place.
    pub const EMPTY: Self = Self([0; WORDS]);
    /// All places.
    pub const FULL: Self = Self([u64::MAX; WORDS]);

    /// One place.
    #[cfg(test)]
    pub(crate) fn of(place: u8) -> Self {
        let mut mask = Self::EMPTY;
        mask.insert(place);
        mask
    }

    /// Add a place; say whether it is new.
    #[inline]
    pub fn insert(&mut self, place: u8) -> bool {
        let (word, bit) = locate(place);
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    /// Take a place away.
    #[inline]
    pub fn remove(&mut self, place: u8) {
        let (word, bit) = locate(place);
        self.0[word] &= !bit;
    }

    /// Whether a place is in it.
    #[inline]
    #[must_use]
    pub fn contains(&self, place: u8) -> bool {
        let (word, bit) = locate(place);
        self.0[word] & bit != 0
    }

    /// How many places are in it.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no place is in it.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The places in both.
    #[inline]
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    /// The places in either.
    #[inline]
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// The places that are not in the other.
    #[inline]
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & !other.0[at]))
    }

    /// How many places in it are below this one.
    #[inline]
    #[must_use]
    pub fn rank(&self, place: u8) -> usize {
        let (word, bit) = locate(place);
        let before: u32 = self.0[..word].iter().map(|word| word.count_ones()).sum();
        (before + (self.0[word] & (bit - 1)).count_ones()) as usize
    }

    /// The places, ascending.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().zip(0..).flat_map(|(&word, at)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = u8::try_from(rest.trailing_zeros()).ok().filter(|&bit| bit < 64)?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// The set as 32 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; WORDS * 8] {
        let mut bytes = [0; WORDS * 8];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The set of `to_bytes`.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; WORDS * 8]) -> Self {
        let (words, _) = bytes.as_chunks();
        Self(std::array::from_fn(|at| u64::from_le_bytes(words[at])))
    }
}

impl FromIterator<u8> for Mask {
    fn from_iter<T: IntoIterator<Item = u8>>(places: T) -> Self {
        let mut mask = Self::EMPTY;
        for place in places {
            mask.insert(place);
        }
        mask
    }
}

#[inline]
fn locate(place: u8) -> (usize, u64) {
    let place = usize::from(place);
    (place / WORD_BITS, 1 << (place % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn a_mask_has_the_places_that_were_put_in() {
        let places = [0, 1, 63, 64, 127, 128, 200, 255];
        let mask: Mask = places.into_iter().collect();
        assert_eq!(mask.iter().collect::<Vec<_>>(), places);
        assert_eq!(mask.len(), places.len());
        for place in 0..=255 {
            assert_eq!(mask.contains(place), places.contains(&place));
            assert_eq!(mask.rank(place), places.iter().filter(|&&other| other < place).count());
        }
        assert_eq!(Mask::from_bytes(&mask.to_bytes()), mask);
    }

    #[test]
    fn places_come_and_go() {
        let mut mask = Mask::of(7);
        assert!(!mask.insert(7) && mask.insert(8));
        mask.remove(7);
        assert_eq!(mask, Mask::of(8));
        assert_eq!(mask.and(&Mask::FULL), mask);
        assert_eq!(mask.or(&Mask::of(7)).len(), 2);
        assert_eq!(Mask::FULL.without(&mask).len(), 255);
        assert!(mask.without(&mask).is_empty());
        assert!(mask.and(&Mask::of(7)).is_empty());
        assert_eq!(Mask::FULL.iter().count(), 256);
    }
}
