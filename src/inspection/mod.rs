//! Measurements of a single recording and of a corpus, before any training. Does not use libtorch.

mod giveaway;
mod mel;
mod recording;
mod survey;

pub use giveaway::{Giveaway, balanced_accuracy};
pub use mel::mel_spectrogram;
pub use recording::Recording;
pub use survey::{ClipFacts, Survey};
