//! Prosody: pitch, voicing and loudness of speech, frame by frame.
//!
//! The autocorrelation of a windowed frame is divided by the autocorrelation of the window, which
//! would otherwise favour short lags. The lag of the highest peak gives the pitch, and the height
//! of the peak gives the voicing (Boersma, "Accurate short-term analysis of the fundamental
//! frequency and the harmonics-to-noise ratio of a sampled sound", 1993). The pitch is not tracked
//! from frame to frame: a network that reads the frames in order can distinguish a jump from a
//! melody.

use std::f64::consts::TAU;

use rustfft::num_complex::Complex;

use super::pair::{Pair, PairFft};
use crate::audio::dot::{dot, sum};
use crate::memory::{OutOfMemory, reserve};

/// Number of columns of a frame: pitch, voicing, loudness.
pub(super) const COLUMNS: usize = 3;

/// Length of the Hann window: nearly four periods of the lowest pitch.
const WINDOW_SECONDS: f64 = 0.064;
/// The range of pitch, in hertz.
const MIN_PITCH_HZ: f64 = 60.0;
const MAX_PITCH_HZ: f64 = 500.0;
/// Subtracted from the height of a peak for each octave below the highest pitch. A periodic sound
/// has equal peaks at one period and at two; the cost selects the shorter lag.
const OCTAVE_COST: f32 = 0.01;
/// A frame has a pitch if its voicing is above this threshold.
const VOICING_THRESHOLD: f32 = 0.55;
/// Lower powers count as this power; a frame that is not above it has no pitch.
const MIN_POWER: f32 = 1e-10;
/// Default of [`FeatureConfig::loudness_range`](super::FeatureConfig::loudness_range), in decibels.
pub(super) const LOUDNESS_RANGE: f32 = 80.0;

/// The tables for waveforms of one sample rate.
pub(super) struct Prosody {
    sample_rate: f32,
    hop_length: usize,
    /// Range of the loudness below the loudest frame, in decibels.
    loudness_range: f32,
    window: Vec<f32>,
    /// The reciprocal of the window's normalised autocorrelation, for each lag.
    correction: Vec<f32>,
    /// Period of the highest pitch, in samples.
    min_lag: usize,
    fft: PairFft,
}

/// The buffers that one thread needs for its frames.
struct Scratch {
    pair: Pair,
    fft: Vec<Complex<f32>>,
    /// Normalised autocorrelations of two frames, from one lag below the shortest to one above the
    /// longest.
    correlations: [Vec<f32>; 2],
}

/// Measurements of one frame.
#[derive(Clone, Copy)]
struct Frame {
    /// log₂ of the pitch in hertz, also for unvoiced frames; 0 without any peak.
    octaves: f32,
    voicing: f32,
    power: f32,
}

impl Prosody {
    pub(super) fn new(sample_rate: u32, hop_length: usize, loudness_range: f32) -> Prosody {
        let rate = f64::from(sample_rate);
        let half = (rate * WINDOW_SECONDS / 2.0).round().max(1.0) as usize;
        let length = 2 * half;
        let min_lag = ((rate / MAX_PITCH_HZ) as usize).max(1);
        let max_lag = (rate / MIN_PITCH_HZ) as usize + 1;
        let window: Vec<f32> = (0..length)
            .map(|n| (0.5 - 0.5 * (TAU * n as f64 / length as f64).cos()) as f32)
            .collect();
        // Zeros for the longest lag, so that the circular autocorrelation does not wrap around.
        let fft = PairFft::new(fast_fft_length(length + max_lag + 1));
        let mut pair = fft.pair();
        pair.frames[0][..length].copy_from_slice(&window);
        let correlation = fft.autocorrelations(&mut pair, &mut fft.scratch());
        let energy = correlation[0].re;
        Prosody {
            sample_rate: sample_rate as f32,
            hop_length,
            loudness_range,
            correction: correlation[..=max_lag]
                .iter()
                // The divisor is never small: at the longest lag it is nearly two thirds.
                .map(|r| energy / r.re)
                .collect(),
            window,
            min_lag,
            fft,
        }
    }

    /// Prosody of a waveform, frames × [`COLUMNS`], row-major. Frames are centred, with zeros beyond
    /// the ends, like those of the MFCCs.
    ///
    /// - pitch in octaves relative to the utterance's median, which removes the average pitch of
    ///   the speaker; 0 in unvoiced frames;
    /// - voicing, from about 0 (noise) to 1 (a tone);
    /// - loudness in decibels relative to the loudest frame, from −80, or the range, to 0.
    ///
    /// With a range below 80 dB, frames that are quieter are unvoiced.
    pub(super) fn track(&self, samples: &[f32], frames: usize) -> Result<Vec<f32>, OutOfMemory> {
        let mut scratch = Scratch {
            pair: self.fft.pair(),
            fft: self.fft.scratch(),
            correlations: [const { Vec::new() }; 2],
        };
        let mut measured: Vec<Frame> = reserve(frames + 1)?;
        for frame in (0..frames).step_by(2) {
            measured.extend(self.two_frames(samples, frame * self.hop_length, &mut scratch));
        }
        measured.truncate(frames);
        let median = median(
            measured
                .iter()
                .filter(|frame| frame.voicing > VOICING_THRESHOLD)
                .map(|frame| frame.octaves),
        );
        let loudest = measured
            .iter()
            .fold(MIN_POWER, |most, frame| most.max(frame.power));
        let row = |frame: &Frame| {
            let pitch = match median {
                Some(median) if frame.voicing > VOICING_THRESHOLD => frame.octaves - median,
                _ => 0.0,
            };
            let loudness = 10.0 * (frame.power.max(MIN_POWER) / loudest).log10();
            let range = self.loudness_range;
            // Below the range there is only noise, whose pitch and voicing are chance.
            if range < LOUDNESS_RANGE && loudness <= -range {
                return [0.0, 0.0, -range];
            }
            [pitch, frame.voicing, loudness.max(-range)]
        };
        let mut rows = reserve(frames * COLUMNS)?;
        rows.extend(measured.iter().flat_map(row));
        Ok(rows)
    }

    /// Measures the frame centred on sample `centre`, and the next frame.
    fn two_frames(&self, samples: &[f32], centre: usize, scratch: &mut Scratch) -> [Frame; 2] {
        let [left, right] = &mut scratch.pair.frames;
        let powers = [
            self.window_frame(samples, centre, left),
            self.window_frame(samples, centre + self.hop_length, right),
        ];
        let correlation = self
            .fft
            .autocorrelations(&mut scratch.pair, &mut scratch.fft);
        let energies = [correlation[0].re, correlation[0].im];
        let lags = self.min_lag - 1..self.correction.len();
        let scale = energies.map(|energy| 1.0 / energy);
        let [left, right] = &mut scratch.correlations;
        left.clear();
        right.clear();
        for (r, correction) in correlation[lags.clone()].iter().zip(&self.correction[lags]) {
            left.push(r.re * scale[0] * correction);
            right.push(r.im * scale[1] * correction);
        }
        [0, 1].map(|frame| {
            let power = powers[frame];
            let best = if power > MIN_POWER && energies[frame] > 0.0 {
                self.best_peak(&scratch.correlations[frame])
            } else {
                None
            };
            Frame {
                octaves: best.map_or(0.0, |peak| (self.sample_rate / peak.lag).log2()),
                voicing: best.map_or(0.0, |peak| peak.height.clamp(0.0, 1.0)),
                power,
            }
        })
    }

    /// Writes the samples around sample `centre` into `frame`: mean removed, then multiplied by the
    /// window. Samples beyond the ends are zeros. Returns the mean power before the window.
    fn window_frame(&self, samples: &[f32], centre: usize, frame: &mut [f32]) -> f32 {
        let length = self.window.len();
        let frame = &mut frame[..length];
        let from = centre.saturating_sub(length / 2).min(samples.len());
        let to = (centre + length / 2).min(samples.len()).max(from);
        let before = (length / 2).saturating_sub(centre);
        let sound = before..before + (to - from);
        frame[..sound.start].fill(0.0);
        frame[sound.end..].fill(0.0);
        frame[sound].copy_from_slice(&samples[from..to]);
        // A constant offset is not sound.
        let mean = sum(frame) / length as f32;
        frame.iter_mut().for_each(|sample| *sample -= mean);
        let power = dot(frame, frame) / length as f32;
        for (sample, weight) in frame.iter_mut().zip(&self.window) {
            *sample *= weight;
        }
        power
    }

    /// The strongest peak. Its lag is interpolated, because a period is seldom a whole number of
    /// samples.
    fn best_peak(&self, correlation: &[f32]) -> Option<Peak> {
        let mut best: Option<(f32, Peak)> = None;
        for (lag, around) in (self.min_lag..).zip(correlation.windows(3)) {
            let Some(peak) = peak(lag, [around[0], around[1], around[2]]) else {
                continue;
            };
            // No peak is an octave above the highest pitch. This rejects most peaks without a
            // logarithm.
            if best.is_some_and(|(strongest, _)| peak.height + OCTAVE_COST < strongest) {
                continue;
            }
            let octaves = (peak.lag / self.min_lag as f32).log2();
            let strength = peak.height - OCTAVE_COST * octaves;
            if best.is_none_or(|(strongest, _)| strength > strongest) {
                best = Some((strength, peak));
            }
        }
        best.map(|(_, peak)| peak)
    }
}

/// The smallest number that is at least `least` and has only the factors 2 and 3: FFTs of such a
/// length are fast.
fn fast_fft_length(least: usize) -> usize {
    let is_fast = |length: &usize| {
        let odd = length >> length.trailing_zeros();
        3usize.pow(odd.ilog(3)) == odd
    };
    (least.max(1)..=least.next_power_of_two())
        .find(is_fast)
        .unwrap_or(least)
}

/// A peak of the normalised autocorrelation; `lag` is in samples.
#[derive(Clone, Copy)]
struct Peak {
    lag: f32,
    height: f32,
}

/// The vertex of the parabola through the correlations at lag − 1, lag and lag + 1. `None` if the
/// middle value is not the highest.
fn peak(lag: usize, [before, middle, after]: [f32; 3]) -> Option<Peak> {
    if middle <= before || middle < after {
        return None;
    }
    let from_middle = 0.5 * (before - after) / (before - 2.0 * middle + after);
    Some(Peak {
        lag: lag as f32 + from_middle,
        height: middle - 0.25 * (before - after) * from_middle,
    })
}

/// The median; with an even number of values, the upper of the two middle values.
fn median(values: impl Iterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 16_000;
    const HOP: usize = 200;

    /// Ten harmonics. `pitch` maps the time in seconds to hertz.
    fn voice(seconds: f64, pitch: impl Fn(f64) -> f64) -> Vec<f32> {
        let mut phase = 0.0;
        (0..(seconds * f64::from(RATE)) as usize)
            .map(|n| {
                phase += TAU * pitch(n as f64 / f64::from(RATE)) / f64::from(RATE);
                let harmonics = (1..=10).map(|h| (f64::from(h) * phase).sin() / f64::from(h));
                0.1 * harmonics.sum::<f64>() as f32
            })
            .collect()
    }

    fn track(samples: &[f32]) -> Vec<[f32; 3]> {
        let frames = 1 + samples.len() / HOP;
        let rows = Prosody::new(RATE, HOP, LOUDNESS_RANGE)
            .track(samples, frames)
            .unwrap();
        rows.chunks_exact(3)
            .map(|row| [row[0], row[1], row[2]])
            .collect()
    }

    #[test]
    fn a_pitch_step_of_a_fifth_is_measured_as_a_fifth() {
        for low in [80.0, 133.3, 251.0] {
            let rows = track(&voice(1.0, |t| if t < 0.5 { low } else { 1.5 * low }));
            let step = rows[60][0] - rows[20][0];
            assert!((step - 1.5f32.log2()).abs() < 0.005, "{low} Hz: {step}");
            assert!(rows[20][1] > 0.95 && rows[60][1] > 0.95);
        }
    }

    #[test]
    fn a_glide_of_an_octave_rises_evenly() {
        let rows = track(&voice(1.0, |t| 120.0 * 2f64.powf(t)));
        for (frame, row) in rows.iter().enumerate().take(75).skip(5) {
            let expected = frame as f32 / 80.0 - 0.5;
            assert!((row[0] - expected).abs() < 0.02, "{frame}: {row:?}");
        }
    }

    #[test]
    fn pitch_and_voicing_do_not_depend_on_level_and_offset() {
        let samples = voice(0.5, |t| 200.0 - 80.0 * t);
        let quiet: Vec<f32> = samples.iter().map(|x| x / 64.0 + 0.25).collect();
        // The offset makes a step at both ends, where the zeros begin, and so moves the median. The
        // frames between the ends are compared without the median.
        let (loud, quiet) = (track(&samples), track(&quiet));
        for frame in 4..36 {
            let step = |rows: &[[f32; 3]]| rows[frame][0] - rows[20][0];
            assert!((step(&loud) - step(&quiet)).abs() < 1e-3, "frame {frame}");
            assert!(
                (loud[frame][1] - quiet[frame][1]).abs() < 1e-3,
                "frame {frame}"
            );
        }
    }

    /// Σ x(n)·x(n + lag) in double precision, for all lags up to the period of the lowest pitch.
    fn correlations(values: &[f64]) -> Vec<f64> {
        let sum = |lag: usize| values.iter().zip(&values[lag..]).map(|(a, b)| a * b).sum();
        (0..=(f64::from(RATE) / MIN_PITCH_HZ) as usize + 1)
            .map(sum)
            .collect()
    }

    /// log₂ of the pitch, and the voicing, of one frame. Computed by the sums that define them.
    fn by_definition(samples: &[f32], centre: usize) -> Option<(f64, f64)> {
        let rate = f64::from(RATE);
        let length = 2 * (rate * WINDOW_SECONDS / 2.0).round() as usize;
        let window = |n: usize| 0.5 - 0.5 * (TAU * n as f64 / length as f64).cos();
        let at = |n: usize| -> f64 {
            let index = (centre + n).checked_sub(length / 2);
            let sample = index.and_then(|index| samples.get(index));
            sample.copied().unwrap_or(0.0).into()
        };
        let mean = (0..length).map(at).sum::<f64>() / length as f64;
        let frame: Vec<f64> = (0..length).map(|n| (at(n) - mean) * window(n)).collect();
        let frame = correlations(&frame);
        let windows = correlations(&(0..length).map(window).collect::<Vec<f64>>());
        let power = (0..length).map(|n| (at(n) - mean).powi(2)).sum::<f64>() / length as f64;
        if power <= MIN_POWER.into() {
            return None;
        }
        let min_lag = (rate / MAX_PITCH_HZ) as usize;
        let normalised = |lag: usize| (frame[lag] / frame[0]) / (windows[lag] / windows[0]);
        let correlation: Vec<f64> = (min_lag - 1..frame.len()).map(normalised).collect();
        let mut best: Option<(f64, f64, f64)> = None;
        for (i, around) in correlation.windows(3).enumerate() {
            let [before, middle, after] = [around[0], around[1], around[2]];
            if middle > before && middle >= after {
                let shift = 0.5 * (before - after) / (before - 2.0 * middle + after);
                let lag = (min_lag + i) as f64 + shift;
                let height = middle - 0.25 * (before - after) * shift;
                let strength = height - f64::from(OCTAVE_COST) * (lag / min_lag as f64).log2();
                if best.is_none_or(|(strongest, ..)| strength > strongest) {
                    best = Some((strength, (rate / lag).log2(), height.clamp(0.0, 1.0)));
                }
            }
        }
        best.map(|(_, octaves, voicing)| (octaves, voicing))
    }

    /// The signal is a voice that fades in, with breath noise, and stops abruptly.
    #[test]
    fn pitch_and_voicing_equal_the_sums_that_define_them() {
        let mut state = 1u32;
        let mut samples: Vec<f32> = voice(0.5, |t| 110.0 + 150.0 * t)
            .into_iter()
            .enumerate()
            .map(|(n, sample)| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let breath = state as f32 / u32::MAX as f32 - 0.5;
                (n as f32 / 8000.0).powi(4) * sample + 0.01 * breath
            })
            .collect();
        samples.extend([0.0; 3000]);
        let frames = 1 + samples.len() / HOP;
        let rows = Prosody::new(RATE, HOP, LOUDNESS_RANGE)
            .track(&samples, frames)
            .unwrap();
        let sums: Vec<_> = (0..frames)
            .map(|frame| by_definition(&samples, frame * HOP))
            .collect();
        let is_voiced = |frame: &usize| rows[3 * frame + 1] > VOICING_THRESHOLD;
        let voiced: Vec<usize> = (0..frames).filter(is_voiced).collect();
        assert!(
            (10..frames - 10).contains(&voiced.len()),
            "{}",
            voiced.len()
        );
        let octaves = |frame: usize| sums[frame].unwrap().0;
        for &frame in &voiced {
            let ours = f64::from(rows[3 * frame] - rows[3 * voiced[0]]);
            let exact = octaves(frame) - octaves(voiced[0]);
            assert!(
                (ours - exact).abs() < 1e-4,
                "frame {frame}: {ours}, not {exact}"
            );
        }
        for (frame, exact) in sums.iter().enumerate() {
            let (ours, exact) = (
                rows[3 * frame + 1],
                exact.map_or(0.0, |(_, voicing)| voicing),
            );
            let error = (f64::from(ours) - exact).abs();
            assert!(error < 1e-4, "frame {frame}: {ours}, not {exact}");
        }
    }

    #[test]
    fn noise_is_not_voiced_and_silence_gives_zeros() {
        let mut state = 1u32;
        let noise: Vec<f32> = (0..RATE)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state as f32 / u32::MAX as f32 - 0.5
            })
            .collect();
        let rows = track(&noise);
        let is_unvoiced = |row: &[f32; 3]| row[1] < VOICING_THRESHOLD && row[0] == 0.0;
        assert!(rows.iter().all(is_unvoiced));
        for silent in [vec![0.0; 5000], vec![0.3; 1], Vec::new()] {
            for row in track(&silent) {
                assert!(row.iter().all(|value| value.is_finite()), "{row:?}");
            }
        }
        assert_eq!(track(&[0.0; 400])[1], [0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_tone_is_voiced_at_every_sample_rate() {
        for rate in [1_000, 8_000, 24_414, 192_000] {
            let samples: Vec<f32> = (0..rate / 2)
                .map(|n| (TAU * 200.0 * f64::from(n) / f64::from(rate)).sin() as f32)
                .collect();
            let hop = rate as usize / 80;
            let rows = Prosody::new(rate, hop, LOUDNESS_RANGE)
                .track(&samples, 1 + samples.len() / hop)
                .unwrap();
            assert!(rows[3 * 20 + 1] > 0.9, "{rate} Hz: {:?}", &rows[60..63]);
        }
    }
}
