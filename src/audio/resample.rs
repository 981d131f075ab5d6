//! Resampling with the FFT resampler of rubato.

use std::cell::RefCell;

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::config::SAMPLE_RATES;
use super::{AudioError, Waveform};
use crate::memory::{reserve, zeros};

/// Length of the filter at the lower of the two rates, in samples. With this length, the
/// transition band equals that of soxr's HQ setting, the default of librosa: flat to 92 % of the
/// lower Nyquist frequency, −6 dB at 96 %, silent from 100 %.
const FILTER_LENGTH: usize = 320;

/// Resamples a waveform to `sample_rate` hertz. The output is aligned with the input: sample `i`
/// is at `i / sample_rate` seconds. The output has ⌈samples · to / from⌉ samples, as with
/// `librosa.resample`.
///
/// # Errors
/// If one of the rates is not supported, or if the memory does not suffice.
pub fn resample(waveform: &Waveform, sample_rate: u32) -> Result<Waveform, AudioError> {
    let blocks = Blocks::between(waveform.sample_rate, sample_rate)?;
    if sample_rate == waveform.sample_rate {
        return Ok(waveform.clone());
    }
    let mut resampler = match take_cached(&blocks) {
        Some(resampler) => resampler,
        None => blocks.resampler()?,
    };
    // Enough input for one more output sample, because rounding may drop one too many.
    let zeros_behind = blocks.step_in.div_ceil(blocks.step_out);
    let length = blocks.zeros_before() + waveform.samples.len() + zeros_behind;
    let mut padded = reserve(length)?;
    padded.resize(blocks.zeros_before(), 0.0);
    padded.extend_from_slice(&waveform.samples);
    padded.resize(length, 0.0);

    resampler.reset();
    let room = resampler.process_all_needed_output_len(length);
    let mut samples = zeros(room)?;
    let input = SequentialSlice::new(&padded, 1, length).map_err(refused)?;
    let mut output = SequentialSlice::new_mut(&mut samples, 1, room).map_err(refused)?;
    let (_, made) = resampler
        .process_all_into_buffer(&input, &mut output, length, None)
        .map_err(refused)?;
    samples.truncate(made);
    // rubato drops the delay, rounded down; drop the rest here.
    let rest = blocks.delay() - resampler.output_delay();
    samples.drain(..rest.min(samples.len()));
    put_cached(&blocks, resampler);
    samples.resize(
        blocks.samples_out(waveform.samples.len() as u64) as usize,
        0.0,
    );
    Ok(Waveform {
        samples,
        sample_rate,
    })
}

/// Division of the audio into blocks of whole steps of the ratio of the two rates.
pub(super) struct Blocks {
    from: usize,
    to: usize,
    step_in: usize,
    step_out: usize,
    /// Length of a block in samples at the input rate.
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
        // A block is as long as the filter, in whole steps of the ratio. Rates without a simple
        // ratio, such as the 24 414 Hz of TESS, have long steps and therefore a steeper filter.
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

    /// Number of zeros to put before the input, in samples. The filter delays the audio by half a
    /// block; with these zeros the delay is a whole number of steps, and so of samples at both
    /// rates.
    pub(super) fn zeros_before(&self) -> usize {
        self.delay_steps() * self.step_in - self.length / 2
    }

    /// Delay of the filter including the zeros, in output samples.
    pub(super) fn delay(&self) -> usize {
        self.delay_steps() * self.step_out
    }

    fn delay_steps(&self) -> usize {
        (self.length / 2).div_ceil(self.step_in)
    }

    /// Number of output samples for a number of input samples.
    pub(super) fn samples_out(&self, samples: u64) -> u64 {
        (samples as f64 * (self.to as f64 / self.from as f64)).ceil() as u64
    }
}

/// Resamplers of a thread with their rates, the latest last. They are cached because building one
/// takes about as long as resampling a clip.
type ResamplerCache = Vec<((usize, usize), Fft<f32>)>;

/// Maximum number of cached resamplers. No known corpus mixes more sample rates.
const CACHE_SIZE: usize = 4;

thread_local! {
    static CACHE: RefCell<ResamplerCache> = const { RefCell::new(Vec::new()) };
}

fn take_cached(blocks: &Blocks) -> Option<Fft<f32>> {
    CACHE.with_borrow_mut(|cache| {
        let index = cache
            .iter()
            .position(|(rates, _)| *rates == (blocks.from, blocks.to))?;
        Some(cache.remove(index).1)
    })
}

fn put_cached(blocks: &Blocks, resampler: Fft<f32>) {
    CACHE.with_borrow_mut(|cache| {
        if cache.len() == CACHE_SIZE {
            cache.remove(0);
        }
        cache.push(((blocks.from, blocks.to), resampler));
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
