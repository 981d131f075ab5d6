//! A recording or a stream cut into windows that overlap.

use anyhow::{Result, ensure};

use crate::audio::stream::Ring;

/// How a long recording is cut and put together again, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windowing {
    /// How much is heard at once; about as much as the clips last that the model was trained on.
    pub window: f64,
    /// From the start of one window to the start of the next; the shortest segment there can be.
    pub hop: f64,
    /// Each hop's answer is the mean of those within this much time around it; 0: its own alone.
    pub smooth: f64,
}

impl Default for Windowing {
    fn default() -> Self {
        Windowing {
            window: 3.0,
            hop: 1.0,
            smooth: 0.0,
        }
    }
}

impl Windowing {
    /// Refuses lengths that leave gaps, or that nothing could be heard in.
    pub fn validate(&self) -> Result<()> {
        let Windowing {
            window,
            hop,
            smooth,
        } = *self;
        ensure!(
            (0.1..=60.0).contains(&window),
            "a window of {window} s is outside 0.1 to 60 s; most models were trained on clips of 2 to 5 s"
        );
        ensure!(
            (0.05..=window).contains(&hop),
            "a hop of {hop} s must lie between 0.05 s and the window, {window} s, or something would \
             not be heard"
        );
        ensure!(
            smooth == 0.0 || (2.0 * hop..=3600.0).contains(&smooth),
            "--smooth {smooth} s must be 0 or at least two hops, {} s: over less there is nothing to \
             take a mean of",
            2.0 * hop
        );
        Ok(())
    }

    /// The window in samples.
    pub(super) fn window_samples(&self, sample_rate: u32) -> u64 {
        samples(self.window, sample_rate)
    }

    /// The hop in samples.
    pub(super) fn hop_samples(&self, sample_rate: u32) -> u64 {
        samples(self.hop, sample_rate)
    }

    /// How many hops on either side count towards a hop's answer.
    pub(super) fn smoothed_hops(&self) -> usize {
        (self.smooth / self.hop / 2.0 + 1e-9) as usize
    }
}

fn samples(seconds: f64, sample_rate: u32) -> u64 {
    ((seconds * f64::from(sample_rate)).round() as u64).max(1)
}

/// Cuts a stream into windows of one length, one every hop. The last one ends with the stream, so that
/// all of it is heard; of a stream that is shorter than a window, it is the only one.
pub struct Windows {
    ring: Ring,
    length: u64,
    hop: u64,
    /// Where the next window starts.
    next: u64,
}

impl Windows {
    /// Windows of so many samples, one every `hop` samples.
    pub fn new(length: u64, hop: u64) -> Windows {
        Windows {
            ring: Ring::new(length as usize),
            length,
            hop,
            next: 0,
        }
    }

    /// Takes the next samples, and hands each window that they complete to `take`, with the place of
    /// its first sample.
    pub fn push(
        &mut self,
        mut samples: &[f32],
        mut take: impl FnMut(u64, &[f32]) -> Result<()>,
    ) -> Result<()> {
        while !samples.is_empty() {
            let end = self.next + self.length;
            let missing = (end - self.ring.total()).min(samples.len() as u64);
            let (now, later) = samples.split_at(missing as usize);
            self.ring.push(now);
            if self.ring.total() == end {
                take(self.next, self.ring.slice(self.next, end))?;
                self.next += self.hop;
            }
            samples = later;
        }
        Ok(())
    }

    /// The stream is over: hands out what no window has reached, and tells how many samples came.
    pub fn finish(self, take: impl FnOnce(u64, &[f32]) -> Result<()>) -> Result<u64> {
        let total = self.ring.total();
        let heard = match self.next {
            0 => 0,
            next => next - self.hop + self.length,
        };
        if heard < total {
            let start = total.saturating_sub(self.length);
            take(start, self.ring.slice(start, total))?;
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_windows_and_all_is_heard(
            pieces in prop::collection::vec(1usize..90, 0..20),
            length in 1u64..60,
            hop in 1u64..60,
        ) {
            let hop = hop.min(length);
            let total: usize = pieces.iter().sum();
            let samples: Vec<f32> = (0..total).map(|i| i as f32).collect();
            let mut windows = Windows::new(length, hop);
            let mut found: Vec<(u64, Vec<f32>)> = Vec::new();
            let mut start = 0;
            for piece in pieces {
                windows.push(&samples[start..start + piece], |at, window| {
                    found.push((at, window.to_vec()));
                    Ok(())
                }).unwrap();
                start += piece;
            }
            let counted = windows.finish(|at, window| {
                found.push((at, window.to_vec()));
                Ok(())
            }).unwrap();
            prop_assert_eq!(counted, total as u64);

            // By definition.
            let mut expected: Vec<u64> =
                (0..).map(|i| i * hop).take_while(|at| at + length <= total as u64).collect();
            let reached = expected.last().map_or(0, |last| last + length);
            if reached < total as u64 {
                expected.push((total as u64).saturating_sub(length));
            }
            let starts: Vec<u64> = found.iter().map(|(at, _)| *at).collect();
            prop_assert_eq!(starts, expected);
            for (at, window) in found {
                let end = (at + length).min(total as u64);
                prop_assert_eq!(&window[..], &samples[at as usize..end as usize]);
            }
        }
    }
}
