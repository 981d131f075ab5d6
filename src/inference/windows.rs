//! Division of a recording or a stream into overlapping windows.

use anyhow::{Result, ensure};

use crate::audio::stream::Ring;

/// Settings of windows and smoothing, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windowing {
    /// Length of a window; it should be similar to the duration of the training clips.
    pub window: f64,
    /// Distance between the starts of two windows, which is the length of the shortest segment.
    pub hop: f64,
    /// Length of the range around a hop over which predictions are averaged; 0 disables smoothing.
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
    /// Windows of this length and smoothing. Without a hop, it is a second, or the window if that is
    /// shorter.
    pub fn new(window: f64, hop: Option<f64>, smooth: f64) -> Windowing {
        Windowing {
            window,
            hop: hop.unwrap_or(Windowing::default().hop.min(window)),
            smooth,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If the window is too short or too long, if the hops leave gaps, or if the smoothing covers
    /// less than two hops.
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
            "a hop of {hop} s must be between 0.05 s and the window, {window} s; otherwise there are \
             gaps between the windows"
        );
        ensure!(
            smooth == 0.0 || (2.0 * hop..=3600.0).contains(&smooth),
            "smoothing over {smooth} s has no effect: it must be 0 or at least two hops, {} s, because a \
             shorter range contains only one hop",
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

    /// Number of hops on each side over which predictions are averaged.
    pub(super) fn smoothed_hops(&self) -> usize {
        (self.smooth / self.hop / 2.0 + 1e-9) as usize
    }
}

fn samples(seconds: f64, sample_rate: u32) -> u64 {
    ((seconds * f64::from(sample_rate)).round() as u64).max(1)
}

/// Cuts a stream into windows of one length, one for each hop. The last window ends with the
/// stream, so that no sample is left out. A stream that is shorter than a window has one window.
pub struct Windows {
    ring: Ring,
    length: u64,
    hop: u64,
    /// Index of the first sample of the next window.
    next: u64,
}

impl Windows {
    /// Windows of `length` samples, one every `hop` samples.
    pub fn new(length: u64, hop: u64) -> Windows {
        Windows {
            ring: Ring::new(length as usize),
            length,
            hop,
            next: 0,
        }
    }

    /// Adds the next samples. Calls `take` for each completed window with the index of its first
    /// sample and its samples.
    ///
    /// # Errors
    /// If `take` fails.
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

    /// Ends the stream. Calls `take` for the last window if samples remain that no window contains.
    /// Returns the number of samples of the stream.
    ///
    /// # Errors
    /// If `take` fails.
    pub fn finish(self, take: impl FnOnce(u64, &[f32]) -> Result<()>) -> Result<u64> {
        let total = self.ring.total();
        let covered = match self.next {
            0 => 0,
            next => next - self.hop + self.length,
        };
        if covered < total {
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
        fn any_chunking_gives_the_same_windows_and_covers_all_samples(
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

            // The starts by the definition of the windows.
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
