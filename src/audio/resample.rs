//! From one sample rate to another, by rubato's FFT.

use std::cell::RefCell;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::config::SAMPLE_RATES;
use super::{AudioError, Waveform};

/// The filter's length at the lower of the two rates, in samples. This length falls off as soxr's
/// HQ setting does, librosa's default: flat to 92 % of the lower Nyquist frequency, −6 dB at 96 %,
/// silent from 100 %.
const FILTER_LENGTH: usize = 320;

/// Brings a waveform to another rate, aligned with the input: sample `i` of the result is the
/// sound at `i / sample_rate` seconds. ⌈samples · to / from⌉ samples come out, as from
/// `librosa.resample`.
pub fn resample(waveform: &Waveform, sample_rate: u32) -> Result<Waveform, AudioError> {
    for rate in [waveform.sample_rate, sample_rate] {
        if !SAMPLE_RATES.contains(&rate) {
            return Err(AudioError::SampleRate(rate));
        }
    }
    if sample_rate == waveform.sample_rate {
        return Ok(waveform.clone());
    }
    let (from, to) = (waveform.sample_rate as usize, sample_rate as usize);
    let divisor = greatest_common_divisor(from, to);
    let (step_in, step_out) = (from / divisor, to / divisor);

    let mut resampler = match take_kept(from, to) {
        Some(resampler) => resampler,
        None => build(from, to, block_length(step_in, step_out))?,
    };

    // The filter delays the sound by half a block. Zeros before it make that a whole number of
    // steps, and so of samples on both sides.
    let delay = block_length(step_in, step_out) / 2;
    let delay_steps = delay.div_ceil(step_in);
    let mut padded = vec![0.0; delay_steps * step_in - delay];
    padded.extend_from_slice(&waveform.samples);
    // One output sample more, for the one that rounding may drop too many.
    padded.resize(padded.len() + step_in.div_ceil(step_out), 0.0);

    let input = InterleavedSlice::new(&padded, 1, padded.len()).map_err(refused)?;
    let mut samples = resampler
        .process_all(&input, padded.len(), None)
        .map_err(refused)?
        .take_data();
    // rubato drops the delay rounded down; the rest of it is ours to drop.
    let rest = delay_steps * step_out - resampler.output_delay();
    samples.drain(..rest.min(samples.len()));
    keep(from, to, resampler);
    let length = waveform.samples.len() as f64 * (to as f64 / from as f64);
    samples.resize(length.ceil() as usize, 0.0);
    Ok(Waveform {
        samples,
        sample_rate,
    })
}

/// A block is as long as the filter, in whole steps of the ratio. Rates with no simple ratio, such as
/// TESS's 24 414 Hz, have long steps and so a steeper filter.
fn block_length(step_in: usize, step_out: usize) -> usize {
    let step = step_in.min(step_out);
    ((FILTER_LENGTH + step / 2) / step).max(1) * step_in
}

fn build(from: usize, to: usize, block: usize) -> Result<Fft<f32>, AudioError> {
    let window = WindowFunction::BlackmanHarris2;
    Fft::new_custom(from, to, block, 1, 1, window, FixedSync::Both).map_err(refused)
}

/// Resamplers that a thread keeps, with their rates, the latest last: to build one takes about as long
/// as to resample a clip.
type Kept = Vec<((usize, usize), Fft<f32>)>;

/// As many rates as a corpus mixes.
const MOST_KEPT: usize = 4;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Vec::new()) };
}

fn take_kept(from: usize, to: usize) -> Option<Fft<f32>> {
    KEPT.with_borrow_mut(|kept| {
        let place = kept.iter().position(|(rates, _)| *rates == (from, to))?;
        Some(kept.remove(place).1)
    })
}

fn keep(from: usize, to: usize, resampler: Fft<f32>) {
    KEPT.with_borrow_mut(|kept| {
        if kept.len() == MOST_KEPT {
            kept.remove(0);
        }
        kept.push(((from, to), resampler));
    });
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

fn refused(error: impl std::fmt::Display) -> AudioError {
    AudioError::Resample(error.to_string())
}
