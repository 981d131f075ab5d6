//! Statistics of the delay between the last sample of a window and its prediction.

use std::fmt;
use std::time::Duration;

/// A histogram with one count per millisecond, so that its size does not depend on the duration.
pub(super) struct Delays {
    counts: Vec<u64>,
    longest: Duration,
}

/// Longest delay in the histogram, in milliseconds; longer delays count as this.
const MAX_MILLISECONDS: usize = 10_000;

impl Default for Delays {
    fn default() -> Self {
        Delays {
            counts: vec![0; MAX_MILLISECONDS + 1],
            longest: Duration::ZERO,
        }
    }
}

impl Delays {
    pub(super) fn add(&mut self, delay: Duration) {
        self.counts[(delay.as_millis() as usize).min(MAX_MILLISECONDS)] += 1;
        self.longest = self.longest.max(delay);
    }

    /// Upper bound, in whole milliseconds, of the delays of this share of the predictions.
    fn within(&self, share: f64) -> usize {
        let target = (share * self.answers() as f64).ceil() as u64;
        let mut so_far = 0;
        for (milliseconds, count) in self.counts.iter().enumerate() {
            so_far += count;
            if so_far >= target.max(1) {
                return milliseconds + 1;
            }
        }
        0
    }

    pub(super) fn answers(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.answers() {
            0 => Ok(()),
            _ => write!(
                f,
                "; half of them within {} ms after their last sample, 99 % within {} ms, all within {} ms",
                self.within(0.5),
                self.within(0.99),
                self.longest.as_millis() + 1
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_sorted_delays() {
        let mut delays = Delays::default();
        assert_eq!(delays.to_string(), "");
        for milliseconds in (0..200).rev() {
            delays.add(Duration::from_millis(milliseconds));
        }
        assert_eq!(delays.within(0.5), 100);
        assert_eq!(delays.within(0.99), 198);
        assert_eq!(delays.within(1.0), 200);
    }
}
