//! What recordings are like before anything is trained on them: one of them as a model hears it, and
//! a corpus as a whole. Knows nothing of libtorch.

mod giveaway;
mod mel;
mod recording;
mod survey;

pub use giveaway::{Giveaway, balanced_accuracy};
pub use mel::mel_spectrogram;
pub use recording::Recording;
pub use survey::{ClipFacts, Survey};
