//! Waveform → MFCC matrix, as librosa 0.11 computes it:
//! framing and STFT → mel bands → decibels → DCT → deltas. Columns with prosody are optional.
//!
//! ```
//! use emovox::audio::Waveform;
//! use emovox::features::{Extractor, FeatureConfig};
//!
//! let extractor = Extractor::new(&FeatureConfig::default(), 16_000)?;
//! let second = Waveform { samples: vec![0.0; 16_000], sample_rate: 16_000 };
//! let features = extractor.extract(&second);
//! assert_eq!((features.frames(), features.coefficients()), (32, 40));
//! # Ok::<(), emovox::features::FeatureError>(())
//! ```

mod config;
pub mod dct;
mod decibels;
pub mod delta;
mod extractor;
mod matrix;
pub mod mel;
mod pair;
mod prosody;
pub mod stft;

pub use config::{FeatureConfig, FeatureError};
pub use extractor::Extractor;
pub use matrix::{Features, StoredValues};

/// Version of the feature computation, part of every cache key. It increases when a value changes
/// by more than rounding, so that cached features of an older version are not used.
pub const VERSION: u32 = 1;
