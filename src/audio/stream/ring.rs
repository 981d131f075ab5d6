//! Buffer of the latest samples of a stream.

/// Buffer of at least the `capacity` latest samples of a stream, which are addressed by their index
/// in the stream. It holds at most twice its capacity, however long the stream is.
pub struct Ring {
    samples: Vec<f32>,
    /// Index in the stream of the first buffered sample.
    first: u64,
    capacity: usize,
}

impl Ring {
    /// An empty buffer for at least `capacity` samples.
    pub fn new(capacity: usize) -> Ring {
        Ring {
            samples: Vec::with_capacity(2 * capacity),
            first: 0,
            capacity,
        }
    }

    /// Number of samples of the stream so far.
    pub fn total(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    /// Appends the next samples of the stream.
    pub fn push(&mut self, samples: &[f32]) {
        for piece in samples.chunks(self.capacity.max(1)) {
            // The samples move once for each `capacity` new samples, so that a sample is copied at
            // most twice and slices are contiguous.
            if self.samples.len() + piece.len() > 2 * self.capacity {
                let old = (self.samples.len() + piece.len()).saturating_sub(self.capacity);
                let old = old.min(self.samples.len());
                self.samples.drain(..old);
                self.first += old as u64;
            }
            self.samples.extend_from_slice(piece);
        }
    }

    /// Samples `start..end` of the stream; samples that are not in the buffer are left out.
    pub fn slice(&self, start: u64, end: u64) -> &[f32] {
        let index = |at: u64| {
            let index = at.saturating_sub(self.first);
            index.min(self.samples.len() as u64) as usize
        };
        let (start, end) = (index(start), index(end));
        &self.samples[start.min(end)..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_latest_samples_are_buffered_and_memory_is_bounded(
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
