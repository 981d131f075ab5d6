//! The settings of the MFCCs.

use serde::{Deserialize, Serialize};

use super::prosody;
use crate::audio::threshold;
use crate::memory::OutOfMemory;

/// No analysis window is longer than this: 65 536 samples are 1.4 s at 48 kHz.
const LONGEST_WINDOW: usize = 65_536;

/// How a waveform becomes features; part of a run's `config.toml`.
///
/// The defaults are those of `librosa.feature.mfcc`, but for 40 coefficients instead of 20.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureConfig {
    /// Coefficients kept of the DCT, from the 0th.
    pub n_mfcc: usize,
    /// Samples per FFT.
    pub n_fft: usize,
    /// Samples under the Hann window, centred in the FFT; `None` is `n_fft`.
    pub win_length: Option<usize>,
    /// Samples from one frame to the next.
    pub hop_length: usize,
    /// Mel bands.
    pub n_mels: usize,
    /// Lower edge of the lowest band, in hertz.
    pub fmin: f32,
    /// Upper edge of the highest band, in hertz; `None` is half the sample rate.
    pub fmax: Option<f32>,
    /// Floor under the loudest band of the utterance, in decibels; `None`, written as `"off"`,
    /// is no floor.
    #[serde(with = "threshold")]
    pub top_db: Option<f32>,
    /// Cepstral lifter, which raises the higher coefficients; 0 is none.
    pub lifter: f32,
    /// 0: MFCCs alone; 1: their deltas as further columns; 2: their delta-deltas as well.
    pub deltas: usize,
    /// Adds three columns and their deltas: pitch in octaves from the utterance's median, voicing,
    /// and loudness in decibels from its loudest frame.
    pub prosody: bool,
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
        }
    }
}

impl FeatureConfig {
    /// Columns of the matrix: the MFCCs and their deltas, prosody and its deltas.
    pub fn coefficients(&self) -> usize {
        let prosody = if self.prosody { prosody::COLUMNS } else { 0 };
        (self.n_mfcc + prosody) * (1 + self.deltas)
    }

    /// Checks that MFCCs can be computed so at this sample rate, in hertz.
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
        // Written so that a NaN is refused too.
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
        if !(self.lifter.is_finite() && self.lifter >= 0.0) {
            return Err(FeatureError::Lifter(self.lifter));
        }
        if self.deltas > 2 {
            return Err(FeatureError::Deltas(self.deltas));
        }
        Ok(())
    }
}

/// A setting that makes no sense, alone or with the others.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum FeatureError {
    #[error("the sample rate is 0 Hz")]
    SampleRate,
    #[error("n_fft is {0}; it must lie between 2 and {LONGEST_WINDOW} samples")]
    FftLength(usize),
    #[error("win_length is {win_length}; it must lie between 1 and n_fft, {n_fft} samples")]
    WindowLength { win_length: usize, n_fft: usize },
    #[error("hop_length is 0; it must be at least 1 sample")]
    HopLength,
    #[error(
        "n_mels is {n_mels}; it must lie between 1 and {bins}, the frequencies that an n_fft of \
         {n_fft} tells apart"
    )]
    Mels {
        n_mels: usize,
        n_fft: usize,
        bins: usize,
    },
    #[error("n_mfcc is {n_mfcc}; it must lie between 1 and n_mels, {n_mels}")]
    Coefficients { n_mfcc: usize, n_mels: usize },
    #[error(
        "the band from fmin {fmin} Hz to fmax {fmax} Hz is not a range between 0 and {nyquist} Hz, \
         half the sample rate"
    )]
    Band { fmin: f32, fmax: f32, nyquist: f32 },
    #[error("top_db is {0}; it must be 0 or more decibels, or \"off\"")]
    TopDb(f32),
    #[error("lifter is {0}; it must be 0 (none) or more")]
    Lifter(f32),
    #[error("deltas is {0}; it must be 0, 1 or 2")]
    Deltas(usize),
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}
