//! From one sample rate to another, by rubato's FFT.

use std::cell::RefCell;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::config::SAMPLE_RATES;
use super::{AudioError, Waveform};
use crate::memory::{reserve, zeros};

/// The filter's length at the lower of the two rates, in samples. This length falls off as soxr's
/// HQ setting does, librosa's default: flat to 92 % of the lower Nyquist frequency, −6 dB at 96 %,
/// silent from 100 %.
const FILTER_LENGTH: usize = 320;

/// Brings a waveform to another rate, aligned with the input: sample `i` of the result is the
/// sound at `i / sample_rate` seconds. ⌈samples · to / from⌉ samples come out, as from
/// `librosa.resample`.
pub fn resample(waveform: &Waveform, sample_rate: u32) -> Result<Waveform, AudioError> {
    let blocks = Blocks::between(waveform.sample_rate, sample_rate)?;
    if sample_rate == waveform.sample_rate {
        return Ok(waveform.clone());
    }
    let mut resampler = match take_kept(&blocks) {
        Some(resampler) => resampler,
        None => blocks.resampler()?,
    };
    // One output sample more, for the one that rounding may drop too many.
    let zeros_behind = blocks.step_in.div_ceil(blocks.step_out);
    let length = blocks.zeros_before() + waveform.samples.len() + zeros_behind;
    let mut padded = reserve(length)?;
    padded.resize(blocks.zeros_before(), 0.0);
    padded.extend_from_slice(&waveform.samples);
    padded.resize(length, 0.0);

    resampler.reset();
    let room = resampler.process_all_needed_output_len(length);
    let mut samples = zeros(room)?;
    let input = InterleavedSlice::new(&padded, 1, length).map_err(refused)?;
    let mut output = InterleavedSlice::new_mut(&mut samples, 1, room).map_err(refused)?;
    let (_, made) = resampler
        .process_all_into_buffer(&input, &mut output, length, None)
        .map_err(refused)?;
    samples.truncate(made);
    // rubato drops the delay rounded down; the rest of it is ours to drop.
    let rest = blocks.delay() - resampler.output_delay();
    samples.drain(..rest.min(samples.len()));
    keep(&blocks, resampler);
    samples.resize(
        blocks.samples_out(waveform.samples.len() as u64) as usize,
        0.0,
    );
    Ok(Waveform {
        samples,
        sample_rate,
    })
}

/// How the sound goes from one rate to the other: block by block, in whole steps of their ratio.
pub(super) struct Blocks {
    from: usize,
    to: usize,
    step_in: usize,
    step_out: usize,
    /// Samples of a block at the rate that the sound has.
    pub(super) length: usize,
}

impl Blocks {
    pub(super) fn between(from: u32, to: u32) -> Result<Blocks, AudioError> {
        for rate in [from, to] {
            if !SAMPLE_RATES.contains(&rate) {
                return Err(AudioError::SampleRate(rate));
            }
        }
        let (from, to) = (from as usize, to as usize);
        let divisor = greatest_common_divisor(from, to);
        let (step_in, step_out) = (from / divisor, to / divisor);
        // A block is as long as the filter, in whole steps of the ratio. Rates with no simple ratio,
        // such as TESS's 24 414 Hz, have long steps and so a steeper filter.
        let step = step_in.min(step_out);
        let steps = ((FILTER_LENGTH + step / 2) / step).max(1);
        Ok(Blocks {
            from,
            to,
            step_in,
            step_out,
            length: steps * step_in,
        })
    }

    pub(super) fn resampler(&self) -> Result<Fft<f32>, AudioError> {
        let window = WindowFunction::BlackmanHarris2;
        let (from, to) = (self.from, self.to);
        Fft::new_custom(from, to, self.length, 1, 1, window, FixedSync::Both).map_err(refused)
    }

    /// The filter delays the sound by half a block. Zeros before it make that a whole number of
    /// steps, and so of samples on both sides.
    pub(super) fn zeros_before(&self) -> usize {
        self.delay_steps() * self.step_in - self.length / 2
    }

    /// The delay then, in samples that come out.
    pub(super) fn delay(&self) -> usize {
        self.delay_steps() * self.step_out
    }

    fn delay_steps(&self) -> usize {
        (self.length / 2).div_ceil(self.step_in)
    }

    /// How many samples come out for as many that went in.
    pub(super) fn samples_out(&self, samples: u64) -> u64 {
        (samples as f64 * (self.to as f64 / self.from as f64)).ceil() as u64
    }
}

/// Resamplers that a thread keeps, with their rates, the latest last: to build one takes about as long
/// as to resample a clip.
type Kept = Vec<((usize, usize), Fft<f32>)>;

/// As many rates as a corpus mixes.
const MOST_KEPT: usize = 4;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Vec::new()) };
}

fn take_kept(blocks: &Blocks) -> Option<Fft<f32>> {
    KEPT.with_borrow_mut(|kept| {
        let place = kept
            .iter()
            .position(|(rates, _)| *rates == (blocks.from, blocks.to))?;
        Some(kept.remove(place).1)
    })
}

fn keep(blocks: &Blocks, resampler: Fft<f32>) {
    KEPT.with_borrow_mut(|kept| {
        if kept.len() == MOST_KEPT {
            kept.remove(0);
        }
        kept.push(((blocks.from, blocks.to), resampler));
    });
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

pub(super) fn refused(error: impl std::fmt::Display) -> AudioError {
    AudioError::Resample(error.to_string())
}
