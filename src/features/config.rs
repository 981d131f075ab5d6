//! The settings of the MFCCs.

use serde::{Deserialize, Serialize};

use super::prosody;
use crate::audio::threshold;
use crate::memory::OutOfMemory;

/// Largest accepted `n_fft`, in samples: 1.4 s at 48 kHz.
const LONGEST_WINDOW: usize = 65_536;

/// Settings of the feature extraction; part of a run's `config.toml`.
///
/// The defaults are those of `librosa.feature.mfcc`, except for 40 coefficients instead of 20.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureConfig {
    /// Number of MFCCs: the first coefficients of the DCT, including the 0th.
    pub n_mfcc: usize,
    /// Length of the FFT, in samples.
    pub n_fft: usize,
    /// Length of the Hann window, in samples, centred in the FFT; `None` is `n_fft`.
    pub win_length: Option<usize>,
    /// Distance between the centres of two frames, in samples.
    pub hop_length: usize,
    /// Number of mel bands.
    pub n_mels: usize,
    /// Lower edge of the lowest band, in hertz.
    pub fmin: f32,
    /// Upper edge of the highest band, in hertz; `None` is half the sample rate.
    pub fmax: Option<f32>,
    /// Range below the loudest mel value of the utterance, in decibels; lower values are raised to
    /// this floor. `None`, written as `"off"`, disables the floor.
    #[serde(with = "threshold")]
    pub top_db: Option<f32>,
    /// Cepstral lifter, which amplifies the higher coefficients; 0 turns it off.
    pub lifter: f32,
    /// Derivatives as further columns. 0: none; 1: deltas; 2: deltas and delta-deltas.
    pub deltas: usize,
    /// Adds three columns and their deltas: pitch in octaves relative to the utterance's median,
    /// voicing, and loudness in decibels relative to its loudest frame.
    pub prosody: bool,
    /// Range of the loudness below the loudest frame, in decibels. Quieter frames have no pitch and no
    /// voicing, if it is below 80.
    #[serde(skip_serializing_if = "is_whole_range")]
    pub loudness_range: f32,
}

impl Default for FeatureConfig {
    fn default() -> Self {
        FeatureConfig {
            n_mfcc: 40,
            n_fft: 2048,
            win_length: None,
            hop_length: 512,
            n_mels: 128,
            fmin: 0.0,
            fmax: None,
            top_db: Some(80.0),
            lifter: 0.0,
            deltas: 0,
            prosody: false,
            loudness_range: prosody::LOUDNESS_RANGE,
        }
    }
}

fn is_whole_range(range: &f32) -> bool {
    *range == prosody::LOUDNESS_RANGE
}

impl FeatureConfig {
    /// Number of columns of the matrix: MFCCs, prosody, and the deltas of both.
    pub fn coefficients(&self) -> usize {
        let prosody = if self.prosody { prosody::COLUMNS } else { 0 };
        (self.n_mfcc + prosody) * (1 + self.deltas)
    }

    /// Checks the settings for waveforms of `sample_rate` hertz.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self, sample_rate: u32) -> Result<(), FeatureError> {
        let bins = self.n_fft / 2 + 1;
        let nyquist = sample_rate as f32 / 2.0;
        let fmax = self.fmax.unwrap_or(nyquist);

        if sample_rate == 0 {
            return Err(FeatureError::SampleRate);
        }
        if !(2..=LONGEST_WINDOW).contains(&self.n_fft) {
            return Err(FeatureError::FftLength(self.n_fft));
        }
        if let Some(win_length) = self.win_length
            && !(1..=self.n_fft).contains(&win_length)
        {
            return Err(FeatureError::WindowLength {
                win_length,
                n_fft: self.n_fft,
            });
        }
        if self.hop_length == 0 {
            return Err(FeatureError::HopLength);
        }
        if !(1..=bins).contains(&self.n_mels) {
            return Err(FeatureError::Mels {
                n_mels: self.n_mels,
                n_fft: self.n_fft,
                bins,
            });
        }
        if !(1..=self.n_mels).contains(&self.n_mfcc) {
            return Err(FeatureError::Coefficients {
                n_mfcc: self.n_mfcc,
                n_mels: self.n_mels,
            });
        }
        // In this form the condition also rejects NaN.
        if !(0.0 <= self.fmin && self.fmin < fmax && fmax <= nyquist) {
            return Err(FeatureError::Band {
                fmin: self.fmin,
                fmax,
                nyquist,
            });
        }
        if let Some(top_db) = self.top_db
            && !(top_db.is_finite() && top_db >= 0.0)
        {
            return Err(FeatureError::TopDb(top_db));
        }
        if !(1.0..=prosody::LOUDNESS_RANGE).contains(&self.loudness_range) {
            return Err(FeatureError::LoudnessRange(self.loudness_range));
        }
        if !(self.lifter.is_finite() && self.lifter >= 0.0) {
            return Err(FeatureError::Lifter(self.lifter));
        }
        if self.deltas > 2 {
            return Err(FeatureError::Deltas(self.deltas));
        }
        Ok(())
    }
}

/// A feature setting that is out of range, alone or in combination with other settings.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the variants")]
pub enum FeatureError {
    #[error("the sample rate is 0 Hz")]
    SampleRate,
    #[error("n_fft is {0}; it must be between 2 and {LONGEST_WINDOW} samples")]
    FftLength(usize),
    #[error("win_length is {win_length}; it must be between 1 and n_fft, {n_fft} samples")]
    WindowLength { win_length: usize, n_fft: usize },
    #[error("hop_length is 0; it must be at least 1 sample")]
    HopLength,
    #[error(
        "n_mels is {n_mels}; it must be between 1 and {bins}, the number of frequency bins of an \
         n_fft of {n_fft}"
    )]
    Mels {
        n_mels: usize,
        n_fft: usize,
        bins: usize,
    },
    #[error("n_mfcc is {n_mfcc}; it must be between 1 and n_mels, {n_mels}")]
    Coefficients { n_mfcc: usize, n_mels: usize },
    #[error(
        "the band from fmin {fmin} Hz to fmax {fmax} Hz is not a range between 0 and {nyquist} Hz, \
         half the sample rate"
    )]
    Band { fmin: f32, fmax: f32, nyquist: f32 },
    #[error("top_db is {0}; it must be 0 or more decibels, or \"off\"")]
    TopDb(f32),
    #[error("loudness_range is {0}; it must be from 1 to 80 decibels")]
    LoudnessRange(f32),
    #[error("lifter is {0}; it must be 0 (none) or more")]
    Lifter(f32),
    #[error("deltas is {0}; it must be 0, 1 or 2")]
    Deltas(usize),
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}
