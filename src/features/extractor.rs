//! The whole way from waveform to matrix.

use super::decibels::power_to_db;
use super::delta::{Order, delta};
use super::stft::Stft;
use super::{FeatureConfig, FeatureError, Features};
use super::{dct::Dct, mel::MelFilterBank};
use crate::audio::Waveform;

/// Computes the features of waveforms of one sample rate. Share one between threads: all it
/// holds are tables.
pub struct Extractor {
    config: FeatureConfig,
    sample_rate: u32,
    stft: Stft,
    mel: MelFilterBank,
    dct: Dct,
}

impl Extractor {
    /// Prepares the tables for waveforms of this sample rate, in hertz.
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
        })
    }

    /// The sample rate that waveforms must have, in hertz.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// The features of one waveform: 1 + ⌊samples / hop⌋ frames.
    ///
    /// # Panics
    /// If the waveform has another sample rate than the extractor was made for.
    pub fn extract(&self, waveform: &Waveform) -> Features {
        assert_eq!(
            waveform.sample_rate, self.sample_rate,
            "the extractor was made for another sample rate"
        );
        let log_mels = self.log_mels(&waveform.samples);
        let mfcc = self.mfcc(&log_mels);
        let values = self.with_deltas(mfcc);
        let coefficients = self.config.coefficients();
        Features::new(values.len() / coefficients, coefficients, values)
            .expect("every frame has all its coefficients")
    }

    /// Mel bands in decibels, frames × n_mels.
    fn log_mels(&self, samples: &[f32]) -> Vec<f32> {
        let n_mels = self.config.n_mels;
        let mut scratch = self.stft.scratch();
        let mut power = vec![0.0; self.stft.bins()];
        let mut mels = vec![0.0; self.stft.frames(samples.len()) * n_mels];
        for (frame, row) in mels.chunks_exact_mut(n_mels).enumerate() {
            self.stft
                .power_spectrum(samples, frame, &mut scratch, &mut power);
            self.mel.apply(&power, row);
        }
        power_to_db(&mut mels, self.config.top_db);
        mels
    }

    /// Cepstral coefficients, frames × n_mfcc.
    fn mfcc(&self, log_mels: &[f32]) -> Vec<f32> {
        let (n_mels, n_mfcc) = (self.config.n_mels, self.config.n_mfcc);
        let mut mfcc = vec![0.0; log_mels.len() / n_mels * n_mfcc];
        for (row, log_mels) in mfcc
            .chunks_exact_mut(n_mfcc)
            .zip(log_mels.chunks_exact(n_mels))
        {
            self.dct.apply(log_mels, row);
        }
        mfcc
    }

    /// Appends to every frame its deltas and delta-deltas, as many as the configuration asks for.
    fn with_deltas(&self, mfcc: Vec<f32>) -> Vec<f32> {
        let n_mfcc = self.config.n_mfcc;
        let orders = &[Order::First, Order::Second][..self.config.deltas];
        if orders.is_empty() {
            return mfcc;
        }
        let mut blocks = vec![mfcc];
        for &order in orders {
            blocks.push(delta(&blocks[0], n_mfcc, order));
        }
        let frames = blocks[0].len() / n_mfcc;
        let mut values = Vec::with_capacity(frames * n_mfcc * blocks.len());
        for frame in 0..frames {
            for block in &blocks {
                values.extend_from_slice(&block[frame * n_mfcc..(frame + 1) * n_mfcc]);
            }
        }
        values
    }
}
