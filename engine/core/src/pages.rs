//! A list of pages whose snapshots are cheap.
//!
//! Pages are behind reference counts, and so are chunks of them: a snapshot of a million series
//! touches 64 counts, and a change after it copies one page and the counts of its chunk.

use std::sync::Arc;

const CHUNK: usize = 64;

/// See above; `clone` is the snapshot.
pub struct Pages<T>(Vec<Arc<Vec<Arc<T>>>>);

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Clone for Pages<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Pages<T> {
    /// How many pages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let last = self.0.last().map_or(0, |chunk| chunk.len());
        self.0.len().saturating_sub(1) * CHUNK + last
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The page of that number.
    #[must_use]
    pub fn get(&self, page: u32) -> Option<&Arc<T>> {
        let page = page as usize;
        self.0.get(page / CHUNK)?.get(page % CHUNK)
    }

    /// The page of that number, to change it.
    pub fn get_mut(&mut self, page: u32) -> Option<&mut T> {
        let page = page as usize;
        let chunk = self.0.get_mut(page / CHUNK)?;
        Some(Arc::make_mut(Arc::make_mut(chunk).get_mut(page % CHUNK)?))
    }

    /// Append a page.
    pub fn push(&mut self, page: T) {
        match self.0.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => Arc::make_mut(chunk).push(Arc::new(page)),
            None => self.0.push(Arc::new(vec![Arc::new(page)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_found_and_a_snapshot_keeps_what_it_saw() {
        let mut pages = Pages::default();
        assert!(pages.is_empty());
        for number in 0..200_u32 {
            assert_eq!(pages.len(), number as usize);
            pages.push(number);
        }
        let before = pages.clone();
        for number in (0..200).step_by(3) {
            *pages.get_mut(number).unwrap() += 1000;
        }
        for number in 0..200 {
            let more = if number % 3 == 0 { 1000 } else { 0 };
            assert_eq!(**pages.get(number).unwrap(), number + more);
            assert_eq!(**before.get(number).unwrap(), number);
        }
        assert!(pages.get(200).is_none() && pages.get_mut(200).is_none());
    }
}
