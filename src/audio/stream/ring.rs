//! The latest samples of a stream.

/// Keeps the latest samples of a stream, at least `capacity` of them, and finds them by their place in
/// it. However long the stream, it holds twice its capacity at most.
pub struct Ring {
    samples: Vec<f32>,
    /// Where in the stream the first sample that is kept lies.
    first: u64,
    capacity: usize,
}

impl Ring {
    /// Keeps at least `capacity` samples.
    pub fn new(capacity: usize) -> Ring {
        Ring {
            samples: Vec::with_capacity(2 * capacity),
            first: 0,
            capacity,
        }
    }

    /// How many samples have come so far.
    pub fn total(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        for piece in samples.chunks(self.capacity.max(1)) {
            // Moved once per capacity: a sample is copied twice at most, and slices stay in one piece.
            if self.samples.len() + piece.len() > 2 * self.capacity {
                let old = (self.samples.len() + piece.len()).saturating_sub(self.capacity);
                let old = old.min(self.samples.len());
                self.samples.drain(..old);
                self.first += old as u64;
            }
            self.samples.extend_from_slice(piece);
        }
    }

    /// The samples of the stream from `start` to before `end`, as far as they are kept.
    pub fn slice(&self, start: u64, end: u64) -> &[f32] {
        let place = |at: u64| {
            let place = at.saturating_sub(self.first);
            place.min(self.samples.len() as u64) as usize
        };
        let (start, end) = (place(start), place(end));
        &self.samples[start.min(end)..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_latest_samples_are_there_and_no_more_is_kept(
            capacity in 1usize..50,
            pieces in prop::collection::vec(0usize..120, 0..30),
        ) {
            let mut ring = Ring::new(capacity);
            let mut total = 0u64;
            for piece in pieces {
                let samples: Vec<f32> = (total..total + piece as u64).map(|i| i as f32).collect();
                ring.push(&samples);
                total += piece as u64;
                prop_assert_eq!(ring.total(), total);
                let start = total.saturating_sub(capacity as u64);
                let expected: Vec<f32> = (start..total).map(|i| i as f32).collect();
                prop_assert_eq!(ring.slice(start, total), &expected[..]);
                prop_assert!(ring.samples.capacity() <= 2 * capacity.max(4));
            }
        }
    }
}
