//! The feature extractor: every step from waveform to matrix.

use super::decibels::power_to_db;
use super::delta::{Order, add_delta};
use super::prosody::{self, Prosody};
use super::stft::{FRAMES_PER_BLOCK, Stft};
use super::{FeatureConfig, FeatureError, Features};
use super::{dct::Dct, mel::MelFilterBank};
use crate::audio::Waveform;
use crate::memory::{OutOfMemory, reserve, zeros};

/// Computes the features of waveforms of one sample rate. An extractor holds only tables, so that
/// threads can share it.
pub struct Extractor {
    config: FeatureConfig,
    sample_rate: u32,
    stft: Stft,
    mel: MelFilterBank,
    dct: Dct,
    prosody: Option<Prosody>,
}

impl Extractor {
    /// Prepares the tables for waveforms of `sample_rate` hertz.
    ///
    /// # Errors
    /// If a setting is out of range, alone or for this sample rate ([`FeatureConfig::validate`]).
    pub fn new(config: &FeatureConfig, sample_rate: u32) -> Result<Self, FeatureError> {
        config.validate(sample_rate)?;
        let fmax = match config.fmax {
            Some(fmax) => f64::from(fmax),
            None => f64::from(sample_rate) / 2.0,
        };
        Ok(Extractor {
            config: config.clone(),
            sample_rate,
            stft: Stft::new(
                config.n_fft,
                config.win_length.unwrap_or(config.n_fft),
                config.hop_length,
            ),
            mel: MelFilterBank::new(
                sample_rate,
                config.n_fft,
                config.n_mels,
                f64::from(config.fmin),
                fmax,
            ),
            dct: Dct::new(config.n_mfcc, config.n_mels, f64::from(config.lifter)),
            prosody: config
                .prosody
                .then(|| Prosody::new(sample_rate, config.hop_length, config.loudness_range)),
        })
    }

    /// Required sample rate of the waveforms, in hertz.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Features of one waveform, [1 + ⌊samples / hop_length⌋ frames, coefficients].
    ///
    /// # Panics
    /// If the sample rate of the waveform is not [`Extractor::sample_rate`], or if the features do not
    /// fit into memory.
    pub fn extract(&self, waveform: &Waveform) -> Features {
        self.try_extract(waveform)
            .expect("room for the features of the waveform")
    }

    /// Features of one waveform, like [`Extractor::extract`].
    ///
    /// # Errors
    /// If the features do not fit into memory.
    ///
    /// # Panics
    /// If the sample rate of the waveform is not [`Extractor::sample_rate`].
    pub fn try_extract(&self, waveform: &Waveform) -> Result<Features, OutOfMemory> {
        assert_eq!(
            waveform.sample_rate, self.sample_rate,
            "the extractor and the waveform have different sample rates"
        );
        let frames = self.stft.frames(waveform.samples.len());
        let mfcc = {
            let log_mels = self.log_mels(&waveform.samples, frames)?;
            self.mfcc(&log_mels, frames)?
        };
        let mut blocks = self.with_deltas(mfcc, self.config.n_mfcc)?;
        if let Some(prosody) = &self.prosody {
            let track = prosody.track(&waveform.samples, frames)?;
            blocks.extend(self.with_deltas(track, prosody::COLUMNS)?);
        }
        let values = side_by_side(&blocks, frames)?;
        let features = Features::new(frames, self.config.coefficients(), values);
        Ok(features.expect("every frame has all its coefficients"))
    }

    /// Mel bands in decibels. Each block of [`FRAMES_PER_BLOCK`] frames has n_mels rows, one column
    /// a frame.
    fn log_mels(
        &self,
        samples: &[f32],
        frames: usize,
    ) -> Result<Vec<[f32; FRAMES_PER_BLOCK]>, OutOfMemory> {
        let n_mels = self.config.n_mels;
        let mut scratch = self.stft.scratch();
        let mut power = vec![[0.0; FRAMES_PER_BLOCK]; self.stft.bins()];
        let blocks = frames.div_ceil(FRAMES_PER_BLOCK);
        let mut mels = zeros::<[f32; FRAMES_PER_BLOCK]>(blocks * n_mels)?;
        for (block, mels) in mels.chunks_exact_mut(n_mels).enumerate() {
            let first = block * FRAMES_PER_BLOCK;
            self.stft
                .power_spectra(samples, first, frames, &mut scratch, &mut power);
            self.mel.apply(&power, mels);
        }
        power_to_db(mels.as_flattened_mut(), self.config.top_db);
        Ok(mels)
    }

    /// Cepstral coefficients, frames × n_mfcc, row-major.
    fn mfcc(
        &self,
        log_mels: &[[f32; FRAMES_PER_BLOCK]],
        frames: usize,
    ) -> Result<Vec<f32>, OutOfMemory> {
        let n_mfcc = self.config.n_mfcc;
        let mut mfcc = zeros(frames * n_mfcc)?;
        let mut block = vec![[0.0; FRAMES_PER_BLOCK]; n_mfcc];
        for (rows, log_mels) in mfcc
            .chunks_mut(FRAMES_PER_BLOCK * n_mfcc)
            .zip(log_mels.chunks_exact(self.config.n_mels))
        {
            self.dct.apply(log_mels, &mut block);
            for (frame, row) in rows.chunks_exact_mut(n_mfcc).enumerate() {
                for (value, column) in row.iter_mut().zip(&block) {
                    *value = column[frame];
                }
            }
        }
        Ok(mfcc)
    }

    /// A matrix followed by its deltas and delta-deltas, as many of them as the configuration has.
    fn with_deltas(&self, values: Vec<f32>, columns: usize) -> Result<Vec<Vec<f32>>, OutOfMemory> {
        let mut blocks = vec![values];
        for &order in &[Order::First, Order::Second][..self.config.deltas] {
            let mut deltas = zeros(blocks[0].len())?;
            add_delta(&blocks[0], columns, order, &mut deltas);
            blocks.push(deltas);
        }
        Ok(blocks)
    }
}

/// Joins matrices of `frames` rows each: row by row, one matrix after the other.
fn side_by_side(blocks: &[Vec<f32>], frames: usize) -> Result<Vec<f32>, OutOfMemory> {
    let mut values = reserve(blocks.iter().map(Vec::len).sum())?;
    for frame in 0..frames {
        for block in blocks {
            let columns = block.len() / frames;
            values.extend_from_slice(&block[frame * columns..(frame + 1) * columns]);
        }
    }
    Ok(values)
}
